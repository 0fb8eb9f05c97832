from __future__ import annotations

import asyncio
import threading
import time

import pytest

from hamster.serving.policy.worker import MAX_ABANDONED, OverloadedError, Worker


@pytest.fixture
def hang():
    """A job that blocks until the test ends."""
    release = threading.Event()
    yield lambda: release.wait(20)
    release.set()


def test_results_and_exceptions_belong_to_the_caller():
    async def main():
        worker = Worker(budget_s=10)
        assert await asyncio.gather(*(worker.call(lambda i=i: i * i) for i in range(5))) == [0, 1, 4, 9, 16]
        with pytest.raises(ZeroDivisionError):
            await worker.call(lambda: 1 / 0)
        assert await worker.call(lambda: "goes on") == "goes on"

    asyncio.run(main())


def test_a_job_that_overruns_its_budget_frees_the_thread(hang):
    async def main():
        worker = Worker(budget_s=0.2)
        with pytest.raises(TimeoutError):
            await worker.call(hang)
        assert await worker.call(lambda: "next") == "next"

    asyncio.run(main())


def test_a_job_that_is_cancelled_before_its_turn_is_never_called():
    release, calls = threading.Event(), []

    async def main():
        worker = Worker(budget_s=10)
        first = asyncio.create_task(worker.call(lambda: release.wait(20)))
        second = asyncio.create_task(worker.call(lambda: calls.append("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        release.set()
        assert await first
        assert await worker.call(lambda: "third") == "third"

    asyncio.run(main())
    assert calls == []


def test_too_many_jobs_that_still_compute_are_an_error_until_they_end(hang):
    async def main():
        worker = Worker(budget_s=0.05)
        for _ in range(MAX_ABANDONED):
            with pytest.raises(TimeoutError):
                await worker.call(hang)
        with pytest.raises(OverloadedError, match="overran"):
            await worker.call(lambda: None)

    asyncio.run(main())


def test_a_job_that_is_cancelled_in_the_moment_it_begins_frees_the_thread(hang):
    async def main():
        worker = Worker(budget_s=10)
        first = asyncio.create_task(worker.call(hang))
        await asyncio.sleep(0)
        time.sleep(0.2)  # the thread begins, and the event loop does not hear of it yet
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        async with asyncio.timeout(5):
            assert await worker.call(lambda: "next") == "next"

    asyncio.run(main())
