"""`hamster parity`: is a policy served what it was trained on?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Parity:
    """Compare the inputs that training and service make of the same frames, bit for bit; exit code 1 if any differ."""

    checkpoint: Positional[str]
    """Name of a bundled policy, or a checkpoint's folder."""
    data: Path = Path("outputs/labels/policy")
    """A label set of demonstrations. It is packed anew, into a temporary folder."""
    frames: int = 64
    """Frames to compare, spread evenly over the label set."""

    def run(self) -> None:
        """Prints a line per field."""
        from hamster.policy.checkpoint import load
        from hamster.policy.learning.parity import parity
        from hamster.policy.policy import find_policy

        found = parity(load(find_policy(self.checkpoint)), self.data, self.frames)
        for each in found:
            verdict = f"{each.differing} of {each.frames} frames differ" if each.differing else "identical"
            sys.stdout.write(f"{each.field:20} largest difference {each.largest:.3g}  {verdict}\n")
        if any(each.differing for each in found):
            raise SystemExit(1)
        sys.stdout.write(f"{len(found)} fields of {found[0].frames} frames: training and service see the same\n")
