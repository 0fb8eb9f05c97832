import numpy as np
import pytest

from hamster.sim.offdomain import OffDomain


@pytest.fixture(scope="module")
def images():
    return list(OffDomain(4, seed=5))


def test_paths_are_on_the_image_and_mentions_are_words(images) -> None:
    for image in images:
        assert image.view.rgb.shape == (256, 256, 3) and image.segmentation.shape == (256, 256)
        for annotation in image.annotations:
            assert len(annotation.path) >= 1
            for mention in annotation.mentions:
                assert annotation.instruction[mention.start : mention.end].strip()
                assert all(0 <= i < len(image.objects) for i in mention.objects)


def test_carrying_paths_grasp_the_target_and_let_go_at_the_goal(images) -> None:
    judged = 0
    for image in images:
        for annotation in image.annotations:
            events = [(annotation.path.uv[i], state.name) for i, state in annotation.path.events]
            if annotation.task != "pick_place" or [name for _, name in events] != ["CLOSED", "OPEN"]:
                continue
            judged += 1
            assert distance_to_mask(events[0][0], image.segmentation == annotation.target) < 0.06
            assert distance_to_mask(events[1][0], image.segmentation == annotation.goal) < 0.12
    assert judged > 5


def test_each_image_depends_on_the_seed_and_its_number_alone(images) -> None:
    again = OffDomain(9, seed=5)[3]
    assert np.array_equal(again.view.rgb, images[3].view.rgb)
    assert [a.instruction for a in again.annotations] == [a.instruction for a in images[3].annotations]


def distance_to_mask(uv: np.ndarray, mask: np.ndarray) -> float:
    rows, columns = np.nonzero(mask)
    return float(np.hypot((columns + 0.5) / 256 - uv[0], (rows + 0.5) / 256 - uv[1]).min())


def test_heights_are_those_of_the_waypoints_over_the_table(images):
    for image in images:
        camera = image.view.camera
        for path in (annotation.path for annotation in image.annotations):
            inside = ((path.uv > 0) & (path.uv < 1)).all(-1)  # others were moved to the border
            points = camera.unproject(path.uv * camera.size_px, path.depth_m)
            np.testing.assert_allclose(path.height_m[inside], points[inside, 2], atol=1e-6)
