"""A real vLLM with a tiny Qwen3-VL behind `hamster serve planner`: the same answers as from transformers.

Skipped unless HAMSTER_VLLM names an interpreter that has vLLM: scripts/test_vllm.sh (make test-vllm) makes one.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re

import httpx
import numpy as np
import pytest
from openai import OpenAI
from PIL import Image

from hamster.bench.serve import served
from hamster.planner import load_planner
from hamster.planner.backend import Question, Sampling
from tests.planner.tiny import tiny

TIMEOUT_S = 1200
PYTHON = os.environ.get("HAMSTER_VLLM")
pytestmark = pytest.mark.skipif(not PYTHON, reason="HAMSTER_VLLM names no interpreter with vLLM; run make test-vllm")

# float32, so that the two agree on every token; eager, as compiling takes longer than all else.
ARGUMENTS = "--dtype float32 --max-model-len 2048 --max-num-seqs 4 --enforce-eager"
SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
REGEX = r"<ans>\[\(0\.[0-9]{2}, 0\.[0-9]{2}\)(, \(0\.[0-9]{2}, 0\.[0-9]{2}\)){1,3}\]</ans>"
# Sides that the model's processor leaves as they are: resizing differs in the last bit between libraries.
RGB = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tiny("qwen3_vl", tmp_path_factory.mktemp("qwen3_vl") / "tiny-qwen3-vl")
    video = json.loads((folder / "preprocessor_config.json").read_text())
    video["video_processor_type"] = "Qwen3VLVideoProcessor"
    del video["image_processor_type"]
    (folder / "video_preprocessor_config.json").write_text(
        json.dumps(video)
    )  # vLLM wants it, as published ones have it
    return folder


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        arguments = ["--model", str(folder), "--backend", "vllm", "--vllm-python", str(PYTHON)]
        with served([*arguments, f"--vllm-arguments={ARGUMENTS}", "--deadline-s", str(TIMEOUT_S)]) as url:
            yield url


@pytest.fixture(scope="module")
def here(folder):
    return load_planner(folder)


def messages(text: str) -> list:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    image = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": text}]
    return [{"role": "user", "content": parts}]


def ask(url: str, text: str, **more):
    client = OpenAI(base_url=url + "/v1", api_key="any", timeout=TIMEOUT_S)
    return client.chat.completions.create(
        model="tiny-qwen3-vl", messages=messages(text), temperature=0, max_tokens=24, **more
    )


@pytest.mark.parametrize("text", ["pick up the red cube", "where is the button?", "x"])
def test_greedy_answers_are_transformers_answers(url, here, text):
    expected = here.backend.answer([Question(RGB, text)], Sampling(24))[0][0]
    answer = ask(url, text)
    assert answer.choices[0].message.content == expected.text and len(expected.text) > 5
    assert answer.usage.prompt_tokens == expected.prompt_tokens


def test_constrained_answers_are_too(url, here):
    expected = here.backend.answer([Question(RGB, "go")], Sampling(200, grammar=REGEX))[0][0].text
    answer = ask(url, "go", extra_body={"structured_outputs": {"regex": REGEX}, "max_tokens": 200})
    assert re.fullmatch(REGEX, expected) and answer.choices[0].message.content == expected


def test_a_stream_says_the_same(url):
    whole = ask(url, "push the cup").choices[0].message.content
    chunks = list(ask(url, "push the cup", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert len(chunks) > 5


def test_the_path_is_the_same(url, here):
    image = messages("")[0]["content"][0]["image_url"]["url"]
    response = httpx.post(url + "/v1/plan", json={"image": image, "instruction": "pick up the cup"}, timeout=TIMEOUT_S)
    plan = here.plan(RGB, "pick up the cup")
    assert response.status_code == 200, response.text
    assert response.json()["path"]["uv"] == plan.path.uv.tolist() and response.json()["raw_text"] == plan.raw_text
    assert 0 <= response.json()["score"] <= 1  # another one: vLLM's log-probabilities are those after the grammar


def test_vllms_own_routes_are_not_there(url):
    for route in ("/v1/completions", "/v1/embeddings", "/tokenize", "/v1/load_lora_adapter", "/version", "/ping"):
        assert httpx.post(url + route, json={}).status_code == 404
    assert json.loads(httpx.get(url + "/health").content) == {"status": "ready"}
