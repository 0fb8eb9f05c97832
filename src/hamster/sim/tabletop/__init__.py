"""The in-domain tabletop; importing it registers `hamster/Tabletop-v0` with Gymnasium."""

import gymnasium

if "hamster/Tabletop-v0" not in gymnasium.registry:
    gymnasium.register("hamster/Tabletop-v0", entry_point="hamster.sim.tabletop.env:TabletopEnv")
