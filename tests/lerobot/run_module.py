"""Run a module that needs LeRobot, on this Python: python -m tests.lerobot.run_module MODULE [its arguments]."""

import runpy
import sys

from tests.lerobot import newer_python

if __name__ == "__main__":
    kept = newer_python.install()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
