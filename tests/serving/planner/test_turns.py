"""Who is answered next, among questions that cannot share a batch."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from hamster.serving.planner.batcher import MAX_PASSED_OVER, Batcher, Job
from hamster.serving.planner.engine import Caller, Engine
from hamster.serving.planner.metrics import Metrics
from tests.serving.planner.fakes import QUICK


class Model:
    """Notes the order in which it is asked; waits for `go` at first."""

    def __init__(self):
        self.order, self.go = [], threading.Event()

    def work(self, name):
        def answer(items, on_token):
            assert self.go.wait(20)
            self.order.append(name)
            return items

        return answer


@pytest.mark.parametrize("newcomer", [("10.0.0.2", 1), ("10.0.0.1", 99)])
def test_who_comes_is_next_however_many_connections_another_client_has(newcomer):
    model = Model()

    async def main():
        engine = Engine(QUICK, Metrics())
        engine.state = "ready"

        def ask(name, client):
            caller = Caller(client, time.perf_counter())
            return asyncio.ensure_future(engine.submit(model.work(name), lambda rgb: rgb, None, caller))

        model.go.set()
        await asyncio.gather(*(ask("before", ("10.0.0.1", port)) for port in range(20)))
        model.go.clear()
        many = [ask("many", ("10.0.0.1", port)) for port in range(20)]
        # They keep their connections, and so what they have had; the newcomer starts below the present.
        await asyncio.sleep(0.1)
        one = ask("one", newcomer)
        await asyncio.sleep(0.1)
        model.go.set()
        await asyncio.gather(*many, one)
        assert engine.close()

    asyncio.run(main())
    assert model.order[20:].index("one") <= 1  # behind what is in work, not behind twenty


def test_nobody_is_passed_over_for_ever():
    model = Model()

    async def main():
        batcher = Batcher(1, 0.001, lambda: 1)
        first = [asyncio.ensure_future(batcher.do(Job(model.work("first"), 0)))]
        await asyncio.sleep(0.1)
        last = [asyncio.ensure_future(batcher.do(Job(model.work("last"), 0, rank=lambda: (1.0,))))]
        others = [
            asyncio.ensure_future(batcher.do(Job(model.work("other"), 0, rank=lambda: (0.0,))))
            for _ in range(3 * MAX_PASSED_OVER)
        ]
        await asyncio.sleep(0.1)
        model.go.set()
        await asyncio.gather(*first, *last, *others)
        assert batcher.close(5)

    asyncio.run(main())
    assert model.order.index("last") == MAX_PASSED_OVER + 1
