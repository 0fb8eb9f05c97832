"""Off-domain data for the planner: other arms, cameras, tables, lights, words."""

from hamster.sim.offdomain.images import OffDomain
from hamster.sim.offdomain.sample import sample_scene

__all__ = ["OffDomain", "sample_scene"]
