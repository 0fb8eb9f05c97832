import pytest

from hamster.rollout.worker import Worker
from tests.rollout.robots.fakes import Clock, Forever


def test_a_task_is_timed_while_it_runs_and_collected_once():
    clock, blocking = Clock(), Forever()
    worker = Worker("planner", clock)
    assert worker.is_idle and worker.busy_s == 0 and worker.collect() is None and worker.wait(0)
    worker.submit(lambda: (blocking(), 7)[1])
    clock.now_s += 2.5
    assert worker.is_running and worker.busy_s == 2.5 and worker.collect() is None and not worker.wait(0.01)
    with pytest.raises(RuntimeError, match="the planner is busy"):
        worker.submit(lambda: 8)
    blocking.end()
    assert worker.wait(10) and not worker.is_running and worker.busy_s == 0
    assert not worker.is_idle, "its result waits to be collected"
    finished = worker.collect()
    assert finished.value == 7 and finished.error is None and worker.is_idle and worker.collect() is None


def test_an_error_is_part_of_the_result():
    worker = Worker("policy")
    worker.submit(lambda: 1 / 0)
    assert worker.wait(10)
    finished = worker.collect()
    assert finished.value is None and isinstance(finished.error, ZeroDivisionError)
