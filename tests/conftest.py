"""Settings that all tests share."""

import os

from hypothesis import settings

from hamster.workers import ONE_THREAD

# Tests run in several processes already; and one thread adds up in the same order everywhere.
os.environ.update(dict.fromkeys(ONE_THREAD, "1"))

# No deadline: a loaded machine is not a failure. Examples are the same on every run.
settings.register_profile("hamster", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hamster")
