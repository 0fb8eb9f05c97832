"""Settings that all tests share."""

import ctypes
import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from hamster import plugins
from hamster.parallel import ONE_THREAD

# Tests run in several processes already; and one thread adds up in the same order everywhere.
os.environ.update(dict.fromkeys(ONE_THREAD, "1"))

# No deadline: a loaded machine is not a failure. Examples are the same on every run.
settings.register_profile("hamster", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hamster")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage among what collection imports: none of it is, and looking takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()  # nor is it looked at again


def pytest_collection_modifyitems(items):
    """Start modules that are marked `slow` first, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


_LIBM = ctypes.CDLL("libm.so.6")


def _process_state():
    """What a test could leave to all later ones of its process without their knowing."""
    return {
        "scheduling policy": os.sched_getscheduler(0),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "working folder": Path.cwd(),
        "umask": _umask(),
        "rounding mode": _LIBM.fegetround(),
    }


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.fixture(autouse=True)
def _what_a_command_imported_is_not_named_by_later_ones():
    """`--import` of one test would stand in the hints that another test reads, if the same process runs both."""
    before = dict(plugins._given)
    yield
    plugins._given.clear()
    plugins._given.update(before)


@pytest.fixture(autouse=True)
def _leaves_the_process_as_it_was():
    """Name the test that changes what later ones in the same process stand on."""
    before = _process_state()
    yield
    assert _process_state() == before
