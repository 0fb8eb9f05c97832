from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hamster.data import Observation, View
from hamster.geometry import pose
from hamster.path import Gripper, Path2D
from hamster.policy import ActionChunk, load_policy
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.checkpoint import load, save
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.flow.model import FlowActor

Moment = tuple[Observation, Path2D]


def _look(policy: ActorPolicy, observation: Observation, path: Path2D | None) -> FlowInputs:
    inputs: FlowInputs = policy.actor.preprocess(policy.make_input(observation, path))
    return inputs


def test_a_motion_is_a_pose_and_a_gripper_command(actor: FlowActor, moment: Moment) -> None:
    motion = ActorPolicy(actor).act(*moment)
    assert motion.poses.shape == (1, 4, 4) and motion.gripper_open.dtype == bool
    np.testing.assert_allclose(motion.poses[0, :3, :3] @ motion.poses[0, :3, :3].T, np.eye(3), atol=1e-5)


def test_the_same_episode_gives_the_same_motions(actor: FlowActor, moment: Moment) -> None:
    policy = ActorPolicy(actor)
    first = [policy.act(*moment).poses for _ in range(2)]
    policy.reset()
    np.testing.assert_array_equal(first, [policy.act(*moment).poses for _ in range(2)])


def test_a_path_is_lifted_with_the_observation_that_it_first_came_with(actor: FlowActor, moment: Moment) -> None:
    policy = ActorPolicy(actor)
    observation, path = moment
    before = _look(policy, observation, path)
    view = observation.views["front"]
    assert view.depth_m is not None
    occluded = replace(observation, views={"front": replace(view, depth_m=view.depth_m * 0.5)})
    other = Path2D(path.uv[::-1], path.gripper)
    for same in (path, Path2D(path.uv, path.gripper)):
        assert torch.equal(_look(policy, occluded, same).points["tokens"].positions, before.points["tokens"].positions)
    assert not torch.equal(_look(policy, occluded, other).points["tokens"].positions, before.points["tokens"].positions)


def test_an_equal_copy_of_the_path_gives_the_same_actions_bit_for_bit(moment: Moment) -> None:
    observation, path = moment
    view = observation.views["front"]
    assert view.camera is not None and view.depth_m is not None
    camera = replace(view.camera, world_from_camera=pose([0.0, 0.05, 0.0]) @ view.camera.world_from_camera)
    later = replace(observation, views={"front": View(view.rgb, view.depth_m + np.float32(0.01), camera)})
    poses = []
    for second in (path, Path2D.from_json(path.to_json())):
        policy = load_policy()
        policy.act(observation, path)
        poses.append(policy.act(later, second).poses)
    np.testing.assert_array_equal(*poses)


def test_a_policy_remembers_where_it_was_asked_last_until_it_is_reset(actor: FlowActor, moment: Moment) -> None:
    policy = ActorPolicy(actor)
    observation, path = moment
    assert not _look(policy, observation, path).robot.previous_features[0, 0]
    policy.act(observation, path)
    tool = np.array(observation.tool_pose_world)
    tool[:3, 3] += [0.1, 0, -0.2]
    later = _look(policy, replace(observation, tool_pose_world=tool), path)
    assert later.robot.previous_features[0, 0]
    np.testing.assert_allclose(later.robot.previous_positions, [[-0.1, 0, 0.2]], atol=1e-6)
    policy.reset()
    assert not _look(policy, observation, path).robot.previous_features[0, 0]


@pytest.mark.parametrize("since_path", [True, False])
def test_with_a_new_path_the_history_begins_anew_where_the_configuration_says_so(
    actor: FlowActor, moment: Moment, since_path: bool
) -> None:
    policy = ActorPolicy(FlowActor(replace(actor.config, history_since_path=since_path)))
    observation, path = moment
    with torch.no_grad():
        policy.actor.done.bias.fill_(-100.0)
    policy.act(observation, path)
    assert _look(policy, observation, Path2D(path.uv, path.gripper)).robot.previous_features[0, 0], "an equal path"
    elsewhere = Path2D(path.uv[::-1], path.gripper)
    assert bool(_look(policy, observation, elsewhere).robot.previous_features[0, 0]) is not since_path


def test_a_policy_remembers_as_many_times_as_it_is_built_for(actor: FlowActor, moment: Moment) -> None:
    policy, (observation, path) = ActorPolicy(FlowActor(replace(actor.config, n_obs_history=2))), moment
    with torch.no_grad():
        policy.actor.done.bias.fill_(-100.0)
    for step in range(4):
        tool = np.array(observation.tool_pose_world)
        tool[0, 3] += 0.1 * step
        looked = _look(policy, replace(observation, tool_pose_world=tool), path)
        assert looked.robot.previous_features[:, 0].tolist() == [step > 0, step > 1]
        np.testing.assert_allclose(
            looked.robot.previous_positions[: min(step, 2), 0], [-0.1, -0.2][: min(step, 2)], atol=1e-6
        )
        policy.act(replace(observation, tool_pose_world=tool), path)
    assert len(list(policy.make_input(observation, path).robot.history())) == 2


@pytest.mark.parametrize(
    ("above_m", "beside", "last", "stays"),
    [
        (0.0, 0.0, Gripper.UNKNOWN, True),
        (0.0, 0.0, Gripper.OPEN, True),
        (0.12, 0.0, Gripper.OPEN, True),
        (0.0, 0.15, Gripper.OPEN, False),
        (0.0, 0.0, Gripper.CLOSED, False),
    ],
)
def test_a_policy_that_is_sure_to_be_done_stays_where_the_path_ends_in_the_state_that_it_asks_for(
    actor: FlowActor, moment: Moment, above_m: float, beside: float, last: Gripper, stays: bool
) -> None:
    """The gripper is open, and the tool above the path's end, or beside that place in the image."""
    observation, _ = moment
    camera = observation.views["front"].camera
    assert camera is not None and observation.tool_pose_world is not None
    px, _ = camera.project(observation.tool_pose_world[:3, 3] - [0.0, 0.0, above_m])
    end = px / camera.size_px + [beside, 0.0]
    with torch.no_grad():
        actor.done.bias.fill_(100.0)
    motion = ActorPolicy(actor).act(observation, Path2D([[0.1, 0.1], end], [Gripper.UNKNOWN, last]))
    assert np.array_equal(motion.poses[0], observation.tool_pose_world) is stays


def test_without_a_path_nothing_is_done(actor: FlowActor, moment: Moment) -> None:
    with torch.no_grad():
        actor.done.bias.fill_(100.0)
    assert not np.array_equal(ActorPolicy(actor).act(moment[0], None).poses[0], moment[0].tool_pose_world)


@pytest.mark.parametrize(
    ("lacking", "named"),
    [("view", "front"), ("depth_m", "depth_m"), ("camera", "camera"), ("tool_pose_world", "tool_pose_world")],
)
def test_one_line_names_what_is_missing(actor: FlowActor, moment: Moment, lacking: str, named: str) -> None:
    observation, path = moment
    view: View = observation.views["front"]
    if lacking == "view":
        observation = replace(observation, views={"wrist": view})
    elif lacking == "tool_pose_world":
        observation = replace(observation, tool_pose_world=None)
    else:
        observation = replace(observation, views={"front": replace(view, **{lacking: None})})
    with pytest.raises(ValueError, match=named) as error:
        ActorPolicy(actor).act(observation, path)
    assert "\n" not in str(error.value)


def test_a_saved_actor_loads_as_the_same(actor: FlowActor, moment: Moment, tmp_path: Path) -> None:
    save(tmp_path, actor, {"seed": 0})
    loaded = load_policy(tmp_path).act(*moment)
    here: ActionChunk = ActorPolicy(actor).act(*moment)
    np.testing.assert_array_equal(loaded.poses, here.poses)


def test_a_checkpoint_without_conditioners_loads_into_an_actor_with_them(
    actor: FlowActor, moment: Moment, tmp_path: Path
) -> None:
    plain = FlowActor(replace(actor.config, conditioners=()))
    plain.load_state_dict(actor.state_dict(), strict=False)
    save(tmp_path, plain)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"conditioners": []', '"conditioners": ["tokens", "foveas"]'))
    without = ActorPolicy(plain).act(moment[0], None)
    np.testing.assert_allclose(ActorPolicy(load(tmp_path)).act(moment[0], None).poses, without.poses, atol=1e-6)


def test_an_unknown_policy_or_family_is_named(actor: FlowActor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no policy 'flow-nanu' \(did you mean 'flow-nano'\?\)"):
        load_policy("flow-nanu")
    save(tmp_path, actor)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"flow"', '"telepathy"'))
    with pytest.raises(ValueError, match=r"telepathy.*flow"):
        load_policy(tmp_path)
