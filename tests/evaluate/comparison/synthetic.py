"""Result folders of made-up evaluations on the axes, as `hamster eval` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hamster.evaluate.comparison.episodes import Folder

FAMILIES = ("pick_place", "press", "knock")
FAILURES = ("wrong object", "wrong goal", "not followed", "wrong execution")


def write_folder(folder: Path, axis: str, successes, condition="nano", policy="flow") -> Path:
    """Write a folder with an episode for each success or failure, in the order of the scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for scene, success in enumerate(successes):
        success = bool(success)
        record = {
            "key": f"{scene:04d}-{condition}",
            "scene": scene,
            "condition": condition,
            "family": FAMILIES[scene % 3],
            "seed": 65536 * 7 + scene // 3,
            "instruction": f"put the <b>cube</b> number {scene} on the tile",
            "success": success,
            "outcome": "success" if success else "timeout",
            "wall_s": 0.5,
            "metrics": {
                "clean": success and scene % 5 != 0,
                "partial": 1.0 if success else 0.25 * (scene % 4),
                "failure": "" if success else FAILURES[scene % len(FAILURES)],
            },
        }
        lines.append(json.dumps(record))
    (folder / "rollouts.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "conditions.json").write_text(json.dumps({"suite": f"axes-{axis}", "policy": policy, "conditions": {}}))
    meta = {"seed": 7, "command": f"hamster eval --suite axes-{axis}", "git_commit": "0123456789abcdef"}
    (folder / "eval_info.json").write_text(json.dumps({"meta": meta}))
    return folder


def write_arm(out: Path, arm: str, rates: dict[str, float], seeds: int, n: int, between: float = 0.04) -> list[Folder]:
    """Write an arm's evaluations: success by axis with these rates, scenes of which some are harder for all arms."""
    folders = []
    for seed in range(seeds):
        for number, (axis, rate) in enumerate(rates.items()):
            hardness = np.random.default_rng([5, number]).normal(0, 0.2, n)
            rng = np.random.default_rng([seed, number, *arm.encode()])
            successes = rng.random(n) < np.clip(rate + hardness + rng.normal(0, between), 0, 1)
            path = write_folder(out / arm / str(seed) / axis, axis, successes)
            folders.append(Folder(path, arm, seed))
    return folders
