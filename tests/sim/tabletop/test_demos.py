from collections import Counter

import numpy as np
import pytest

from hamster.label.episodes import label_episode
from hamster.sim.annotate import planned_path
from hamster.sim.layout import world_camera
from hamster.sim.tabletop.demos import PAPER_MIX, Demonstrations, mixed
from hamster.sim.tabletop.sample import sample
from hamster.sim.world import World


def test_the_mix_is_the_papers_at_every_length() -> None:
    assert Counter(mixed(320)) == PAPER_MIX
    total = sum(PAPER_MIX.values())
    for n in (7, 50, 500):
        for family, count in Counter(mixed(n)).items():
            assert abs(count - n * PAPER_MIX[family] / total) <= 1


def test_a_demonstration_is_whole() -> None:
    for episode in (Demonstrations(5, seed=11)[i] for i in range(5)):
        steps, keyposes = len(episode.observations), episode.keyposes
        assert keyposes is not None and episode.tool_poses_world is not None and episode.actions is not None
        assert len(episode.tool_poses_world) == len(episode.actions) == len(keyposes.next) == steps
        assert (np.diff(keyposes.next) >= 0).all() and keyposes.next[0] == 0
        assert keyposes.next[-1] == len(keyposes.gripper_open) - 1, "what is left at the end is the retreat"
        for i in np.flatnonzero(np.diff(keyposes.next)):
            reached = keyposes.tool_poses_world[keyposes.next[i]][:3, 3]
            nearest = np.linalg.norm(episode.tool_poses_world[i : i + 2, :3, 3] - reached, axis=1).min()
            assert nearest < 0.015, "the frame before the target changes is at the keypose"


def test_contact_is_on_the_way_to_the_thing_and_not_in_the_air() -> None:
    for episode in (Demonstrations(6, seed=11)[i] for i in range(6)):
        keyposes, family = episode.keyposes, episode.provenance.extra["family"]
        assert keyposes is not None and keyposes.touches is not None
        grasps = np.flatnonzero(~keyposes.gripper_open[1:] & keyposes.gripper_open[:-1]) + 1
        contact = grasps if family == "pick_place" else [len(keyposes.gripper_open) - 2]  # the last one is the retreat
        assert keyposes.touches[contact].all() and not keyposes.touches[0]


def test_frames_are_rendered_when_asked_for_in_any_order() -> None:
    episode = Demonstrations(1, seed=2, image_size=64)[0]
    last, first, again = (episode.observations[i] for i in (-1, 0, -1))
    assert np.array_equal(last.views["front"].rgb, again.views["front"].rgb)
    assert not np.array_equal(first.views["front"].rgb, last.views["front"].rgb)
    assert first.time_s < last.time_s
    assert np.allclose(first.tool_pose_world, episode.tool_poses_world[0])


@pytest.mark.parametrize("index", range(6))
def test_a_demonstration_and_its_plan_are_the_same_path(index: int) -> None:
    """Demonstrations teach the policy, plans the planner: were they unlike, the two would not understand each other."""
    episode = Demonstrations(10, seed=4)[index]
    scene, command = sample(np.random.default_rng((4, index)), mixed(10)[index])
    world = World(scene)
    planned = planned_path(world, command, world_camera(scene.cameras["front"], 256, 256))
    done = label_episode(episode, "front", epsilon=0.05).labels[0].path
    assert planned is not None
    assert [state for _, state in done.events] == [state for _, state in planned.events]
    for (i, _), (j, _) in zip(done.events, planned.events, strict=True):
        assert np.abs(done.uv[i] - planned.uv[j]).max() < 0.03
    assert np.abs(done.uv[-1] - planned.uv[-1]).max() < 0.03
