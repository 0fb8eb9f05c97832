"""Episodes of several result folders, by arm, training seed, axis and scene."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hamster.evaluate.journal import Record, read_identity, read_records
from hamster.evaluate.suites import registered_name
from hamster.evaluate.trials import short_name
from hamster.rollout.result import UNMEASURED

SceneKey = tuple[str, int]
"""(task family, seed of the scene)."""
AXES_SUITE = "axes"


@dataclass(frozen=True)
class Folder:
    """A result folder of `hamster eval` on the command line: DIR, ARM=DIR or ARM@SEED=DIR.

    Attributes:
        path: of the folder.
        arm: name of the arm; "" for the policy's and the condition's.
        seed: training seed of the policy.
    """

    path: Path
    arm: str = ""
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Folder:
        """Return what a word on the command line says.

        >>> Folder.parse("mono@2=out/b2")
        Folder(path=PosixPath('out/b2'), arm='mono', seed=2)
        """
        name, equals, path = text.rpartition("=")
        arm, at, seed = name.partition("@")
        if (equals and not arm) or (at and not (seed.isascii() and seed.isdigit())):
            raise ValueError(f"{text!r} must be DIR, ARM=DIR or ARM@SEED=DIR with a training seed such as 0")
        return cls(Path(path), arm, int(seed) if at else 0)


@dataclass(frozen=True)
class Run:
    """The episodes of one arm and training seed.

    Attributes:
        records: by axis, then by scene, in the order of the scenes.
        folders: of each axis, for pictures.
        infos: the "meta" of each folder's eval_info.json, where there is one.
        policy: name or folder of the policy.
    """

    records: dict[str, dict[SceneKey, Record]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    infos: list[Mapping[str, Any]] = field(default_factory=list)
    policy: str = ""


Runs = dict[str, dict[int, Run]]
"""By arm and training seed."""


def read_runs(folders: Sequence[Folder]) -> Runs:
    """Read result folders.

    Raises:
        ValueError: if a folder holds no episodes, a record is damaged, or two folders hold the same arm, training seed
            and scene.
    """
    runs: Runs = {}
    for folder in folders:
        records = list(read_records(folder.path / "rollouts.jsonl").values())
        if not records:
            raise ValueError(
                f"no episodes in {folder.path}: name result folders of `hamster eval`, with rollouts.jsonl"
            )
        identity = read_identity(folder.path)
        several, touched = len({record.get("condition") for record in records}) > 1, dict[str, Run]()
        for record in records:
            _check(record, folder.path)
            arm = folder.arm or short_name(str(identity.get("policy", folder.path.name)))
            if several or not folder.arm:
                arm += f", {short_name(record['condition'])}"
            run = runs.setdefault(arm, {}).setdefault(folder.seed, Run(policy=str(identity.get("policy", ""))))
            _add(run, record, folder, str(identity.get("suite", folder.path.name)), arm)
            touched[arm] = run
        if info := _meta(folder.path):
            for run in touched.values():
                run.infos.append(info)
    return {arm: dict(sorted(by_seed.items())) for arm, by_seed in runs.items()}


def _add(run: Run, record: Record, folder: Folder, suite: str, arm: str) -> None:
    axis, family = axis_and_family(suite, record["family"])
    scenes = run.records.setdefault(axis, {})
    key = (family, record["seed"])
    if key in scenes:
        raise ValueError(
            f"{folder.path} and {run.folders[axis]} both hold training seed {folder.seed} of {arm!r} on {axis}: tell "
            "them apart as ARM@SEED=DIR"
        )
    run.folders.setdefault(axis, folder.path)
    scenes[key] = record


def axis_and_family(suite: str, family: str) -> tuple[str, str]:
    """Return the axis of an episode, which is the suite's name for suites without axes, and its task family.

    What the suite withholds does not count: it is a property of the arm.

    >>> axis_and_family("axes-basic+blind", "press"), axis_and_family("axes", "basic/press")
    (('basic', 'press'), ('basic', 'press'))
    """
    suite = registered_name(suite)
    if suite == AXES_SUITE and "/" in family:
        axis, _, family = family.partition("/")
        return axis, family
    return suite.removeprefix(f"{AXES_SUITE}-"), family


def _check(record: Record, folder: Path) -> None:
    kinds = {"condition": str, "family": str, "seed": int, "scene": int, "success": bool, "outcome": str}
    for name, kind in kinds.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{folder / 'rollouts.jsonl'}: {name!r} of {record['key']!r:.60} must be {kind.__name__}")
    if not isinstance(record.get("metrics", {}), dict):
        raise ValueError(f"{folder / 'rollouts.jsonl'}: 'metrics' of {record['key']!r:.60} must be an object")
    if record["outcome"] in UNMEASURED:
        raise ValueError(f"{folder / 'rollouts.jsonl'}: {record['key']!r:.60} was not measured")


def _meta(folder: Path) -> Mapping[str, Any]:
    try:
        meta = json.loads((folder / "eval_info.json").read_text())["meta"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return meta if isinstance(meta, dict) else {}
