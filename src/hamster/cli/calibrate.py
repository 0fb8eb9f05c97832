"""`hamster calibrate`: where is the camera? From episodes in which it sees the tool, whose poses are recorded."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from hamster.cli.robot_options import RobotOptions


@dataclass(frozen=True)
class Calibrate:
    """Find the pose of a camera that stands still; exit code 2 and the reason if the motion does not determine it."""

    source: Positional[str]
    """A source of episodes with a recorded tool, or recorded joints and --robot, SCHEME:ARGUMENT."""
    points: str
    """Where the tool is in the images: marker, tracked, keypoints (that the source stores), or a JSON file with clicked
    points."""
    camera: str | None = None
    """Camera to calibrate; not needed if there is only one."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """JSON file to write; if not given, meta/cameras.json of a LeRobot dataset."""
    replace: bool = False
    """Replace the calibration that the camera has in meta/cameras.json."""
    picture: Path = Path("calibration.png")
    """Picture to write: the projected tool in red, the points in green."""
    episodes: int = 6
    """Number of episodes to use, spread over the source."""
    intrinsics: tuple[float, float, float, float] | None = None
    """Focal lengths and principal point FX FY CX CY in pixels; if not given, those of the source."""
    fit_focal: bool = False
    """Fit the focal length, too, with square pixels and the principal point in the middle of the image."""
    point_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Place of the seen point in the tool's frame, metres."""
    fit_offset: bool = False
    """Fit that place, too, for a marker on the gripper: the tool has to turn."""
    marker: str = "apriltag_36h11"
    """Family of the markers."""
    marker_id: int | None = None
    """Number of the marker on the tool, if several are in view."""
    robot_options: RobotOptions = field(default_factory=RobotOptions)
    seed: int = 0
    """Random seed of RANSAC."""

    def run(self) -> None:
        """Print the reprojection error and write the calibration and the picture."""
        import json

        import numpy as np
        from PIL import Image

        from hamster.data.registry import open_source
        from hamster.files import write_atomic
        from hamster.label.calibrate import CalibrationOptions, calibrate
        from hamster.label.contact_sheet import contact_sheet
        from hamster.terminal import show_next, working

        if self.episodes < 1:
            raise ValueError("episodes must be >= 1")
        if self.fit_focal and self.intrinsics:
            raise ValueError("--fit-focal fits what --intrinsics gives; say one of them")
        source = self.robot_options.wrap(open_source(self.source, self.seed))
        if self.out is None and not hasattr(source, "write_camera"):
            raise ValueError(f"only LeRobot datasets have a place for calibrations; say --out FILE for {self.source}")
        intrinsics = None
        if self.intrinsics:
            fx, fy, cx, cy = self.intrinsics
            intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        options = CalibrationOptions(
            points=self.points, intrinsics=intrinsics, fit_focal=self.fit_focal, offset_tool_m=self.point_offset,
            fit_offset=self.fit_offset, marker=self.marker, marker_id=self.marker_id, seed=self.seed,
        )  # fmt: skip
        skipped = list[str]()

        def leave_out(name: str, reason: str) -> None:
            skipped.append(f"{name}: {reason}")
            sys.stderr.write(f"left out {skipped[-1]}\n")

        try:
            with working(f"looking for the tool in {self.episodes} episodes of {self.source} …"):
                result = calibrate(source, self.camera, options, self.episodes, leave_out)
        except ValueError as error:
            first = f"; the first of {len(skipped)} left out: {skipped[0]}" if skipped else ""
            raise ValueError(f"{self.source}: {error}{first}") from None
        if self.out is None:
            written: Path = source.write_camera(result.camera, result.entry(), self.replace)  # type: ignore[attr-defined]
        else:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.out, json.dumps({result.camera: result.entry()}, indent=1) + "\n")
            written = self.out
        if result.pictures:
            self.picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(contact_sheet(result.pictures)).save(self.picture)
        print(result)  # noqa: T201
        if self.fit_offset:
            offset = " ".join(f"{value:.4f}" for value in result.fit.offset_tool_m)
            print(f"the point is at {offset} m in the tool's frame")  # noqa: T201
        print(f"wrote {written}; look at {self.picture}")  # noqa: T201
        show_next(f"hamster check-cameras {self.source}")
