"""`hamster check-cameras`: is the projected tool tip where the tool is in the image?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from hamster.cli.robot_options import RobotOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hamster.data import Episode, Source


@dataclass(frozen=True)
class CheckCameras:
    """Check the camera calibration of a source against its images; exit code 2 and the likely fix if it is off."""

    source: Positional[str]
    """A source with calibrated cameras, SCHEME:ARGUMENT as for `hamster label`."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("cameras.png")
    """Contact sheet to write: frames with the projected tool tips in red, and after the likely fix in green."""
    episodes: int = 6
    """Number of episodes to check, spread over the source."""
    max_distance: float = 0.05
    """Largest median distance of the projected tip from the moving pixels, as a fraction of the image width."""
    robot_options: RobotOptions = field(default_factory=RobotOptions)
    seed: int = 0
    """Random seed of generated sources."""

    def run(self) -> None:
        """Print a line per camera and write the contact sheet."""
        from PIL import Image

        from hamster.data.registry import open_source
        from hamster.label.check_cameras import NotCalibratedError, check_cameras
        from hamster.label.contact_sheet import contact_sheet
        from hamster.terminal import show_next, working

        if self.episodes < 1 or not 0 < self.max_distance < 1:
            raise ValueError("episodes must be >= 1 and max-distance in (0, 1)")
        source, unreadable = self.robot_options.wrap(open_source(self.source, self.seed)), list[str]()

        def leave_out(file: str, reason: str) -> None:
            unreadable.append(f"{file}: {reason}")
            sys.stderr.write(f"left out {unreadable[-1]}\n")

        try:
            with working(f"looking at {self.episodes} episodes of {self.source} …"):
                checks = check_cameras(_some(source, self.episodes, leave_out), self.max_distance, leave_out)
        except NotCalibratedError as error:
            advice = getattr(source, "advice", "")
            sys.stderr.write(f"{advice}\n" if advice else "")
            raise ValueError(f"{self.source}: {error}" + (f": {advice.partition(': ')[0]}" if advice else "")) from None
        except ValueError as error:
            first = f"; the first of {len(unreadable)}: {unreadable[0]}" if unreadable else ""
            raise ValueError(f"{self.source}: {error}{first}") from None
        self.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(contact_sheet([picture for check in checks for picture in check.pictures])).save(self.out)
        for check in checks:
            print(check)  # noqa: T201
        wrong = [f"{check.camera}: {check.reason}" for check in checks if check.verdict == "wrong"]
        if wrong:
            raise ValueError(f"the cameras of {self.source} are off, see {self.out}: {'; '.join(wrong)}")
        if all(check.verdict == "unknown" for check in checks):
            reasons = "; ".join(f"{check.camera}: {check.reason}" for check in checks)
            raise ValueError(f"nothing is known about the cameras of {self.source}: {reasons}; see {self.out}")
        print(f"look at {self.out}")  # noqa: T201
        show_next(f"hamster label {self.source} -o outputs/labels/NAME")


def _some(
    source: Source, count: int, leave_out: Callable[[str, str], None]
) -> Iterator[tuple[Episode, Mapping[str, NDArray[np.float64]]]]:
    """Yield episodes spread over the source, starting with the first, with keypoints if the source has any.

    Args:
        source: to read.
        count: number of episodes.
        leave_out: called with file and reason for each item that cannot be read, which is skipped.
    """
    from hamster.data import Episode, Unreadable

    for index in sorted({round(i * (len(source) - 1) / max(count - 1, 1)) for i in range(count)}):
        item = source[index]
        if isinstance(item, Unreadable):
            leave_out(item.file, item.reason)
        elif isinstance(item, Episode):
            yield item, source.keypoints_uv(index) if hasattr(source, "keypoints_uv") else {}
