"""One off-screen OpenGL context per process, on the first platform that works on this machine."""

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
WINDOWS = ("glfw", "glx", "enable", "enabled", "on", "true", "1")  # MuJoCo's values for windows, which need a display
DEVICE = "MUJOCO_EGL_DEVICE_ID"
SIZE_PX = 1024


class RenderingError(OSError):
    """No OpenGL renders without a window on this machine; the message says what to install."""


def import_mujoco() -> None:
    """Import MuJoCo, also if it cannot load the OpenGL platform that MUJOCO_GL names.

    Its own renderer has no platform then; `gl_context` selects one that works.
    """
    setting = os.environ.get("MUJOCO_GL")
    try:
        import_module("mujoco")
    except Exception as error:  # of any binding of any platform
        if setting is None or (isinstance(error, ModuleNotFoundError) and error.name == "mujoco"):
            raise
        _forget_bindings()
        os.environ["MUJOCO_GL"] = "disable"
        try:
            import_module("mujoco")
        finally:
            os.environ["MUJOCO_GL"] = setting


@lru_cache(maxsize=1)
def gl_context() -> Any:
    """Return the OpenGL context, made current; it is made once, since that costs more than rendering a frame.

    The platform is that of $MUJOCO_GL, or one that needs no display; if it fails, the next one is used, with a warning.
    `mujoco.gl_context` is not used, since it has chosen its platform when mujoco is imported before this package.

    Raises:
        RenderingError: if none works, with the command that installs what is missing.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads cost more than they gain on images this small
    reasons: list[str] = []
    for platform, device in _attempts():
        try:
            context = _opened(platform, device)
        except Exception as error:  # of drivers and their bindings: ctypes, PyOpenGL, MuJoCo
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
    """Return the platforms in the order of trial, EGL first with the device of the environment, then with any."""
    setting = os.environ.get("MUJOCO_GL", "").lower().strip()
    default = "egl" if find_library("EGL") else "osmesa"
    first = "glfw" if setting in WINDOWS else setting if setting in PLATFORMS else default
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    order = [first, *(platform for platform in ("egl", "osmesa") if platform != first)]
    if setting and setting not in (*PLATFORMS, *WINDOWS):
        log.warning("MUJOCO_GL=%s renders nothing (%s do): rendering with %s", setting, ", ".join(PLATFORMS), first)
    if first == "glfw" and not has_display:
        log.warning("MUJOCO_GL=%s needs a display, and there is none: rendering off-screen", setting)
        order = order[1:]
    device = os.environ.get(DEVICE)
    devices = {"egl": [device, None] if device is not None else [None]}
    return [(platform, choice) for platform in order for choice in devices.get(platform, [None])]


def _opened(platform: str, device: str | None) -> Any:
    """Return a current context of a platform; changes of the environment are undone if it fails."""
    before = {name: os.environ.get(name) for name in (DEVICE, "PYOPENGL_PLATFORM")}
    os.environ.pop(DEVICE, None)
    if device is not None:
        os.environ[DEVICE] = device
    if "OpenGL" not in sys.modules:  # MuJoCo refuses the platform of another setting, though it is not loaded
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
    """Unload PyOpenGL, which binds itself to one platform when it is imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "OpenGL" or name.startswith("mujoco.egl")]:
        del sys.modules[name]
    sys.modules.pop("mujoco.osmesa", None)


def _setting(platform: str, device: str | None) -> str:
    return f"MUJOCO_GL={platform}" + ("" if device is None else f" {DEVICE}={device}")
