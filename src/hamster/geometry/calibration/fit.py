"""Camera pose, and if asked the focal length, from a tool's known poses and where they are seen in the image.

The camera is found by RANSAC over the perspective-n-point problem (OpenCV's SQPnP, Terzakis and Lourakis, ECCV 2020),
and refined by Levenberg-Marquardt with Huber weights. A fit counts only if it determines where things project: the
covariance of its parameters is propagated to the surroundings of the motion, and a fit that leaves more than 2 % of
the image's width at a corner of these is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.extras import extra
from hamster.geometry.calibration.reprojection import MIN_NOISE_PX, Reprojection, centred_lens, extents, tool_points
from hamster.geometry.camera import Camera
from hamster.geometry.transforms import matrix_from_rotation_vector, pose

Array = NDArray[np.float64]
MIN_POINTS = 6
MIN_AGREE = 0.5  # of the points: fewer are no majority for a camera
MIN_MOTION_M = 0.02
FLAT = 0.05  # of the longest extent of a motion: what is thinner is a line or a plane
MAX_UNCERTAINTY = 0.02  # of the width, at the farthest corner; in the motion's middle it is a fraction of that
FIELDS_OF_VIEW_DEG = np.geomspace(20, 120, 12)  # that are tried where the lens is not known


class UndeterminedCameraError(ValueError):
    """The points do not determine the camera; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class CameraFit:
    """A camera that was found.

    Attributes:
        camera: with the pose, and the given or the fitted intrinsics.
        residuals_px: (N,) distances between the points and the projected tool.
        inliers: (N,) bool, the points that agree with it.
        offset_tool_m: (3,) of the points in the tool's frame, as given or fitted.
        uncertainty: standard deviation of a projection around the motion, in widths of the image.
    """

    camera: Camera
    residuals_px: Array
    inliers: NDArray[np.bool_]
    offset_tool_m: Array
    uncertainty: float

    @property
    def median_px(self) -> float:
        """Median residual of the points that agree."""
        return float(np.median(self.residuals_px[self.inliers]))


def fit_camera(
    tool_poses_world: ArrayLike,
    px: ArrayLike,
    size: tuple[int, int],
    intrinsics: ArrayLike | None = None,
    offset_tool_m: ArrayLike = (0.0, 0.0, 0.0),
    fit_offset: bool = False,
    tolerance: float = 0.02,
    seed: int = 0,
) -> CameraFit:
    """Return the camera that sees a tool, or a point fixed to it, where it was seen.

    Args:
        tool_poses_world: (N, 4, 4), metres.
        px: (N, 2) where the point was seen, pixels.
        size: width and height of the images.
        intrinsics: (3, 3) in pixels; None to fit one focal length, with square pixels and the principal point in the
            middle.
        offset_tool_m: (3,) of the point in the tool's frame.
        fit_offset: whether this offset is to be fitted, from the given one on; the tool has to turn for that.
        tolerance: in widths of the image, within which a point agrees with a camera at first.
        seed: of RANSAC.

    Raises:
        UndeterminedCameraError: if there are too few points, they contradict each other, or the motion leaves the
            camera open; one line.
        ValueError: if shapes do not fit or a value is not finite.
        NotInstalledError: without OpenCV (extra `data`).
    """
    poses, observed_px = np.asarray(tool_poses_world, np.float64), np.asarray(px, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or observed_px.shape != (len(poses), 2):
        raise ValueError(f"need tool poses (N, 4, 4) and points (N, 2), got {poses.shape} and {observed_px.shape}")
    if not (np.isfinite(poses).all() and np.isfinite(observed_px).all()):
        raise ValueError("tool poses and points must be finite")
    points_world = tool_points(poses, np.asarray(offset_tool_m, np.float64))
    _check_motion(points_world)
    # A point whose place on the tool is not known yet is away from the projected one by as much as a hand is long.
    reach_px = tolerance * size[0] * (5 if fit_offset else 1)
    start, focal_px = _ransac(points_world, observed_px, size, intrinsics, reach_px, seed)
    problem = Reprojection(poses, observed_px, size, intrinsics, np.asarray(offset_tool_m, np.float64), fit_offset)
    parameters = problem.start(start, focal_px)
    agree = problem.distances_px(parameters) < reach_px
    for _ in range(3):
        _check_agreement(agree)
        parameters = problem.minimise(parameters, agree)
        distances_px = problem.distances_px(parameters)
        noise_px = max(float(np.median(distances_px[agree])) / 1.18, MIN_NOISE_PX)  # the median of a Rayleigh
        agree = distances_px < min(4 * noise_px, 2 * reach_px)
    _check_agreement(agree)
    _check_motion(points_world[agree])
    uncertainty = problem.uncertainty_px(parameters, agree, noise_px) / size[0]
    if not uncertainty <= MAX_UNCERTAINTY:
        raise UndeterminedCameraError(_why_open(points_world[agree], uncertainty, intrinsics is None, fit_offset))
    if problem.has_second_pose(parameters, agree):
        raise UndeterminedCameraError(
            "two camera poses explain the points alike, since the motion is nearly flat and far away: move the tool "
            "towards the camera and away from it, too"
        )
    return CameraFit(problem.camera(parameters), distances_px, agree, problem.offset(parameters), uncertainty)


def _ransac(
    points_world: Array, px: Array, size: tuple[int, int], intrinsics: ArrayLike | None, threshold_px: float, seed: int
) -> tuple[Array, float]:
    """Return camera_from_world (4, 4) with most agreement, and its focal length."""
    with extra("data", "calibration"):
        import cv2

    if intrinsics is None:
        focals = size[0] / 2 / np.tan(np.radians(FIELDS_OF_VIEW_DEG) / 2)
        lenses = [centred_lens(float(focal), size) for focal in focals]
    else:
        lenses = [np.asarray(intrinsics, np.float64)]
        Camera(lenses[0], np.eye(4), *size)
    best, least = None, np.inf
    for lens in lenses:
        cv2.setRNGSeed(seed)
        is_solved, rotation_vector, translation, _ = cv2.solvePnPRansac(
            points_world, px, lens, None, iterationsCount=1000, reprojectionError=threshold_px, confidence=0.9999,
            flags=cv2.SOLVEPNP_SQPNP,
        )  # fmt: skip
        if not is_solved or not (np.isfinite(rotation_vector).all() and np.isfinite(translation).all()):
            continue
        camera_from_world = pose(translation.ravel(), matrix_from_rotation_vector(rotation_vector.ravel()))
        at = points_world @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        distances = np.linalg.norm(((at / at[:, 2:]) @ lens.T)[:, :2] - px, axis=1)
        loss = float(np.minimum(np.where(at[:, 2] > 0, distances, np.inf), threshold_px).mean())
        if loss < least:
            best, least = (camera_from_world, float(lens[0, 0])), loss
    if best is None:
        raise UndeterminedCameraError(
            f"no camera sees the tool where the {len(px)} points are: they do not belong to this motion, or are wrong"
        )
    return best


def _check_motion(points_world: Array) -> None:
    if len(points_world) < MIN_POINTS:
        raise UndeterminedCameraError(f"{len(points_world)} points do not determine a camera; {MIN_POINTS} or more do")
    extent, _ = extents(points_world)
    if extent[0] < MIN_MOTION_M:
        raise UndeterminedCameraError(
            f"the tool moves by {extent[0] * 100:.1f} cm in the points, which determines no camera: move it through "
            "the whole workspace"
        )
    if extent[1] < FLAT * extent[0]:
        raise UndeterminedCameraError(
            f"the tool moves along a line ({extent[0] * 100:.0f} cm by {extent[1] * 100:.1f} cm), about which the "
            "camera may turn freely: move it in all directions"
        )


def _check_agreement(agree: NDArray[np.bool_]) -> None:
    if agree.sum() < MIN_POINTS or agree.mean() < MIN_AGREE:
        raise UndeterminedCameraError(
            f"only {agree.sum()} of {len(agree)} points agree with one camera: it moved, the points are wrong, or they "
            "are on another part of the tool"
        )


def _why_open(points_world: Array, uncertainty: float, fits_lens: bool, fits_offset: bool) -> str:
    extent, _ = extents(points_world)
    size = " x ".join(f"{side * 100:.0f}" for side in extent)
    left = f"by {uncertainty:.0%} of the width" if np.isfinite(uncertainty) else "freely"
    remedy = "move the tool in all directions, towards the camera, too"
    if extent[2] < FLAT * extent[0]:
        remedy = "the motion is flat; move the tool out of that plane, too"
    if fits_offset:
        remedy += ", and turn it"
    if fits_lens:
        remedy += "; or give the intrinsics"
    return f"the points ({len(points_world)}, over {size} cm) leave the projection open {left}: {remedy}"
