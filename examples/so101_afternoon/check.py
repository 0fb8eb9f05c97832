"""Compare the calibrated camera and the labels with the truth, which only the simulator knows.

python check.py OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from so101_sim import HEIGHT, WIDTH

import hamster
from hamster.label.dataset import read_episodes


def main(out: str) -> None:
    """Print both errors."""
    truth = json.loads((Path(out) / "truth.json").read_text())
    (entry,) = json.loads((Path(out) / "demos" / "meta" / "cameras.json").read_text()).values()
    true, calibrated = (
        hamster.Camera(record["intrinsics"], record["world_from_camera"], WIDTH, HEIGHT) for record in (truth, entry)
    )
    corners = np.stack(np.meshgrid([0.12, 0.30], [-0.2, 0.2], [0.0, 0.15]), -1).reshape(-1, 3)
    apart_px = np.linalg.norm(true.project(corners)[0] - calibrated.project(corners)[0], axis=1)
    print(
        f"calibration: at the corners of the workspace projections are off by {np.median(apart_px):.2f} px (median), "
        f"{apart_px.max():.2f} px (max), {apart_px.max() / WIDTH:.2%} of the width"
    )
    errors_px = []
    for labelled in read_episodes(Path(out) / "labels"):
        true_uv = truth["tip_uv"][labelled.episode.provenance.extra["episode"]]
        if len(true_uv) != len(labelled.labels):
            sys.exit(f"{labelled.episode.provenance.file} has frames without a label: which, is not known here")
        starts = np.array([label.path.uv[0] for label in labelled.labels])
        errors_px += np.linalg.norm((starts - true_uv) * [WIDTH, HEIGHT], axis=1).tolist()
    print(
        f"labels: paths begin {np.median(errors_px):.2f} px (median), {np.percentile(errors_px, 95):.2f} px (95 %) from "
        f"the true gripper; {len(errors_px)} frames"
    )


if __name__ == "__main__":
    main(sys.argv[1])
