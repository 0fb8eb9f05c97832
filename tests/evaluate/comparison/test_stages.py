from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from hamster.cli.app import main
from hamster.evaluate.comparison import ledger
from hamster.evaluate.comparison.plan import Arm, Plan, Scenes, Statistics
from hamster.evaluate.comparison.plan_file import read_plan
from hamster.evaluate.comparison.report import write_report
from hamster.evaluate.comparison.stages import (
    Command,
    evaluate_plan,
    needed_planners,
    planner_checkpoint,
    planner_commands,
    policy_commands,
    result_folders,
    run_commands,
)
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.run import evaluate_config
from hamster.sim.tabletop.axes.seeds import TEST
from hamster.stopped import RunStoppedError
from tests.evaluate.fakes import load_worker

pytest.importorskip("torch")
PLAN = Path(__file__).parents[3] / "runs" / "headline.toml"
TINY = Plan(
    Scenes(("basic", "visual"), (), 6, 3),
    Statistics(permutations=200, resamples=100),
    arms={"A": Arm("expert", "nano", "oracle"), "B": Arm("no path", "nano", "none")},
    contrasts=(("A", "B"),),
)


def numbers(plan: Plan, out: Path) -> str:
    """Return the report of the folders there, without its times."""
    write_report(result_folders(plan, out), out / "report", plan)
    content = json.loads((out / "report" / "report.json").read_text())
    return json.dumps({name: value for name, value in content.items() if name != "meta"})


def test_a_table_that_was_stopped_and_continued_is_the_same_table(tmp_path):
    def stopping(records, n_done, n_all):
        yield from islice(records, 5)
        raise KeyboardInterrupt

    evaluate_plan(TINY, tmp_path / "whole", 1, load_worker=load_worker)
    with pytest.raises(KeyboardInterrupt):
        evaluate_plan(TINY, tmp_path / "stopped", 1, stopping, load_worker)
    evaluate_plan(TINY, tmp_path / "stopped", 1, load_worker=load_worker)
    assert numbers(TINY, tmp_path / "whole") == numbers(TINY, tmp_path / "stopped")
    assert json.loads(numbers(TINY, tmp_path / "whole"))["rates"]["A"]["mean"]["n_scenes"] == 12


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_two_processes_of_either_engine_make_the_same_table_as_one(engine, tmp_path):
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is an extra: the extra `ray`")
    evaluate_plan(TINY, tmp_path / "one", 1, load_worker=load_worker)
    evaluate_plan(TINY, tmp_path / "two", 2, load_worker=load_worker, engine=engine)
    assert numbers(TINY, tmp_path / "one") == numbers(TINY, tmp_path / "two")
    assert json.loads(numbers(TINY, tmp_path / "two"))["rates"]["A"]["mean"]["n_scenes"] == 12


@pytest.mark.parametrize(("half_width", "n"), [(0.9, 12), (0.001, 24)])
def test_a_run_stops_after_the_block_that_decides_all_contrasts(half_width, n, tmp_path):
    statistics = replace(TINY.statistics, stop_early=True, half_width=half_width)
    plan = replace(TINY, scenes=Scenes(("basic",), (), 24, 12), statistics=statistics)
    evaluate_plan(plan, tmp_path, 1, load_worker=load_worker)
    for folder in result_folders(plan, tmp_path):
        assert len((folder.path / "rollouts.jsonl").read_text().splitlines()) == n


def test_the_stages_take_planners_policies_and_training_seeds_from_the_plan(tmp_path):
    plan = read_plan(PLAN)
    names = [command.name for command in planner_commands(plan, tmp_path)]
    steps = {
        name: ["labels", "training", *([] if name == "demonstrations" else ["calibration"])] for name in plan.planners
    }
    assert names == [f"planner-{name}-{step}" for name in plan.planners for step in steps[name]]
    commands = {command.name: " ".join(command.words) for command in policy_commands(plan, tmp_path)}
    assert {"demonstrations", "policy-flow-0", "policy-flow-2", "policy-mono-co-2", "policy-latent-1"} <= set(commands)
    assert "policy-flow-3" not in commands and "--conditioners overlay" in commands["policy-overlay-2"]
    core = read_plan(PLAN, "core")
    assert set(needed_planners(core)) == {"full"} and core.arms["C5"].per_axis == plan.arms["C5"].per_axis == 72
    assert not {"policy-overlay-0", "policy-flow-depth-0"} & {c.name for c in policy_commands(core, tmp_path)}
    assert f"--co-training-data {tmp_path}/labels/planner-full" in commands["policy-mono-co-0"]
    assert f"--model {tmp_path}/planners/full/model" in commands["policy-latent-0"]


def test_a_planner_that_is_trained_already_is_taken_as_it_is(tmp_path):
    plan = read_plan(PLAN, "bundled")
    assert list(planner_commands(plan, tmp_path)) == []
    commands = {command.name: " ".join(command.words) for command in policy_commands(plan, tmp_path)}
    assert "--model nano-relations" in commands["policy-latent-0"]
    assert planner_checkpoint(plan, tmp_path, "full") == "nano-relations"
    co_trained = replace(plan, arms={"B3": read_plan(PLAN).arms["B3"]})
    assert [command.name for command in planner_commands(co_trained, tmp_path)] == ["planner-full-labels"]


@pytest.mark.parametrize("scale", ["", "core", "bundled", "smoke"])
def test_every_command_of_the_stages_is_accepted(scale, tmp_path):
    from hamster.cli.app import parse

    plan = read_plan(PLAN, scale)
    for command in (*planner_commands(plan, tmp_path), *policy_commands(plan, tmp_path)):
        parse(command.words[command.words.index("hamster") + 1 :])


def test_every_policy_of_the_plan_has_a_configuration():
    presets = pytest.importorskip("hamster.policy.training.presets")
    assert {policy.config for policy in read_plan(PLAN).policies.values()} <= set(presets.PRESETS)


def test_finished_commands_are_skipped_failed_ones_stop_and_changed_ones_are_refused(tmp_path, capsys):
    file = tmp_path / "n"
    count = Command("count", ("-c", f"open({str(file)!r}, 'a').write('x')"))
    for _ in range(2):
        run_commands([count], tmp_path)
    assert file.read_text() == "x" and re.search(r"count: \d+ s", capsys.readouterr().out)
    with pytest.raises(RunStoppedError, match="exit code 3; run the same command again"):
        run_commands([count, Command("fail", ("-c", "raise SystemExit(3)"))], tmp_path)
    with pytest.raises(ValueError, match="made by another command"):
        run_commands([Command("count", ("-c", "pass"))], tmp_path)
    assert sys.executable not in (tmp_path / "done" / "count").read_text()  # the interpreter may move


def test_commands_at_once_run_together_with_one_thread_each_and_none_starts_after_a_failure(tmp_path, capsys):
    # Both wait for what the other writes, so that one after the other they would never end.
    wait = """
import os, pathlib, time
pathlib.Path({mine!r}).write_text(os.environ["OMP_NUM_THREADS"])
while not os.path.exists({other!r}): time.sleep(0.01)
print("met")
"""
    files = tmp_path / "a", tmp_path / "b"
    pair = [
        Command(mine.name, ("-c", wait.format(mine=str(mine), other=str(other))))
        for mine, other in (files, reversed(files))
    ]
    run_commands(pair, tmp_path, at_once=2)
    assert [file.read_text() for file in files] == ["1", "1"]
    assert (tmp_path / "logs" / "a.log").read_text() == "met\n" and "[2/2]" in capsys.readouterr().out
    late = tmp_path / "late"
    failing = [Command(name, ("-c", "raise SystemExit(3)")) for name in ("fail", "too")]
    with pytest.raises(RunStoppedError, match=r"exit code 3 \(.*fail.log\)|exit code 3 \(.*too.log\)"):
        run_commands([*failing, Command("late", ("-c", f"open({str(late)!r}, 'w')"))], tmp_path, at_once=2)
    assert not late.exists() and not (tmp_path / "done" / "late").exists()


def test_test_seeds_are_refused_in_one_line_unless_the_script_reads_them(tmp_path, capsys):
    words = ["eval", "--suite", "axes-basic", "--seed", str(TEST[0]), "--episodes", "3", "--planner", "none"]
    assert main([*words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "is a test seed, which runs/headline.sh alone reads" in error and error.count("\n") == 1
    config = EvalConfig(tmp_path, "axes-basic", ("none",), episodes=3, seed=TEST[0], workers=1, videos=False)
    with pytest.raises(ValueError, match="test seed"):
        evaluate_config(config, load_worker=load_worker)
    assert not (tmp_path / "rollouts.jsonl").exists()
    evaluate_config(replace(config, allow_test_seeds=True), load_worker=load_worker)
    assert (tmp_path / "rollouts.jsonl").exists()


def test_the_ledger_has_a_line_for_each_run_and_none_for_a_continued_one(tmp_path, monkeypatch):
    commit = "c" * 40
    monkeypatch.setattr(ledger, "git_commit", lambda: commit)
    file, plan = tmp_path / "a.ledger", replace(TINY, scenes=replace(TINY.scenes, seed=TEST[0]))
    ledger.enter_run(TINY, file, tmp_path / "one")
    assert ledger.n_runs(file) == 0 and not file.exists()  # development seeds
    ledger.enter_run(plan, file, tmp_path / "one")
    commit += "+dirty"  # by the line itself
    ledger.enter_run(plan, file, tmp_path / "one")
    assert ledger.n_runs(file) == 1
    with pytest.raises(ValueError, match="only read from a commit"):
        ledger.enter_run(plan, file, tmp_path / "two")
    commit = "d" * 40
    ledger.enter_run(plan, file, tmp_path / "two")
    assert ledger.n_runs(file) == 2 and file.read_text().splitlines()[-1].endswith(f"{'d' * 40}\t{TEST[0]}\tA B")
