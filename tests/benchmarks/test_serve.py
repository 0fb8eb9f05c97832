import asyncio
import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from hamster.benchmarks import serve as bench
from hamster.benchmarks.clients import Load, ask, metric
from hamster.cli import main
from tests.serving.planner.fakes import QUICK, FakeModel, plan_body, serving


@pytest.fixture(scope="module")
def url():
    with serving(FakeModel(token_s=0.005)) as (url, _, _):
        yield url


@pytest.fixture
def instead_of_a_process(monkeypatch, url):
    @contextmanager
    def served(arguments):
        assert list(arguments) == ["--model", "nano"]
        yield url

    monkeypatch.setattr(bench, "served", served)


def test_json_is_one_line_with_the_published_keys(instead_of_a_process, tmp_path, capsys):
    assert main(["bench", "serve", "--json", "--seconds", "0.3", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert out.count("\n") == 1 and list(record["clients"]) == ["1", "8", "64"]
    for level in record["clients"].values():
        assert level["errors"] == 0 and level["n"] > 0 and level["paths_per_s"] > 0
        assert 0 < level["p50_ms"] <= level["p95_ms"] <= level["p99_ms"] and level["first_token_ms"] > 0
    assert record["clients"]["1"]["mean_batch"] == 1 < record["clients"]["64"]["mean_batch"] <= QUICK.batch
    assert record["memory_mb"]["start"] > 10 and record["run"]["hardware"]["cores"] >= 1
    assert json.loads((tmp_path / "bench_serve.json").read_text()) == record


def test_people_get_a_table(instead_of_a_process, tmp_path, capsys):
    main(["bench", "serve", "--seconds", "0.1", "--out", str(tmp_path)])
    assert "64" in (out := capsys.readouterr().out) and "memory" in out


def test_what_is_not_answered_is_an_error():
    model = FakeModel(token_s=0.05)
    with serving(model, limits=replace(QUICK, queue=2)) as (url, _, _):
        load = asyncio.run(ask(f"{url}/v1/plan", json.dumps(plan_body()).encode(), 8, 0.5))
    assert load.errors == load.statuses[429] > 0 and load.statuses[200] == len(load.latencies_s) > 0
    lost = asyncio.run(ask(f"{url}/v1/plan", b"{}", 1, 0.05))
    assert lost.statuses[0] == lost.errors > 0 and lost.percentile_ms(50) is None


def test_no_path_is_an_answer(url):
    load = asyncio.run(ask(f"{url}/v1/plan", json.dumps(plan_body("absent")).encode(), 1, 0.1))
    assert load.errors == 0 and load.statuses[422] == len(load.latencies_s)


def test_percentiles_are_in_milliseconds():
    assert Load(latencies_s=[0.001 * i for i in range(101)]).percentile_ms(95) == 95


def test_metrics_are_read_by_the_start_of_their_lines():
    text = '# TYPE a counter\na_total{kind="x"} 2.0\na_total{kind="y"} 3\nb 1e3\n'
    assert metric(text, ["a_total", 'a_total{kind="y"}', "b", "c"]) == [5, 3, 1000, 0]


def test_seconds_are_positive(capsys, tmp_path):
    assert main(["bench", "serve", "--out", str(tmp_path), "--seconds", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_server_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr(bench.sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="did not start"), bench.served(["--model", "nonsense"]):
        pass
