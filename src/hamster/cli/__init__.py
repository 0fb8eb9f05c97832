"""The command `hamster`: one thin file per command, a frozen dataclass of options that makes one function call.

Nothing here imports torch, a simulator or numpy before a command runs, so that `hamster --help` stays fast.
"""

from hamster.cli.app import main

__all__ = ["main"]
