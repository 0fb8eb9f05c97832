import threading
import time

import pytest

from hamster.rollout.robots.watchdog import Watchdog
from tests.rollout.robots.fakes import Clock, Forever, wait_for


def test_it_trips_before_the_timeout_and_not_without_a_command():
    clock = Clock()
    watchdog = Watchdog(lambda: None, 0.1, clock=clock)
    clock.now_s += 10
    watchdog.check()
    assert watchdog.reason is None
    watchdog.feed()
    clock.now_s += 0.07
    watchdog.check()
    assert watchdog.reason is None
    clock.now_s += 0.011  # the next look comes 0.01 s later at the latest: that is before 0.1 s
    watchdog.check()
    assert "no valid command for 0.081 s" in watchdog.reason


@pytest.mark.parametrize("jump_s", [-5.0, 3600.0, float("nan")])
def test_a_clock_that_jumps_stops_the_robot(jump_s):
    clock = Clock()
    watchdog = Watchdog(lambda: None, 0.1, clock=clock)
    watchdog.feed()
    clock.now_s += jump_s
    watchdog.check()
    assert watchdog.reason is not None


def test_a_stop_is_carried_out_once_commands_stop_coming():
    stops = []
    watchdog = Watchdog(lambda: stops.append(time.monotonic()), 0.1)
    watchdog.start()
    watchdog.feed()
    wait_for(lambda: stops)
    assert watchdog.wait_stopped(5) and len(stops) == 1
    watchdog.trip("again")
    watchdog.trip("and again")
    wait_for(lambda: len(stops) >= 2)
    assert watchdog.reason.startswith("no valid command"), "the first reason is kept"
    watchdog.close()


def test_a_stop_that_fails_is_repeated_until_it_succeeds_and_blocks_the_reset():
    attempts, events = [], []

    def stop():
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("no route to the robot")

    watchdog = Watchdog(stop, 0.1, log=lambda event, **details: events.append(event))
    watchdog.trip("now")
    with pytest.raises(RuntimeError, match="has not confirmed its stop"):
        watchdog.reset()
    watchdog.start()
    assert watchdog.wait_stopped(5) and len(attempts) == 3
    wait_for(lambda: events == ["stop", "stop_failed", "stop_failed", "stopped"])
    watchdog.reset()
    assert watchdog.reason is None
    watchdog.close()


def test_nobody_waits_for_a_stop_that_hangs():
    hanging = Forever()
    watchdog = Watchdog(hanging, 0.1)
    watchdog.start()
    watchdog.trip("now")
    assert not watchdog.wait_stopped(0.05)
    hanging.end()
    assert watchdog.wait_stopped(5)
    watchdog.close()


def failing_log(event, **details):
    raise OSError("no space left on device")


@pytest.mark.parametrize("log", [Forever(), failing_log])
def test_a_log_that_blocks_or_fails_delays_no_stop(log):
    stops = []
    watchdog = Watchdog(lambda: stops.append(time.monotonic()), 0.1, log=log)
    watchdog.start()
    watchdog.feed()
    assert watchdog.wait_stopped(5) and stops, "the watchdog's own stop"
    if log is failing_log:
        n_stops = len(stops)
        watchdog.trip("asked for")
        wait_for(lambda: len(stops) > n_stops)
    else:
        log.end()
    watchdog.close()


def test_whoever_asks_for_a_stop_holds_up_nothing_while_the_log_blocks():
    stops, log = [], Forever()
    watchdog = Watchdog(lambda: stops.append(1), 0.1, log=log)
    watchdog.start()
    threading.Thread(target=watchdog.trip, args=("now",), daemon=True).start()
    assert watchdog.wait_stopped(5) and stops
    log.end()
    watchdog.close()
