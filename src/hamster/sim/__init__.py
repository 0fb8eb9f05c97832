"""Simulation: one machine that builds any `Scene`, and two samplers of scenes, in-domain and off-domain."""

import os
import sys
from ctypes.util import find_library

# MuJoCo reads this when it is first imported; a machine that trains rarely has a display.
if sys.platform == "linux" and "MUJOCO_GL" not in os.environ:
    backend = "egl" if find_library("EGL") else "osmesa"
    os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = backend
