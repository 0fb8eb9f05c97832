"""Scenes and commands of the axes: each a pure function of axis, family, seed and number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from hamster.sim.annotate import appearance, planned_path, segment
from hamster.sim.expert import execute, plan
from hamster.sim.language import Task, tasks
from hamster.sim.layout import image_layout, world_camera
from hamster.sim.scene import Command, Scene, Thing
from hamster.sim.tabletop.axes.factors import AXES, FAMILIES, TRAIN, Case, Factors, cases, changed, combine
from hamster.sim.tabletop.axes.looks import Involved, Look, choice, involved
from hamster.sim.tabletop.axes.surroundings import draw_camera, draw_lights, draw_surface
from hamster.sim.tabletop.axes.words import instruct
from hamster.sim.tabletop.sample import GAP_M, PALETTE, RECEIVERS, TOYS, can_fall, is_feasible, lay_out, turned
from hamster.sim.tabletop.shift import Shift, sample_shift, shifted
from hamster.sim.tasks import begin, is_success
from hamster.sim.world import World

CLUTTER_GAP_M = 0.012
VISIBLE = 0.6  # smallest visible share of the target among clutter
IMAGE_PX = 256
KNOCK_OTHERS = ("cube", "ball", "plate", "tile", "button")
EXPERT_FAILS = "expert fails"
REASONS = ("no room", "too few alternatives", "no phrase", "no free way", "no shift", EXPERT_FAILS)
"""Why a scene is drawn again: the things do not fit on the table; the task is impossible, or has fewer than three
targets (pick and place: two goals); no phrase of the record's kind fits its referent alone; what is knocked over would
hit something or is hidden; nothing can be shifted; the expert's path leaves the image, or the expert, executed, fails.
"""
LAYOUTS = 5000  # drawn before a case counts as impossible
COMBINED_LAYOUTS = 300  # drawn before another combination of cases is tried


@dataclass(frozen=True)
class Sample:
    """A scene of an axis with its command.

    Attributes:
        axis: its name.
        case: name of the case of the axis.
        factors: what it was drawn from.
        scene: the scene.
        command: the task.
        shift: what is shifted under way, if anything.
        rejected: number of scenes drawn before it, by one of `REASONS`.
    """

    axis: str
    case: str
    factors: Factors
    scene: Scene
    command: Command
    shift: Shift | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)


@lru_cache(maxsize=256)
def sample(axis: str, family: str, seed: int, number: int) -> Sample:
    """Return one scene of an axis; the expert, executed in it, succeeds (also from after a shift on).

    Args:
        axis: a key of `AXES`.
        family: of the task.
        seed: of the run.
        number: of the scene among those of this axis and family; its cases take turns.

    Raises:
        ValueError: if there is no such axis or family.
    """
    of_axis = cases(axis, family)
    case = of_axis[number % len(of_axis)]
    rng = scene_generator(axis, family, seed, number)
    rejected = Counter[str]()
    for _ in range(LAYOUTS):
        factors, scene, command = draw_case(rng, family, case, rejected)
        is_shifted = factors.shifts != TRAIN.shifts
        shift = sample_shift(rng, scene, command) if is_shifted else None
        if is_shifted and shift is None:
            rejected["no shift"] += 1
        elif all(expert_succeeds(s, command) for s in (scene, *([] if shift is None else [shifted(scene, shift)]))):
            return Sample(axis, case.name, factors, scene, command, shift, dict(rejected))
        else:
            rejected[EXPERT_FAILS] += 1
    raise RuntimeError(f"the expert failed in {LAYOUTS} scenes of axis {axis}, {case.name}, {family}")


def scene_generator(axis: str, family: str, seed: int, number: int) -> np.random.Generator:
    """Return the generator of a scene; arguments as of `sample`.

    Its last number is not 0: NumPy pads seeds with zeros, and shorter tuples are those of the demonstrations.
    """
    return np.random.default_rng((seed, number, list(AXES).index(axis), FAMILIES.index(family), 15))


def draw_case(
    rng: np.random.Generator, family: str, case: Case, rejected: Counter[str] | None = None
) -> tuple[Factors, Scene, Command]:
    """Draw a scene of a case, without executing the command; for "multiple", of a possible combination of cases.

    Args:
        rng: random generator.
        family: of the task.
        case: one of `factors.cases`.
        rejected: gets the number of scenes drawn before it, by reason.
    """
    rejected = Counter() if rejected is None else rejected
    if not case.axes:
        return case.factors, *draw(rng, family, case.factors, rejected=rejected)
    while True:  # some combinations leave too little room on the table
        factors = combine(choice(rng, cases(axis, family)).factors for axis in case.axes)
        drawn = None if factors is None else _draw(rng, family, factors, None, COMBINED_LAYOUTS, rejected)
        if factors is not None and drawn is not None:
            return factors, *drawn


def draw(
    rng: np.random.Generator,
    family: str,
    factors: Factors = TRAIN,
    pair: Involved | None = None,
    rejected: Counter[str] | None = None,
) -> tuple[Scene, Command]:
    """Draw a scene of a record and a command with one meaning, without executing it.

    Args:
        rng: random generator.
        family: of the task.
        factors: what may be drawn.
        pair: looks of target and goal; drawn if None.
        rejected: gets the number of scenes drawn before it, by reason.
    """
    drawn = _draw(rng, family, factors, pair, LAYOUTS, Counter() if rejected is None else rejected)
    if drawn is None:
        raise RuntimeError(f"no scene of the family {family} among {LAYOUTS} layouts")
    return drawn


def _draw(
    rng: np.random.Generator,
    family: str,
    factors: Factors,
    pair: Involved | None,
    tries: int,
    rejected: Counter[str],
) -> tuple[Scene, Command] | None:
    for _ in range(tries):
        about = involved(rng, family, factors) if pair is None else pair
        slot = "{goal}" if about.goal is not None and rng.random() < 0.5 else "{target}"
        looks = [about.target, *([about.goal] if about.goal else []), *_others(rng, family, about, factors, slot)]
        scene = _scene(rng, looks, factors)
        task = Task(family, "thing0", None if about.goal is None else "thing1")
        if scene is None:
            rejected["no room"] += 1
        elif not _has_rivals(scene, task):
            rejected["too few alternatives"] += 1
        elif (command := instruct(scene, task, rng, factors, slot)) is None:
            rejected["no phrase"] += 1
        elif not _is_free(scene, command, factors):
            rejected["no free way"] += 1
        else:
            return scene, command
    return None


def expert_succeeds(scene: Scene, command: Command) -> bool:
    """Return whether the expert's path is on the image and the expert, executed, carries out the command."""
    world = World(scene, IMAGE_PX)
    camera = world_camera(scene.cameras["front"], IMAGE_PX, IMAGE_PX)
    if planned_path(world, command, camera) is None:
        return False
    start = begin(world)
    execute(world, plan(world, command))
    return is_success(world, command, start)


def _others(rng: np.random.Generator, family: str, about: Involved, factors: Factors, slot: str) -> list[Look]:
    """Draw the looks of all other things: enough like the target or goal that only the instruction singles it out."""
    names, target, goal = changed(factors), about.target, about.goal
    looks = [target] if goal is None else [target, goal]
    is_spatial = "references" in names and not factors.facts
    if goal is not None:
        is_like_target = bool(names & {"kind_pairs", "colour_pairs"}) or target.colour not in PALETTE
        like_target = 2 if is_spatial and slot == "{target}" else int(is_like_target)
        like_goal = 2 if is_spatial and slot == "{goal}" else int("marks" in names or goal.colour not in PALETTE)
        kinds = [target.kind] * like_target
        kinds += [choice(rng, TOYS) for _ in range(2 - len(kinds) - (like_goal == 2))]
        kinds += [goal.kind] * like_goal + [choice(rng, RECEIVERS) for _ in range(1 - like_goal)]
    else:
        rival = "button" if family == "press" else "bottle"
        kinds = [target.kind, target.kind if is_spatial or family == "press" else rival]
        pool: tuple[str, ...] = (*TOYS, *RECEIVERS) if family == "press" else KNOCK_OTHERS
        kinds += [choice(rng, pool) for _ in range(2)]
    (count,) = factors.counts
    clutter = (*TOYS, "button") if family != "knock" else ("cube", "ball", "cylinder", "cup", "button")
    kinds += [choice(rng, clutter) for _ in range(count - len(looks) - len(kinds))]
    kinds += sorted(factors.extras)
    for kind in kinds:
        looks.append(_look(rng, kind, looks, factors, goal))
    return looks[1 if goal is None else 2 :]


def _look(rng: np.random.Generator, kind: str, taken: list[Look], factors: Factors, goal: Look | None) -> Look:
    """Draw colour and mark of a thing: two things of a kind never share a colour, two tiles never a mark.

    Only where a mark is held out, a second tile has the goal's colour, so that the mark alone singles it out.
    """
    names = changed(factors)
    colours: set[str] = set(PALETTE) - {look.colour for look in taken if look.kind == kind}
    if "single_colours" in names and kind == taken[0].kind:
        colours &= TRAIN.single_colours
    if "colour_pairs" in names and kind == taken[0].kind and goal is not None:
        colours = {colour for colour in colours if (colour, goal.colour) in TRAIN.colour_pairs} or colours
    if kind != "tile":
        return Look(kind, choice(rng, colours))
    mark = choice(rng, TRAIN.marks - {look.mark for look in taken})
    is_twin = "marks" in names and goal is not None and len([look for look in taken if look.kind == "tile"]) == 1
    return Look(kind, goal.colour if is_twin and goal else choice(rng, colours), mark)


def _scene(rng: np.random.Generator, looks: list[Look], factors: Factors) -> Scene | None:
    things = [turned(look.thing(f"thing{i}"), rng) for i, look in enumerate(looks)]
    order = [things[i] for i in rng.permutation(len(things))]  # places do not tell which thing is the target
    scene = lay_out(order, rng, CLUTTER_GAP_M if "counts" in changed(factors) else GAP_M)
    if scene is None:
        return None
    names = changed(factors)
    if "surfaces" in names:
        scene = replace(scene, table=draw_surface(rng, choice(rng, factors.surfaces)), floor=draw_surface(rng, "plain"))
    if "lights" in names:
        scene = replace(scene, lights=draw_lights(rng, choice(rng, factors.lights)))
    if "azimuths_deg" in names:
        camera = draw_camera(rng, choice(rng, factors.azimuths_deg))
        scene = replace(scene, cameras={**scene.cameras, "front": camera})
    return scene


def _has_rivals(scene: Scene, task: Task) -> bool:
    """Return whether the task is possible, among three targets or more, and in pick and place two goals."""
    possible = [other for other in tasks(scene) if other.family == task.family]
    n_targets, n_goals = len({t.target for t in possible}), len({t.goal for t in possible})
    pairs = len(possible)
    return task in possible and (n_targets >= 3 or pairs >= 6) and (task.goal is None or n_goals >= 2)


def _is_free(scene: Scene, command: Command, factors: Factors) -> bool:
    if factors.counts == TRAIN.counts:
        return is_feasible(scene, command)
    target = scene.thing(command.target)
    if command.family == "knock" and not can_fall(scene, target):
        return False
    return _visible_share(scene, target) >= VISIBLE


def _visible_share(scene: Scene, thing: Thing) -> float:
    world = World(scene, IMAGE_PX)
    try:
        names = [other.name for other in scene.things]
        _, visible = appearance(segment(world, "front"), image_layout(scene), names)
    finally:
        world.close()
    return visible.get(thing.name, 0.0)
