"""The bundled planner, served, asked by the documented address: the same paths, scores and refusals as here."""

from dataclasses import replace

import numpy as np
import pytest

from hamster.dialects import hamster
from hamster.path import NotInViewError, PlanError
from hamster.planner import load_planner
from hamster.serving.planner import ModelHandle, PlannerLimits
from tests.serving.planner.fakes import HTTP, data_uri, png, serving_as

pytest.importorskip("openai")

RGB = np.full((90, 130, 3), (200, 30, 60), np.uint8)
PICTURE = data_uri(png(130, 90, (200, 30, 60)))
TEXT = "pick up the red cube"


@pytest.fixture(scope="module")
def here():
    return load_planner("nano", device="cpu")


@pytest.fixture(scope="module")
def url(here):
    served = ModelHandle("nano", here, here.backend, here.dialect, takes_regex=False, identity={"weights": "abc"})
    with serving_as(served, PlannerLimits(gather_s=0.001)) as url:
        yield url


@pytest.fixture
def refusing(here, monkeypatch):
    """Finds everything likelier to be absent than not."""
    monkeypatch.setattr(here.backend, "refuse_above", -1.0)


def test_it_is_asked_as_it_says(here, url, monkeypatch):
    monkeypatch.setattr(here.backend, "refuse_above", 1.0)
    there = load_planner(f"{url}/v1#nano")
    assert (
        there.dialect == "nano-tokens"
        and there.prompt_config == here.prompt_config
        and there.calibration.a == here.calibration.a
    )
    one, other = (planner.plan(RGB, TEXT).path for planner in (here, there))
    assert np.allclose(one.uv, other.uv) and one.score == pytest.approx(other.score, abs=1e-6)
    [entry] = HTTP.get(f"{url}/v1/models").json()["data"]
    assert entry["weights"] == "abc" and entry["dialect"] == "nano-tokens"


def test_refusals_can_be_switched_off_here_and_there(here, url, refusing):
    for planner in (here, load_planner(f"{url}/v1#nano")):
        with pytest.raises(NotInViewError):
            planner.plan(RGB, TEXT)
    for planner in (here.without_refusals(), load_planner(f"{url}/v1#nano", abstains=False)):
        assert len(planner.plan(RGB, TEXT).path)
    asked = {"image": PICTURE, "instruction": TEXT}
    assert HTTP.post(f"{url}/v1/plan", json=asked).status_code == 422
    assert HTTP.post(f"{url}/v1/plan", json={**asked, "abstains": False}).status_code == 200
    form = {"data": {"instruction": TEXT, "abstains": "false"}, "files": {"image": png()}}
    assert HTTP.post(f"{url}/v1/plan", **form).status_code == 200
    quest = {"type": "text", "text": hamster.PROMPT.format(instruction=TEXT)}
    content = [{"type": "image_url", "image_url": {"url": PICTURE}}, quest]
    beta = {"model": "Hamster_dev", "messages": [{"role": "user", "content": content}]}
    assert HTTP.post(f"{url}/chat/completions", json=beta).status_code == 422
    assert HTTP.post(f"{url}/chat/completions", json={**beta, "abstains": False}).status_code == 200
    assert load_planner("nano", device="cpu", abstains=False).may_refuse is False


def test_a_question_in_anothers_words_is_told_how_this_one_is_asked(url):
    with pytest.raises(PlanError, match=r"says 422: the question is too long .* nano-tokens to the prompt '\{inst"):
        load_planner(f"{url}/v1#nano", dialect="hamster").plan(RGB, TEXT)


def test_what_cannot_be_asked_elsewhere_is_no_422(here):
    class Gone:
        name = "gone"

        def generate(self, requests, sampling, on_token=None):
            from hamster.planner import PlannerUnavailableError

            raise PlannerUnavailableError("http://secret.example cannot be reached")

    planner = replace(here, backend=Gone())
    with serving_as(ModelHandle("nano", planner, planner.backend, "nano-tokens"), PlannerLimits(gather_s=0.001)) as url:
        response = HTTP.post(f"{url}/v1/plan", json={"image": PICTURE, "instruction": TEXT})
        assert response.status_code == 502 and response.json()["error"]["code"] == "upstream_unavailable"
        assert "secret" not in response.text
