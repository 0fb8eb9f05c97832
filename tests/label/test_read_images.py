import pytest

from hamster.label.read_images import read_images
from tests.label.export import made


def test_stills_are_evenly_spaced_and_carry_the_path_from_there(tmp_path) -> None:
    folder = made.episodes(tmp_path, lengths=(9, 4), phrases=("reach it", "touch it"))
    images = list(read_images(folder, frames=3))
    assert len(images) == 6 and [a.instruction for a in images[0].annotations] == ["reach it", "touch it"]
    starts = [tuple(image.annotations[0].path.uv[0].round(4)) for image in images[:3]]
    assert len(set(starts)) == 3  # each from where the tool is by then


def test_annotated_images_come_as_they_are_and_conversations_are_no_pictures(tmp_path) -> None:
    assert len(list(read_images(made.images(tmp_path, n=4)))) == 4
    (tmp_path / "talk").mkdir()
    with pytest.raises(ValueError, match="neither episodes nor annotated"):
        list(read_images(made.conversations(tmp_path / "talk")))
