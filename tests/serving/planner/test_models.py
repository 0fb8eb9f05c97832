"""Real architectures, served: the same path as from the model itself, through /v1/plan and through a chat."""

from functools import cache

import httpx
import numpy as np
import pytest
from openai import OpenAI

from hamster.dialects import DIALECTS, grammar
from hamster.path import PlanError
from hamster.planner import load_planner
from hamster.planner.backend import GenerationRequest, SamplingParams
from hamster.planner.families import dialects_of
from hamster.serving.planner import ModelHandle, PlannerLimits
from tests.planner.tiny import TYPES, tiny
from tests.serving.planner.fakes import HTTP, chat_body, data_uri, png, serving_as

RGB = np.full((90, 130, 3), (200, 30, 60), np.uint8)  # sides that every processor changes
PICTURE = data_uri(png(130, 90, (200, 30, 60)))
TEXT = "pick up the red cube"
PIXELS = "embodied-r1"  # of the image that it is given
# A family's own, one of relative coordinates, and pixels where it can mean them.
CASES = [
    (model_type, dialect)
    for model_type in TYPES
    for dialect in (None, "compact", *({PIXELS} & set(dialects_of(model_type))))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return cache(lambda model_type: tiny(model_type, tmp_path_factory.mktemp(model_type) / model_type))


def path_of(planner) -> dict | str:
    """The path with its score, or why there is none."""
    try:
        return planner.plan(RGB, TEXT).path.to_json()
    except PlanError as error:
        return error.reason


def served(here):
    return serving_as(ModelHandle("tiny", here, here.backend, here.dialect), PlannerLimits(gather_s=0.001))


def same(one: dict | str, other: dict | str) -> bool:
    """Paths that agree, their scores but for the last digits, which batches move."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    scores = one.pop("score"), other.pop("score")
    return one == other and scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.parametrize(("model_type", "dialect"), CASES)
def test_a_served_model_draws_the_same_path(model_type, dialect, folder):
    here = load_planner(folder(model_type), dialect=dialect, max_new_tokens=64)
    expected = path_of(here)
    assert isinstance(expected, dict), expected
    with served(here) as url:
        response: httpx.Response = HTTP.post(url + "/v1/plan", json={"image": PICTURE, "instruction": TEXT})
        assert same(response.json()["path"], dict(expected)), response.text
        there = load_planner(f"{url}/v1#tiny", dialect=here.dialect, max_new_tokens=64)
        assert same(path_of(there), dict(expected))


@pytest.mark.parametrize("model_type", TYPES)
def test_openais_client_gets_the_same_tokens(model_type, folder):
    here = load_planner(folder(model_type), device="cpu")
    regex = grammar("compact", None, 2)
    (expected,) = here.backend.generate(
        [GenerationRequest(RGB, TEXT)], SamplingParams(60, grammar=regex, return_token_strings=True)
    )[0]
    with served(here) as url:
        client = OpenAI(base_url=url + "/v1", api_key="any", max_retries=0)
        more = {"model": "tiny", "max_tokens": 60, "logprobs": True}
        asked = chat_body(TEXT, PICTURE) | more | {"extra_body": {"structured_outputs": {"regex": regex}}}
        choice = client.chat.completions.create(**asked).choices[0]
        said = choice.logprobs.content
        assert choice.message.content == expected.text
        assert [token.logprob for token in said] == pytest.approx(expected.log_probs, abs=1e-3)
        assert tuple(token.token for token in said) == expected.token_strings
        assert b"".join(bytes(token.bytes) for token in said[:-1]).decode() == expected.text
        assert said[-1].token in here.backend.processor.tokenizer.get_added_vocab()  # the mark that ends it
        streamed = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True)]
        assert "".join(each.delta.content or "" for each in streamed) == expected.text
        listed = [token for each in streamed if each.logprobs for token in each.logprobs.content]
        assert [(token.token, token.bytes) for token in listed] == [(token.token, token.bytes) for token in said]


def test_every_dialect_that_counts_pixels_is_among_them():
    frames = {DIALECTS[dialect or "qwen2.5-vl"].frame for model_type, dialect in CASES if model_type == "qwen2_5_vl"}
    assert frames == {"relative", "image's pixels", "scaled image's pixels"}
