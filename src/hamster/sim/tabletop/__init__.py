"""The in-domain tabletop: scenes, demonstrations, and the Gymnasium environment `hamster/Tabletop-v0`."""

from hamster.sim.tabletop.demos import Demonstrations, DisturbedDemonstrations
from hamster.sim.tabletop.images import TabletopImages, TabletopUnderWay
from hamster.sim.tabletop.language_images import TabletopLanguage
from hamster.sim.tabletop.sample import FAMILIES, sample

__all__ = [
    "FAMILIES",
    "Demonstrations",
    "DisturbedDemonstrations",
    "TabletopImages",
    "TabletopLanguage",
    "TabletopUnderWay",
    "sample",
]
