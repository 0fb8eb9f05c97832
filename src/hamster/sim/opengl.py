"""One off-screen OpenGL context per process, on a platform that works here, whatever the environment asks for."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import warnings
from ctypes.util import find_library
from functools import lru_cache
from importlib import import_module
from typing import Any

log = logging.getLogger("hamster.sim")
SYSTEM_LIBRARIES = "libegl1 libegl-mesa0 libgl1-mesa-dri libgles2 libosmesa6"
PLATFORMS = ("egl", "osmesa", "glfw")
WINDOWS = ("glfw", "glx", "enable", "enabled", "on", "true", "1")  # MuJoCo's words for windows, which need a display
DEVICE = "MUJOCO_EGL_DEVICE_ID"
SIZE_PX = 1024


class RenderingError(OSError):
    """This machine has no OpenGL that renders without a window; the message says what to install."""


def import_mujoco() -> None:
    """Import MuJoCo, also where it cannot load the OpenGL platform that MUJOCO_GL names, which it does at once.

    Its own renderer stays without a platform then; ours takes one that works.
    """
    asked = os.environ.get("MUJOCO_GL")
    try:
        import_module("mujoco")
    except Exception as error:  # of any binding of any platform
        if asked is None or (isinstance(error, ModuleNotFoundError) and error.name == "mujoco"):
            raise
        _forget_bindings()
        os.environ["MUJOCO_GL"] = "disable"
        try:
            import_module("mujoco")
        finally:
            os.environ["MUJOCO_GL"] = asked


@lru_cache(maxsize=1)
def gl_context() -> Any:
    """Return the context, current: making one costs more than rendering a frame.

    It is that of $MUJOCO_GL, or of one that needs no display. It is not left to `mujoco.gl_context`, which has made its
    choice by the time somebody who imported mujoco first imports us. Where that fails, the next one is taken, with a
    warning.

    Raises:
        RenderingError: if none works, with the command that installs what is missing.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads cost more than they gain on images this small
    reasons: list[str] = []
    for platform, device in _attempts():
        try:
            context = _opened(platform, device)
        except Exception as error:  # whatever drivers and their bindings raise: ctypes, PyOpenGL, MuJoCo
            reasons.append(
                f"{_setting(platform, device)}: {' '.join(str(error).split())[:150] or type(error).__name__}"
            )
            _forget_bindings()
            continue
        if reasons:
            log.warning("%s; rendering with %s instead", "; ".join(reasons), platform)
        # Freed while the interpreter is still whole: its destructor needs modules that are gone at the very end. Not
        # registered before: MuJoCo, when it makes the context, registers the end of the display, which comes after.
        atexit.register(gl_context.cache_clear)
        return context
    raise RenderingError(
        f"rendering needs OpenGL ({'; '.join(reasons)}); on Debian and Ubuntu: apt-get install {SYSTEM_LIBRARIES}"
    )


def _attempts() -> list[tuple[str, str | None]]:
    """Platforms in the order in which they are tried, EGL's with the device that is asked for, then with any."""
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    first = "glfw" if asked in WINDOWS else asked if asked in PLATFORMS else "egl" if find_library("EGL") else "osmesa"
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    order = [first, *(each for each in ("egl", "osmesa") if each != first)]
    if asked and asked not in (*PLATFORMS, *WINDOWS):
        log.warning("MUJOCO_GL=%s renders nothing (%s do): rendering with %s", asked, ", ".join(PLATFORMS), first)
    if first == "glfw" and not has_display:
        log.warning("MUJOCO_GL=%s needs a display, and there is none: rendering off-screen", asked)
        order = order[1:]
    device = os.environ.get(DEVICE)
    devices = {"egl": [device, None] if device is not None else [None]}
    return [(platform, each) for platform in order for each in devices.get(platform, [None])]


def _opened(platform: str, device: str | None) -> Any:
    """A context of a platform, current. What it changes in the environment stays only if it works."""
    before = {name: os.environ.get(name) for name in (DEVICE, "PYOPENGL_PLATFORM")}
    os.environ.pop(DEVICE, None)
    if device is not None:
        os.environ[DEVICE] = device
    if "OpenGL" not in sys.modules:  # MuJoCo refuses another one's platform, though nobody has loaded it
        os.environ.pop("PYOPENGL_PLATFORM", None)
    try:
        kind = import_module(f"mujoco.{platform}").GLContext
        context = kind.__new__(kind)
        context._context = None  # its destructor asks for it, also where making it failed
        with warnings.catch_warnings(action="ignore"):  # GLFW says the same as the error that follows
            context.__init__(SIZE_PX, SIZE_PX)
        if not context._context:
            raise RenderingError("no context could be made")
        context.make_current()
    except BaseException:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        raise
    return context


def _forget_bindings() -> None:
    """PyOpenGL binds itself to one platform when it is imported: the next one needs it anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "OpenGL" or name.startswith("mujoco.egl")]:
        del sys.modules[name]
    sys.modules.pop("mujoco.osmesa", None)


def _setting(platform: str, device: str | None) -> str:
    return f"MUJOCO_GL={platform}" + ("" if device is None else f" {DEVICE}={device}")
