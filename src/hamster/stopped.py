"""The error of a run that stopped because of an outage."""


class RunStoppedError(RuntimeError):
    """Something that a run needs became unavailable; finished work is kept, and the same command continues the run.

    The command line prints one line and exits with code 1 (2 is a user's error).
    """
