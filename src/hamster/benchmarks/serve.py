"""How fast a served planner answers 1, 8 and 64 clients, and what that takes."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image, ImageDraw

from hamster.benchmarks.clients import Load, ask, metric

WARM_UP_S = 8.0  # until every size of batch has come by, and the allocator has what it keeps
CLIENTS = (1, 8, 64)
COUNTED = (
    'hamster_tokens_total{kind="completion"}',
    "hamster_time_to_first_token_seconds_sum",
    "hamster_time_to_first_token_seconds_count",
    "hamster_batch_size_sum",
    "hamster_batch_size_count",
    "process_cpu_seconds_total",
)


@dataclass(frozen=True)
class Level:
    """One number of clients.

    Attributes:
        clients: at a time.
        load: what they met.
        tokens: written by the model.
        first_token_ms, batch: means of what the server noted.
        cpu_ms: of the server, for each answer; the same on a busy machine.
        memory_mb: of the server afterwards.
    """

    clients: int
    load: Load
    tokens: float
    first_token_ms: float
    batch: float
    cpu_ms: float
    memory_mb: float

    def to_json(self) -> dict[str, Any]:
        """Times in milliseconds from a client's request to its answer."""
        load = self.load
        times = {f"p{p}_ms": load.percentile_ms(p) for p in (50, 95, 99)}
        return times | {
            "paths_per_s": round(len(load.latencies_s) / load.seconds, 2),
            "errors": load.errors,
            "n": len(load.latencies_s),
            "first_token_ms": round(self.first_token_ms, 1),
            "tokens_per_s": round(self.tokens / load.seconds, 1),
            "cpu_ms": round(self.cpu_ms, 1),
            "mean_batch": round(self.batch, 2),
            "memory_mb": round(self.memory_mb, 1),
        }


def bench_serve(
    model: str = "nano",
    seconds: float = 20.0,
    clients: Sequence[int] = CLIENTS,
    tell: Callable[[str], object] = lambda _: None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Serves a model, and asks it; {"model", "clients": {"1": …}, "memory_mb": {"start", "end"}}.

    Args:
        model: as `hamster serve planner --model`.
        seconds: for each number of clients.
        clients: how many at a time, one after the other.
        tell: is given a line for each of them.
        arguments: more of `hamster serve planner`.
    """
    with served(["--model", model, *arguments]) as url:
        asyncio.run(ask(f"{url}/v1/plan", plan_request(), max(clients), min(seconds, WARM_UP_S)))
        start = _memory_mb(url)
        levels = {}
        for count in clients:
            level = _level(url, count, seconds)
            levels[str(count)] = level.to_json()
            tell(f"{count} clients: {levels[str(count)]['paths_per_s']} paths/s")
        return {"model": model, "clients": levels, "memory_mb": {"start": start, "end": _memory_mb(url)}}


@contextmanager
def served(arguments: Sequence[str]) -> Iterator[str]:
    """The address of `hamster serve planner` in a process; ValueError if it does not start."""
    command = [sys.executable, "-m", "hamster", "serve", "planner", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # ourselves
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[^ ]+:[0-9]+", line)
            if not found:
                raise ValueError(f"the server did not start: {line.strip() or 'its message is above'}")
            yield found[0]
        finally:
            process.terminate()
            process.wait(60)


def plan_request() -> bytes:
    """An image of 640 x 480, as a camera's JPEG, with coloured blocks on a table; and what to do with them."""
    image = Image.new("RGB", (640, 480), (150, 140, 130))
    draw = ImageDraw.Draw(image)
    for x, y, colour in ((180, 260, "red"), (330, 330, "blue"), (450, 220, "green")):
        draw.rectangle((x, y, x + 44, y + 44), fill=colour)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    uri = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return json.dumps({"image": uri, "instruction": "put the red cube on the blue cube"}).encode()


def _level(url: str, clients: int, seconds: float) -> Level:
    before = metric(_metrics(url), COUNTED)
    load = asyncio.run(ask(f"{url}/v1/plan", plan_request(), clients, seconds))
    tokens, first_s, firsts, jobs, noted, cpu_s = (
        now - then for now, then in zip(metric(_metrics(url), COUNTED), before, strict=True)
    )
    return Level(
        clients,
        load,
        tokens,
        1000 * first_s / max(firsts, 1),
        jobs / max(noted, 1),
        1000 * cpu_s / max(firsts, 1),
        _memory_mb(url),
    )


def _memory_mb(url: str) -> float:
    return round(metric(_metrics(url), ["process_resident_memory_bytes"])[0] / 1e6, 1)


def _metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=60, trust_env=False).text
