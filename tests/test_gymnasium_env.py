"""`import hamster` is enough for Gymnasium, in any order, and imports nothing heavy."""

import subprocess
import sys

import pytest

MAKE = "env = gymnasium.make('{}', image_size=32); env.reset(seed=0); print(type(env.unwrapped).__name__)"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("imports", "env"),
    [
        ("import gymnasium, hamster", "hamster/Tabletop-v0"),
        ("import hamster, gymnasium", "hamster/Tabletop-v0"),
        ("import hamster, importlib.util as u; u.find_spec('gymnasium'); import gymnasium", "hamster/Tabletop-v0"),
        ("import hamster.path; import gymnasium; gymnasium.register_envs(hamster)", "hamster/Tabletop-v0"),
        ("import gymnasium", "hamster:hamster/Tabletop-v0"),
    ],
    ids=["after", "before", "looked for first", "through a part", "by name"],
)  # fmt: skip
def test_the_tabletop_is_made_by_name(imports, env):
    done = python(f"{imports}; {MAKE.format(env)}")
    assert done.returncode == 0 and done.stdout == "TabletopEnv\n" and "Overriding" not in done.stderr, done.stderr


def test_import_hamster_imports_nothing_heavy_and_leaves_no_finder_behind():
    code = "import sys, hamster; assert not {'gymnasium', 'numpy', 'mujoco', 'torch'} & set(sys.modules); "
    code += "before = len(sys.meta_path); import gymnasium; assert len(sys.meta_path) == before - 1, sys.meta_path"
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_without_gymnasium_the_error_is_python_s_own():
    code = "import sys, hamster; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; import gymnasium"
    assert "ModuleNotFoundError: No module named 'gymnasium'" in python(code).stderr
