"""Recordings that nobody here made: in HAMSTER_REAL_DATA, or in ../shared/data beside the repository."""

import os
from pathlib import Path

import pytest


def real_data(name):
    """The folder of that name; skips the test, saying why, where it is absent."""
    root = Path(os.environ.get("HAMSTER_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (root / name).is_dir():
        pytest.skip(f"no {name} in {root}: set HAMSTER_REAL_DATA to a folder that has it")
    return root / name
