"""A command of `hamster` in a process of its own, what it prints in files; imports nothing that an extra brings."""

import os
import sys


def command(argv, folder):
    """Run `hamster ARGV`, leave what it prints in `folder`/out and `folder`/err, and end as it does."""
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
    from hamster.cli import main

    sys.exit(main(argv))
