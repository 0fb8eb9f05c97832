"""HAMSTER's tabletop as a LeRobot environment; importing it registers `--env.type=hamster`."""

from lerobot_env_hamster.configuration_hamster import HamsterEnv

__all__ = ["HamsterEnv"]
