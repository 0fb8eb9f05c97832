"""What a user types, in a process of its own; this module imports nothing that an extra brings."""

import runpy
import sys


def run_hamster(argv):
    """Run `hamster ARGV`, and end as it does."""
    from hamster.cli import main

    sys.exit(main(argv))


def run_python(script):
    """Run a file of Python, which finds modules in the working folder."""
    sys.path.insert(0, "")
    runpy.run_path(script, run_name="__main__")
