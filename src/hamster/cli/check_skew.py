"""`hamster check-skew`: does a policy get the same inputs in service as in training?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class CheckSkew:
    """Check a policy for train/serve skew: compare its inputs in both, bit for bit; exit code 1 if any differ.

    Also prints how far bfloat16 moves its actions.
    """

    checkpoint: Positional[str]
    """Name of a bundled policy, a checkpoint folder or a hub id OWNER/NAME."""
    data: Path = Path("outputs/labels/policy")
    """Label set of demonstrations; packed again, into a temporary folder."""
    frames: int = 64
    """Frames to compare, spread evenly over the label set."""
    device: str | None = None
    """Torch device of the policy, e.g. cpu or cuda:0; if not given, the GPU if there is one."""

    def run(self) -> None:
        """Print a line per input field, and one for bfloat16."""
        import numpy as np

        from hamster.extras import extra
        from hamster.policy.load import load_actor_policy

        with extra("train"):
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
