import hamster.sim  # noqa: F401 (chooses the OpenGL back end before any test imports mujoco)
