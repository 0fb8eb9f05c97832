"""Two tasks in the same scene and the same words."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.rollout import rollout
from hamster.rollout.baselines import OraclePlanner
from hamster.rollout.tabletop import counterfactual
from tests.rollout.fakes import FakeMotion
from tests.rollout.test_tabletop import ExpertPolicy


@pytest.mark.parametrize("family", ["pick_place", "press", "knock"])
def test_only_the_path_differs_and_both_can_be_done(family):
    pair = [counterfactual(family, seed) for seed in (20, 21)]
    try:
        one, other = pair
        assert np.array_equal(one.front_image(), other.front_image()) and one.instruction == other.instruction
        assert (one.command.target, one.command.goal) != (other.command.target, other.command.goal)
        assert one.expert_path() != other.expert_path()
        assert all(rollout(env, OraclePlanner(env), ExpertPolicy(env), video_every=0).success for env in pair)
    finally:
        for env in pair:
            env.close()


class _ThenStays(ExpertPolicy):
    """Executes the expert's keyposes for another task, then stays where it is."""

    def act(self, observation, path, instruction):
        try:
            return super().act(observation, path, instruction)
        except StopIteration:
            return FakeMotion(observation.tool_pose_world[None], np.array([False]))


def test_who_does_the_one_has_not_done_the_other():
    one, other = counterfactual("press", 20), counterfactual("press", 21)
    try:
        assert not rollout(other, OraclePlanner(other), _ThenStays(one), video_every=0, max_steps=90).success
    finally:
        one.close()
        other.close()
