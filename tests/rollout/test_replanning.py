"""Replanning at stops and while the robot moves: which path is in force, and what a planner's latency costs."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from hamster.path import NotInViewError, PlanError
from hamster.planner.error import PlannerUnavailableError
from hamster.rollout import rollout
from hamster.rollout.planned_path import MAX_KEPT_IN_A_ROW, PlannedPath
from hamster.rollout.replanning import Replanner, SimulatedPlannerCall, ThreadedPlannerCall
from tests.rollout.fakes import FakeEnv, FakePlan, FakePlanner, FakePolicy, a_path

FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.3), (0.4, -0.1, 0.2), (0.6, 0.2, 0.3), (0.4, 0.2, 0.2), (0.5, 0.1, 0.1))


class StampingPlanner:
    """Draws a path that says on which control step's image it was drawn, as FakeEnv's images do."""

    def __init__(self):
        self.seen = []

    def plan(self, image, instruction):
        self.seen.append(int(image[0, 0, 0]))
        return FakePlan((a_path(self.seen[-1] / 1000),), f"step {self.seen[-1]}")


def steps_of(paths):
    return [round(1000 * float(path.uv[1, 0])) for path in paths]


def record(result):
    """What an episode did, without the times that it took."""
    return {name: value for name, value in result.to_json().items() if name not in ("planner_s", "policy_s")}


@pytest.mark.parametrize("error", [PlanError, NotInViewError])
@pytest.mark.parametrize("replan", [1, "async"])
def test_a_refusal_under_way_keeps_the_path_in_force(error, replan):
    policy = FakePolicy(FAR)
    result = rollout(
        FakeEnv(), FakePlanner(fails=(1, 2), error=error), policy, replan_every=replan, planner_latency_s=0.0
    )
    assert result.success and result.n_kept_paths == 2 and len(result.paths) == len(FAR) - 2
    assert policy.seen[0][1] == policy.seen[1][1] == policy.seen[2][1] == result.paths[0] != policy.seen[3][1]
    assert len(result.raw_texts) == len(result.planner_s) == len(FAR)


def test_a_path_is_kept_three_times_in_a_row_and_no_longer():
    tries = MAX_KEPT_IN_A_ROW + 1
    result = rollout(FakeEnv(), FakePlanner(fails=tuple(range(1, 1 + tries))), FakePolicy(FAR), replan_every=1)
    assert result.outcome == "plan_error" and "no closing tag" in result.message
    assert result.n_kept_paths == MAX_KEPT_IN_A_ROW and result.n_keyposes == tries
    assert len(result.raw_texts) == 1 + tries
    between = tuple(number for number in range(1, 6) if number != 3)  # a path in between starts the count again
    result = rollout(FakeEnv(), FakePlanner(fails=between), FakePolicy(FAR), replan_every=1)
    assert result.success and result.n_kept_paths == 4


def test_an_outage_under_way_keeps_nothing():
    class Leaving(FakePlanner):
        def plan(self, image, instruction):
            if self.seen:
                raise PlannerUnavailableError("gone")
            return super().plan(image, instruction)

    for replan, latency_s in ((1, None), (1, 0.2), ("async", 0.2), ("async", None)):
        result = rollout(FakeEnv(), Leaving(), FakePolicy(FAR), replan_every=replan, planner_latency_s=latency_s)
        assert result.outcome == "planner_unavailable" and result.n_kept_paths == 0


def test_async_without_latency_is_replanning_at_every_action():
    results = [
        rollout(FakeEnv(), StampingPlanner(), FakePolicy(FAR), replan_every=replan, planner_latency_s=0.0)
        for replan in (1, "async")
    ]
    assert record(results[0]) == record(results[1]) and len(results[0].paths) == len(FAR)


@pytest.mark.parametrize("latency_s", [0.05, 0.2, 0.33, 1.0, 3.0])
def test_a_simulated_planner_answers_after_its_latency_and_is_called_again_at_once(latency_s):
    planner, policy = StampingPlanner(), FakePolicy(FAR)
    result = rollout(FakeEnv(), planner, policy, replan_every="async", planner_latency_s=latency_s)
    period = int(np.ceil(latency_s / 0.05 - 1e-6))
    assert planner.seen == list(range(0, result.n_steps, period))
    for observation, path, _ in policy.seen:  # each action has the newest path that there can be
        step = round(observation.time_s / 0.05)
        assert steps_of([path]) == [(step // period - 1) * period]
    assert result.success and steps_of(result.paths) == list(result.path_steps) == sorted(set(result.path_steps))


def test_the_same_seed_gives_the_same_asynchronous_episode():
    results = [
        rollout(FakeEnv(), StampingPlanner(), FakePolicy(FAR), replan_every="async", planner_latency_s=0.2)
        for _ in range(2)
    ]
    assert record(results[0]) == record(results[1])


def test_replanning_at_stops_holds_still_for_the_latency():
    env, policy = FakeEnv(), FakePolicy(FAR)
    quick = rollout(FakeEnv(), StampingPlanner(), FakePolicy(FAR), replan_every=2)
    slow = rollout(env, StampingPlanner(), policy, replan_every=2, planner_latency_s=1.0)
    n_calls = len(FAR) // 2
    assert slow.n_steps == quick.n_steps + 20 * n_calls and len(slow.paths) == n_calls
    for (observation, *_), path_step in zip(policy.seen[::2], slow.path_steps, strict=True):
        step = round(observation.time_s / env.dt_s)
        assert step == path_step + 20
        assert all((env.commands[i][0] == env.commands[path_step][0]).all() for i in range(path_step, step))


def test_the_time_limit_also_ends_waiting():
    result = rollout(FakeEnv(), StampingPlanner(), FakePolicy(FAR), planner_latency_s=3.0, max_steps=30)
    assert result.outcome == "timeout" and result.n_steps == 30 and result.paths == ()


class SlowPlanner(StampingPlanner):
    def plan(self, image, instruction):
        self.threads = {thread.name for thread in threading.enumerate()}
        return super().plan(image, instruction)


def planner_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("hamster-planner")]


def test_a_threaded_planner_gives_newer_and_newer_paths_and_its_thread_ends_with_the_episode():
    planner, policy = SlowPlanner(), FakePolicy(FAR)
    result = rollout(FakeEnv(), planner, policy, replan_every="async", max_steps=5000)
    assert result.success and any(name.startswith("hamster-planner") for name in planner.threads)
    steps = list(result.path_steps)
    assert steps == sorted(set(steps)) == steps_of(result.paths) and not planner_threads()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(PlanError("no path"), "plan_error"), (NotInViewError("absent"), "not_in_view")],
)
def test_an_error_in_the_planners_thread_is_an_outcome(error, outcome):
    class Failing:
        def plan(self, image, instruction):
            raise error

    result = rollout(FakeEnv(), Failing(), FakePolicy(), replan_every="async", max_steps=5000)
    assert result.outcome == outcome and result.message == str(error) and not planner_threads()


def test_a_bug_in_the_planners_thread_is_not_swallowed_and_no_later_answer_hides_it():
    class Buggy(StampingPlanner):
        def plan(self, image, instruction):
            if len(self.seen) == 1:
                self.seen.append(0)
                raise ZeroDivisionError
            return super().plan(image, instruction)

    for latency_s in (None, 0.05):
        with pytest.raises(ZeroDivisionError):
            rollout(FakeEnv(), Buggy(), FakePolicy(FAR), replan_every="async", planner_latency_s=latency_s)
        assert not planner_threads()


def test_a_call_in_a_thread_is_answered_when_it_is_done_and_only_once():
    call, may_go_on = ThreadedPlannerCall(), threading.Event()

    def plan():
        assert may_go_on.wait(10)
        return PlannedPath(a_path(), "text")

    replanner = Replanner(call, "async")
    replanner.start(plan, image_step=7, n_keyposes=0)
    assert replanner.poll() is None and replanner.must_wait and not replanner.is_due(0)
    with pytest.raises(RuntimeError, match="still computing"):
        call.start(plan, 8)
    may_go_on.set()
    while (answer := replanner.poll()) is None:
        pass
    assert answer.image_step == 7 and replanner.take() is answer and replanner.take() is None
    assert replanner.is_due(0) and not replanner.must_wait
    replanner.close()
    assert not planner_threads()


def test_an_episode_ends_although_the_planner_hangs_and_says_so():
    call, may_go_on = ThreadedPlannerCall(close_s=0.05), threading.Event()
    call.start(lambda: may_go_on.wait(10), 0)
    with pytest.warns(RuntimeWarning, match=r"has not answered for 0\.05 s after the episode"):
        call.close()
    may_go_on.set()
    call.close()
    assert not planner_threads()


def test_a_simulated_call_keeps_its_answer_until_then():
    now = [0.0]
    call = SimulatedPlannerCall(0.15, clock=lambda: now[0])
    call.start(lambda: PlannedPath(a_path(), ""), 0)
    for now[0] in (0.0, 0.05, 0.1):
        assert call.poll() is None
    now[0] = 3 * 0.05
    assert call.poll() is not None and call.poll() is None and not call.is_running


@pytest.mark.parametrize("replan", [-1, True, 1.5, "often", None])
def test_a_wrong_number_of_keyposes_is_one_line(replan):
    with pytest.raises(ValueError, match="keyposes >= 0 or 'async'"):
        rollout(FakeEnv(), FakePlanner(), FakePolicy(), replan_every=replan)


@pytest.mark.parametrize("latency_s", [-1.0, np.nan, np.inf])
def test_a_latency_is_finite_and_not_negative(latency_s):
    with pytest.raises(ValueError, match="planner_latency_s"):
        rollout(FakeEnv(), FakePlanner(), FakePolicy(), planner_latency_s=latency_s)


def test_the_record_says_how_often_a_path_was_kept():
    result = rollout(FakeEnv(), FakePlanner(fails=(1,)), FakePolicy(FAR), replan_every=2)
    stored = json.loads(json.dumps(result.to_json()))
    assert stored["n_kept_paths"] == 1 and len(stored["path_steps"]) == len(stored["paths"]) == 2
