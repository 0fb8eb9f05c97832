import numpy as np

from hamster.policy.image.config import ImageConfig
from hamster.policy.training.trajectory import poses_ahead


def test_a_chunk_is_even_in_time_though_the_frames_are_not() -> None:
    time_s = np.array([0.0, 0.2, 0.25, 0.4, 0.6])
    tool = np.tile(np.eye(4), (5, 1, 1))
    tool[:, 0, 3] = 0.1 * time_s  # an even motion
    is_open = np.array([True, True, False, False, True])
    track = {"tool": tool, "open": is_open, "keypose": np.zeros(5, int), "time_s": time_s}
    poses, commands = poses_ahead(track, 0, ImageConfig(horizon=5, step_s=0.1))
    np.testing.assert_allclose(poses[:, 0, 3], [0.01, 0.02, 0.03, 0.04, 0.05])
    assert commands.tolist() == [True, True, False, False, False]
    poses, commands = poses_ahead(track, 3, ImageConfig(horizon=3, step_s=0.2, n_action_steps=3))
    np.testing.assert_allclose(poses[:, 0, 3], 0.06)  # it stays where the episode ends
    assert commands.tolist() == [True] * 3
