from __future__ import annotations

import asyncio
from itertools import count

import pytest

from hamster.serving.planner.fairness import CREDIT_S, FairSlots


async def _worker(slots, client, log, cost_s=1.0, requests=1):
    for _ in range(requests):
        async with slots.slot(client) as turn:
            log.append(client)
            await asyncio.sleep(0)
            turn.cost_s = cost_s


def _served(*jobs, slots=1):
    """The clients in the order in which they were served; jobs are (client, cost_s, requests)."""
    log = []

    async def main():
        shared = FairSlots(slots)
        async with asyncio.timeout(10):
            await asyncio.gather(*(_worker(shared, client, log, cost, n) for client, cost, n in jobs))

    asyncio.run(main())
    return log


def test_many_connections_of_an_address_have_one_share():
    greedy = [(("10.0.0.1", port), 1.0, 10) for port in range(20)]
    log = _served(*greedy, (("10.0.0.2", 1), 1.0, 10))
    last = max(i for i, client in enumerate(log) if client[0] == "10.0.0.2")
    assert last <= 25  # every second turn, not every twenty-first


async def _reconnecting(slots, host, ports, log, requests):
    """A client that opens a new connection for each request."""
    for _ in range(requests):
        await _worker(slots, (host, next(ports)), log)


def test_a_new_connection_per_request_buys_an_address_nothing():
    log = []

    async def main():
        slots, ports = FairSlots(1), count(1)
        many = [_reconnecting(slots, "10.0.0.1", ports, log, 10) for _ in range(20)]
        await asyncio.gather(*many, _reconnecting(slots, "10.0.0.2", ports, log, 10))

    asyncio.run(main())
    last = max(i for i, client in enumerate(log) if client[0] == "10.0.0.2")
    assert last <= 25  # every second turn; in order of arrival it would be the 200th


@pytest.mark.parametrize("steady", [("10.0.0.1", 99_999), ("10.0.0.2", 99_999)])
@pytest.mark.parametrize("new", ["connection", "address"])
def test_new_connections_and_addresses_do_not_starve_who_keeps_theirs(steady, new):
    log = []

    async def main():
        slots, ports = FairSlots(1), count(1)
        await _worker(slots, steady, log, requests=10)  # it has had its credit

        async def newcomers():
            for port in ports:
                if log.count(steady) == 30 or len(log) > 1000:
                    return
                host = "10.0.0.1" if new == "connection" else f"10.1.{port >> 8}.{port & 255}"
                await _worker(slots, (host, port), log)

        await asyncio.gather(*(newcomers() for _ in range(9)), _worker(slots, steady, log, requests=20))

    asyncio.run(main())
    assert len(log) <= 500  # at worst every eighth round; without, it is starved until the newcomers stop


def test_long_requests_leave_room_for_short_ones_of_the_same_address():
    long = [(("127.0.0.1", port), 10.0, 30) for port in range(5)]
    log = _served(*long, (("127.0.0.1", 99), 0.1, 20))
    short = [i for i, client in enumerate(log) if client[1] == 99]
    assert short[-1] <= 45  # every second turn, as it has to come back each time; in order of arrival every sixth


def test_a_pause_buys_little():
    log = []

    async def main():
        slots = FairSlots(1)
        await _worker(slots, ("a", 1), log, requests=1)
        await _worker(slots, ("b", 1), log, requests=100)
        await asyncio.gather(_worker(slots, ("a", 1), log, requests=40), _worker(slots, ("b", 1), log, requests=40))

    asyncio.run(main())
    hosts = [host for host, _ in log[101:]]
    assert 20 <= hosts[:40].count("a") <= 20 + CREDIT_S + 1


def test_no_more_slots_than_there_are_and_none_is_lost():
    busy, most = [], []

    async def main():
        slots = FairSlots(3)

        async def request(number, fails):
            async with slots.slot(("a", number % 4)):
                busy.append(number)
                most.append(len(busy))
                await asyncio.sleep(0.001)
                busy.remove(number)
                if fails:
                    raise ValueError

        tasks = [asyncio.ensure_future(request(i, i % 5 == 0)) for i in range(60)]
        await asyncio.sleep(0.002)
        for task in tasks[::7]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), slots.slot(("b", 1)), slots.slot(("b", 2)), slots.slot(("b", 3)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), slots.slot(("b", 4)):
                    pass

    asyncio.run(main())
    assert max(most) == 3


def test_it_does_not_remember_everybody():
    async def main():
        slots = FairSlots(2)
        for port in range(10_000):
            await _worker(slots, ("a", port), [], cost_s=0.0)
        return len(slots._connections.used)

    assert asyncio.run(main()) <= 4096
