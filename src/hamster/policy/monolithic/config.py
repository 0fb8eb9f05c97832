"""Configuration of the monolithic baseline; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from hamster.policy.config import ActorConfig


@dataclass(frozen=True)
class MonolithicConfig(ActorConfig):
    """Architecture of the monolithic policy.

    Attributes:
        planner: whose tokenizer, sizes and weights it starts from: a bundled planner's name or the folder of a nano
            checkpoint.
        pretrained: start from the planner's weights; else from random ones.
        co_training: keep the planner's answer head, and go on training it on paths along with the actions.
        backbone: sizes of `HamsterNanoConfig`; empty: those of the planner, which also gives its weights then.
        text_tokens: room for the instruction, the robot's state, and the action.
        sigma_bins: width of the target around the right bin, so that a near miss costs less than a far one.
    """

    type: ClassVar[str] = "monolithic"
    needs_depth: ClassVar[bool] = False

    planner: str = "nano"
    pretrained: bool = True
    co_training: bool = False
    backbone: dict[str, Any] = field(default_factory=dict)
    text_tokens: int = 64
    sigma_bins: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action_type != "keypose":
            raise ValueError(f"the monolithic policy predicts keyposes; it has no action_type {self.action_type!r}")
        if self.conditioners:
            raise ValueError("the monolithic policy gets no path and has no conditioners: it reads the instruction")
