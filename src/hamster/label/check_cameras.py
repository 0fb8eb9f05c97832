"""Check whether the projected tool lands on the tool, by the images, or by keypoints where a source has them.

Evidence, per camera, over all frames that are looked at:

- in view: the share of tips that are projected into the image;
- distance: from a projected tip to the nearest moving pixel, or to the keypoint, in widths of the image (the median);
- follows: the share of steps in which the image moves with the projected tip, by as much and in its direction.

The latter two are of tips in view. A calibration passes if all three are good and none of the usual mistakes would fit
much better. An arm that is out of view for the most part, and near to what moves while it is in view, proves nothing.
What this cannot see:
an offset along the arm itself, since the whole arm moves alike; for that look at the sheet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hamster.data import Episode
from hamster.label.camera_faults import NO_FAULT, Fault, faults, project
from hamster.label.image_motion import Sample, distances, follows, in_view, sample
from hamster.label.nothing_shown import why_nothing_is_shown

Array = NDArray[np.float64]
Samples = list[tuple[Sample, "Array | None"]]  # and the keypoints of its frames (N, 2), where they are known
MIN_IN_VIEW = 0.5
MAX_DISTANCE = 0.05
MIN_FOLLOWS = 0.2  # right calibrations reach 0.4 to 0.8, wrong ones stay below 0.1 as a rule
BETTER = 0.2  # by which another calibration has to follow better
MIN_STEPS = 6  # fewer prove nothing


class NotCalibratedError(ValueError):
    """The robot was recorded, but no camera is calibrated."""


@dataclass(frozen=True, eq=False)
class CameraCheck:
    """What came out for one camera.

    Attributes:
        verdict: "unknown" where nothing could be found out.
        reason: one line: what is wrong, or why nothing is known; "" if all is well.
        episodes, frames: that were looked at.
        in_view, distance, follows: as above; `distance_px` in pixels of the source's images; NaN where unknown.
        pictures: frames (H, W, 3) with the projected tips drawn on them, and captions.
    """

    camera: str
    verdict: Literal["right", "wrong", "unknown"]
    reason: str
    episodes: int
    frames: int
    in_view: float
    distance: float
    distance_px: float
    follows: float
    pictures: Sequence[tuple[NDArray[np.uint8], str]]

    def __str__(self) -> str:
        numbers = [f"{self.in_view:.0%} of the tips in view"]
        if self.verdict != "unknown":
            numbers.append(f"{self.distance:.1%} of the width ({self.distance_px:.1f} px) away")
            numbers += [f"followed in {self.follows:.0%} of the steps"] if np.isfinite(self.follows) else []
        looked_at = f"{self.frames} frames of {self.episodes} episode{'s' if self.episodes > 1 else ''}"
        why = f": {self.reason}" if self.reason else ""
        return f"{self.camera}: {self.verdict}{why} ({', '.join(numbers)}; {looked_at})"


def check_cameras(
    episodes: Iterable[tuple[Episode, Mapping[str, Array]]],
    max_distance: float = MAX_DISTANCE,
    leave_out: Callable[[str, str], None] = lambda file, reason: None,
) -> list[CameraCheck]:
    """Check every calibrated camera of some episodes, which should be a handful: their frames are kept.

    Args:
        episodes: of one source, and where the gripper's tip is in their images, (T, 2) relative, NaN where unknown, by
            camera; {} if unknown. A calibration may differ from one episode to the next.
        max_distance: in widths of the image.
        leave_out: called with the file and the reason for each episode whose images cannot be read.

    Raises:
        ValueError: if there is nothing to check: no episode that can be read, no recorded robot, or no calibration.
    """
    samples_by_camera: dict[str, Samples] = defaultdict(list)
    names: set[str] = set()
    recorded = False
    for episode, keypoints in episodes:
        try:
            sampled = sample(episode)
        except (ValueError, OSError) as error:
            leave_out(episode.provenance.file or episode.provenance.source, str(error))
            continue
        names |= sampled.keys()
        recorded |= episode.tool_poses_world is not None
        for name, one in sampled.items():
            if one is not None:
                samples_by_camera[name].append((one, keypoints[name][one.frames] if name in keypoints else None))
    if not samples_by_camera:
        if not names:
            raise ValueError("no episode could be read")
        cameras = ", ".join(sorted(names))
        if not recorded:
            raise ValueError(f"the tool's poses were not recorded: nothing to project into the images of {cameras}")
        raise NotCalibratedError(f"no camera of {cameras} is calibrated, there is nothing to check")
    return [_check(name, samples, max_distance) for name, samples in samples_by_camera.items()]


@dataclass(frozen=True)
class _Evidence:
    in_view: float
    distance: float
    follows: float
    steps: int

    def good(self, max_distance: float, by_motion: bool) -> bool:
        near = self.in_view >= MIN_IN_VIEW and self.distance <= max_distance
        return near and (not by_motion or (self.follows >= MIN_FOLLOWS and self.steps >= MIN_STEPS))


def _check(name: str, samples: Samples, max_distance: float) -> CameraCheck:
    by_motion = any(known is None for _, known in samples)
    evidence = _evidence(NO_FAULT, samples)
    unknown, wrong, fix = "", "", None
    if by_motion:
        unknown = _why_unknown([one for one, _ in samples], evidence)
    if not unknown:
        wrong = _what_is_wrong(evidence, max_distance, by_motion)
        fix = _likely_fault(samples, evidence, max_distance, by_motion)
    if by_motion and wrong and not fix and evidence.in_view < MIN_IN_VIEW:
        tips, cameras = np.concatenate([s.tips_world for s, _ in samples]), [c for s, _ in samples for c in s.cameras]
        if why := why_nothing_is_shown(tips, cameras):
            wrong = why
        elif not evidence.distance > max_distance:
            unknown = f"the tool is in view in only {evidence.in_view:.0%} of the frames"
    if fix:
        wrong = f"{wrong or 'another calibration fits much better'}; likely {fix.words}"
    width = next(iter(samples[0][0].originals.values())).shape[1]
    return CameraCheck(
        camera=name,
        verdict="unknown" if unknown else "wrong" if wrong else "right",
        reason=unknown or wrong,
        episodes=len(samples),
        frames=sum(len(one.frames) for one, _ in samples),
        in_view=evidence.in_view,
        distance=evidence.distance,
        distance_px=evidence.distance * width,
        follows=evidence.follows,
        pictures=[picture for one, _ in samples for picture in _pictures(one, name, fix)],
    )


def _evidence(fault: Fault, samples: Samples) -> _Evidence:
    inside: list[bool] = []
    far: list[float] = []
    steps: list[bool] = []
    for one, known in samples:
        px = project(fault, one.cameras, one.tips_world)
        in_image = in_view(one, px)
        inside.extend(in_image.tolist())
        if known is None:
            far.extend(distances(one, px)[in_image].tolist())
            steps.extend(follows(one, px) if one.stands_still else [])
        else:
            gap = np.linalg.norm(px - known * one.size_px, axis=1) / one.size_px[0]
            far.extend(gap[np.isfinite(known).all(1)].tolist())
    distance = float(np.median(np.nan_to_num(far, nan=1.0))) if far else float("nan")
    return _Evidence(float(np.mean(inside)), distance, float(np.mean(steps)) if steps else float("nan"), len(steps))


def _likely_fault(samples: Samples, evidence: _Evidence, max_distance: float, by_motion: bool) -> Fault | None:
    """Return the fault that, undone, explains the images much better than the calibration as it is; else None."""
    best, least = None, evidence
    for fault in faults(samples[0][0].cameras[0]):
        other = _evidence(fault, samples)
        if not other.good(max_distance, by_motion):
            continue
        if by_motion:
            better = other.follows > np.nan_to_num(least.follows) + (BETTER if best is None else 0)
        else:
            better = other.distance < least.distance - (max_distance / 2 if best is None else 0)
        if better:
            best, least = fault, other
    return best


def _what_is_wrong(evidence: _Evidence, max_distance: float, by_motion: bool) -> str:
    if evidence.in_view < MIN_IN_VIEW:
        return f"only {evidence.in_view:.0%} of the projected tips are in the image"
    if evidence.distance > max_distance:
        target = "anything that moves" if by_motion else "the keypoints"
        return f"the projected tips are {evidence.distance:.0%} of the width away from {target}"
    if by_motion and evidence.follows < MIN_FOLLOWS:
        return f"the image moves with the projected tip in only {evidence.follows:.0%} of the steps"
    return ""


def _why_unknown(samples: list[Sample], evidence: _Evidence) -> str:
    if not all(one.stands_still for one in samples):
        return "the camera moves, so that motion in its images says nothing"
    if all(np.ptp(one.tips_world, axis=0).max() < 0.02 for one in samples):
        return "the tool moves by less than 2 cm"
    if np.mean([one.moving.mean() for one in samples]) < 0.001:
        return "nothing moves in the images"
    if evidence.in_view >= MIN_IN_VIEW and evidence.steps < MIN_STEPS:
        return f"the tip moves by a measurable step only {evidence.steps} times"
    return ""


def _pictures(one: Sample, name: str, fix: Fault | None) -> list[tuple[NDArray[np.uint8], str]]:
    """Return three frames with the projected tips in red, that frame's in a ring, and in green with the likely fix."""
    ways = [(project(NO_FAULT, one.cameras, one.tips_world), "red")]
    if fix:
        ways.append((project(fix, one.cameras, one.tips_world), "lime"))
    out = []
    for i, rgb in one.originals.items():
        image = Image.fromarray(rgb)
        pen = ImageDraw.Draw(image)
        for px, colour in ways:
            _mark(pen, px * (rgb.shape[1] / one.size_px[0]), i, colour, rgb.shape[1])
        out.append((np.asarray(image), f"{name}, frame {one.frames[i]}"))
    return out


def _mark(pen: ImageDraw.ImageDraw, px: Array, i: int, colour: str, width: int) -> None:
    thickness, radius = max(1, width // 256), max(3.0, width / 40)
    shown = np.where(np.abs(px) < 4 * width, px, np.nan)
    way = [tuple(at) for at in shown[np.isfinite(shown).all(1)].tolist()]
    if len(way) > 1:
        pen.line(way, fill=colour, width=thickness)
    if np.isfinite(shown[i]).all():
        x, y = shown[i].tolist()
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=thickness)
