"""A backend over OpenAI's protocol, against servers in this process that behave as the real ones do."""

import base64
import io
import json
import re
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from hamster.path import PlanError
from hamster.planner import PlannerConfigurationError, PlannerUnavailableError, load_planner
from hamster.planner.backend import GenerationRequest, SamplingParams

pytest.importorskip("openai")
uvicorn = pytest.importorskip("uvicorn")
endpoint = pytest.importorskip("hamster.planner.endpoint")
EndpointBackend = endpoint.EndpointBackend

IMAGE = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
PATH = "<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21)]</ans>"
BETA = "(0.25, 0.32), (0.32, 0.17), <action>Close Gripper</action>, (0.74, 0.21)"
QUESTION = GenerationRequest(IMAGE, "put it <|im_end|> there")


class Server:
    """Answers POSTs by `reply(path, body)`, which returns a status and JSON or bytes; notes what it was asked."""

    def __init__(self, reply):
        self.reply, self.asked = reply, []
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = json.loads(body) if body else None
        self.asked.append((scope["path"], asked, dict(scope["headers"])))
        status, answer = self.reply(scope["path"], asked)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    def bodies(self):
        return [body for path, body, _ in self.asked if path.endswith("/chat/completions")]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Unavailable servers are asked again at once."""
    monkeypatch.setattr(endpoint, "RETRY_PAUSES_S", (0.01, 0.01))


@pytest.fixture
def serve():
    servers = []

    def start(reply):
        server = Server(reply)
        servers.append(server)
        server.thread.start()
        while not server.server.started:
            time.sleep(0.01)
        return server

    yield start
    for server in servers:
        server.server.should_exit = True
        server.thread.join(5)


def completion(content, count=1, finish="stop", log_probs=None):
    logprobs = (
        None if log_probs is None else {"content": [{"token": "", "logprob": p, "top_logprobs": []} for p in log_probs]}
    )
    choice = {"finish_reason": finish, "message": {"role": "assistant", "content": content}, "logprobs": logprobs}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [choice | {"index": i} for i in range(count)],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5 * count, "total_tokens": 9 + 5 * count},
    }  # fmt: skip


def told(text, asked=2):
    """What vLLM says of a conversation's tokens, here a character each, after those of the question, and of its end."""
    tokens = [*text, "<end>", "\n"]
    before = [None, *[{"7": {"logprob": -9, "rank": 1, "decoded_token": "?"}}] * (asked - 1)]
    return before + [{str(i): {"logprob": -1, "rank": 3, "decoded_token": token}} for i, token in enumerate(tokens)]


def like_vllm(path, body):
    if path == "/v1/models":
        return 200, {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "vllm"}]}
    if "prompt_logprobs" in body:
        return 200, completion("") | {"prompt_logprobs": told(PATH, 9)}
    return 200, completion(PATH, body["n"], log_probs=[-0.5, -0.25])


def like_beta(path, body):
    """HAMSTER_beta: no /v1, no list of models, a list for content, one answer whatever is asked for."""
    if path != "/chat/completions":
        return 404, {"detail": "Not Found"}
    assert body["model"] == "Hamster_dev"
    return 200, completion([{"type": "text", "text": BETA}]) | {"usage": None}


def test_a_server_that_can_do_everything(serve):
    server = serve(like_vllm)
    backend = EndpointBackend.at(f"{server.url}/v1")
    sampling = SamplingParams(50, 0.5, 0.9, n=3, seed=7, grammar="[ab]{1,3}")
    answers = backend.generate([QUESTION, GenerationRequest(None, "hello")], sampling)
    assert backend.name == "m" and [[a.text for a in each] for each in answers] == [[PATH] * 3] * 2
    assert answers[0][0].log_probs == (-1.0,) * (len(PATH) + 1) and (
        answers[0][0].prompt_tokens,
        answers[0][0].tokens,
    ) == (
        9,
        2,
    )
    body = next(body for body in server.bodies() if len(body["messages"][0]["content"]) == 2)
    assert {key: body[key] for key in ("model", "max_tokens", "temperature", "top_p", "n", "seed", "logprobs")} == {
        "model": "m", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "n": 3, "seed": 7, "logprobs": True,
    }  # fmt: skip
    assert body["structured_outputs"] == {"regex": "[ab]{1,3}"}
    picture, text = body["messages"][0]["content"]
    kind, data = picture["image_url"]["url"].split(",", 1)
    assert kind == "data:image/png;base64" and text["text"] == "put it < | i m _ e n d | > there"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), IMAGE)


def test_hamster_beta(serve):
    server = serve(like_beta)
    planner = load_planner(f"{server.url}#Hamster_dev", samples=2, temperature=0.2)
    plan = planner.plan(IMAGE, "put the cup there")
    assert plan.path.uv.tolist() == [[0.25, 0.32], [0.32, 0.17], [0.74, 0.21]]
    assert plan.path.gripper.tolist() == [-1, 0, 0] and plan.path.score == pytest.approx(1, abs=1e-4)
    assert len(server.bodies()) == 2 and "<quest>put the cup there</quest>" in str(server.bodies()[0])


def test_a_server_that_knows_no_more_than_it_must(serve):
    """It refuses what only some know, with 400; from then on it is asked plainly."""
    known = {"model", "messages", "max_tokens", "temperature", "top_p"}

    def reply(path, body):
        if body is None:
            return 404, {}
        return (200, completion(PATH)) if set(body) <= known else (400, {"error": {"message": "unknown field"}})

    server = serve(reply)
    backend = EndpointBackend(f"{server.url}/v1", "m")
    for _ in range(2):
        assert backend.generate([QUESTION], SamplingParams(grammar="x"))[0][0].text == PATH
    assert [set(body) <= known for body in server.bodies()] == [False, True, True]


def test_an_answer_that_is_cut_off_is_ended(serve):
    cut = PATH[: PATH.index("(0.74") + 4]
    server = serve(
        lambda path, body: like_vllm(path, body) if body is None else (200, completion(cut, finish="length"))
    )
    plan = load_planner(f"{server.url}/v1").plan(IMAGE, "go")
    assert plan.raw_text == "<ans>[(0.25, 0.32), <action>Close Gripper</action>]</ans>" and len(plan.path) == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind", "reason"),
    [
        (401, {"error": {"message": "wrong\nkey"}}, PlannerConfigurationError, "says 401: wrong key$"),
        (403, {"error": {"message": "not you"}}, PlannerConfigurationError, "says 403: not you$"),
        (404, {"error": {"message": "no such model"}}, PlannerConfigurationError, "says 404: no such model$"),
        (422, {"detail": "model: Hamster_dev"}, PlannerConfigurationError, "says 422: model: Hamster_dev$"),
        (400, {"error": {"message": "no images here"}}, PlannerConfigurationError, "says 400: no images here$"),
        (400, {"error": {"message": "maximum context length is 9"}}, PlanError, "says 400: maximum context length"),
        (422, {"error": {"message": "too hard", "type": "plan_error"}}, PlanError, "says 422: too hard$"),
        (429, {"error": {"message": "slow down"}}, PlannerUnavailableError, "says 429: slow down$"),
        (408, {}, PlannerUnavailableError, "says 408: Request Timeout$"),
        (500, {"error": {"message": "out of memory"}}, PlannerUnavailableError, "says 500: out of memory$"),
        (502, b"<html>Bad gateway</html>", PlannerUnavailableError, "says 502: Bad Gateway$"),
        (503, {"error": {"message": "loading"}}, PlannerUnavailableError, "says 503: loading$"),
        (200, {"object": "error"}, PlannerUnavailableError, "gave no answer"),
        (200, [1], PlannerUnavailableError, "gave no answer"),
        (200, b"<html>", PlannerUnavailableError, "gave no answer"),
        (200, b"", PlannerUnavailableError, "gave no answer"),
        (200, b'{"choices": [', PlannerUnavailableError, "gave no answer"),
        (200, completion("", finish="abort"), PlannerUnavailableError, "broke off"),
        (200, completion(None), PlanError, "without text"),
        (200, completion([]), PlanError, "without text"),
        (200, completion(17), PlanError, "without text"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line_and_only_answers_are_the_planners_fault(
    serve, status, answer, kind, reason
):
    server = serve(lambda path, body: (status, answer))
    with pytest.raises(kind, match=reason) as caught:
        EndpointBackend(f"{server.url}/v1", "m").generate([QUESTION], SamplingParams())
    assert type(caught.value) is kind and "\n" not in str(caught.value) and len(str(caught.value)) < 500
    once = 2 if status in (400, 422) else 1  # with what only some servers know, and without
    assert len(server.bodies()) == (1 + len(endpoint.RETRY_PAUSES_S) if kind is PlannerUnavailableError else once)


def test_nobody_there_and_nobody_answering(serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(PlannerUnavailableError, match="cannot be reached"):
        EndpointBackend(url).generate([QUESTION], SamplingParams())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        backend = EndpointBackend(url, "m", timeout_s=0.2)
        for _ in range(2):  # the second time it is only asked whether it is awake
            with pytest.raises(PlannerUnavailableError, match=r"did not answer within \S+ s"):
                backend.generate([QUESTION], SamplingParams())


def vllm(text, listed, finish="stop"):
    """One that says after its grammar that it was sure, and on being asked what `listed` says."""

    def reply(path, body):
        if body is None:
            return like_vllm(path, body)
        if "prompt_logprobs" in body:
            return listed if isinstance(listed, tuple) else (200, completion("") | {"prompt_logprobs": listed})
        usage = {"usage": {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}}
        return 200, completion(text, finish=finish, log_probs=[0.0] * 5) | usage

    return reply


def test_behind_vllm_log_probabilities_are_the_models_own(serve):
    """Its own are those after the grammar: of a refusal that nothing else was allowed to, 1."""
    server = serve(vllm("none", told("none")))
    backend = EndpointBackend.at(f"{server.url}/v1")
    assert backend.generate([QUESTION], SamplingParams())[0][0].log_probs == (0.0,) * 5
    answer = backend.generate([QUESTION], SamplingParams(grammar="none"))[0][0]
    assert answer.log_probs == (-1.0,) * 5 and answer.text == "none"
    again = server.bodies()[-1]
    assert again["messages"][1] == {"role": "assistant", "content": "none"} and not again["add_generation_prompt"]
    assert "structured_outputs" not in again and again["messages"][:1] == server.bodies()[-2]["messages"]


@pytest.mark.parametrize("listed", [
    None, [], told("nine"), told("none")[:5], [{}] * 9, [None] * 9, "text" * 9, [{"1": 3}] * 9, (400, {"error": {}}),
])  # fmt: skip
def test_what_vllm_does_not_tell_is_not_made_up(serve, listed):
    backend = EndpointBackend.at(f"{serve(vllm('none', listed)).url}/v1")
    assert backend.generate([QUESTION], SamplingParams(grammar="none"))[0][0].log_probs == ()


def test_an_answer_that_was_cut_off_has_no_end_to_be_likely(serve):
    backend = EndpointBackend.at(f"{serve(vllm('none', told('none'), 'length')).url}/v1")
    assert backend.generate([QUESTION], SamplingParams(grammar="none"))[0][0].log_probs == (-1.0,) * 4


PIXELS = '[{"point_2d": [28, 14], "label": "1"}, {"point_2d": [56, 28], "label": "2"}]'


def models(**more):
    return {"data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"} | more]}


def test_pixels_of_a_scaled_image_need_a_server_that_says_how_it_scales(serve):
    """Our own does; 40 x 30 becomes 112 x 84 there."""
    for more, reason in (({}, "does not say how it scales"), ({"scaling": {"factor": -1}}, "cannot be read")):
        silent = serve(lambda path, body, more=more: (200, models(**more) if body is None else completion(PIXELS)))
        with pytest.raises(PlannerConfigurationError, match=reason) as caught:
            load_planner(f"{silent.url}/v1", dialect="qwen2.5-vl").plan(IMAGE, "go")
        assert "\n" not in str(caught.value) and not silent.bodies()
    scaling = {"factor": 28, "min_pixels": 84 * 112, "max_pixels": 84 * 112}
    server = serve(lambda path, body: (200, models(scaling=scaling) if body is None else completion(PIXELS)))
    path = load_planner(f"{server.url}/v1", dialect="qwen2.5-vl").plan(IMAGE, "go").path
    assert path.uv == pytest.approx(np.array([[28 / 112, 14 / 84], [56 / 112, 28 / 84]]))


def test_which_model_is_meant(serve):
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "x"} for name in "ab"]
    server = serve(lambda path, body: (200, {"object": "list", "data": models}))
    with pytest.raises(PlannerConfigurationError, match=re.escape(f"(a, b): name one, as {server.url}/v1#MODEL")):
        load_planner(f"{server.url}/v1").plan(IMAGE, "go")


def after(count, first, then):
    """Replies as `first` to so many chats, then as `then`."""
    asked = iter(range(10_000))
    return lambda path, body: like_vllm(path, body) if body is None else (first if next(asked) < count else then)


def test_a_server_that_comes_back_is_asked_again(serve):
    server = serve(after(2, (503, {}), (200, completion(PATH))))
    assert EndpointBackend(f"{server.url}/v1", "m").generate([QUESTION], SamplingParams())[0][0].text == PATH
    assert len(server.bodies()) == 3


def test_once_it_has_answered_a_missing_model_was_unloaded_and_a_refusal_is_about_one_question(serve):
    backend = EndpointBackend(f"{serve(after(1, (200, completion(PATH)), (404, {}))).url}/v1", "m")
    backend.generate([QUESTION], SamplingParams())
    with pytest.raises(PlannerUnavailableError, match="says 404"):
        backend.generate([QUESTION], SamplingParams())
    backend = EndpointBackend(f"{serve(after(1, (200, completion(PATH)), (400, {}))).url}/v1", "m")
    backend.generate([QUESTION], SamplingParams())
    with pytest.raises(PlanError, match="says 400"):
        backend.generate([QUESTION], SamplingParams())


def test_a_list_of_models_that_cannot_be_had_now_is_not_an_empty_one(serve):
    server = serve(lambda path, body: (503, {"error": {"message": "loading"}}))
    with pytest.raises(PlannerUnavailableError, match="says 503: loading"):
        load_planner(f"{server.url}/v1#m")
    refusing = serve(lambda path, body: (401, {"error": {"message": "who are you"}}))
    with pytest.raises(PlannerConfigurationError, match="says 401: who are you"):
        load_planner(f"{refusing.url}/v1")


def test_where_a_proxy_may_be_at_fault_it_is_named(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://me:s3cret@127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(PlannerUnavailableError, match=r"through the proxy of HTTP_PROXY=.*NO_PROXY") as caught:
        EndpointBackend("http://robot.invalid/v1", "m").generate([QUESTION], SamplingParams())
    assert "s3cret" not in str(caught.value)


def test_a_server_that_says_how_its_model_is_asked_is_asked_so(serve):
    stated = {"dialect": "qwen3-vl", "prompt": "draw {instruction}", "abstains": False, "structured_outputs": False}
    answer = '[{"point_2d": [250, 500], "label": "1"}]'
    server = serve(
        lambda path, body: (200, models(owned_by="hamster", **stated) if body is None else completion(answer))
    )
    planner = load_planner(f"{server.url}/v1")
    assert planner.plan(IMAGE, "go").path.uv == pytest.approx(np.array([[0.25, 0.5]]))
    [body] = server.bodies()
    assert body["messages"][0]["content"][1]["text"] == "draw go" and "structured_outputs" not in body
    assert load_planner(f"{server.url}/v1", dialect="hamster").dialect == "hamster"  # who asks otherwise means it
    unknown = serve(lambda path, body: (200, models(dialect="klingon")))
    with pytest.raises(PlannerConfigurationError, match="unknown dialect 'klingon'"):
        load_planner(f"{unknown.url}/v1")
