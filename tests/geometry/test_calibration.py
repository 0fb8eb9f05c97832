"""Cameras are recovered from motions and points, with noise and outliers; what a motion leaves open is said."""

import numpy as np
import pytest

from hamster.geometry import Camera, look_at, matrix_from_rotation_vector, pose
from hamster.geometry.calibration import UndeterminedCameraError, fit_camera

SIZE = (640, 480)


def some_camera(rng, focal_px=None):
    focal_px = focal_px or rng.uniform(450, 900)
    eye = np.array([0.4, 0, 0.2]) + rng.uniform(0.8, 1.4) * unit(rng.normal(size=3) * [1, 1, 0.3] + [0, 0, 0.9])
    lens = [[focal_px, 0, SIZE[0] / 2], [0, focal_px, SIZE[1] / 2], [0, 0, 1]]
    return Camera(lens, look_at(eye, rng.normal([0.4, 0, 0.2], 0.05)), *SIZE)


def unit(vector):
    return vector / np.linalg.norm(vector)


def motion(rng, count=120, extent=(0.35, 0.5, 0.3)):
    """Return tool poses (N, 4, 4) along a smooth way through the workspace, the tool pointing down and turning."""
    knots = rng.uniform(-0.5, 0.5, (9, 3)) * extent + [0.4, 0, 0.2]
    at = np.linspace(0, 8, count)
    places = np.stack([np.interp(at, np.arange(9), column) for column in knots.T], -1)
    turns = np.stack([np.interp(at, np.arange(9), column) for column in rng.normal(0, 0.5, (9, 3)).T], -1)
    down = np.diag([1.0, -1, -1])
    return np.array([pose(p, down @ matrix_from_rotation_vector(t)) for p, t in zip(places, turns, strict=True)])


def seen(camera, poses, rng, noise_px=1.0, outliers=0.0, offset=(0, 0, 0)):
    px, _ = camera.project(poses[:, :3, :3] @ np.array(offset) + poses[:, :3, 3])
    px = px + rng.normal(0, noise_px, px.shape)
    wrong = rng.permutation(len(px))[: round(outliers * len(px))]
    px[wrong] = rng.uniform(0, SIZE, (len(wrong), 2))
    return px


def error(fit, camera, poses):
    """Return the median distance of the two projections of a workspace, in widths."""
    points = poses[:, :3, 3] + np.random.default_rng(9).uniform(-0.1, 0.1, (len(poses), 3))
    return np.median(np.linalg.norm(fit.camera.project(points)[0] - camera.project(points)[0], axis=1)) / SIZE[0]


@pytest.mark.parametrize("seed", range(8))
def test_a_camera_is_recovered_in_spite_of_noise_and_outliers(seed):
    rng = np.random.default_rng(seed)
    camera, poses = some_camera(rng), motion(rng)
    fit = fit_camera(poses, seen(camera, poses, rng, 1.5, 0.3), SIZE, camera.intrinsics)
    assert error(fit, camera, poses) < 0.003
    assert fit.median_px < 3 and 0.6 < fit.inliers.mean() < 0.8
    assert np.linalg.norm(fit.camera.world_from_camera[:3, 3] - camera.world_from_camera[:3, 3]) < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_so_is_its_focal_length(seed):
    rng = np.random.default_rng(seed)
    camera, poses = some_camera(rng), motion(rng)
    fit = fit_camera(poses, seen(camera, poses, rng, 1.0, 0.2), SIZE)
    assert error(fit, camera, poses) < 0.005
    assert fit.camera.intrinsics[0, 0] == pytest.approx(camera.intrinsics[0, 0], rel=0.12)


@pytest.mark.parametrize("seed", range(5))
def test_so_is_where_a_marker_sits_on_the_tool(seed):
    rng = np.random.default_rng(seed)
    camera, poses, offset = some_camera(rng), motion(rng), rng.normal(0, 0.03, 3)
    px = seen(camera, poses, rng, 0.5, 0.1, offset)
    fit = fit_camera(poses, px, SIZE, camera.intrinsics, fit_offset=True)
    np.testing.assert_allclose(fit.offset_tool_m, offset, atol=0.01)
    assert error(fit, camera, poses) < 0.005


def test_the_stated_uncertainty_is_about_the_error():
    errors, stated = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        camera, poses = some_camera(rng), motion(rng, 40)
        fit = fit_camera(poses, seen(camera, poses, rng, 2.0), SIZE, camera.intrinsics)
        errors.append(error(fit, camera, poses))
        stated.append(fit.uncertainty)
    assert 0.2 < np.median(errors) / np.median(stated) < 1.2  # the stated one is of the worst corner


@pytest.mark.parametrize(
    ("extent", "words"),
    [
        ((0.004, 0.004, 0.004), "determines no camera"),
        ((0.4, 0.0, 0.0), "along a line"),
        ((0.3, 0.01, 0.004), "along a line"),
    ],
)
def test_motions_that_determine_nothing_are_refused(extent, words):
    rng = np.random.default_rng(3)
    camera, poses = some_camera(rng), motion(rng, extent=extent)
    with pytest.raises(UndeterminedCameraError, match=words):
        fit_camera(poses, seen(camera, poses, rng, 0.5), SIZE, camera.intrinsics)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("extent", [(0.3, 0.3, 0.0), (0.05, 0.04, 0.03), (0.3, 0.02, 0.02), (0.1, 0.1, 0.0)])
@pytest.mark.parametrize("with_lens", [True, False])
def test_a_fit_of_a_poor_motion_is_right_or_refused(seed, extent, with_lens):
    """Whatever comes out projects to within a few times the promised uncertainty; nothing wrong passes."""
    rng = np.random.default_rng(seed)
    camera, poses = some_camera(rng), motion(rng, extent=extent)
    px = seen(camera, poses, rng, 1.5, 0.2)
    try:
        fit = fit_camera(poses, px, SIZE, camera.intrinsics if with_lens else None)
    except UndeterminedCameraError as refusal:
        assert "\n" not in str(refusal)
        return
    assert error(fit, camera, poses) < 0.03


def test_points_that_contradict_each_other_are_refused():
    rng = np.random.default_rng(0)
    camera, poses = some_camera(rng), motion(rng)
    with pytest.raises(UndeterminedCameraError, match=r"of 120 points agree|no camera sees"):
        fit_camera(poses, rng.uniform(0, SIZE, (120, 2)), SIZE, camera.intrinsics)
    with pytest.raises(UndeterminedCameraError, match="4 points"):
        fit_camera(poses[:4], seen(camera, poses[:4], rng), SIZE, camera.intrinsics)
    with pytest.raises(ValueError, match="finite"):
        fit_camera(poses, np.full((120, 2), np.nan), SIZE, camera.intrinsics)
    with pytest.raises(ValueError, match=r"got \(120, 4, 4\) and \(3, 2\)"):
        fit_camera(poses, np.zeros((3, 2)), SIZE)


def test_the_seed_decides():
    rng = np.random.default_rng(0)
    camera, poses = some_camera(rng), motion(rng)
    px = seen(camera, poses, rng, 1.0, 0.3)
    one, two = (fit_camera(poses, px, SIZE, seed=4).camera for _ in range(2))
    assert (one.world_from_camera == two.world_from_camera).all() and (one.intrinsics == two.intrinsics).all()
