from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, View
from hamster.geometry import Camera, inverse, look_at, pose
from hamster.label.episodes import pack, unpack
from hamster.label.label_item import Options, label_item
from hamster.label.method import Skipped
from hamster.label.nothing_shown import colour_name, is_one_colour, why_nothing_is_shown
from hamster.path import Gripper
from tests.label.made import image

STEPS = 20
LENS = np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
WORLD_FROM_CAMERA = look_at([1.3, 0.1, 0.8], [0.4, 0, 0.1])
CAMERA = Camera(LENS, WORLD_FROM_CAMERA, 64, 48)
TIPS = np.linspace([0.3, -0.25, 0.1], [0.5, 0.25, 0.3], STEPS)
GROUND = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))[..., None], 3, 2)
FILM = [np.where((np.arange(64) // 3 == t)[None, :, None], np.uint8(255), GROUND) for t in range(STEPS)]


def placed(world_from_camera):
    return Camera(LENS, world_from_camera, 64, 48)


def moved(scale=1.0):
    out = WORLD_FROM_CAMERA.copy()
    out[:3, 3] *= scale
    return out


def episode(cameras=CAMERA, images=FILM, tips=TIPS, gripper=None):
    cameras = [cameras] * STEPS if isinstance(cameras, Camera) else cameras
    images = [images] * STEPS if isinstance(images, np.ndarray) else images
    poses = np.stack([pose(tip) for tip in tips])
    frames = [Observation({"front": View(images[t], None, cameras[t])}, poses[t], 1.0, t / 10) for t in range(STEPS)]
    gripper = np.r_[np.ones(10), np.zeros(10)] if gripper is None else gripper
    return Episode(["go"], frames, Provenance("test:", "e.file"), poses, gripper)


def test_a_right_calibration_shows_where_the_tool_goes():
    assert why_nothing_is_shown(TIPS, [CAMERA] * STEPS) == ""
    assert len(label_item(episode(), Options()).labels) == STEPS


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        (placed(inverse(WORLD_FROM_CAMERA)), "inverted extrinsics"),
        (placed(WORLD_FROM_CAMERA @ np.diag([1.0, -1, -1, 1])), r"behind the camera in 100%.*OpenGL"),
        (placed(moved(1000)), "millimetres"),
        (placed(moved(100)), "centimetres|millimetres"),
        (placed(look_at([1.3, 0, 0.8], [3, 0, 0.8])), r"behind the camera in 100%"),
        (placed(look_at([1.3, 0, 0.8], [0.4, 3, 0.8])), r"out of view in 100%"),
    ],
    ids=["inverted", "OpenGL", "millimetres", "centimetres", "turned away", "elsewhere"],
)
def test_a_wrong_calibration_gives_no_label_and_its_likely_fault(camera, words):
    abstained = label_item(episode(camera), Options())
    assert isinstance(abstained, Skipped) and abstained.file == "e.file"
    with pytest.raises(ValueError, match=words):
        raise ValueError(abstained.reason)
    assert "\n" not in abstained.reason


def test_a_path_that_stands_still_while_the_tool_moves_gives_no_label():
    looking = WORLD_FROM_CAMERA.copy()
    looking[:3, 3] += -1000 * WORLD_FROM_CAMERA[:3, 2]  # a kilometre back, looking at it still
    assert "0.47 m across the view and its path by 0.04% of the image" in why_nothing_is_shown(
        TIPS, [placed(looking)] * STEPS
    )
    assert "of the image" in label_item(episode(placed(looking)), Options()).reason


def test_a_tool_that_moves_along_the_optical_axis_may_stand_still_in_the_image():
    """Towards the camera, and to and fro by less than a fingertip."""
    start = WORLD_FROM_CAMERA[:3, 3] + 0.6 * WORLD_FROM_CAMERA[:3, 2]
    tips = start + np.linspace(0, 0.3, STEPS)[:, None] * WORLD_FROM_CAMERA[:3, 2]
    assert why_nothing_is_shown(tips, [CAMERA] * STEPS) == ""


def test_a_tool_that_does_nothing_has_no_label():
    still = np.tile(TIPS[:1], (STEPS, 1))
    assert "does not move" in label_item(episode(tips=still, gripper=np.ones(STEPS)), Options()).reason
    assert len(label_item(episode(tips=still), Options()).labels) == STEPS  # it closes


def test_frames_after_the_tool_has_left_the_view_for_good_have_no_path():
    tips = np.linspace([0.3, -0.1, 0.1], [0.3, 2.5, 0.1], STEPS)
    labelled = label_item(episode(tips=tips), Options())
    gone = labelled.left_out["out_of_view"]
    assert 5 < gone < STEPS and len(labelled.labels) == STEPS - gone == len(labelled.episode.observations)
    assert all(label.shows for label in labelled.labels)
    assert labelled.episode.tool_poses_world.shape == (STEPS - gone, 4, 4)


@pytest.mark.parametrize(
    ("colour", "name"),
    [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((129, 127, 128), "grey"), ((0, 135, 0), "green")],
)
def test_images_of_one_colour_are_no_pictures(colour, name):
    flat = np.full((48, 64, 3), colour, np.uint8)
    noisy = np.clip(flat + np.random.default_rng(0).integers(-3, 4, flat.shape), 0, 255).astype(np.uint8)
    assert is_one_colour(flat) and is_one_colour(noisy) and colour_name(noisy) == name
    assert f"of one colour, {name}" in label_item(episode(images=noisy), Options()).reason
    for one in (replace(image(3).view, rgb=flat), replace(image(3).view, rgb=noisy)):
        abstained = label_item(replace(image(3), view=one), Options())
        assert isinstance(abstained, Skipped) and name in abstained.reason


def test_a_small_thing_on_a_black_ground_is_a_picture():
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[301:304, 411:414] = 60
    assert not is_one_colour(rgb)


def test_single_frames_of_one_colour_are_left_out_and_counted():
    images = [np.full_like(GROUND, 128) if t in (3, 4, 19) else FILM[t] for t in range(STEPS)]
    labelled = label_item(episode(images=images), Options())
    assert labelled.left_out == {"of_one_colour": 3} and len(labelled.labels) == 17
    whole = label_item(episode(), Options())
    assert np.allclose(labelled.labels[0].path.uv[-1], whole.labels[0].path.uv[-1])  # the path goes on to the end
    assert labelled.labels[3].path == whole.labels[5].path


def noisy(images):
    rng = np.random.default_rng(0)
    return [np.clip(rgb + rng.integers(-2, 3, rgb.shape), 0, 255).astype(np.uint8) for rgb in images]


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("images", [[GROUND] * STEPS, noisy([GROUND] * STEPS)], ids=["same", "a codec's noise"])
def test_a_frozen_camera_gives_no_label(images, calibrated):
    abstained = label_item(episode([CAMERA if calibrated else None] * STEPS, images), Options())
    assert isinstance(abstained, Skipped) and abstained.file == "e.file"
    assert abstained.reason == "camera front: the image does not change while the tool moves"


@pytest.mark.parametrize(("first", "gone"), [(0, range(10)), (6, range(7, 16))])
def test_frames_of_a_camera_that_freezes_for_a_while_are_left_out_and_counted(first, gone):
    images = [FILM[first] if first <= t < first + 10 else FILM[t] for t in range(STEPS)]
    labelled, whole = label_item(episode(images=images), Options()), label_item(episode(), Options())
    assert labelled.left_out == {"frozen": len(gone)}
    kept = [t for t in range(STEPS) if t not in gone]
    assert [label.path for label in labelled.labels] == [whole.labels[t].path for t in kept]


def test_a_picture_that_comes_twice_or_in_which_the_tool_rests_is_no_frozen_camera():
    twice = [FILM[t // 2 * 2] for t in range(STEPS)]  # 10 images a second of a robot at 20 steps a second
    tips = np.concatenate([np.repeat(TIPS[:1], 10, 0), TIPS[::2]])
    waits = [FILM[0]] * 10 + FILM[10:]
    slowly = TIPS[0] + (TIPS - TIPS[0]) / 10
    for one in (episode(images=twice), episode(images=waits, tips=tips), episode(images=[GROUND] * STEPS, tips=slowly)):
        assert len(label_item(one, Options()).labels) == STEPS


def test_a_small_thing_that_moves_in_a_small_image_shows_that_it_is_of_its_moment():
    flat = np.full((16, 16, 3), 90, np.uint8)
    flat[:4] = 120
    images = [flat.copy() for _ in range(STEPS)]
    for t, rgb in enumerate(images):
        rgb[8, t * 16 // STEPS] = 100
    labelled = label_item(episode([CAMERA.resized(16, 16)] * STEPS, images), Options())
    assert not isinstance(labelled, Skipped) and len(labelled.labels) == STEPS


def test_a_camera_that_is_not_frozen_comes_first():
    frames = [
        replace(o, views={"front": View(GROUND, None, CAMERA), "side": View(FILM[t], None, CAMERA)})
        for t, o in enumerate(episode().observations)
    ]
    assert label_item(replace(episode(), observations=frames), Options()).camera == "side"


def test_frames_without_an_image_or_a_calibration_are_left_out_and_counted():
    cameras = [None if t in (0, 7) else CAMERA for t in range(STEPS)]
    partly = episode(cameras)
    frames = [replace(o, views={}) if t > 16 else o for t, o in enumerate(partly.observations)]
    labelled = label_item(replace(partly, observations=frames), Options())
    assert labelled.left_out == {"without_image": 3, "not_calibrated": 2} and len(labelled.labels) == 15
    assert labelled.episode.gripper.tolist() == [1.0] * 8 + [0.0] * 7
    nothing = replace(partly, observations=[replace(o, views={}) for o in partly.observations])
    assert "no camera has an image" in label_item(nothing, Options()).reason


def test_frames_whose_image_is_damaged_are_left_out_and_counted():
    whole = episode()
    frames = [replace(o, views={}, damaged=("front",)) if t in (0, 4, 5) else o
              for t, o in enumerate(whole.observations)]  # fmt: skip
    labelled = label_item(replace(whole, observations=frames), Options())
    assert labelled.left_out == {"damaged": 3} and len(labelled.labels) == STEPS - 3


def test_a_gripper_that_nobody_can_read_gives_paths_without_events(tmp_path):
    known = label_item(episode(), Options())
    unknown = label_item(replace(episode(), gripper=None), Options())
    assert all((label.path.gripper == Gripper.UNKNOWN).all() for label in unknown.labels)
    ends = [
        (labelled.labels[t].path.uv[0], labelled.labels[t].path.uv[-1]) for labelled in (known, unknown) for t in (0, 9)
    ]
    assert np.allclose(ends[:2], ends[2:])
    for name, data in pack(unknown, "ep-0").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    read = unpack(tmp_path, [name for name in pack(unknown, "ep-0") if not name.startswith("drawn")])
    assert read.episode.gripper is None and np.allclose(read.episode.tool_poses_world[:, :3, 3], TIPS)


def test_images_of_several_sizes_are_one_line_that_names_the_camera():
    images = [*FILM[:-1], np.kron(FILM[-1], np.ones((2, 2, 1), np.uint8))]
    labelled = label_item(episode([CAMERA] * (STEPS - 1) + [CAMERA.resized(128, 96)], images), Options())
    with pytest.raises(ValueError, match="camera front: an image has 128 x 96, the first 64 x 48; one size is needed"):
        pack(labelled, "ep-0")
