"""`hamster train`: a planner or a policy from a label set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

LABELS = {"planner": "offdomain:13888", "policy": "tabletop:320"}


@dataclass(frozen=True)
class Train:
    """Train a planner or a policy; the same command again continues an interrupted run."""

    what: Positional[Literal["planner", "policy"]]
    """Which of the two."""
    config: str = "nano"
    """Name of a configuration."""
    data: Path | None = None
    """A label set written by `hamster label`; outputs/labels/planner or …/policy if not given."""
    out: Path | None = None
    """Where checkpoints and TensorBoard metrics go; outputs/train/planner or …/policy if not given."""

    def run(self) -> None:
        """Trains to the end of the configuration."""
        data = self.data or Path("outputs/labels") / self.what
        out = self.out or Path("outputs/train") / self.what
        if not (data / "manifest.json").is_file():
            raise ValueError(f"no label set in {data}; make one: hamster label {LABELS[self.what]} -o {data}")
        if self.what == "planner":
            from hamster.planner.train import preset, train_planner

            train_planner(preset(self.config), data, out)
        else:
            from hamster.policy.learning.train import train_policy

            train_policy(self.config, data, out)
