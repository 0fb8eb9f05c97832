import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.benchmarks import policy as bench
from hamster.benchmarks.clock import cpu_ms
from hamster.benchmarks.flow import make_observation, measure_flow
from hamster.cli import main
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.config import FLOWMATCH
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.flow.model import FlowActor


def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "gemm_ms", lambda: 100.0)
    monkeypatch.setattr(bench, "measure_flow", lambda cameras: {"cpu_ms": 100.0 * cameras})
    monkeypatch.setattr("hamster.benchmarks.views.measure_views", lambda dtype: {"cpu_ms": 50.0, "peak_mb": 7.0})


def test_json_is_one_line_with_the_published_keys(monkeypatch, tmp_path, capsys):
    _measured(monkeypatch)
    assert main(["bench", "policy", "--json", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert out.count("\n") == 1 and record["gemm_ms"] == 100.0
    assert record["flow"] == {"cameras4": {"cpu_ms": 400.0, "gemms": 4.0}, "cameras2": {"cpu_ms": 200.0, "gemms": 2.0}}
    assert record["views"]["bf16"] == {"cpu_ms": 50.0, "gemms": 0.5, "peak_mb": 7.0}
    assert json.loads((tmp_path / "bench_policy.json").read_text())["gemm_ms"] == 100.0


def test_people_get_a_table(monkeypatch, tmp_path, capsys):
    _measured(monkeypatch)
    main(["bench", "policy", "--out", str(tmp_path)])
    assert "cameras4" in (out := capsys.readouterr().out) and "400" in out and "4.00" in out


def test_threads_are_as_many_as_before_afterwards(monkeypatch):
    _measured(monkeypatch)
    before = torch.get_num_threads()
    steps = bench.bench_policy()
    next(steps)
    assert torch.get_num_threads() == 1
    list(steps)
    assert torch.get_num_threads() == before


def test_cpu_time_does_not_count_waiting():
    assert cpu_ms(lambda: time.sleep(0.05), 1) < 25


def test_what_is_timed_has_the_published_sizes():
    torch.manual_seed(0)
    small = replace(FLOWMATCH, backbone="conv_stem", encoder_layers=2, visual_self_attention_layers=2, decoder_layers=1)
    actor = FlowActor(small).eval()
    observation = make_observation(FLOWMATCH.cameras, np.random.default_rng(0))
    words = " ".join("abc" for _ in range(99))
    inputs = FlowInputs.stack([actor.preprocess(ActorPolicy(actor).make_input(observation, None, words))])
    prompt, crops, images = actor.tokenize(inputs)
    assert len(crops) == 0 and len(images) == 4096 and images.valid.all()
    assert prompt.valid.sum() == 1 + 1 + 3 + 53  # query, robot, history, words; no path here
    counts = []
    for block in actor.encoder:
        block.register_forward_pre_hook(lambda _, args: counts.append(args[0].shape[1]))
    actor.encode(inputs)
    assert counts == [len(prompt) + 1024] * 2


def test_a_step_is_measured(monkeypatch):
    small = replace(FLOWMATCH, backbone="conv_stem", image_px=32, encoder_layers=1, decoder_layers=1)
    monkeypatch.setattr("hamster.benchmarks.flow.FLOWMATCH", small)
    assert measure_flow(2, n=1)["cpu_ms"] > 0
