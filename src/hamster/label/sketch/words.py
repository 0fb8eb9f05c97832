"""Events of a drawing's steps from its instruction: which of them grasp at the tail and release at the tip."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from hamster.label.sketch.steps import Step

Kind = Literal["moves", "holds", "touches"]
Source = Literal["words", "arrows", "circles", "unclear"]

_VERBS: dict[Kind, str] = {
    # A thing is somewhere else afterwards, or turned, and is not held any more.
    "moves": "move put place bring take carry transfer set lay drop insert stack hang pack store return relocate shift "
    "drag deliver throw toss load unload remove pull open turn flip rotate twist pour tilt fold unfold plug unplug "
    "swap dump sort arrange deposit position hand stow unstack pass",
    "holds": "pick lift raise grasp grab grip hold fetch get",
    # The gripper touches it at most.
    "touches": "push slide knock press poke hit tap touch close shut wipe sweep clean point reach nudge kick roll "
    "switch draw write go approach scrub stir",
}
_NEXT = re.compile(
    r"[,;.!\n]|\b(?:and|then|finally|lastly|afterwards?|after that|next|first|second|third|at last|before)\b", re.I
)
_WORD = re.compile(r"[a-z']+", re.I)
_AGAIN = frozenset({"it", "them", "this", "that", "these", "those"})  # the same thing, so the same step
_NOWHERE = frozenset({"to", "toward", "towards", "left", "right", "up", "down", "forward", "back", "along", "over"})


def _forms(verb: str) -> Iterable[str]:
    stem = verb.removesuffix("e")
    yield from (verb, f"{verb}s", f"{verb}es", f"{stem}ing", f"{stem}ed", f"{verb}{verb[-1]}ing", f"{verb}{verb[-1]}ed")


_KINDS: dict[str, Kind] = {form: kind for kind, verbs in _VERBS.items() for v in verbs.split() for form in _forms(v)}


def with_events(steps: Sequence[Step], instruction: str) -> tuple[list[Step], Source]:
    """Return the steps with the grasps and releases that the instruction speaks of, and what says so.

    A step that moves a thing grasps it at the tail and lets go at the tip, one that picks it up keeps it, one that
    pushes or knocks does neither. Where the words say nothing, an arrow moves what is at its tail; where they speak of
    different things and of more or fewer steps than are drawn, only circles count ("unclear").
    """
    kinds = kinds_of(instruction)
    if len(kinds) != len(steps) and kinds:
        kinds = ["moves" if "moves" in kinds else kinds[0]] * len(steps) if _agree(kinds) else []
        if not kinds:
            return list(steps), "unclear"
    if not kinds:
        arrows = [_acting(step, "moves") if step.arrow else step for step in steps]
        return arrows, "arrows" if any(step.arrow for step in steps) else "circles"
    return [_acting(step, kind) for step, kind in zip(steps, kinds, strict=True)], "words"


def kinds_of(instruction: str) -> list[Kind]:
    """Return the kind of each part of an instruction with a verb of its own: "pick it up and put it there" is one."""
    kinds: list[Kind] = []
    for part in _NEXT.split(instruction):
        words = [word.lower() for word in _WORD.findall(part)]
        at = next((i for i, word in enumerate(words) if word in _KINDS), None)
        if at is None:
            continue
        rest = words[at + 1 :]
        kind = _KINDS[words[at]]
        if words[at].startswith("mov") and rest and rest[0] in _NOWHERE:  # "move to the left" moves nothing
            kind = "touches"
        if words[at].startswith("turn") and rest and {"on", "off"} & {rest[0], rest[-1]}:
            kind = "touches"
        if kinds and _AGAIN & set(rest[:2]):
            kinds[-1] = "moves" if "moves" in (kind, kinds[-1]) else kind
        else:
            kinds.append(kind)
    return kinds


def _agree(kinds: Sequence[Kind]) -> bool:
    return len(set(kinds)) == 1 or "touches" not in kinds


def _acting(step: Step, kind: Kind) -> Step:
    """Return a step of that kind; what is circled counts in any case."""
    return replace(step, grasps=step.grasps or kind != "touches", releases=step.releases or kind == "moves")
