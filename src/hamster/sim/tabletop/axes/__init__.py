"""The axes of generalisation: scenes that differ from their demonstrations in one held-out factor each."""

from hamster.sim.tabletop.axes.demos import AxesDemonstrations

__all__ = ["AxesDemonstrations"]
