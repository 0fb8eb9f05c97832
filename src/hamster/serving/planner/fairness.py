"""A bounded number of slots, shared fairly between clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

Client = tuple[str, int]  # address and port: the client, and which of its connections
CREDIT_S = 2.0  # of service that a new client may have before those who are there already
MAX_REMEMBERED = 4096
OLDEST_FIRST_EVERY = 8  # slots: one of so many goes to the client that has been without one for longest


@dataclass(eq=False)
class Turn:
    """A request's turn.

    Attributes:
        cost_s: how long it kept a slot busy; set it before the turn ends. Until then `estimate_s` stands for it.
    """

    client: Client
    order: int
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = 0.0  # what its connection had been served before, in virtual time
    estimate_s: float = 0.0
    cost_s: float | None = None


class FairSlots:
    """Grant slots to the client that was served least: first among addresses, then among an address' connections.

    This is start-time fair queueing (Goyal et al., 1996) on two levels. Whoever comes, or comes back, starts a little
    before the present virtual time: it is served next, but neither many connections, nor long requests, nor a pause buy
    more than a fair share for long.

    Virtual time stands still while only new clients are served, each of them a new address, or a new connection for
    each request. So that they do not starve who stays, every eighth slot goes to the address, and there to the
    connection, that has been without one for longest.

    Args:
        slots: at a time.
        estimate_s: of a request's cost, before it is known.
    """

    def __init__(self, slots: int, estimate_s: float = 0.1) -> None:
        self._free, self._estimate_s = slots, estimate_s
        self._waiting: list[Turn] = []
        self._order = count()
        self._hosts, self._connections = _Shares(), _Shares()
        self._grants = 0  # slots so far

    @asynccontextmanager
    async def slot(self, client: Client) -> AsyncIterator[Turn]:
        """Wait for a slot, then hold it; set `cost_s` of what it yields once that is known."""
        turn = Turn(client, next(self._order))
        levels = ((self._hosts, client[0]), (self._connections, client))
        for shares, key in levels:
            shares.enter(key, self._grants)
        self._waiting.append(turn)
        try:
            self._grant()
            await turn.granted.wait()
            yield turn
        finally:
            if turn.granted.is_set():
                self._free += 1
                if turn.cost_s is not None:
                    self._estimate_s += 0.1 * (turn.cost_s - self._estimate_s)
                    for shares, key in levels:
                        shares.charge(key, turn.cost_s - turn.estimate_s)
            else:
                self._waiting.remove(turn)
            for shares, key in levels:
                shares.leave(key)
            self._grant()

    def rank(self, turn: Turn) -> tuple[float, float, int]:
        """Return what turns are ordered by: the least is next. May be asked from another thread.

        It is good for turns that have their slot, too: whoever holds many of them is not to be served with all of these
        before somebody who has just come.
        """
        served = turn.started if turn.granted.is_set() else self._connections.used.get(turn.client, 0.0)
        return self._hosts.used.get(turn.client[0], 0.0), served, turn.order

    def _longest_without(self, turn: Turn) -> tuple[int, int, int]:
        return self._hosts.without_since[turn.client[0]], self._connections.without_since[turn.client], turn.order

    def _grant(self) -> None:
        while self._free and self._waiting:
            self._grants += 1
            is_oldest_first = self._grants % OLDEST_FIRST_EVERY == 0
            turn = min(self._waiting, key=self._longest_without if is_oldest_first else self.rank)
            self._waiting.remove(turn)
            self._free -= 1
            turn.started, turn.estimate_s = self._connections.used[turn.client], self._estimate_s
            self._hosts.begin(turn.client[0], self._estimate_s, self._grants)
            self._connections.begin(turn.client, self._estimate_s, self._grants)
            turn.granted.set()


class _Shares:
    """How much service each key has had, in virtual time.

    The present is the service that the key which was served last had had by then.

    Attributes:
        used: seconds of service, by key.
        without_since: after how many slots each key that is here came, or got its last one.
    """

    def __init__(self) -> None:
        self.used: dict[object, float] = {}
        self.without_since: dict[object, int] = {}
        self._requests: Counter[object] = Counter()
        self._now = 0.0

    def enter(self, key: object, grants: int) -> None:
        if not self._requests[key]:
            self.without_since[key] = grants
            start = self._now - CREDIT_S
            self.used[key] = max(self.used.get(key, start), start)
        self._requests[key] += 1

    def begin(self, key: object, cost_s: float, grants: int) -> None:
        self.without_since[key] = grants
        self._now = max(self._now, self.used[key])
        self.charge(key, cost_s)

    def charge(self, key: object, cost_s: float) -> None:
        self.used[key] += cost_s

    def leave(self, key: object) -> None:
        self._requests[key] -= 1
        if not self._requests[key]:
            del self._requests[key], self.without_since[key]
            if self.used[key] <= self._now - CREDIT_S or len(self.used) > MAX_REMEMBERED:
                del self.used[key]
