"""What the environment says of OpenGL never stops a rendering that can be had, and is never passed over in silence."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hamster.cli.app import USER_ERRORS
from hamster.sim import opengl

RENDERS = """
import numpy as np, hamster.rollout.tabletop
from hamster.sim.opengl import gl_context
print(type(gl_context()).__module__)
"""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ""),
        ({"MUJOCO_GL": "EGL", "PYOPENGL_PLATFORM": "glx"}, ""),
        ({"MUJOCO_GL": "egl", "MUJOCO_EGL_DEVICE_ID": "77"}, "MUJOCO_EGL_DEVICE_ID=77"),
        ({"MUJOCO_EGL_DEVICE_ID": "first"}, "MUJOCO_EGL_DEVICE_ID=first"),
        ({"MUJOCO_GL": "glx"}, "MUJOCO_GL=glx needs a display"),
        ({"MUJOCO_GL": "nonsense"}, "MUJOCO_GL=nonsense renders nothing"),
    ],
)
def test_a_setting_that_does_not_work_is_said_in_a_line_and_something_else_renders(settings, said):
    names = ("MUJOCO_GL", "MUJOCO_EGL_DEVICE_ID", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in names} | settings
    done = subprocess.run(
        [sys.executable, "-c", RENDERS], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("mujoco.egl", "mujoco.osmesa")
    assert done.stderr.count("\n") == bool(said) and said in done.stderr


def test_without_any_platform_the_error_says_in_one_line_what_to_install(monkeypatch):
    def nothing(platform, device):
        raise ImportError("no such library")

    opengl.gl_context.cache_clear()
    monkeypatch.setattr(opengl, "_opened", nothing)
    monkeypatch.setattr(opengl, "_forget_bindings", lambda: None)
    with pytest.raises(opengl.RenderingError, match="apt-get install libegl1") as refused:
        opengl.gl_context()
    assert isinstance(refused.value, USER_ERRORS) and "\n" not in str(refused.value)
