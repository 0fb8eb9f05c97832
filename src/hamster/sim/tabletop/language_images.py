"""The tabletop with instructions in 18 ways of referring to one of three similar objects, a row of results each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hamster.data import AnnotatedImage, Provenance
from hamster.data.knowledge import Split
from hamster.sim.annotate import annotate
from hamster.sim.generated_images import GeneratedImages
from hamster.sim.language import TABLETOP, Grammar, tasks
from hamster.sim.language.paraphrases import RULES as PARAPHRASES
from hamster.sim.tabletop.sample import sample_alike
from hamster.sim.world import World

TRIES = 6  # instructions per scene, of which the first that fits the row is used
FAMILIES = ("pick_place", "press", "knock")
PATTERNS = {
    **TABLETOP.patterns,
    "ordinal": ("the <rank> <head> from the <side>",),
    "middle": ("the middle <head>", "the <head> in the middle"),
    "nearest_to": ("the <head> closest to <other>",),
    "between": ("the <head> between <other> and <another>",),
    "negated": ("the <head> that is not <colour>",),
    "neither": ("the <head> that is neither <colour> nor <shade>",),
    "contrast": ("and not", "rather than"),
    "picture_left": ("the <head> on the left side of the picture",),
    "picture_right": ("the <head> on the right side of the picture",),
    "robot_left": ("the <head> on the robot's left",),
    "robot_right": ("the <head> on the robot's right",),
    "robot_nearest": ("the <head> closest to the robot",),
    "fact_colour": ("the <head> that has the colour of <fact>",),
}


@dataclass(frozen=True)
class Row:
    """One way of reference.

    Attributes:
        way: name in `language.phrases.WAYS`.
        patterns: of phrases that it may use.
        must_say: words that the instruction must contain.
        rules: sentences that replace TABLETOP's.
        facts: split of `data.knowledge` that facts are from.
    """

    way: str
    patterns: tuple[str, ...] = ()
    must_say: str = ""
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Split = "images"

    @property
    def grammar(self) -> Grammar:
        """The tabletop's grammar with this way of reference only."""
        marks = {name: PATTERNS[name] for name in ("letter", "picture")}
        patterns = {**marks, **{name: PATTERNS[name] for name in self.patterns}}
        rules = {**TABLETOP.rules, **self.rules}
        return replace(
            TABLETOP, rules=rules, patterns=patterns, mix={self.way: 1.0}, complex_slots=("{target}",), facts=self.facts
        )


ROWS = {
    "plain": Row("plain"),
    "leftmost": Row("side extreme", ("leftmost",)),
    "rightmost": Row("side extreme", ("rightmost",)),
    "second from the left or right": Row("rank", ("ordinal",), "second"),
    "middle": Row("rank", ("middle",)),
    "nearest": Row("depth extreme", ("nearest",)),
    "farthest": Row("depth extreme", ("farthest",)),
    "left or right of": Row("side relation", ("left", "right")),
    "in front of or behind": Row("depth relation", ("front", "behind")),
    "next to or closest to": Row("near", ("near", "nearest_to")),
    "between": Row("between", ("between",)),
    "not": Row("negation", ("negated", "neither", "contrast", "leftmost", "rightmost", "nearest", "farthest")),
    "side of the picture": Row("side of the picture", ("picture_left", "picture_right")),
    "side of the robot": Row("side of the robot", ("robot_left", "robot_right", "robot_nearest")),
    "paraphrase": Row("plain", rules=PARAPHRASES),
    "fact, of images": Row("knowledge", ("fact_colour",)),
    "fact, of text alone": Row("knowledge", ("fact_colour",), facts="text"),
    "fact, never taught": Row("knowledge", ("fact_colour",), facts="never"),
}


class TabletopLanguage(GeneratedImages):
    """First images of `n` scenes with three things of a kind; rows in turn, and within a row the families.

    Each image has one instruction, and depends on the seed and its index alone. Guessing is right one time in three.
    """

    scheme = "tabletop-language"

    def __getitem__(self, index: int) -> AnnotatedImage:
        number, names = range(self.n)[index], list(ROWS)
        name, family = names[number % len(names)], FAMILIES[number // len(names) % len(FAMILIES)]
        rng = np.random.default_rng((self.seed, number))
        while (image := _draw(rng, family, ROWS[name])) is None:
            pass
        extra = {"seed": self.seed, "index": number, "row": name}
        return replace(image, provenance=Provenance(self.scheme, extra=extra))


def _draw(rng: np.random.Generator, family: str, row: Row) -> AnnotatedImage | None:
    scene = sample_alike(rng, family)
    alike = {thing.name for thing in scene.things if thing.kind == scene.things[0].kind}
    among = [task for task in tasks(scene) if task.family == family and task.target in alike]
    world = World(scene)
    try:
        image = annotate(world, rng, row.grammar, TRIES, among=among) if among else None
    finally:
        world.close()
    if image is None:
        return None
    fitting = [annotation for annotation in image.annotations if row.must_say in annotation.instruction.lower()]
    return replace(image, annotations=fitting[:1]) if fitting else None
