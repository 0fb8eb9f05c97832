"""Simulation in MuJoCo: a builder for any `Scene`, and samplers of in-domain and off-domain scenes."""

from hamster.extras import extra
from hamster.sim.opengl import import_mujoco

with extra("sim"):
    import_mujoco()  # before anything here does, as it stops where MUJOCO_GL names what does not work
