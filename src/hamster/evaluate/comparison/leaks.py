"""Checks that no number of a comparison is due to a leak: training data, layouts, and arms that must fail."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.evaluate.comparison.episodes import Run, Runs
from hamster.evaluate.comparison.plan import Arm, Plan
from hamster.evaluate.comparison.stages import (
    SEED_OF_LABELS,
    demonstration_labels,
    is_for_co_training,
    needed_planners,
    planner_checkpoint,
    planner_folder,
    planner_labels,
    policy_folder,
)
from hamster.evaluate.statistics import clopper_pearson
from hamster.identity import checkpoint_digest, claimed
from hamster.label.dataset import content_digest, read_manifest
from hamster.planner.load import find_planner

CHANCE = {"pick_place": 1 / 6, "press": 1 / 3, "knock": 1 / 3}
"""Success by picking at random among the admissible targets of a scene: three, and two goals."""
DIGEST = re.compile(r"[0-9a-f]{64}( x .*)?")
"""A SHA-256, perhaps with the weight of a label set in a mixture."""
MARGIN = 0.05
"""By how much the upper end of a control's interval may exceed chance."""


@dataclass(frozen=True)
class Check:
    """The outcome of a check.

    Attributes:
        kind: "training data", "layouts" or "chance".
        subject: what was checked.
        finding: what was found, with the number of scenes.
        passed: whether that excludes a leak.
    """

    kind: str
    subject: str
    finding: str
    passed: bool


def check_training_data(plan: Plan, out: Path) -> Iterator[Check]:
    """Check that planners and policies were trained on the label sets of the plan and on no others.

    Digests are recomputed from the label sets and the planner's files; those of a training are in its run.json.

    Args:
        plan: the comparison.
        out: folder of its stages.
    """
    known = dict[str, str]()  # names of label sets and planners by digest
    planners = needed_planners(plan)
    for name, planner in planners.items():
        labels = planner_labels(out, name)
        if not planner.checkpoint or is_for_co_training(plan, name):
            known[content_digest(labels)] = planner.source
            yield _of_source(labels, planner.source)
        if planner.checkpoint:
            yield Check("training data", f"planner {name}", f"{planner.checkpoint}, not trained by this plan", False)
            continue
        yield _trained_on(f"planner {name}", planner_folder(out, name).parent, {planner.source}, known)
        yield _calibrated_on(name, planner_folder(out, name), planner.calibration)
    labels = demonstration_labels(out)
    known[content_digest(labels)] = plan.demonstrations
    yield _of_source(labels, plan.demonstrations)
    first = next(iter(plan.planners), "")
    if first in planners:
        known[checkpoint_digest(find_planner(planner_checkpoint(plan, out, first)))] = f"planner {first}"
    for name, n_seeds in _policy_seeds(plan).items():
        if name not in plan.policies:
            yield Check("training data", f"policy {name}", "not trained by this plan", False)
            continue
        options = plan.policies[name].options
        allowed = {plan.demonstrations}
        allowed |= {f"planner {first}"} if any("{planner}" in word for word in options) else set()
        allowed |= {plan.planners[first].source} if any("{planner_labels}" in word for word in options) else set()
        for seed in range(n_seeds):
            yield _trained_on(f"policy {name}, seed {seed}", policy_folder(out, name, seed), allowed, known)


def _policy_seeds(plan: Plan) -> dict[str, int]:
    seeds = Counter[str]()
    for arm in plan.arms_to_run.values():
        seeds[arm.policy] = max(seeds[arm.policy], arm.seeds)
    return dict(seeds)


def _of_source(labels: Path, source: str) -> Check:
    manifest = read_manifest(labels)
    sources, seed = manifest.get("sources", []), manifest.get("seed")
    finding, is_planned = f"{', '.join(sources)}, seed {seed}", sources == [source] and str(seed) == SEED_OF_LABELS
    return Check("training data", f"labels {labels.name}", finding, is_planned)


def _trained_on(subject: str, folder: Path, allowed: set[str], known: Mapping[str, str]) -> Check:
    """Check that a training's digests are exactly those of what it is allowed to have learned from."""
    digests = _digests(claimed(folder))
    learned_from = {known.get(digest, f"something else ({digest[:12]})") for digest in digests}
    return Check("training data", subject, ", ".join(sorted(learned_from)) or "no record", learned_from == allowed)


def _digests(identity: Mapping[str, Any]) -> list[str]:
    """Return every digest in the identity of a training but that of code: label sets, and weights that it began with.

    All of them, not a list of known names, so that whatever else a training may start from cannot escape.
    """
    texts = [value for name, value in identity.items() if name != "policy code" and isinstance(value, str)]
    return [text[:64] for text in texts if DIGEST.fullmatch(text)]


def _calibrated_on(name: str, folder: Path, source: str) -> Check:
    file = folder / "calibration.json"
    sources = json.loads(file.read_text())["about"]["sources"] if file.is_file() else []
    finding = ", ".join(sources) or "nothing"
    return Check("training data", f"calibration of planner {name}", finding, sources == ([source] if source else []))


def check_layouts(runs: Runs, demonstrated: frozenset[str]) -> Iterator[Check]:
    """Check that no evaluated scene has the layout of a demonstration or of another evaluated scene.

    Args:
        runs: episodes that record their scene's "layout" among their metrics.
        demonstrated: layouts of the demonstrations, see `hamster.sim.tabletop.axes.layouts`.
    """
    layouts = dict[tuple[str, str, int], str | None]()
    for by_seed in runs.values():
        for run in by_seed.values():
            for axis, records in run.records.items():
                layouts |= {(axis, *key): record.get("metrics", {}).get("layout") for key, record in records.items()}
    counts = Counter(layout for layout in layouts.values() if layout is not None)
    n_unknown = sum(layout is None for layout in layouts.values())
    yield _counted("that record no layout", n_unknown, len(layouts))
    yield _counted("with a demonstration's layout", sum(counts[layout] for layout in demonstrated), len(layouts))
    yield _counted("with another scene's layout", sum(n for n in counts.values() if n > 1), len(layouts))


def _counted(what: str, count: int, of: int) -> Check:
    return Check("layouts", f"scenes {what}", f"{count} of {of}", count == 0 and of > 0)


def check_chance(runs: Runs, plan: Plan) -> Iterator[Check]:
    """Check that arms that cannot know the task are no better than chance.

    The upper end of a control's 95 % interval has to lie below chance + `MARGIN` in each task family. An arm from which
    an input is withheld, and which may guess, must not be shown to be better than chance in any family or on any axis,
    at a level of 5 % over all of the arm's cells (Bonferroni).

    Args:
        runs: episodes by arm and training seed.
        plan: which of its arms are controls, and from which an input is withheld.
    """
    for name, arm in plan.arms_to_run.items():
        if (arm.control or arm.withheld) and name not in runs:
            yield Check("chance", arm.label, "no episodes", False)
        elif arm.control or arm.withheld:
            cells = _cells(runs[name])
            for cell, outcomes in cells.items():
                if arm.withheld or cell in CHANCE:
                    yield _below_chance(arm, cell, outcomes, len(cells))


def _cells(by_seed: Mapping[int, Run]) -> dict[str, list[tuple[str, bool]]]:
    """Return (family, success) of all episodes, by family, then by axis."""
    cells: dict[str, list[tuple[str, bool]]] = {family: [] for family in CHANCE}
    for run in by_seed.values():
        for axis, records in run.records.items():
            for (family, _), record in records.items():
                for cell in (family, axis):
                    cells.setdefault(cell, []).append((family, bool(record["success"])))
    return {cell: outcomes for cell, outcomes in cells.items() if outcomes}


def _below_chance(arm: Arm, cell: str, outcomes: list[tuple[str, bool]], n_cells: int) -> Check:
    n, k = len(outcomes), sum(success for _, success in outcomes)
    chance = sum(CHANCE[family] for family, _ in outcomes) / n
    low, high = clopper_pearson(k, n, 1 - 0.05 / n_cells if arm.withheld else 0.95)
    finding = f"{k} of {n}, {low:.0%} to {high:.0%}; chance {chance:.0%}"
    passed = low <= chance if arm.withheld else high < chance + MARGIN
    return Check("chance", f"{arm.label}, {cell.replace('_', ' ')}", finding, passed)
