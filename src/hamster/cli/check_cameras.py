"""`hamster check-cameras`: does the projected tool land on the tool?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hamster.data import Episode, Source


@dataclass(frozen=True)
class CheckCameras:
    """Check a source's calibration against its images; exits with 2 and says what is wrong if it is."""

    source: Positional[str]
    """A source with calibrated cameras, SCHEME:ARGUMENT as for `hamster label`."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("cameras.png")
    """A page of frames with the projected tips in red, and in green where the likely fix would put them."""
    episodes: int = 6
    """How many are looked at, spread over the source."""
    max_distance: float = 0.05
    """From a projected tip to what moves, in widths of the image; the median may not be larger."""
    seed: int = 0
    """Of the generators."""

    def run(self) -> None:
        """Prints a line per camera and writes the page."""
        from PIL import Image

        from hamster.data.registry import open_source
        from hamster.label.check_cameras import NotCalibratedError, check_cameras
        from hamster.label.contact_sheet import contact_sheet
        from hamster.terminal import show_next, working

        if self.episodes < 1 or not 0 < self.max_distance < 1:
            raise ValueError("episodes must be >= 1 and max-distance in (0, 1)")
        source, unreadable = open_source(self.source, self.seed), list[str]()

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
    """Episodes spread over the source, the first one among them, with their keypoints where the source knows any.

    What cannot be read is said and passed over.
    """
    from hamster.data import Episode, Unreadable

    for index in sorted({round(i * (len(source) - 1) / max(count - 1, 1)) for i in range(count)}):
        item = source[index]
        if isinstance(item, Unreadable):
            leave_out(item.file, item.reason)
        elif isinstance(item, Episode):
            yield item, source.keypoints_uv(index) if hasattr(source, "keypoints_uv") else {}
