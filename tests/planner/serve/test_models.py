"""Real architectures, served: the same path as from the model itself, through /v1/plan and through a chat."""

import httpx
import numpy as np
import pytest

from hamster.path import PlanError
from hamster.path.dialects import DIALECTS
from hamster.planner import load_planner
from hamster.planner.serve import Limits, Served
from tests.planner.serve.fakes import HTTP, data_uri, png, serving_as
from tests.planner.tiny import TYPES, tiny

RGB = np.full((96, 96, 3), (200, 30, 60), np.uint8)
TEXT = "pick up the red cube"


def path_of(planner) -> dict | None:
    try:
        return planner.plan(RGB, TEXT).path.to_json()
    except PlanError:
        return None


@pytest.mark.parametrize("model_type", TYPES)
def test_a_served_model_draws_the_same_path(model_type, tmp_path):
    here = load_planner(tiny(model_type, tmp_path / model_type), max_new_tokens=48)
    expected = path_of(here)
    with serving_as(Served("tiny", here, here.backend, here.dialect), Limits(gather_s=0.001)) as url:
        body = {"image": data_uri(png(96, 96, (200, 30, 60))), "instruction": TEXT}
        response: httpx.Response = HTTP.post(url + "/v1/plan", json=body)
        assert (response.json()["path"] if response.status_code == 200 else None) == expected
        assert response.status_code in (200, 422) and (expected is not None or model_type == "paligemma")
        if DIALECTS[here.dialect].frame == "relative":  # else the client would have to know what the model sees
            there = load_planner(f"{url}/v1#tiny", dialect=here.dialect, max_new_tokens=48)
            path = path_of(there)
            assert path is None if expected is None else path["uv"] == expected["uv"]
