"""Arms by name; `ARMS["panda"].attach(spec)` adds one to a MuJoCo spec."""

from hamster.sim.arms.arm import Arm
from hamster.sim.arms.foreign import FOREIGN
from hamster.sim.arms.panda import PANDA

ARMS: dict[str, Arm] = {arm.name: arm for arm in (PANDA, *FOREIGN)}

__all__ = ["ARMS", "Arm"]
