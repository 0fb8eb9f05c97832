"""A run that stopped before its end, for a reason outside of it."""


class RunStoppedError(RuntimeError):
    """What a run needs went away; what is done is kept, and the same command again goes on from there.

    The command line says it in one line and ends with exit code 1: no user's error (2), and no result either.
    """
