import json

import pytest

from hamster.benchmarks import planner as bench
from hamster.cli import main
from hamster.planner import load_planner
from hamster.planner.backend import Completion


@pytest.fixture
def quick(monkeypatch):
    whole = bench.bench_planner
    monkeypatch.setattr(
        "hamster.cli.show_bench_planner.bench_planner", lambda planner: whole(planner, (1, 2), repeats=2, seconds=0.0)
    )
    turns = bench.grammar_cost
    monkeypatch.setattr(bench, "grammar_cost", lambda *about: turns(*about, turns=1))


def test_json_is_one_line_with_the_published_keys(quick, tmp_path, capsys):
    assert main(["bench", "planner", "--json", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert out.count("\n") == 1 and record["model"] == "nano" and record["prompt_tokens"] > 256 and record["tokens"] > 3
    assert record["first_token_ms"] > 0 and 0 < record["p50_ms"] <= record["p95_ms"] <= record["p99_ms"]
    assert set(record["paths_per_s"]) == {"1", "2"} and min(record["paths_per_s"].values()) > 0
    assert record["memory_mb"] > 50 and record["hardware"]["cores"] >= 1
    grammar = record["grammar"]
    assert 0 < grammar["free_ms"] < grammar["bound_ms"]
    assert grammar["cost"] == pytest.approx(grammar["bound_ms"] / grammar["free_ms"] - 1, abs=0.01)
    assert "run" in json.loads((tmp_path / "bench_planner.json").read_text())


def test_the_table_says_what_was_measured(quick, tmp_path, capsys):
    assert main(["bench", "planner", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("paths per second", "first token", "p99", "grammar", "memory"))


def test_a_model_behind_an_endpoint_is_timed_otherwise():
    class Elsewhere:
        name = "elsewhere"

        def generate(self, requests, sampling, on_token=None):
            return [[Completion("")] for _ in requests]

    from dataclasses import replace

    with pytest.raises(ValueError, match="bench serve"):
        next(bench.bench_planner(replace(load_planner("nano"), backend=Elsewhere())))
