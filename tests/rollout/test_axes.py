"""Environments of the axes: what they record beside success, and which scenes a run has."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hamster.evaluate import EvalConfig
from hamster.evaluate.suites import SUITES, find_suite
from hamster.evaluate.trials import trials
from hamster.geometry.keypose_motion import keypose_steps
from hamster.rollout import Rollout
from hamster.rollout.axes import STRATA, AxisEnvironment, scene_of_stratum
from hamster.rollout.video import Video
from hamster.sim.expert import plan
from hamster.sim.scene import keypose_pose
from hamster.sim.tabletop.axes.factors import AXES
from hamster.sim.tabletop.axes.seeds import run_and_number, scene_seed

NO_VIDEO = Video(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64), 5.0)


def drive(env: AxisEnvironment, name: str) -> Rollout:
    """Return the record of the expert's episode for another target, with the path that it was given."""
    path, command = env.expert_path(), env.sample.command
    world = env._env.world
    keyposes = plan(world, type(command)(command.family, name, command.goal, ""))
    pose, is_open, n_steps, done = env.tool_pose_world(), True, 0, False
    for keypose in keyposes:
        poses, openings = keypose_steps(pose, is_open, keypose_pose(keypose), keypose.gripper_open)
        for step_pose, opening in zip(poses, openings, strict=True):
            done, n_steps = env.step(step_pose, opening > 0.5), n_steps + 1
        pose, is_open = poses[-1], keypose.gripper_open
    outcome = "success" if done else "timeout"
    return Rollout(env.instruction, outcome, "", n_steps, len(keyposes), (path,), ("",), (), (), NO_VIDEO, (0,))


@pytest.mark.parametrize("name", ["thing0", "another"])
def test_an_episode_tells_how_far_it_came_and_why_it_failed(name: str) -> None:
    env = AxisEnvironment("basic", "press", scene_seed(0, 0))
    try:
        buttons = [thing.name for thing in env.sample.scene.things if thing.button]
        rollout = drive(env, name if name == "thing0" else buttons[-1] if buttons[-1] != "thing0" else buttons[0])
        metrics = env.episode_metrics(rollout)
        without_path = env.episode_metrics(replace(rollout, paths=(), path_steps=()))
    finally:
        env.close()
    assert without_path["path_distance_cm"] is None
    assert without_path["final_state_sha256"] == metrics["final_state_sha256"]
    assert without_path["failure"] == ("" if name == "thing0" else "wrong object")
    assert json.loads(json.dumps(metrics)) == metrics and metrics["case"] == "basic"
    if name == "thing0":
        assert metrics["partial"] == 1.0 and metrics["clean"] and metrics["failure"] == ""
        assert metrics["first_reached"] == metrics["first_touched"] == "thing0" and metrics["path_distance_cm"] < 1
    else:
        assert metrics["partial"] == 0.0 and not metrics["clean"] and metrics["failure"] == "not followed"
        assert metrics["first_reached"] != "thing0" and metrics["path_distance_cm"] > 3


def test_a_run_numbers_its_scenes_within_each_family(tmp_path: Path) -> None:
    config = EvalConfig(tmp_path, suite="axes-spatial", planners=("none",), episodes=7, seed=5)
    scenes = [(trial.family, *run_and_number(trial.seed)) for trial in trials(config)]
    families = ["pick_place", "press", "knock"]
    assert scenes == [(families[i % 3], 5, i // 3) for i in range(7)]
    with pytest.raises(ValueError, match="the axes suites have no seed 200000"):
        trials(EvalConfig(tmp_path, suite="axes", planners=("none",), seed=200_000))


def test_the_suite_of_all_axes_has_the_scenes_of_each() -> None:
    names = {f"axes-{axis}" for axis in AXES}
    assert names <= set(SUITES) and len(STRATA) == 3 * len(AXES)
    one, other = (
        scene_of_stratum("language/press", scene_seed(0, 1)),
        AxisEnvironment("language", "press", scene_seed(0, 1)),
    )
    try:
        assert one.instruction == other.instruction and one.sample == other.sample
    finally:
        one.close()
        other.close()


def test_an_axis_ends_its_episodes_alike_in_its_own_suite_and_in_that_of_all_axes() -> None:
    together = find_suite("axes")
    for axis, n_steps in (("basic", 120), ("moved", 300)):
        conditions = find_suite(f"axes-{axis}").end_conditions("press")
        assert (conditions["hold_steps"], conditions["max_steps"]) == (10, n_steps)
        assert together.end_conditions(f"{axis}/press") == conditions


def test_a_moved_thing_is_shifted_under_way_and_not_by_the_robot() -> None:
    env = AxisEnvironment("moved", "press", scene_seed(0, 0))
    try:
        shift, still = env.sample.shift, env.tool_pose_world()
        assert shift is not None
        before = np.array(env.sample.scene.thing(shift.thing).xy)
        assert 0.1 <= np.linalg.norm(np.array(shift.xy) - before) <= 0.18
        for _ in range(shift.after_step):
            env.step(still, True)
        assert np.allclose(env._env.world.thing_pose(shift.thing)[:2, 3], shift.xy)
        assert env._progress.disturbed() == []
    finally:
        env.close()
