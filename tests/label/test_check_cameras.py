from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, View
from hamster.data.hdf5 import HDF5
from hamster.data.rlbench import RLBench
from hamster.geometry import Camera, inverse, look_at, pose
from hamster.label.check_cameras import check_cameras as check_pairs
from tests.data.hdf5_files import write_libero
from tests.data.real import real_data

WIDTH, HEIGHT, STEPS = 96, 72, 40
LENS = np.array([[110.0, 0, WIDTH / 2], [0, 110.0, HEIGHT / 2], [0, 0, 1]])
CAMERA = Camera(LENS, look_at([1.2, 0.2, 0.7], [0.4, 0.0, 0.15]), WIDTH, HEIGHT)


def check_cameras(episodes, keypoints=None):
    return check_pairs([(episode, keypoints or {}) for episode in episodes])


def tips(seed=0):
    """To one side, down and towards the camera, and back."""
    t = np.linspace(0, 1, STEPS) + seed * 0.1
    return np.stack([0.35 + 0.15 * t, -0.2 + 0.35 * t, 0.25 - 0.2 * np.sin(3 * t)], -1)


def frame(px, noise):
    """A speckled disc on a speckled ground; the speckles move along with the disc."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    rgb = 110 + 20 * np.sin(u / 3)[..., None] * np.cos(v / 4)[..., None] * np.ones(3)
    near = np.hypot(u - px[0], v - px[1]) < 6
    speckles = 200 + 50 * np.sin(1.1 * (u - px[0])) * np.cos(0.9 * (v - px[1]) + 0.5)
    rgb[near] = speckles[near][:, None] * [1, 0.5, 0.2]
    return np.clip(rgb + noise.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)


def episode(change=lambda view: view, seed=0):
    noise, way = np.random.default_rng(seed), tips(seed)
    views = [change(View(frame(CAMERA.project(tip)[0], noise), None, CAMERA)) for tip in way]
    poses = np.stack([pose(tip) for tip in way])
    frames = [Observation({"front": view}, poses[i], 1.0, i * 0.1) for i, view in enumerate(views)]
    return Episode(["move"], frames, Provenance("test:"), poses, np.ones(STEPS))


def seen_by(intrinsics=CAMERA.intrinsics, world_from_camera=CAMERA.world_from_camera):
    return lambda view: replace(view, camera=Camera(intrinsics, world_from_camera, WIDTH, HEIGHT))


def shown_as(change):
    return lambda view: replace(view, rgb=np.ascontiguousarray(change(view.rgb)))


def off_by(offset):
    return seen_by(world_from_camera=pose(offset) @ CAMERA.world_from_camera)


def test_a_right_camera_passes():
    (check,) = check_cameras([episode(), episode(seed=1)])
    assert check.verdict == "right" and check.reason == "" and check.camera == "front"
    assert check.episodes == 2 and check.frames > 30
    assert check.in_view == 1 and check.distance < 0.01 and check.follows > 0.8
    assert check.distance_px == pytest.approx(check.distance * WIDTH)
    assert "front: right" in str(check)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (seen_by(world_from_camera=inverse(CAMERA.world_from_camera)), "inverted extrinsics"),
        (seen_by(world_from_camera=CAMERA.world_from_camera @ np.diag([1.0, -1, -1, 1])), "OpenGL"),
        (shown_as(lambda rgb: rgb[::-1]), "upside down"),
        (shown_as(lambda rgb: rgb[:, ::-1]), "mirrored"),
        (shown_as(lambda rgb: rgb[::-1, ::-1]), "180 degrees"),
        (seen_by(np.diag([2.0, 2, 1]) @ LENS), "scaled intrinsics: they are those of an image 2 times as large"),
        (seen_by(np.diag([0.5, 0.5, 1]) @ LENS), "scaled intrinsics: they are those of an image 2 times smaller"),
        (seen_by(np.diag([1.5, 1.5, 1]) @ LENS), "scaled intrinsics: they are those of an image 1.5 times as large"),
        (seen_by(LENS * [[0.5, 0.5, 1], [0.5, 0.5, 1], [1, 1, 1]]), "focal length: 2 times"),
        (off_by([0, 0.2, 0]), "away from anything that moves"),
        (off_by([0, 0, -2]), "behind the camera"),
    ],
)
def test_a_wrong_camera_is_found_out_and_the_mistake_named(change, words):
    (check,) = check_cameras([episode(change), episode(change, seed=1)])
    assert check.verdict == "wrong" and words in check.reason, check
    assert "\n" not in str(check)


def test_keypoints_decide_where_they_are_known():
    uv = np.stack([CAMERA.project(tip)[0] for tip in tips()]) / CAMERA.size_px
    uv[::5] = np.nan
    keypoints = {"front": uv}
    (right,) = check_cameras([episode()], keypoints)
    assert right.verdict == "right" and right.distance < 1e-9 and np.isnan(right.follows)
    (right,) = check_cameras([episode(shown_as(np.zeros_like))], keypoints)
    assert right.verdict == "right"  # the images are not looked at
    (wrong,) = check_cameras([episode(off_by([0, 0.1, 0]))], keypoints)
    assert wrong.verdict == "wrong" and "away from the keypoints" in wrong.reason
    (wrong,) = check_cameras([episode(seen_by(np.diag([2.0, 2, 1]) @ LENS))], keypoints)
    assert "likely scaled intrinsics" in wrong.reason


def test_without_evidence_there_is_no_verdict():
    def still(view):
        return replace(view, rgb=np.full_like(view.rgb, 90))

    (check,) = check_cameras([episode(still)])
    assert check.verdict == "unknown" and "nothing moves" in check.reason
    resting = episode()
    parked = np.tile(resting.tool_poses_world[:1], (STEPS, 1, 1))
    (check,) = check_cameras([replace(resting, tool_poses_world=parked)])
    assert check.verdict == "unknown" and "less than 2 cm" in check.reason


def test_a_camera_that_moves_is_not_judged_by_motion():
    moving = episode()
    frames = []
    for i, observation in enumerate(moving.observations):
        camera = Camera(LENS, pose([0.01 * i, 0, 0]) @ CAMERA.world_from_camera, WIDTH, HEIGHT)
        frames.append(replace(observation, views={"wrist": replace(observation.views["front"], camera=camera)}))
    (check,) = check_cameras([replace(moving, observations=frames)])
    assert check.verdict == "unknown" and "camera moves" in check.reason


@pytest.mark.parametrize(
    ("blind", "reason"),
    [
        ([], "no episode could be read"),
        ([episode(lambda view: replace(view, camera=None))], "no camera of front is calibrated"),
        ([replace(episode(), tool_poses_world=None)], "poses were not recorded"),
    ],
)
def test_nothing_to_check_is_an_error_with_its_true_reason(blind, reason):
    with pytest.raises(ValueError, match=reason):
        check_cameras(blind)


def narrowed(left_px):
    """What a camera sees whose image begins at a column of the other one's."""
    lens = LENS.copy()
    lens[0, 2] -= left_px

    def narrow(view):
        rgb = np.ascontiguousarray(view.rgb[:, left_px:])
        return replace(view, rgb=rgb, camera=Camera(lens, CAMERA.world_from_camera, WIDTH - left_px, HEIGHT))

    return narrow


def test_an_arm_that_leaves_the_view_proves_nothing():
    (check,) = check_cameras([episode(narrowed(62)), episode(narrowed(62), seed=1)])
    assert 0.05 < check.in_view < 0.5 and check.verdict == "unknown", check
    assert "in view in only" in check.reason


def test_an_arm_that_is_out_of_view_for_a_while_does_not_spoil_the_evidence():
    (check,) = check_cameras([episode(narrowed(40)), episode(narrowed(40), seed=1)])
    assert 0.5 < check.in_view < 0.95 and check.verdict == "right", check


def test_a_camera_with_fewer_images_than_states_is_checked_by_those_it_has():
    whole = episode()
    shorter = [replace(o, views=o.views if i < 30 else {}) for i, o in enumerate(whole.observations)]
    (check,) = check_cameras([replace(whole, observations=shorter)])
    assert check.verdict == "right" and check.frames < 24


def test_pictures_show_the_tips_and_the_fix():
    (right,) = check_cameras([episode()])
    assert len(right.pictures) == 3 and "frame 0" in right.pictures[0][1]
    rgb, _ = right.pictures[0]
    px = CAMERA.project(tips()[0])[0]
    red = np.argwhere((rgb == [255, 0, 0]).all(-1))[:, ::-1] + 0.5
    assert rgb.shape == (HEIGHT, WIDTH, 3) and np.hypot(*(red - px).T).min() < 4
    (wrong,) = check_cameras([episode(shown_as(lambda rgb: rgb[::-1]))])
    assert (wrong.pictures[0][0] == [0, 255, 0]).all(-1).any()


@pytest.mark.parametrize("name", ["a-rlbench-open-drawer", "a-rlbench-reach-target"])
def test_real_recordings_pass_and_do_not_when_they_are_flipped(name):
    source = RLBench(real_data(name))
    (found,) = [item for item in (source[i] for i in range(len(source))) if isinstance(item, Episode)]
    fixed = [replace(o, views={c: v for c, v in o.views.items() if c != "wrist"}) for o in found.observations]
    assert all(check.verdict == "right" for check in check_cameras([replace(found, observations=fixed)]))
    upside_down = shown_as(lambda rgb: rgb[::-1])
    flipped = [replace(o, views={"front": upside_down(o.views["front"])}) for o in fixed]
    (check,) = check_cameras([replace(found, observations=flipped)])
    assert check.verdict == "wrong" and "upside down" in check.reason


def test_libero_read_without_turning_its_images_upright_is_found_out(tmp_path):
    right = HDF5(write_libero(tmp_path / "right.hdf5", steps=30))[0]
    (standing, on_the_hand) = check_cameras([right])
    assert standing.verdict == "right" and on_the_hand.verdict == "unknown"
    as_stored = {"macros_image_convention": "opencv"}  # which is not true
    wrong = HDF5(write_libero(tmp_path / "wrong.hdf5", steps=30, attributes=as_stored))[0]
    (standing, _) = check_cameras([wrong])
    assert standing.verdict == "wrong" and "upside down" in standing.reason
