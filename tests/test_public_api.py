"""The public surface does not change unnoticed, and importing it stays light."""

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

import hamster
from tests.public_api import FILE, PACKAGES, listing


def test_the_public_surface_is_the_one_that_is_listed():
    changes = [
        line for line in difflib.unified_diff(FILE.read_text().splitlines(), listing(), lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]  # fmt: skip
    assert not changes, (
        "names or signatures have changed; if that is meant: python -m tests.public_api > tests/public_api.txt\n"
        + "\n".join(changes)
    )


def test_import_hamster_loads_nothing_heavy():
    script = (
        "import sys, hamster; dir(hamster)\n"
        "heavy = {'torch', 'mujoco', 'transformers', 'gymnasium', 'numpy', 'PIL', 'rich', 'tyro', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, n_modules = done.stdout.rsplit(maxsplit=1)
    assert loaded == "[]" and int(n_modules) < 150


def test_what_has_to_do_with_paths_and_data_loads_no_network():
    names = ("Path2D", "Observation", "Plan", "Suite", "register_source", "label")
    script = (
        "import sys, hamster\n"
        f"for name in {names}:\n"
        "    getattr(hamster, name)\n"
        "    print(name, sorted({'torch', 'mujoco', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} []" for name in names]


def test_every_public_name_is_there_and_documented():
    assert set(hamster.__all__) == set(hamster._MODULES)
    assert [name for name in hamster.__all__ if not getattr(hamster, name).__doc__] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hamster.nonsense


@pytest.mark.parametrize("package", ["hamster", "hamster_client"])
def test_types_are_shipped(package):
    assert (Path(sys.modules[package].__file__ or "").parent / "py.typed").is_file() if package in sys.modules else True


def test_the_listing_covers_all_packages():
    text = FILE.read_text()
    assert all(f"[{package}]" in text for package in PACKAGES)
