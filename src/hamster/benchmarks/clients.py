"""Many clients at once, each asking for the next path as soon as it has the last."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np


@dataclass
class Load:
    """What clients met.

    Attributes:
        seconds: that it took.
        latencies_s: of the requests that were answered.
        statuses: how often each HTTP status came; 0 for a lost connection or a time-out.
    """

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        """Requests that were not answered; that no path can be had (422) is an answer."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 422))

    def percentile_ms(self, percent: float) -> float | None:
        """Of the latencies; None if there are none."""
        return round(1000 * float(np.percentile(self.latencies_s, percent)), 1) if self.latencies_s else None


async def ask(url: str, body: bytes, clients: int, seconds: float) -> Load:
    """Let `clients` send the same request over and over, for `seconds`; those in work by then are waited for."""
    load = Load()
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False, verify=False) as http:  # noqa: S501  # ours
        began = time.perf_counter()
        await asyncio.gather(*(_client(http, url, body, began + seconds, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def _client(http: httpx.AsyncClient, url: str, body: bytes, until: float, load: Load) -> None:
    while (sent := time.perf_counter()) < until:
        try:
            response = await http.post(url, content=body, headers={"content-type": "application/json"})
        except httpx.TransportError:
            load.statuses[0] += 1
            continue
        load.statuses[response.status_code] += 1
        if response.status_code in (200, 422):
            load.latencies_s.append(time.perf_counter() - sent)
        elif "retry-after" in response.headers:
            await asyncio.sleep(0.1)  # less than it was told: a client in a hurry


def metric(text: str, names: Sequence[str]) -> list[float]:
    """Values in Prometheus' text by the start of their lines, added up where there are several."""
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return [sum(float(value) for key, value in lines if key.startswith(name)) for name in names]
