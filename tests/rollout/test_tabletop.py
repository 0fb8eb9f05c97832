"""The loop on the real simulation, with the expert in the policy's place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hamster.path import PlanError
from hamster.policy import PolicyError
from hamster.rollout import BrokenEnvironmentError, rollout
from hamster.rollout.baselines import OraclePlanner, PointsPlanner, ShuffledPlanner, SwappedPlanner
from hamster.rollout.tabletop import TabletopEnvironment
from hamster.rollout.withheld import BlindEnvironment, WrongWordsEnvironment
from hamster.sim.scene import keypose_pose
from tests.rollout.fakes import FakeMotion, FakePlanner


class ExpertPolicy:
    """Executes the scripted expert's keyposes, one at a time, and then stays."""

    def __init__(self, env: TabletopEnvironment) -> None:
        self._keyposes = iter(env._env.expert_plan())

    def reset(self) -> None:
        pass

    def act(self, observation, path, instruction):
        self._last = keypose = next(self._keyposes, None) or self._last
        return FakeMotion(keypose_pose(keypose)[None], np.array([keypose.gripper_open]))


@pytest.fixture
def make():
    made = []

    def one(family: str, seed: int) -> TabletopEnvironment:
        made.append(TabletopEnvironment(family, seed))
        return made[-1]

    yield one
    for env in made:
        env.close()


class InterruptedPolicy(ExpertPolicy):
    """Has no action, once, after the keypose that grasps."""

    _last, _was_interrupted = None, False

    def act(self, observation, path, instruction):
        if self._last is not None and not self._last.gripper_open and not self._was_interrupted:
            self._was_interrupted = True
            raise PolicyError("interrupted")
        return super().act(observation, path, instruction)


def test_what_the_gripper_holds_when_an_episode_ends_is_still_held_in_the_next(make):
    env = make("pick_place", 4)
    policy = InterruptedPolicy(env)
    assert rollout(env, None, policy, video_every=0).outcome == "policy_error"
    assert env._env.world.held_thing() == env.command.target
    assert rollout(env, None, policy, video_every=0).success


@pytest.mark.parametrize("family", ["pick_place", "press", "knock"])
def test_the_expert_succeeds_through_the_loop(make, family):
    env = make(family, 4)
    result = rollout(env, OraclePlanner(env), ExpertPolicy(env))
    assert result.success and 20 < result.n_steps < 200
    assert result.video.frames.shape[1:] == (256, 256, 3) and len(result.video.frames) >= result.n_steps // 4
    assert result.video.frames[0].std() > 20 and not np.array_equal(result.video.frames[0], result.video.frames[-1])


def test_the_oracles_path_starts_at_the_tools_tip(make):
    env = make("pick_place", 4)
    view = env.observe().views["front"]
    tip_px, _ = view.camera.project(env.tool_pose_world()[:3, 3])
    path = env.expert_path()
    assert np.linalg.norm(path.uv[0] - tip_px / view.camera.size_px) < 0.01
    assert len(path.events) >= 2


def test_the_same_seed_makes_the_same_scene_and_another_seed_another(make):
    one, same, other = make("press", 11), make("press", 11), make("press", 12)
    assert np.array_equal(one.front_image(), same.front_image()) and one.instruction == same.instruction
    assert not np.array_equal(one.front_image(), other.front_image())


def test_the_shuffled_path_is_another_scenes(make):
    env, other = make("pick_place", 4), make("pick_place", 5)
    path = ShuffledPlanner(other).plan(env.front_image(), env.instruction).paths[0]
    assert path == other.expert_path() != env.expert_path()


def test_an_oracle_that_cannot_draw_is_a_plan_error(make, monkeypatch):
    env = make("press", 11)
    monkeypatch.setattr("hamster.rollout.tabletop.planned_path", lambda *args: None)
    with pytest.raises(PlanError, match="outside the image"):
        env.expert_path()
    assert rollout(env, OraclePlanner(env), ExpertPolicy(env)).outcome == "plan_error"


def test_a_simulation_that_diverges_is_noticed(make):
    env = make("press", 11)
    env._env.world.data.qvel[:] = np.nan
    with pytest.raises(BrokenEnvironmentError, match="diverged"):
        for _ in range(3):
            env.step(env.tool_pose_world(), True)


def test_doing_nothing_times_out(make):
    env = make("press", 11)

    class Idle:
        def reset(self):
            pass

        def act(self, observation, path, instruction):
            return FakeMotion(env.tool_pose_world()[None], np.array([True]))

    result = rollout(env, FakePlanner(), Idle(), max_steps=30)
    assert result.outcome == "timeout" and result.n_steps == 30


def test_end_points_are_where_the_gripper_acts(make):
    env = make("pick_place", 4)
    whole = env.expert_path()
    path = PointsPlanner(env).plan(env.front_image(), env.instruction).paths[0]
    grasp, release = (waypoint for waypoint, _ in whole.events)
    assert np.array_equal(path.uv, whole.uv[[grasp, release]]) and np.array_equal(
        path.depth_m, whole.depth_m[[grasp, release]]
    )
    assert [state for _, state in path.events] == [state for _, state in whole.events]


def test_without_a_grasp_the_end_points_are_start_and_end(make):
    env = make("press", 4)
    whole, path = env.expert_path(), PointsPlanner(env).plan(env.front_image(), env.instruction).paths[0]
    assert np.array_equal(path.uv, whole.uv[[0, -1]])


def test_a_swapped_path_leads_to_another_thing_in_the_same_scene(make):
    env, same = make("pick_place", 4), make("pick_place", 4)
    planner, again = SwappedPlanner(env, 7), SwappedPlanner(same, 7)
    path = planner.plan(env.front_image(), env.instruction).paths[0]
    assert path != env.expert_path() and path == again.plan(same.front_image(), same.instruction).paths[0]
    assert np.allclose(path.uv[0], env.expert_path().uv[0]) and not planner.is_path_task_success()


def test_whoever_follows_a_swapped_path_does_its_task_and_not_the_instructions(make):
    env = make("press", 4)
    planner = SwappedPlanner(env, 0)
    planner.plan(env.front_image(), env.instruction)
    other = make("press", 4)
    assert other.turn_to(env.other_task(0).command)  # the expert, for the other task
    result = rollout(env, planner, ExpertPolicy(other), max_steps=60)
    assert not result.success and planner.is_path_task_success()


def test_without_another_task_a_swapped_path_is_a_plan_error(make, monkeypatch):
    env = make("press", 4)
    monkeypatch.setattr(env, "other_tasks", list)
    result = rollout(env, SwappedPlanner(env, 0), ExpertPolicy(env))
    assert result.outcome == "plan_error" and "no other task" in result.message


def test_nothing_can_be_seen_in_a_blind_environment(make):
    env = BlindEnvironment(make("press", 4))
    assert not env.front_image().any() and env.front_image().shape == (256, 256, 3)
    for view in env.observe().views.values():
        assert not view.rgb.any() and not view.depth_m.any() and view.camera is not None
    assert env.expert_path() == env.env.expert_path() and env.instruction == env.env.instruction


def test_wrong_words_do_not_change_the_task(make):
    env = make("press", 4)
    wrong = WrongWordsEnvironment(env, "knock the bottle over")
    assert wrong.instruction == "knock the bottle over" and env.instruction != wrong.instruction
    assert wrong.expert_path() == env.expert_path() and np.array_equal(wrong.front_image(), env.front_image())


def test_only_the_views_that_are_asked_for_are_rendered(make):
    env = make("press", 4)
    both, front = env.observe(), env.observe(cameras=("front",))
    assert set(both.views) == {"front", "wrist"} and set(front.views) == {"front"}
    assert np.array_equal(both.views["front"].rgb, front.views["front"].rgb)
    assert np.array_equal(both.views["front"].depth_m, front.views["front"].depth_m)
    robot = env.observe(cameras=())
    assert not robot.views and robot.gripper == both.gripper


def test_what_moves_is_known_by_its_position(make):
    env = make("pick_place", 4)
    before = env.positions_world()
    pose = env.tool_pose_world()
    pose[2, 3] += 0.05
    for _ in range(10):
        env.step(pose, True)
    moved_m = np.linalg.norm(env.positions_world() - before, axis=1)
    assert moved_m.max() > 0.02 and np.median(moved_m) < 0.005 and not env.is_failed()


def test_the_oracles_depth_places_waypoints_at_the_expert_for_policies_that_use_it(make):
    from hamster.policy.actor_policy import ActorPolicy
    from hamster.policy.registry import build_actor
    from hamster.policy.training.presets import PRESETS

    env = make("pick_place", 4)
    observation, path = env.observe(), env.expert_path()
    grasp = next(k for k in env._env.expert_plan() if not k.gripper_open)
    with_depth = replace(PRESETS["debug"].actor, path_depth=True)
    lifted = {}
    for config in (PRESETS["debug"].actor, with_depth):
        prompt = ActorPolicy(build_actor(config)).make_input(observation, path).prompt
        lifted[config.path_depth] = prompt.points_world(prompt.progress[[0, path.events[0][0]]])
    expected = [observation.tool_pose_world[:3, 3], keypose_pose(grasp)[:3, 3]]
    assert np.allclose(lifted[True], expected, atol=2e-3)
    assert np.linalg.norm(lifted[False] - expected, axis=-1).min() > 5e-3  # on the surface behind instead
