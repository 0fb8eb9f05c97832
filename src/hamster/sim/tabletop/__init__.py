"""The in-domain tabletop: scenes, demonstrations, and the Gymnasium environment `hamster/Tabletop-v0`."""

import gymnasium

from hamster.sim.tabletop.demos import Demonstrations
from hamster.sim.tabletop.images import TabletopImages
from hamster.sim.tabletop.sample import FAMILIES, sample

if "hamster/Tabletop-v0" not in gymnasium.registry:
    gymnasium.register("hamster/Tabletop-v0", entry_point="hamster.sim.tabletop.env:TabletopEnv")

__all__ = ["FAMILIES", "Demonstrations", "TabletopImages", "sample"]
