"""Before anything of lerobot's is imported."""

import importlib.util

if importlib.util.find_spec("lerobot") is not None:
    from tests.lerobot import newer_python

    KEPT = newer_python.install()
