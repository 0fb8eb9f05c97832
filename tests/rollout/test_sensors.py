"""Views that nobody uses are not rendered, where environment and policy can tell."""

from __future__ import annotations

import pytest

from hamster.data import Observation, View
from hamster.rollout import rollout
from tests.rollout.fakes import FakeEnv, FakePlanner, FakePolicy

FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.1))


class SelectiveEnv(FakeEnv):
    def __init__(self, **options):
        super().__init__(**options)
        self.rendered = []

    def observe(self, cameras=("front", "wrist")):
        views = {name: View(self.front_image()) for name in cameras if name in ("front", "wrist")}
        self.rendered.append(tuple(views))
        return Observation(views, self.pose, 1.0, len(self.commands) * self.dt_s)


class OneCameraPolicy(FakePolicy):
    cameras = ("front",)


def test_only_the_cameras_of_the_policy_are_rendered():
    env = SelectiveEnv()
    assert rollout(env, FakePlanner(), OneCameraPolicy(FAR)).success
    assert env.rendered == [("front",)] * len(FAR)


def test_a_policy_that_names_no_cameras_gets_them_all():
    env = SelectiveEnv()
    rollout(env, FakePlanner(), FakePolicy(FAR))
    assert env.rendered == [("front", "wrist")] * len(FAR)


def test_an_environment_that_renders_everything_is_as_good():
    policy = OneCameraPolicy(FAR)
    assert rollout(FakeEnv(), FakePlanner(), policy).success
    assert all(set(observation.views) == {"front"} for observation, *_ in policy.seen)


def test_a_question_under_way_renders_no_view_beside_the_planners_image():
    env = SelectiveEnv()
    rollout(env, FakePlanner(), OneCameraPolicy(FAR), replan_every="async", planner_latency_s=0.2)
    assert set(env.rendered) == {("front",), ()}


def test_a_policy_that_lacks_a_camera_sees_all_there_are():
    class Wide(FakePolicy):
        cameras = ("front", "left_shoulder")

    env, policy = SelectiveEnv(), Wide(FAR)
    rollout(env, FakePlanner(), policy)
    assert all(set(observation.views) == {"front", "wrist"} for observation, *_ in policy.seen)


@pytest.mark.parametrize("env_type", [FakeEnv, SelectiveEnv])
def test_what_is_no_observation_is_one_line(env_type):
    env = env_type()
    env.observe = lambda cameras=(): {"front": 1}
    with pytest.raises(ValueError, match=r"returned a dict; return a hamster\.Observation"):
        rollout(env, FakePlanner(), OneCameraPolicy())
