"""The closed loop: planner, policy and environment, meeting here and nowhere else."""

from hamster.rollout.environment import BrokenEnvironmentError, Environment
from hamster.rollout.loop import rollout
from hamster.rollout.record import Film, Outcome, Rollout
from hamster.rollout.safety import Gate, MotionRefusedError

__all__ = [
    "BrokenEnvironmentError",
    "Environment",
    "Film",
    "Gate",
    "MotionRefusedError",
    "Outcome",
    "Rollout",
    "rollout",
]
