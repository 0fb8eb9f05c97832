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
        path_depth: whether waypoints that come with a depth are put there, instead of on the surface behind them.
        conditioners: how it sees the path, names of its family's conditioners.
    """

    family: ClassVar[str]
    needs_depth: ClassVar[bool] = True

    cameras: tuple[str, ...] = ("front",)
    head: Head = "keypose"
    horizon: int = 1
    path_depth: bool = False
    conditioners: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.horizon < 1 or (self.head == "keypose" and self.horizon != 1):
            raise ValueError(f"a {self.head} head cannot have a horizon of {self.horizon}")
        if not self.cameras:
            raise ValueError("a policy needs at least one camera")
