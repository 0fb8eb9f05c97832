"""What the monolithic policy consists of; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from hamster.policy.config import ActorConfig


@dataclass(frozen=True)
class MonolithicConfig(ActorConfig):
    """Architecture of the monolithic policy.

    Attributes:
        planner: whose weights it starts from: a bundled planner's name or the folder of a nano checkpoint.
        backbone: sizes of `HamsterNanoConfig`; empty: those of the planner, which also gives its weights then.
        text_tokens: room for the instruction, what the robot feels, and the action.
        sigma_bins: width of the target around the right bin, so that a near miss costs less than a far one.
    """

    family: ClassVar[str] = "monolithic"
    needs_depth: ClassVar[bool] = False

    planner: str = "nano"
    backbone: dict[str, Any] = field(default_factory=dict)
    text_tokens: int = 64
    sigma_bins: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head != "keypose":
            raise ValueError(f"the monolithic policy says the next keypose; it has no {self.head} head")
        if self.conditioners:
            raise ValueError("the monolithic policy sees no path and has no conditioners: it reads the instruction")
