"""Off-domain training data for the planner: arms, cameras, tables, lights and words that the tabletop lacks."""

from hamster.sim.offdomain.factor_images import TabletopFactors
from hamster.sim.offdomain.images import OffDomain, OffDomainUnderWay
from hamster.sim.offdomain.sample import sample_scene

__all__ = ["OffDomain", "OffDomainUnderWay", "TabletopFactors", "sample_scene"]
