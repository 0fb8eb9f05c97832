"""What is asked, in every way that it can be asked, and what comes back."""

import numpy as np
import pytest
from openai import NotFoundError, OpenAI, UnprocessableEntityError

from hamster.dialects import hamster, parse
from hamster.path import NotInViewError, Path2D
from hamster.planner import Plan
from hamster.serving.planner import ModelHandle
from tests.serving.planner.fakes import HTTP, chat, chat_body, code, data_uri, metric, plan, png, serving, serving_as


@pytest.fixture(scope="module")
def url():
    with serving() as (url, _, _):
        yield url


def client(url: str, route: str = "/v1") -> OpenAI:
    return OpenAI(base_url=url + route, api_key="any", max_retries=0)


def asked(text="pick up the cup", **more) -> dict:
    return chat_body(text, **more)


def test_a_path_comes_with_all_that_is_known_about_it(url):
    answer = plan(url).json()
    assert Path2D.from_json(answer["path"]).uv[0].tolist() == [1.0, 0.0]  # red
    assert answer["score"] == answer["path"]["score"] == 0.75 and len(answer["paths"]) == 2
    assert (answer["model"], answer["dialect"], answer["raw_text"]) == ("fake", "hamster", "raw")
    timings = answer["timings"]
    assert 0 <= timings["queue_s"] <= timings["total_s"] < 5 and timings["generate_s"] == 0.001


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_form_says_the_same_as_json(url, kind):
    data = png(colour=(0, 255, 0), kind=kind)
    form = HTTP.post(url + "/v1/plan", files={"image": data}, data={"instruction": "go", "gripper_uv": "0.2,0.3"})
    same = plan(url, "go", data_uri(data, kind.lower()), gripper_uv=[0.2, 0.3]).json()
    assert form.json()["path"] == same["path"] and np.allclose(same["path"]["uv"][0], [0, 1], atol=0.02)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [("find what is absent", "not_in_view"), ("gibberish", "unreadable_answer")],
)
def test_no_path_is_an_answer_of_its_own(url, instruction, expected):
    response = plan(url, instruction)
    assert response.status_code == 422 and code(response) == expected
    assert response.json()["error"]["raw_text"] in ("none", "blub")


def test_openais_client_is_answered(url):
    answer = client(url).chat.completions.create(**asked(), max_tokens=3, logprobs=True)
    assert answer.choices[0].message.content == "pick up the" and answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == 7 and answer.usage.completion_tokens == 3
    assert [token.logprob for token in answer.choices[0].logprobs.content] == [-0.5] * 3
    assert [model.id for model in client(url).models.list()] == ["fake"] and client(url).models.retrieve("fake")


def test_openais_client_reads_a_stream(url):
    chunks = list(
        client(url).chat.completions.create(
            **asked("eins zwei drei", n=2) | {"temperature": 0.5}, stream=True, stream_options={"include_usage": True}
        )
    )
    for i in range(2):
        texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == i]
        assert "".join(texts) == "eins zwei drei"
    assert chunks[-1].usage.completion_tokens == 6
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"] * 2


def test_samples_are_drawn_as_asked():
    with serving() as (url, model, _):
        body = {"n": 3, "temperature": 0.7, "top_p": 0.9, "seed": 5, "structured_outputs": {"regex": "[0-9]{1,3}"}}
        assert len(chat(url, **body).json()["choices"]) == 3
        question, sampling = model.seen[0]
        assert (sampling.n, sampling.temperature, sampling.top_p, sampling.seed) == (3, 0.7, 0.9, 5)
        assert sampling.grammar == "[0-9]{1,3}" and question.image.shape == (24, 32, 3)


@pytest.mark.parametrize(("field", "value"), [
    ("response_format", {"type": "json_object"}), ("tools", []), ("stop", ["x"]), ("top_logprobs", 5), ("num_beams", 4),
    ("presence_penalty", 0.5), ("n", 99), ("max_tokens", 10**6), ("max_tokens", 0), ("temperature", -1), ("top_p", 0),
    ("structured_outputs", {"regex": "("}), ("structured_outputs", {"json": {}}), ("guided_regex", 3), ("n", 2),
    ("messages", []), ("messages", [{"role": "user", "content": "a"}] * 2), ("stream", "yes"), ("nonsense", 1),
    ("messages", [{"role": "user", "content": "x" * 50_000}]), ("messages", [{"role": "user", "content": " "}]),
])  # fmt: skip
def test_what_cannot_be_had_is_refused_by_name(url, field, value):
    response = chat(url, **{field: value})
    assert response.status_code == 400 and code(response)
    assert field in str(response.json()["error"])


def test_openais_client_raises_its_own_errors(url):
    with pytest.raises(NotFoundError, match="only fake"):
        client(url).chat.completions.create(**asked() | {"model": "gpt-6"})
    with pytest.raises(UnprocessableEntityError, match="too long"):
        client(url).chat.completions.create(**asked("too long"))
    with pytest.raises(UnprocessableEntityError, match="too long"):
        list(client(url).chat.completions.create(**asked("too long"), stream=True))


@pytest.mark.parametrize("model", ["Hamster_dev", "HAMSTER_dev"])
def test_code_written_for_hamster_beta_works(url, model):
    request = asked(hamster.PROMPT.format(instruction="put the cup there")) | {"model": model, "top_p": 0.95}
    answer = client(url, "").chat.completions.create(
        **request, max_tokens=128, extra_body={"num_beams": 1, "use_cache": False}
    )
    path = parse(answer.choices[0].message.content[0]["text"], "hamster")
    assert path.uv.tolist() == [[1.0, 0.0], [0.5, 0.5]] and len(path.events) == 2
    free = client(url, "").chat.completions.create(**asked("what is this?") | {"model": model})
    assert free.choices[0].message.content[0]["text"] == "what is this?"
    assert chat(url, model=model).status_code == 404  # that is no name of OpenAI's route


@pytest.mark.parametrize(("path", "method", "status"), [
    ("/", "GET", 404), ("/docs", "GET", 404), ("/v1/plan", "GET", 405), ("/v1/completions", "POST", 404),
    ("/v1/load_lora_adapter", "POST", 404), ("/tokenize", "POST", 404), ("/v1/models/x", "GET", 404),
])  # fmt: skip
def test_other_routes_are_typed_errors(url, path, method, status):
    response = HTTP.request(method, url + path)
    assert response.status_code == status and code(response)


def test_everything_is_counted():
    with serving() as (url, _, _):
        plan(url), chat(url), chat(url, n=0)
        assert metric(url, 'hamster_requests_total{route="/v1/chat/completions",status="400"}') == 1
        assert metric(url, 'hamster_errors_total{code="invalid_field"}') == 1
        assert metric(url, 'hamster_tokens_total{kind="completion"}') == 5
        assert metric(url, "hamster_batch_size_count") == metric(url, "hamster_time_to_first_token_seconds_count") == 2
        assert metric(url, "hamster_queue_length") == 0 and metric(url, "process_resident_memory_bytes") > 1e6
        assert HTTP.get(url + "/health").json() == {"status": "ready"}


def test_the_same_body_can_be_bare_base64(url):
    bare = data_uri().split(",")[1]
    assert plan(url, image=bare).json()["path"] == plan(url).json()["path"]


def test_any_planner_object_is_served_and_has_no_chat():
    class Straight:
        def plan(self, image, instruction):
            if "absent" in instruction:
                raise NotInViewError("nothing of that kind", "none")
            return Plan([[0.1, 0.1], [0.9, 0.9]])

    with serving_as(ModelHandle("straight", Straight(), None, "hamster")) as url:
        assert plan(url).json()["path"]["uv"] == [[0.1, 0.1], [0.9, 0.9]]
        assert code(plan(url, "absent")) == "not_in_view"
        assert code(plan(url, gripper_uv=[0.5, 0.5])) == "planning_failed"
        assert code(plan(url, abstains=False)) == "unsupported"
        assert code(chat(url, model="straight")) == "unsupported"
        assert HTTP.get(url + "/v1/models").json()["data"][0]["id"] == "straight"
