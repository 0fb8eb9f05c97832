"""Simulation: one machine that builds any `Scene`, and two samplers of scenes, in-domain and off-domain."""

from hamster.extras import extra
from hamster.sim.opengl import import_mujoco

with extra("sim"):
    import_mujoco()  # before anything here does, as it stops where MUJOCO_GL names what does not work
