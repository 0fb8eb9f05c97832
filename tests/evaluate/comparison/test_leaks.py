"""The checks for leaks find each kind of leak, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hamster.cli.app import main
from hamster.evaluate.comparison.episodes import Run, Runs
from hamster.evaluate.comparison.leaks import CHANCE, Check, check_chance, check_layouts, check_training_data
from hamster.evaluate.comparison.plan import Arm, Plan, PlannerTraining, PolicyTraining
from hamster.evaluate.comparison.stages import demonstration_labels, planner_folder, planner_labels, policy_folder
from hamster.identity import checkpoint_digest
from hamster.label.dataset import content_digest
from tests.evaluate.comparison.synthetic import write_folder
from tests.label_sets import write_manifest

FAMILIES = tuple(CHANCE)
PLAN = Plan(
    demonstrations="axes-demos:4",
    planners={"full": PlannerTraining("offdomain:8", 2, "offdomain:4"), "spare": PlannerTraining("offdomain:2", 2)},
    policies={
        "flow": PolicyTraining("flow"),
        "latent": PolicyTraining("flow-latent", options=("--model", "{planner}")),
        "co": PolicyTraining("mono", options=("--model", "{planner}", "--co-training-data", "{planner_labels}")),
    },
    arms={
        "A": Arm("flow", "flow", "full", seeds=2),
        "L": Arm("latent", "latent", "none"),
        "M": Arm("co-trained", "co", "none"),
        "X": Arm("not trained", "unknown", "spare", not_run="of another plan"),
    },
)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The label sets and the records of trainings of a finished comparison."""
    for folder, source in ((planner_labels(tmp_path, "full"), "offdomain:8"), (demonstration_labels(tmp_path), "")):
        write_labels(folder, source or PLAN.demonstrations)
    images, demos = content_digest(planner_labels(tmp_path, "full")), content_digest(demonstration_labels(tmp_path))
    model = planner_folder(tmp_path, "full")
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "calibration.json").write_text(json.dumps({"about": {"sources": ["offdomain:4"]}}))
    write_run(model.parent, {"start": None, "data labels/planner-full": f"{images} x 1", "config.steps": 2})
    for seed in range(2):
        write_run(policy_folder(tmp_path, "flow", seed), {"data": demos, "config.seed": seed})
    planner = {"planner weights": checkpoint_digest(model)}
    write_run(policy_folder(tmp_path, "latent", 0), {"data": demos, **planner})
    write_run(policy_folder(tmp_path, "co", 0), {"data": demos, "co-training data": images, **planner})
    return tmp_path


def write_labels(folder: Path, source: str, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shard").write_text(source)
    write_manifest(folder, "episodes", ["shard"])
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"sources": [source], "seed": seed}))


def write_run(folder: Path, identity: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"run": identity}))


def failed(checks: object) -> list[str]:
    return [check.subject for check in checks if not check.passed]  # type: ignore[attr-defined]


def test_trainings_on_the_label_sets_of_the_plan_pass(trained: Path) -> None:
    checks = list(check_training_data(PLAN, trained))
    assert failed(checks) == [] and len(checks) == 8
    assert Check("training data", "policy co, seed 0", "axes-demos:4, offdomain:8, planner full", True) in checks


def test_each_way_of_training_on_something_else_is_found(trained: Path) -> None:
    demos = content_digest(demonstration_labels(trained))
    flow, latent = policy_folder(trained, "flow", 1), policy_folder(trained, "latent", 0)
    kept = {folder: (folder / "run.json").read_text() for folder in (flow, latent)}
    images = content_digest(planner_labels(trained, "full"))
    for folder, identity, subject in (
        (flow, {"data": "0" * 64}, "policy flow, seed 1"),  # other data
        (flow, {"data": demos, "co-training data": images}, "policy flow, seed 1"),  # more data
        (flow, {}, "policy flow, seed 1"),  # no record
        (latent, {"data": demos, "planner weights": "0" * 64}, "policy latent, seed 0"),  # another planner
    ):
        write_run(folder, identity)
        assert failed(check_training_data(PLAN, trained)) == [subject]
        (folder / "run.json").write_text(kept[folder])


def test_of_a_planner_that_the_plan_did_not_train_no_leak_is_excluded(trained: Path) -> None:
    model = str(planner_folder(trained, "full"))
    plan = replace(PLAN, planners={"full": PlannerTraining("offdomain:8", 2, checkpoint=model)})
    checks = list(check_training_data(plan, trained))
    assert failed(checks) == ["planner full"] and len(checks) == 7
    assert Check("training data", "policy co, seed 0", "axes-demos:4, offdomain:8, planner full", True) in checks


def test_a_planner_that_saw_or_was_calibrated_on_the_tabletop_is_found(trained: Path) -> None:
    model = planner_folder(trained, "full")
    demos = content_digest(demonstration_labels(trained))
    images = content_digest(planner_labels(trained, "full"))
    write_run(model.parent, {"data a": f"{images} x 1", "data b": f"{demos} x 0.5"})
    assert failed(check_training_data(PLAN, trained)) == ["planner full"]
    for name in ("start", "tower", "whatever comes next"):
        write_run(model.parent, {"data a": f"{images} x 1", name: "0" * 64})
        assert failed(check_training_data(PLAN, trained)) == ["planner full"]
    write_run(model.parent, {"data a": f"{images} x 1"})
    (model / "calibration.json").write_text(json.dumps({"about": {"sources": ["tabletop-images:500"]}}))
    assert "calibration of planner full" in failed(check_training_data(PLAN, trained))


def test_label_sets_of_another_source_or_seed_are_found(trained: Path) -> None:
    write_labels(demonstration_labels(trained), PLAN.demonstrations, seed=1)
    assert failed(check_training_data(PLAN, trained)) == ["labels demonstrations"]
    write_labels(demonstration_labels(trained), "tabletop:4")
    assert "labels demonstrations" in failed(check_training_data(PLAN, trained))


def episodes(rates: dict[str, float], n: int, axes: tuple[str, ...] = ("basic", "visual")) -> Run:
    """n episodes of each axis and family, of which a share by family succeeds."""
    run = Run()
    for axis in axes:
        for family in FAMILIES:
            for i in range(n):
                layout = f"{axis}/{family}/{i}"
                record = {"success": i < round(rates[family] * n), "metrics": {"layout": layout}}
                run.records.setdefault(axis, {})[family, i] = record
    return run


def test_layouts_that_two_scenes_or_a_demonstration_share_are_found() -> None:
    runs: Runs = {"A": {0: episodes(CHANCE, 4)}, "B": {0: episodes(CHANCE, 4)}}  # the same scenes in both arms
    assert failed(check_layouts(runs, frozenset({"elsewhere"}))) == []
    assert failed(check_layouts(runs, frozenset({"basic/press/2"}))) == ["scenes with a demonstration's layout"]
    runs["B"][0].records["visual"]["press", 1]["metrics"]["layout"] = "visual/press/2"
    runs["A"][0].records["visual"]["press", 1]["metrics"]["layout"] = "visual/press/2"
    assert failed(check_layouts(runs, frozenset())) == ["scenes with another scene's layout"]
    del runs["A"][0].records["basic"]["press", 0]["metrics"], runs["B"][0].records["basic"]["press", 0]["metrics"]
    assert "scenes that record no layout" in failed(check_layouts(runs, frozenset()))
    assert failed(check_layouts({}, frozenset())) != []  # nothing was checked


def chance_plan(**options: object) -> Plan:
    return Plan(arms={"A": Arm("full", "flow", "full"), "C": replace(Arm("arm", "flow", "none"), **options)})  # type: ignore[arg-type]


def test_a_control_whose_interval_exceeds_chance_is_found() -> None:
    low = {"C": {0: episodes(dict.fromkeys(FAMILIES, 0.05), 60)}}
    assert failed(check_chance(low, chance_plan(control=True))) == []
    high = {"C": {0: episodes(dict.fromkeys(FAMILIES, 0.05) | {"press": 0.5}, 60)}}
    assert failed(check_chance(high, chance_plan(control=True))) == ["arm, press"]
    few = {"C": {0: episodes(dict.fromkeys(FAMILIES, 0.0), 2)}}  # too few episodes to exclude anything
    assert len(failed(check_chance(few, chance_plan(control=True)))) == 3
    assert failed(check_chance({}, chance_plan(control=True))) == ["arm"]
    assert list(check_chance(high, chance_plan())) == []  # an arm that may succeed


def test_a_blind_arm_may_guess_and_no_more() -> None:
    plan = chance_plan(withheld="blind")
    assert failed(check_chance({"C": {0: episodes(CHANCE, 24)}}, plan)) == []
    seeing = {"C": {0: episodes(CHANCE | {"knock": 0.8}, 24)}}
    assert "arm, knock" in failed(check_chance(seeing, plan))
    one_axis = {"C": {0: episodes(dict.fromkeys(FAMILIES, 0.0), 60, ("basic", "visual", "language"))}}
    for record in one_axis["C"][0].records["visual"].values():
        record["success"] = True
    assert "arm, visual" in failed(check_chance(one_axis, plan))


def test_guessing_rarely_looks_like_a_leak() -> None:
    rng, plan, n_false = np.random.default_rng(0), chance_plan(withheld="blind"), 0
    for _ in range(60):
        run = episodes(CHANCE, 24)
        for records in run.records.values():
            for (family, _), record in records.items():
                record["success"] = bool(rng.random() < CHANCE[family])
        n_false += bool(failed(check_chance({"C": {0: run}}, plan)))
    assert n_false <= 6


PLAN_FILE = """
demonstrations = "axes-demos:4"
[scenes]
axes = ["basic"]
[planners]
full = { source = "offdomain:8", steps = 2, calibration = "offdomain:4" }
[policies]
flow = { config = "flow" }
[arms]
A = { label = "with path", policy = "flow", condition = "full", seeds = 2 }
C = { label = "without path", policy = "flow", condition = "none", control = true }
"""


def test_the_command_prints_each_check_and_fails_where_one_does(trained: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("mujoco")
    file = trained / "plan.toml"
    file.write_text(PLAN_FILE)
    for arm, seed, successes in (("A", 0, [1] * 6), ("A", 1, [1] * 6), ("C", 0, [0] * 120)):
        folder = write_folder(trained / "evaluations" / arm / f"seed-{seed}" / "basic", "basic", successes)
        rollouts = folder / "rollouts.jsonl"
        records = [json.loads(line) for line in rollouts.read_text().splitlines()]
        for record in records:
            record["metrics"]["layout"] = f"{record['family']}/{record['seed']}"
        rollouts.write_text("".join(json.dumps(record) + "\n" for record in records))
    words = ["compare", "leaks", "--plan", str(file), "--out", str(trained)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "planner full" in printed and "without path, press" in printed and "NO" not in printed
    (policy_folder(trained, "flow", 1) / "run.json").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 1 and "no record" in capsys.readouterr().out
    file.write_text(PLAN_FILE.replace("axes-demos:4", "tabletop:4"))
    assert main(words) == 2 and "layouts are known of axes-demos:N alone" in capsys.readouterr().err
