"""Demonstrations that start in the middle of a task, after a disturbance."""

from __future__ import annotations

from math import pi
from types import SimpleNamespace

import numpy as np
import pytest

from hamster.data import Episode, Unreadable
from hamster.geometry.keypose_motion import down_pose
from hamster.label.episodes import label_episode
from hamster.path import Gripper
from hamster.policy.training.frames import select_frames, track
from hamster.sim.scene import Keypose
from hamster.sim.tabletop import demos
from hamster.sim.tabletop.demos import DISTURBED_SHARE, Demonstrations, DisturbedDemonstrations, mixed
from hamster.sim.tabletop.disturb import DISTURBANCES, disturb
from hamster.sim.tabletop.sample import sample
from hamster.sim.tasks import UPRIGHT
from hamster.sim.world import World

N = 6


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    source = DisturbedDemonstrations(320, image_size=64)
    read = [source[i] for i in range(N)]
    assert all(isinstance(episode, Episode) for episode in read)
    return [episode for episode in read if isinstance(episode, Episode)]


def disturbed(episodes: list[Episode]) -> list[Episode]:
    return [episode for episode in episodes if "disturbance" in episode.provenance.extra]


def test_about_a_half_is_disturbed_and_the_rest_is_as_it_was(episodes: list[Episode]) -> None:
    rolls = [np.random.default_rng((0, i, 1)).random() < DISTURBED_SHARE for i in range(320)]
    assert 130 < sum(rolls) < 190
    assert ["disturbance" in episode.provenance.extra for episode in episodes] == rolls[:N]
    assert [episode.provenance.extra["family"] for episode in episodes] == list(mixed(320)[:N])
    plain = rolls.index(False)
    same = Demonstrations(320, image_size=64)[plain]
    assert isinstance(same, Episode) and same.instructions == episodes[plain].instructions
    np.testing.assert_array_equal(same.tool_poses_world, episodes[plain].tool_poses_world)


def test_an_episode_is_a_function_of_seed_and_index(episodes: list[Episode]) -> None:
    index = next(i for i, episode in enumerate(episodes) if "disturbance" in episode.provenance.extra)
    again = DisturbedDemonstrations(320, image_size=64)[index]
    assert isinstance(again, Episode)
    np.testing.assert_array_equal(again.tool_poses_world, episodes[index].tool_poses_world)
    np.testing.assert_array_equal(again.observations[0].views["front"].rgb,
                                  episodes[index].observations[0].views["front"].rgb)  # fmt: skip


def test_labels_are_those_of_the_present(episodes: list[Episode]) -> None:
    for episode in disturbed(episodes):
        labelled = label_episode(episode, "front", epsilon=0.02)
        assert not hasattr(labelled, "reason") and episode.keyposes is not None
        assert episode.tool_poses_world is not None and episode.actions is not None
        camera = episode.observations[0].views["front"].camera
        assert camera is not None
        px, _ = camera.project(episode.tool_poses_world[0, :3, 3])
        path = labelled.labels[0].path  # type: ignore[union-attr]
        assert np.abs(path.uv[0] - px / camera.size_px).max() < 0.01, "the path starts at the tool"
        is_open = bool(episode.actions[0, 7] > 0.5)
        assert is_open or path.gripper[0] == Gripper.CLOSED
        assert episode.keyposes.next[0] == 1 and episode.keyposes.gripper_open[0] == is_open
        assert track(labelled, "keypose")["open"][0] == is_open  # type: ignore[arg-type]
        assert select_frames(labelled, "keypose", 2)[0] == 0, "where the new path comes is a frame to learn from"  # type: ignore[arg-type]


def test_a_keypose_that_the_robot_is_at_is_behind_it_also_where_yaw_wraps_around() -> None:
    world = SimpleNamespace(tool_pose_world=down_pose((0.4, 0.0, 0.2), pi - 0.01), gripper_open=True)
    here = Keypose((0.4, 0.0, 0.2), -pi + 0.01, True)
    turned, closed = Keypose(here.position, pi - 0.1, True), Keypose(here.position, here.yaw, False)
    for ahead in (turned, closed):
        assert demos._ahead(world, [here, ahead]) == [ahead]  # type: ignore[arg-type]


def test_a_task_without_an_instruction_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demos, "TRIES", 1)
    monkeypatch.setattr(demos, "DISTURBED_SHARE", 1.0)
    monkeypatch.setattr(demos, "disturb", lambda world, command, rng: "shifted")
    monkeypatch.setattr(demos, "commands", lambda *args, **kwargs: [])
    assert isinstance(DisturbedDemonstrations(1, image_size=64)[0], Unreadable)


@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("family", ["pick_place", "knock"])
def test_a_disturbance_leaves_everything_upright_and_a_task_to_do(
    name: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hamster.sim.tabletop.disturb.DISTURBANCES", {name: DISTURBANCES[name]})
    n_good = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scene, command = sample(rng, family)
        world = World(scene, 64)
        before = {thing.name: world.thing_pose(thing.name)[:2, 3].copy() for thing in scene.things}
        if disturb(world, command, rng) is None:
            continue
        n_good += 1
        moved = {n for n, xy in before.items() if np.linalg.norm(world.thing_pose(n)[:2, 3] - xy) > 0.05}
        assert moved <= {command.target, command.goal}
        assert (name in ("shifted", "missed")) <= bool(moved)
        assert all(world.thing_pose(thing.name)[2, 2] > UPRIGHT for thing in scene.things)
    assert n_good > 0
