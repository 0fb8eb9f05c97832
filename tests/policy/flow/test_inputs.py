import numpy as np
import synthetic
import torch

from hamster.policy.flow.inputs import (
    known_depth,
    nearest_pixel,
    nearest_points,
    patch_points_world,
    patches,
)
from hamster.policy.flow.pixels import crop_windows, whole_image

CAMERA = synthetic.front_camera(64)


def test_patches_are_the_squares_in_reading_order() -> None:
    image = torch.arange(2 * 16 * 24).view(2, 16, 24, 1)[:, :, :16]
    cut = patches(image)
    assert cut.shape == (2, 4, 64, 1)
    for token, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        torch.testing.assert_close(cut[:, token], image[:, row : row + 8, column : column + 8].flatten(1, 2))


def test_a_token_is_the_nearest_known_point_of_its_patch() -> None:
    depth = torch.rand(3, 16, 16) + 0.5
    depth[0, :8, :8] = 0
    depth[1, 3, 4], depth[2, 9, 9] = 0.1, torch.nan
    points = torch.randn(3, 16, 16, 3)
    nearest, known = nearest_points(points, depth)
    assert known.tolist() == [[False, True, True, True], [True] * 4, [True] * 4]
    torch.testing.assert_close(nearest[1, 0], points[1, 3, 4])
    for i, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        square = torch.where(depth > 0, depth, 9.0)[2, row : row + 8, column : column + 8]
        where = divmod(int(square.argmin()), 8)
        torch.testing.assert_close(nearest[2, i], points[2, row + where[0], column + where[1]])


def test_tokens_of_a_whole_image_are_those_of_its_unprojected_pixels() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 2, (64, 64)).astype(np.float32)
    depth[:8, :8], depth[20, 20] = np.inf, np.nan
    pixels = whole_image(CAMERA, 64)
    points, valid = patch_points_world(known_depth(depth), CAMERA, pixels)
    every = torch.from_numpy(CAMERA.points_world(known_depth(depth)))
    expected, known = nearest_points(every, torch.from_numpy(known_depth(depth)))
    np.testing.assert_array_equal(valid, known)
    np.testing.assert_allclose(points[valid], expected[known], atol=1e-9)
    assert not valid[0] and valid[1:].all()


def test_a_smaller_image_is_made_of_pixels_of_the_larger_one() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(whole_image(CAMERA, 64).pick(image)[0], image)
    np.testing.assert_array_equal(whole_image(CAMERA, 16).pick(image)[0], image[2::4, 2::4])


def test_nearest_of_nothing_is_unknown() -> None:
    assert not nearest_pixel(torch.zeros(8, 8))[1].any()


def test_crops_are_cut_at_full_resolution_and_shifted_inside() -> None:
    camera = synthetic.front_camera(128)
    rgb = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    pixels = crop_windows(camera, np.array([[0.5, 0.5], [0.99, 0.6]]), np.array([1.0, 0.25]), 32)
    crops = pixels.pick(rgb)
    np.testing.assert_array_equal(crops[1], rgb[61:93, 96:128])
    np.testing.assert_array_equal(crops[0], rgb[2::4, 2::4])
    np.testing.assert_array_equal(pixels.px()[1, 0, 0], [96.5, 61.5])
