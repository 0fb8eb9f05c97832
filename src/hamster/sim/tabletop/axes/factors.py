"""What scenes may differ in, as data: one record for the demonstrations, and one for each case of an axis.

A record lists the values that the sampler may draw, factor by factor. The record of a case equals `TRAIN` except for
the factors that the axis holds out. The paper has seven axes of generalisation (Li et al. 2025, section 5); new
cameras, clutter and moved things are added here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import combinations

from hamster.data.knowledge import Split
from hamster.sim.offdomain.scenery import PATTERNS
from hamster.sim.tabletop.axes.solids import SOLIDS
from hamster.sim.tabletop.sample import PALETTE, RECEIVERS, TOYS
from hamster.sim.textures import LETTERS, PICTURES

FAMILIES = ("pick_place", "press", "knock")
Pair = tuple[str, str]

NEW_COLOURS = ("cyan", "brown", "white", "grey")
NEW_SURFACES = ("plaid", "marble", "tiles", "print")
NEW_TOYS = ("brick", "can", "candle", "egg", "mushroom", "stick")
NEW_RECEIVERS = ("book", "tray", "bin")
PRESSED_SOLIDS = ("square button",)
TOPPLING_SOLIDS = ("standing I", "standing T")
GRASPED_SOLIDS = tuple(kind for kind in SOLIDS if kind not in (*PRESSED_SOLIDS, *TOPPLING_SOLIDS))
UNINVOLVED = ("hammer", "egg", "mushroom", "book")
AZIMUTHS_DEG = (-50, -25, 25, 50)


@dataclass(frozen=True)
class Factors:
    """Values that the sampler may draw.

    A case that holds out kinds, colours or marks takes one of them for the target or the goal; the other has one of the
    demonstrations. Pairs constrain only those parts that the demonstrations know.

    Attributes:
        kinds: of target and goal.
        colours: of target and goal.
        marks: letters and pictures on tiles.
        kind_pairs: kinds of target and goal of pick and place.
        colour_pairs: colours of target and goal of pick and place.
        single_colours: colours of what is pressed or knocked over.
        frames: grammars whose sentence rules are used: "tabletop", "handwritten".
        references: ways of `language.phrases.WAYS` in which target or goal is referred to.
        facts: splits of `data.knowledge` whose facts describe the target or goal; empty where none does.
        surfaces: patterns of the table.
        lights: "lamps" (the two of the demonstrations), "dim", "bright", "tinted", "side" (one lamp with shadows).
        extras: kinds of further things that have no part in any task.
        counts: numbers of things, without the extras.
        azimuths_deg: of the camera "front", around the workspace; 0 is that of the demonstrations.
        shifts: whether target or goal is shifted to another place under way.
    """

    kinds: frozenset[str]
    colours: frozenset[str]
    marks: frozenset[str]
    kind_pairs: frozenset[Pair]
    colour_pairs: frozenset[Pair]
    single_colours: frozenset[str]
    frames: frozenset[str] = frozenset({"tabletop"})
    references: frozenset[str] = frozenset({"plain"})
    facts: frozenset[Split] = frozenset()
    surfaces: frozenset[str] = frozenset({"wood"})
    lights: frozenset[str] = frozenset({"lamps"})
    extras: frozenset[str] = frozenset()
    counts: frozenset[int] = frozenset({5})
    azimuths_deg: frozenset[int] = frozenset({0})
    shifts: frozenset[bool] = frozenset({False})


_KIND_PAIRS = frozenset((target, goal) for target in TOYS for goal in RECEIVERS if target != "ball" or goal == "bowl")
_NEW_KIND_PAIRS = frozenset({("cube", "tile"), ("cylinder", "bowl"), ("bottle", "plate"), ("cup", "bowl")})
_COLOUR_PAIRS = frozenset(
    (target, goal) for i, target in enumerate(PALETTE) for j, goal in enumerate(PALETTE) if (i + 2 * j) % 4 != 0
)
_NEW_COLOUR_PAIRS = frozenset((target, goal) for target in PALETTE for goal in PALETTE) - _COLOUR_PAIRS
_NEW_SINGLE_COLOURS = frozenset({"orange", "purple"})
_MARKS = frozenset({"A", "H", "T", "X", "star", "heart", "moon", "sun"})

TRAIN = Factors(
    kinds=frozenset({*TOYS, *RECEIVERS, "button"}),
    colours=frozenset(PALETTE),
    marks=_MARKS,
    kind_pairs=_KIND_PAIRS - _NEW_KIND_PAIRS,
    colour_pairs=_COLOUR_PAIRS,
    single_colours=frozenset(PALETTE) - _NEW_SINGLE_COLOURS,
)
"""What the demonstrations are drawn from."""


@dataclass(frozen=True)
class Case:
    """One way in which an axis departs from the demonstrations.

    Attributes:
        name: of the case.
        factors: what its scenes are drawn from.
        families: task families that have it.
        axes: for "multiple": the axes of which one case each is combined; then `factors` is not used.
    """

    name: str
    factors: Factors = TRAIN
    families: tuple[str, ...] = FAMILIES
    axes: tuple[str, ...] = ()


_PICK_PLACE = ("pick_place",)
_SPATIAL = {
    "side": ("side relation",),
    "depth": ("depth relation",),
    "near": ("near",),
    "extreme": ("side extreme", "depth extreme"),
    "rank": ("rank",),
    "between": ("between",),
}
_SINGLE: dict[str, tuple[Case, ...]] = {
    "basic": (Case("basic"),),
    "object-goal": (
        Case("kind pair", replace(TRAIN, kind_pairs=_NEW_KIND_PAIRS), _PICK_PLACE),
        Case("colour pair", replace(TRAIN, colour_pairs=_NEW_COLOUR_PAIRS), _PICK_PLACE),
        Case("single colour", replace(TRAIN, single_colours=_NEW_SINGLE_COLOURS), ("press", "knock")),
    ),
    "visual": (
        Case("table known", replace(TRAIN, surfaces=frozenset(PATTERNS))),
        Case("table new", replace(TRAIN, surfaces=frozenset(NEW_SURFACES))),
        Case("light", replace(TRAIN, lights=frozenset({"dim", "bright", "tinted", "side"}))),
        Case("distractors", replace(TRAIN, extras=frozenset(UNINVOLVED))),
    ),
    "language": (
        Case("L1 frames", replace(TRAIN, frames=frozenset({"handwritten"}))),
        Case("L2 facts", replace(TRAIN, references=frozenset({"knowledge"}), facts=frozenset[Split]({"text"}))),
    ),
    "spatial": tuple(
        Case(name, replace(TRAIN, references=frozenset(references))) for name, references in _SPATIAL.items()
    ),
    "novel-object": (
        Case("N1 shape", replace(TRAIN, kinds=frozenset({*NEW_TOYS, *NEW_RECEIVERS})), _PICK_PLACE),
        Case("N1 mark", replace(TRAIN, marks=frozenset({*LETTERS, *PICTURES}) - _MARKS - {"B", "S"}), _PICK_PLACE),
        Case("N1 shape", replace(TRAIN, kinds=frozenset({"tall button"})), ("press",)),
        Case("N1 shape", replace(TRAIN, kinds=frozenset({"tower", "candle"})), ("knock",)),
        Case("N1 colour", replace(TRAIN, colours=frozenset(NEW_COLOURS))),
    ),
}
AXES: dict[str, tuple[Case, ...]] = {
    **_SINGLE,
    "multiple": tuple(Case("+".join(names), axes=names) for names in combinations(list(_SINGLE)[1:], 3)),
    "new-camera": tuple(Case(f"{a:+d} deg", replace(TRAIN, azimuths_deg=frozenset({a}))) for a in AZIMUTHS_DEG),
    "clutter": (Case("clutter", replace(TRAIN, counts=frozenset({12}))),),
    "moved": (Case("moved", replace(TRAIN, shifts=frozenset({True}))),),
    "unseen-kinds": (
        Case("N2 shape", replace(TRAIN, kinds=frozenset(GRASPED_SOLIDS)), _PICK_PLACE),
        Case("N2 shape", replace(TRAIN, kinds=frozenset(PRESSED_SOLIDS)), ("press",)),
        Case("N2 shape", replace(TRAIN, kinds=frozenset(TOPPLING_SOLIDS)), ("knock",)),
    ),
    "unseen-facts": (
        Case("L3 facts", replace(TRAIN, references=frozenset({"knowledge"}), facts=frozenset[Split]({"never"}))),
    ),
}
"""The cases of each axis, dealt to its scenes in turn; new axes come last, since scenes are seeded by the position."""

# Pairs of factors that cannot both be held out in one scene: both decide the same word or the same thing.
_EXCLUSIVE = tuple(
    frozenset(pair)
    for pair in (
        ("kind_pairs", "kinds"),
        ("kind_pairs", "marks"),
        ("colour_pairs", "colours"),
        ("colour_pairs", "marks"),
        ("single_colours", "colours"),
        ("references", "marks"),
    )
)


def cases(axis: str, family: str) -> tuple[Case, ...]:
    """Return the cases of an axis that a task family has; ValueError if there is no such axis or family."""
    if axis not in AXES:
        raise ValueError(f"unknown axis {axis!r}; choose from {', '.join(AXES)}")
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r} of an axis; choose from {', '.join(FAMILIES)}")
    return tuple(case for case in AXES[axis] if family in case.families)


def changed(factors: Factors) -> frozenset[str]:
    """Return the names of the factors in which a record differs from `TRAIN`."""
    return frozenset(f.name for f in fields(Factors) if getattr(factors, f.name) != getattr(TRAIN, f.name))


def combine(records: Iterable[Factors]) -> Factors | None:
    """Return one record with what each of several holds out; None if two decide the same thing."""
    result = TRAIN
    for record in records:
        names, before = changed(record), changed(result)
        if names & before or any(pair <= names | before for pair in _EXCLUSIVE):
            return None
        result = replace(result, **{name: getattr(record, name) for name in names})
    return result
