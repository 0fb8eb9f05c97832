"""Hidden cameras of published simulations are recovered to within 1 % of the width, with noise and outliers.

InternVLA-M1's points are the keypoints that it stores. RLBench has none: its tool is projected by its own cameras.
"""

import numpy as np
import pytest

from hamster.data import Episode
from hamster.data.lerobot import LeRobot
from hamster.data.rlbench import RLBench
from hamster.geometry.calibration import UndeterminedCameraError, fit_camera
from tests.data.real import real_data

NOISE, WRONG = 0.005, 0.2  # of the width; of the points


def recovered(poses, uv, camera, lens_is_known, seed=0):
    """Return the median distance between the two cameras' projections of the tool, in widths."""
    rng = np.random.default_rng(seed)
    px = uv * camera.size_px + rng.normal(0, NOISE * camera.width, uv.shape)
    wrong = rng.permutation(len(px))[: round(WRONG * len(px))]
    px[wrong] = rng.uniform(0, 1, (len(wrong), 2)) * camera.size_px
    inside = ((px > 0) & (px < camera.size_px)).all(1)
    lens = camera.intrinsics if lens_is_known else None
    fit = fit_camera(poses[inside], px[inside], (camera.width, camera.height), lens, seed=seed)
    there, here = (c.project(poses[:, :3, 3])[0] for c in (fit.camera, camera))
    return np.median(np.linalg.norm(there - here, axis=1)) / camera.width


@pytest.mark.parametrize("lens_is_known", [True, False])
@pytest.mark.parametrize("view", ["base_view", "base_view_2"])
def test_internvla(view, lens_is_known):
    source = LeRobot(real_data("a-lerobot-internvla-sim"))
    for index in range(2):
        episode = source[index]
        assert isinstance(episode, Episode)
        camera = episode.observations[0].views[view].camera
        uv = source.keypoints_uv(index)[view]
        assert recovered(episode.tool_poses_world, uv, camera, lens_is_known, index) < 0.01


@pytest.mark.parametrize("lens_is_known", [True, False])
@pytest.mark.parametrize("view", ["front", "left_shoulder"])
def test_rlbench(view, lens_is_known):
    episode = RLBench(real_data("a-rlbench-open-drawer"))[0]
    camera = episode.observations[0].views[view].camera
    uv = camera.project(episode.tool_poses_world[:, :3, 3])[0] / camera.size_px
    assert recovered(episode.tool_poses_world, uv, camera, lens_is_known) < 0.01


def test_a_reach_along_a_line_is_refused():
    episode = RLBench(real_data("a-rlbench-reach-target"))[0]
    camera = episode.observations[0].views["front"].camera
    uv = camera.project(episode.tool_poses_world[:, :3, 3])[0] / camera.size_px
    with pytest.raises(UndeterminedCameraError, match="along a line"):
        recovered(episode.tool_poses_world, uv, camera, lens_is_known=True)
