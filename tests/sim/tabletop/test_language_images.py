from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hamster.sim.language import OFFDOMAIN, TABLETOP
from hamster.sim.language.paraphrases import RULES
from hamster.sim.offdomain.overlap import can_say
from hamster.sim.tabletop import TabletopLanguage
from hamster.sim.tabletop.language_images import FAMILIES, ROWS

N = 2 * len(ROWS)
LOWER = [
    replace(grammar, rules={name: tuple(map(str.lower, texts)) for name, texts in grammar.rules.items()})
    for grammar in (OFFDOMAIN, TABLETOP)
]


@pytest.fixture(scope="module")
def images():
    return list(TabletopLanguage(N, seed=9))


def test_rows_and_families_take_turns(images) -> None:
    assert [image.provenance.extra["row"] for image in images] == [*ROWS, *ROWS]
    assert [image.annotations[0].task for image in images] == [FAMILIES[0]] * len(ROWS) + [FAMILIES[1]] * len(ROWS)


def test_each_image_asks_for_one_of_three_alike(images) -> None:
    for image in images:
        (annotation,) = image.annotations
        kinds = [thing.kind for thing in image.objects]
        assert kinds[annotation.target] == kinds[0] == kinds[1] == kinds[2] and annotation.target < 3
        assert len({image.objects[i].colour for i in range(3)}) == 3


def test_what_is_asked_for_is_where_the_words_say(images) -> None:
    """Read from the picture alone: masks, not the layout that the words were made from."""
    checked = 0
    for image in images:
        row, (annotation,) = image.provenance.extra["row"], image.annotations
        columns = [_middle(image.segmentation == i, 1) for i in range(3)]
        rows = [_middle(image.segmentation == i, 0) for i in range(3)]
        expected = {
            "leftmost": np.argmin(columns), "rightmost": np.argmax(columns), "middle": np.argsort(columns)[1],
            "second from the left or right": np.argsort(columns)[1], "nearest": np.argmax(rows),
            "farthest": np.argmin(rows),
        }.get(row)  # fmt: skip
        if expected is not None and not any(word in annotation.instruction for word in ("thing", "object")):
            assert annotation.target == expected, (row, annotation.instruction)
            checked += 1
    assert checked >= 10


def test_an_image_depends_on_the_seed_and_its_number_alone(images) -> None:
    again = TabletopLanguage(500, seed=9)[7]
    assert np.array_equal(again.view.rgb, images[7].view.rgb)
    assert again.annotations[0].instruction == images[7].annotations[0].instruction


def test_paraphrases_have_known_words_and_unknown_sentences() -> None:
    spoken = [text for rules in (OFFDOMAIN.rules, OFFDOMAIN.patterns) for texts in rules.values() for text in texts]
    known = {word for text in spoken for word in _plain(text).split()}
    sentences = {_plain(text) for name, texts in RULES.items() if name.startswith("say") for text in texts}
    assert len(sentences) >= 60
    assert {word for text in sentences for word in text.split() if word[0] not in "<{"} <= known
    asked = {text.replace("<loc>", loc) for text in sentences for loc in ("in", "inside", "on", "on top of")}
    assert not [text for text in asked if _is_taught(text)] and _is_taught("put {target} on {goal}")


def _is_taught(text: str) -> bool:
    """Return whether a grammar generates the sentence, in any case of letters."""
    words = tuple(text.split())
    return any(
        can_say(grammar, words, family, inside) for grammar in LOWER for family in FAMILIES for inside in (False, True)
    )


def _plain(text: str) -> str:
    return text.lower().rpartition("*")[2].strip()


def _middle(mask: np.ndarray, axis: int) -> float:
    places = np.nonzero(mask)[axis]
    return float(places.min() + places.max()) / 2
