"""The loop on the real simulation, with the expert in the policy's place."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.path import PlanError
from hamster.rollout import BrokenEnvironmentError, rollout
from hamster.rollout.baselines import OraclePlanner, ShuffledPlanner
from hamster.rollout.tabletop import TabletopEnvironment
from hamster.sim.scene import keypose_pose
from tests.rollout.fakes import FakeMotion, FakePlanner


class ExpertPolicy:
    """Executes the scripted expert's keyposes, one at a time."""

    def __init__(self, env: TabletopEnvironment) -> None:
        self._keyposes = iter(env._env.expert_plan())

    def reset(self) -> None:
        pass

    def act(self, observation, path, instruction):
        keypose = next(self._keyposes)
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
