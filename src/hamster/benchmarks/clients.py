"""Concurrent clients, each sending the next request as soon as the last is answered."""

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
    """Measurements of the clients.

    Attributes:
        seconds: duration.
        latencies_s: of the answered requests.
        statuses: number of responses by HTTP status; 0 for a lost connection or a time-out.
    """

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        """The number of failed requests; 422, no path for this image, is an answer."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 422))

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile of the latencies in milliseconds; None if there are none."""
        return round(1000 * float(np.percentile(self.latencies_s, percent)), 1) if self.latencies_s else None


async def ask(url: str, body: bytes, clients: int, seconds: float) -> Load:
    """Send the same request repeatedly from concurrent clients, and wait for the last answers.

    Args:
        url: to post to.
        body: JSON of the request.
        clients: number of concurrent clients.
        seconds: duration.
    """
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
            await asyncio.sleep(0.1)  # less than the server asks for: an impatient client


def metric(text: str, names: Sequence[str]) -> list[float]:
    """Return values from Prometheus text by the start of their lines, summed over lines."""
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return [sum(float(value) for key, value in lines if key.startswith(name)) for name in names]
