"""Settings that all tests share."""

from hypothesis import settings

# No deadline: a loaded machine is not a failure. Examples are the same on every run.
settings.register_profile("hamster", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hamster")
