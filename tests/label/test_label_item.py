from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, View
from hamster.label.label_item import Options, label_item
from hamster.label.method import Skipped
from tests.label.made import image


def episode(*instructions):
    seen = [Observation({"front": View(np.zeros((8, 8, 3), np.uint8))}, None, None, t / 10) for t in range(3)]
    return Episode(instructions, seen, Provenance("test:", "e.mp4"))


@pytest.mark.parametrize("instructions", [(), ("",), (" ", "\n")])
def test_an_episode_without_words_has_no_label(instructions):
    labelled = label_item(episode(*instructions), Options())
    assert isinstance(labelled, Skipped) and labelled.file == "e.mp4" and "instruction" in labelled.reason


def test_nor_has_an_image():
    silent = replace(image(3), annotations=[replace(image(3).annotations[0], instruction=" ")])
    assert isinstance(label_item(silent, Options()), Skipped)


def test_an_image_says_how_its_paths_came_about():
    planned = label_item(image(3), Options()).provenance.extra
    assert planned["how"]["method"] == "simulation" and planned["how"]["tool"] == "hamster" and planned["i"] == 3
    read = replace(image(3), provenance=Provenance("trace:", extra={"dialect": "hamster"}))
    assert label_item(read, Options()).provenance.extra["how"]["method"] == "text"
    known = replace(image(3), provenance=Provenance("sketch:", extra={"how": {"method": "stroke"}}))
    assert label_item(known, Options()) is known
