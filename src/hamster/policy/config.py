"""What every family's architecture has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Head = Literal["keypose", "trajectory", "chunk"]


@dataclass(frozen=True)
class ActorConfig:
    """Of what a family's own configuration adds to.

    Attributes:
        family: its name in `families.FAMILIES`.
        cameras: the views it looks through; the path is drawn on the first one.
        head: what one answer is: the next keypose, a trajectory of `horizon` poses to it, or the next `horizon` frames.
        horizon: poses in an answer; 1 for keyposes.
        step_s: seconds from one pose of a chunk to the next.
        executed: poses of an answer that are carried out before the policy is asked again; 0: all of them.
        history: how many of the times it was asked before it remembers: where the tool was, and the command in force.
        path_depth: whether waypoints that come with a depth are put there, instead of on the surface behind them.
        conditioners: how it sees the path, names of its family's conditioners.
    """

    family: ClassVar[str]
    needs_depth: ClassVar[bool] = True

    cameras: tuple[str, ...] = ("front",)
    head: Head = "keypose"
    horizon: int = 1
    step_s: float = 0.2
    executed: int = 0
    history: int = 1
    path_depth: bool = False
    conditioners: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.horizon < 1 or (self.head == "keypose" and self.horizon != 1):
            raise ValueError(f"a {self.head} head cannot have a horizon of {self.horizon}")
        if not (self.step_s > 0 and 0 <= self.executed <= self.horizon):
            raise ValueError(f"need step_s > 0 and 0 <= executed <= horizon, got {self.step_s} and {self.executed}")
        if not 1 <= self.history <= 8:
            raise ValueError(f"a policy remembers 1 to 8 times, not {self.history}")
        if not self.cameras:
            raise ValueError("a policy needs at least one camera")
