"""`hamster parity`: is a policy served what it was trained on, and what does bfloat16 cost it?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Parity:
    """Compare the inputs that training and service make of the same frames, bit for bit; exit code 1 if any differ.

    Also says how far bfloat16 moves the answers.
    """

    checkpoint: Positional[str]
    """Name of a bundled policy, or a checkpoint's folder."""
    data: Path = Path("outputs/labels/policy")
    """A label set of demonstrations. It is packed anew, into a temporary folder."""
    frames: int = 64
    """Frames to compare, spread evenly over the label set."""
    device: str | None = None
    """Where the policy computes, in both; on a GPU where there is one if not given."""

    def run(self) -> None:
        """Prints a line per field, and one for bfloat16."""
        import numpy as np

        from hamster.policy.load import load_actor_policy
        from hamster.policy.training.skew import check_skew
        from hamster.terminal import show_next, working

        with working("comparing what training and service see …"):
            report = check_skew(load_actor_policy(self.checkpoint, device=self.device).actor, self.data, self.frames)
        for difference in report.fields:
            is_same = not difference.differing
            verdict = "identical" if is_same else f"{difference.differing} of {difference.frames} frames differ"
            sys.stdout.write(f"{difference.field:28} largest difference {difference.largest:.3g}  {verdict}\n")
        moved = report.rounding_mm
        sys.stdout.write(f"bfloat16 moves a goal by {np.median(moved):.2f} mm (median), {moved.max():.2f} at most\n")
        if any(difference.differing for difference in report.fields):
            raise SystemExit(1)
        sys.stdout.write(f"{len(report.fields)} fields of {len(moved)} frames: training and service see the same\n")
        show_next(f"hamster serve policy --policy {self.checkpoint}")
