"""A real vLLM behind `hamster serve planner`, with each tiny architecture: the same answers as from transformers.

Skipped unless HAMSTER_VLLM names an interpreter that has vLLM: scripts/test_vllm.sh (make test-vllm) makes one.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from openai import OpenAI
from PIL import Image

from hamster.benchmarks.serve import served
from hamster.planner import load_planner
from hamster.planner.backend import GenerationRequest, SamplingParams
from hamster.planner.families import family_of
from hamster.planner.prompts import PromptConfig, default_prompt
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner import ModelHandle, PlannerLimits
from tests.planner.tiny import TYPES, tiny
from tests.serving.planner.fakes import serving_as

TIMEOUT_S = 1200
PYTHON = os.environ.get("HAMSTER_VLLM")
pytestmark = pytest.mark.skipif(not PYTHON, reason="HAMSTER_VLLM names no interpreter with vLLM; run make test-vllm")

# What vLLM 0.32 itself cannot do on a CPU, in its own words where it has any.
UNABLE = {
    "qwen3_5": "'CPU GDN attention requires BF16.'; in bfloat16 'causal_conv1d_fwd_cpu: expect x to be transposed.'",
    "paligemma": "it says nothing, and answers token by token as transformers do where they read from left to right",
}
# float32, so that the two agree on every token; eager, as compiling takes longer than all else.
ARGUMENTS = "--max-model-len 2048 --max-num-seqs 4 --enforce-eager"
SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
REGEX = r"<ans>\[\(0\.[0-9]{2}, 0\.[0-9]{2}\)(, \(0\.[0-9]{2}, 0\.[0-9]{2}\)){1,3}\]</ans>"
WORDS = ("pick up the red cube", "where is the button?", "x")
# Sides that a model's processor leaves as they are, (H, W): resizing differs in the last bit between libraries.
SIDES = {"qwen2_5_vl": (84, 112), "smolvlm": (64, 64), "llava": (32, 32)}


@dataclass(frozen=True)
class Run:
    """One architecture, here and behind vLLM.

    Attributes:
        rgb: an image that it does not scale.
        here: by transformers, in this process.
        url: of our gateway, before vLLM.
    """

    folder: Path
    rgb: np.ndarray
    here: VlmPlanner
    url: str

    @property
    def picture(self) -> str:
        file = io.BytesIO()
        Image.fromarray(self.rgb).save(file, "PNG")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"

    def plan(self, url: str, text: str) -> dict:
        body = {"image": self.picture, "instruction": text}
        response = httpx.post(url + "/v1/plan", json=body, timeout=TIMEOUT_S)
        assert response.status_code == 200, response.text
        return response.json()

    def ask(self, url: str, text: str, **more):
        """By the official client, greedily."""
        parts = [{"type": "image_url", "image_url": {"url": self.picture}}, {"type": "text", "text": text}]
        client = OpenAI(base_url=url + "/v1", api_key="any", timeout=TIMEOUT_S)
        return client.chat.completions.create(
            model=self.folder.name, messages=[{"role": "user", "content": parts}], temperature=0,
            **{"max_tokens": 24, **more},
        )  # fmt: skip


@pytest.fixture(scope="module", params=TYPES)
def run(request, tmp_path_factory):
    if request.param in UNABLE:
        pytest.skip(f"vLLM: {UNABLE[request.param]}")
    folder = checkpoint(request.param, tmp_path_factory.mktemp(request.param) / f"tiny-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        arguments = ["--model", str(folder), "--backend", "vllm", "--vllm-python", str(PYTHON)]
        rgb = np.random.default_rng(0).integers(0, 255, (*SIDES.get(request.param, (96, 96)), 3), np.uint8)
        more = [f"--vllm-arguments={ARGUMENTS} --dtype float32", "--deadline-s", str(TIMEOUT_S)]
        with served([*arguments, *more]) as url:
            yield Run(folder, rgb, load_planner(folder, device="cpu", dtype="float32"), url)


@pytest.fixture(scope="module")
def near(run):
    """The address of our gateway before transformers."""
    with serving_as(
        ModelHandle(run.folder.name, run.here, run.here.backend, run.here.dialect), PlannerLimits(deadline_s=600)
    ) as url:
        yield url


def checkpoint(kind: str, folder: Path) -> Path:
    """One that was taught when to refuse, with the files that published ones have and vLLM wants."""
    tiny(kind, folder)
    PromptConfig(family_of(kind).dialect, default_prompt(family_of(kind).dialect, True), abstains=True).save(folder)
    video = json.loads((folder / "preprocessor_config.json").read_text())
    if "temporal_patch_size" in video:
        video["video_processor_type"] = "Qwen2VLVideoProcessor" if kind == "qwen2_5_vl" else "Qwen3VLVideoProcessor"
        del video["image_processor_type"]
        (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    return folder


def whole(text: str) -> str:
    """Without the half character that a limit of tokens leaves, which only one of the two shows."""
    return text.rstrip("\ufffd")


def own_score(planner: VlmPlanner, rgb: np.ndarray, question: str, said: str) -> float:
    """The geometric mean of the model's own probabilities of an answer's tokens, by a plain forward pass."""
    backend = planner.backend
    inputs = backend.inputs([GenerationRequest(rgb, question)])
    ids = backend.processor.tokenizer(said, add_special_tokens=False)["input_ids"] + backend.ends[:1]
    answer = torch.tensor([ids])
    for name, fill in (("attention_mask", 1), ("mm_token_type_ids", 0), ("token_type_ids", 1)):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.full_like(answer, fill)], 1)
    length = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
    inputs.pop("labels", None)
    with torch.inference_mode():
        log_probs = backend.model(**inputs).logits[0, length - 1 : -1].float().log_softmax(-1)
    return float(log_probs.gather(1, answer.T).mean().exp())


def test_greedy_answers_are_transformers_answers(run):
    for text in WORDS:
        expected = run.here.backend.generate([GenerationRequest(run.rgb, text)], SamplingParams(24))[0][0]
        answer = run.ask(run.url, text)
        assert whole(answer.choices[0].message.content) == whole(expected.text) and len(expected.text) > 5
        assert answer.usage.prompt_tokens == expected.prompt_tokens


def test_constrained_answers_are_too_wherever_they_come_from(run, near):
    expected = run.here.backend.generate([GenerationRequest(run.rgb, "go")], SamplingParams(200, grammar=REGEX))[0][
        0
    ].text
    assert re.fullmatch(REGEX, expected)
    for url in (near, run.url):
        answer = run.ask(url, "go", extra_body={"structured_outputs": {"regex": REGEX}, "max_tokens": 200})
        assert answer.choices[0].message.content == expected


def test_the_path_is_the_same_from_all_three(run, near):
    for text in WORDS:
        expected = run.here.plan(run.rgb, text)
        for url in (near, run.url):
            plan = run.plan(url, text)
            assert plan["path"]["uv"] == expected.path.uv.tolist() and plan["raw_text"] == expected.raw_text
            assert plan["path"]["gripper"] == expected.path.to_json()["gripper"]


def test_scores_are_the_models_own_and_it_is_not_made_to_refuse(run):
    """Whatever the grammar left it to say: else each path would be sure, and each refusal that is only tried, too."""
    plan = run.plan(run.url, WORDS[0])
    expected = own_score(run.here, run.rgb, run.here.prompt_config.format_prompt(WORDS[0]), plan["raw_text"])
    assert plan["score"] == pytest.approx(expected, rel=0.02) and 0 < expected < 0.5


def test_openais_client_reads_the_tokens(run, near):
    """Log-probabilities of an answer that nothing held back, from both; kernels differ by up to 0.006."""
    listed = [run.ask(url, "push the cup", logprobs=True).choices[0].logprobs.content for url in (near, run.url)]
    ours, theirs = ([(token.token, token.logprob) for token in each] for each in listed)
    assert len(ours) == len(theirs) == 24
    assert [p for _, p in ours] == pytest.approx([p for _, p in theirs], abs=2e-2)


def test_a_planner_elsewhere_draws_the_same_path(run, near):
    expected = run.here.plan(run.rgb, WORDS[0])
    for url in (near, run.url):
        there = load_planner(f"{url}/v1#{run.folder.name}", dialect=run.here.dialect, abstains=True)
        there = replace(there, prompt_config=run.here.prompt_config)
        assert there.plan(run.rgb, WORDS[0]).path.uv.tolist() == expected.path.uv.tolist()


def test_a_stream_says_the_same(run):
    said = run.ask(run.url, "push the cup").choices[0].message.content
    chunks = list(run.ask(run.url, "push the cup", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == said
    assert len(chunks) > 5


def test_vllms_own_routes_are_not_there(run):
    for route in ("/v1/completions", "/v1/embeddings", "/tokenize", "/v1/load_lora_adapter", "/version", "/ping"):
        assert httpx.post(run.url + route, json={}).status_code == 404
    assert json.loads(httpx.get(run.url + "/health").content) == {"status": "ready"}
