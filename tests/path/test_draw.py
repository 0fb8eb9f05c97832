import numpy as np
import pytest
from hypothesis import given

from hamster.path import Gripper, Path2D
from hamster.path.colours import jet, reds
from hamster.path.draw import STYLES, channels, draw
from hamster.path.simplify import segment_distance
from tests.path.strategies import paths

C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
GREY = 200


def blank(height=128, width=128):
    return np.full((height, width, 3), GREY, np.uint8)


def touched(drawn):
    return (drawn != GREY).any(-1)


def has(drawn, uv, colour, within_px):
    """Whether nearly this colour occurs within a distance of a point."""
    height, width = drawn.shape[:2]
    v, u = np.mgrid[0:height, 0:width] + 0.5
    near = np.hypot(u - uv[0] * width, v - uv[1] * height) <= within_px
    return bool((np.abs(drawn[near].astype(int) - colour).max(-1) <= 60).any())


GRASP_AND_RELEASE = Path2D([[0.2, 0.7], [0.5, 0.3], [0.8, 0.7]], [U, C, O])


@pytest.mark.parametrize(
    ("style", "closed", "opened"), [("jet", (0, 0, 255), (255, 0, 0)), ("red", (0, 255, 0), (0, 0, 255))]
)
@pytest.mark.parametrize("size", [128, 256, 512, 1100])
def test_markers_have_the_published_colours_at_every_size(style, closed, opened, size):
    drawn = draw(blank(size, size), GRASP_AND_RELEASE, style)
    ring = max(7 * size / 512, 2.5) + 2
    assert has(drawn, (0.5, 0.3), closed, ring) and not has(drawn, (0.5, 0.3), opened, ring)
    assert has(drawn, (0.8, 0.7), opened, ring) and not has(drawn, (0.8, 0.7), closed, ring)


def test_the_jet_line_goes_from_blue_to_red():
    drawn = draw(blank(512, 512), Path2D([[0.1, 0.5], [0.9, 0.5]], [U, U]))
    row = drawn[256]
    assert row[80].argmax() == 2 and row[256].argmax() == 1 and row[420].argmax() == 0


def test_the_red_line_brightens():
    row = draw(blank(512, 512), Path2D([[0.1, 0.5], [0.9, 0.5]], [U, U]), "red")[256, 60:450]
    assert (
        (row[:, 1:] < 30).all() and row[0, 0] < 80 and row[-1, 0] > 240 and (np.diff(row[:, 0].astype(int)) >= 0).all()
    )


def test_lines_are_as_published_at_512_and_shrink_with_the_image():
    wide = [
        touched(draw(blank(s, s), Path2D([[0.1, 0.5], [0.9, 0.5]], [U, U])))[:, s // 2].sum() for s in (512, 256, 128)
    ]
    assert wide[0] in (2, 3) and wide[1] <= 2 and 1 <= wide[2] <= 2


@pytest.mark.parametrize("style", list(STYLES))
def test_a_corner_is_round_and_as_wide_as_the_line(style):
    """A line that turns by 90 degrees has no notch on the outer side of its corner."""
    drawn = draw(blank(512, 512), Path2D([[0.2, 0.2], [0.7, 0.2], [0.7, 0.8]], [U] * 3), style, weight=12)
    v, u = np.mgrid[0:512, 0:512] + 0.5
    corner = np.array([0.7, 0.2]) * 512
    outer = (np.hypot(u - corner[0], v - corner[1]) < 10) & (u > corner[0]) & (v < corner[1])
    assert touched(drawn)[outer].all()


def test_the_shorter_side_sets_the_scale():
    assert np.array_equal(
        touched(draw(blank(128, 128), Path2D([[0.5, 0.5]], [O]))).sum(),
        touched(draw(blank(128, 512), Path2D([[0.5, 0.5]], [O]))).sum(),
    )


@given(paths())
def test_only_pixels_near_the_path_change(path):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 64, 3)).astype(np.uint8)
    v, u = np.mgrid[0:40, 0:64] + 0.5
    px = path.uv * [64, 40]
    gaps = segment_distance(np.stack([u, v], -1)[:, :, None], px, np.concatenate([px[1:], px[-1:]])).min(-1)
    for style in STYLES:
        drawn = draw(rgb, path, style)
        assert drawn.shape == rgb.shape and drawn.dtype == np.uint8
        assert np.array_equal(drawn[gaps > 5], rgb[gaps > 5])


def test_the_image_itself_is_left_alone():
    rgb = blank()
    draw(rgb, GRASP_AND_RELEASE)
    assert (rgb == GREY).all()


@pytest.mark.parametrize("uv", [[[0.5, 0.5]], [[0.5, 0.5]] * 4, [[1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
@pytest.mark.parametrize("style", list(STYLES))
def test_single_points_and_duplicates_are_drawn(uv, style):
    assert touched(draw(blank(), Path2D(uv, [C] * len(uv)), style)).any()


def test_a_start_of_unknown_state_is_marked_in_the_colour_of_the_line():
    drawn = draw(blank(512, 512), Path2D([[0.2, 0.5], [0.8, 0.5]], [U, U]))
    assert has(drawn, (0.2, 0.5), jet(0.0).astype(int), 9)
    assert touched(drawn)[250, 95:110].any()  # a ring, wider than the line


@pytest.mark.parametrize("rgb", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_other_images_are_refused(rgb):
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        draw(rgb, GRASP_AND_RELEASE)


def test_an_unknown_style_names_the_known_ones():
    with pytest.raises(ValueError, match="jet, red"):
        draw(blank(), GRASP_AND_RELEASE, "blue")


def test_colour_maps_have_their_ends():
    assert jet(0.0).tolist() == [0, 0, 128] and jet(1.0).tolist() == [128, 0, 0]
    assert reds(0.0).tolist() == [64, 0, 0] and reds(1.0).tolist() == [255, 0, 0]


def test_channels_say_where_along_the_path_and_how_far():
    progress, distance, change = channels(GRASP_AND_RELEASE, 64, 64)
    assert progress.dtype == np.float32
    start, grasp, release = ((int(v * 64), int(u * 64)) for u, v in GRASP_AND_RELEASE.uv)
    assert progress[start] < 0.05 and progress[grasp] == pytest.approx(0.5, abs=0.05) and progress[release] > 0.95
    assert max(distance[start], distance[grasp], distance[release]) < 0.02 < distance[0, 0]
    assert change[grasp] < -0.9 and change[release] > 0.9 and abs(change[start]) < 1e-3


def test_of_two_stretches_that_are_equally_near_the_earlier_counts():
    there_and_back = Path2D([[0.2, 0.5], [0.8, 0.5], [0.2, 0.5]], [U] * 3)
    progress = channels(there_and_back, 50, 50)[0]
    assert progress[25, [0, 24, 49]] == pytest.approx([0, 0.24, 0.5], abs=0.01)


@given(paths())
def test_channels_stay_in_range(path):
    progress, distance, change = channels(path, 24, 40)
    assert progress.shape == (24, 40)
    assert progress.min() >= 0 and progress.max() <= 1 + 1e-6
    assert distance.min() >= 0 and distance.max() <= 1
    assert np.abs(change).max() <= 1


def test_distance_is_in_shorter_sides():
    distance = channels(Path2D([[0.0, 0.0]], [U]), 50, 200)[1]
    assert distance[0, 25] == pytest.approx(0.51, abs=0.01)
    assert distance[0, 199] == 1


def slow_channels(path, height, width):
    """By the definition, segment by segment, in float64; and for each pixel all progress that is as near as any."""
    side = np.array([width, height]) / min(width, height)
    v, u = np.mgrid[0:height, 0:width] + 0.5
    pixels, points = np.stack([u / width, v / height], -1) * side, path.uv * side
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    before = np.concatenate([[0], np.cumsum(steps)])
    gaps, progress = [np.linalg.norm(pixels - points[0], axis=-1)], [np.zeros((height, width))]
    for start, end, length, so_far in zip(points, points[1:], steps, before, strict=False):
        part = ((pixels - start) @ (end - start) / max(length, 1e-12) ** 2).clip(0, 1)
        gaps.append(segment_distance(pixels, start, end))
        progress.append((so_far + part * length) / max(before[-1], 1e-12))
    return np.array(gaps), np.array(progress)


@given(paths(max_size=12))
def test_channels_equal_the_definition(path):
    progress, distance, _ = channels(path, 24, 40)
    gaps, candidates = slow_channels(path, 24, 40)
    np.testing.assert_allclose(distance, gaps.min(0).clip(max=1), atol=2e-4)
    nearest = gaps <= gaps.min(0) + 2e-3  # within rounding, any of these
    off = np.where(nearest, np.abs(candidates - progress), np.inf).min(0)
    assert off.max() < 2e-3
    earliest = np.where(gaps <= gaps.min(0) + 1e-9, candidates, np.inf).min(0)
    assert (progress <= earliest + 2e-3).all()
