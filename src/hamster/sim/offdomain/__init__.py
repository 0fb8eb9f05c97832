"""Off-domain data for the planner: other arms, cameras, tables, lights, words."""

from hamster.sim.offdomain.images import annotated_images
from hamster.sim.offdomain.sample import sample_scene

__all__ = ["annotated_images", "sample_scene"]
