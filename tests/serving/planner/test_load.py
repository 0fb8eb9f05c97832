"""The nano planner, served as users do, under more load than it can bear: `make load`, minutes, alone on a machine."""

import asyncio
import json
import os
import threading
import time

import httpx
import pytest

from hamster.benchmarks.clients import ask
from hamster.benchmarks.serve import bench_serve, plan_request, served

pytestmark = pytest.mark.skipif(not os.environ.get("HAMSTER_LOAD"), reason="HAMSTER_LOAD is not set; run make load")
SECONDS = float(os.environ.get("HAMSTER_LOAD_SECONDS", "60"))


def test_64_clients_for_a_minute():
    record = bench_serve("nano", SECONDS, clients=(64,))
    print(json.dumps(record))  # noqa: T201
    level, memory = record["clients"]["64"], record["memory_mb"]
    assert level["errors"] == 0 and level["p99_ms"] <= 10 * level["p50_ms"]
    assert memory["end"] - memory["start"] < 0.05 * memory["start"]


def test_four_times_too_many_are_shed_and_the_rest_are_served():
    pulse: list[float] = []

    def beat(url: str) -> None:
        while not done.wait(0.5):
            began = time.perf_counter()
            assert httpx.get(f"{url}/health", timeout=30).status_code == 200
            pulse.append(time.perf_counter() - began)

    with served(["--queue", "16", "--port", "0"]) as url:
        done = threading.Event()
        heart = threading.Thread(target=beat, args=(url,))
        heart.start()
        load = asyncio.run(ask(f"{url}/v1/plan", plan_request(), 64, SECONDS / 4))
        done.set()
        heart.join()
        after = asyncio.run(ask(f"{url}/v1/plan", plan_request(), 4, 2))
    print(dict(load.statuses), load.percentile_ms(50), load.percentile_ms(99), max(pulse))  # noqa: T201
    assert set(load.statuses) == {200, 429} and after.errors == 0
    assert load.percentile_ms(99) <= 10 * load.percentile_ms(50)
