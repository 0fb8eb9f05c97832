"""A server behind this one: what passes to it, and what comes back; and vLLM as a process."""

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.service import ModelHandle
from hamster.serving.planner.upstream import Upstream, forwarded_body
from hamster.serving.planner.vllm import MODULE, VllmServer
from tests.serving.planner import fakes
from tests.serving.planner.fakes import HTTP, FakeModel, chat, chat_body, code, data_uri, png


class Behind(BaseHTTPRequestHandler):
    """Answers as it is told in the question."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, self.headers["authorization"], body))
        text = body["messages"][-1]["content"][-1]["text"]
        status = int(text) if text.isdigit() else 200
        answer = {"echo": body} if status == 200 else {"error": {"message": "my key is s3cret"}}
        said = b"data: one\n\ndata: [DONE]\n\n" if body.get("stream") else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "text/event-stream" if body.get("stream") else "application/json")
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


@contextmanager
def behind():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def gateway(url: str):
    model = FakeModel()
    with fakes.serving_as(
        ModelHandle("fake", model, model, "hamster", Upstream(url, "s3cret", "inside")), threads=4
    ) as gate:
        yield gate


def test_chats_pass_with_another_key_and_nothing_that_was_not_looked_at():
    with behind() as (server, url), gateway(url) as gate:
        answer = chat(gate, "hi", guided_regex="[0-9]", response_format={"type": "json_object"}, user="me").json()[
            "echo"
        ]
        path, key, body = server.seen[0]
        assert path == "/v1/chat/completions" and key == "Bearer s3cret" and answer == body
        assert body["model"] == "inside" and body["max_tokens"] == 512 and "user" not in body
        assert body["structured_outputs"] == {"regex": "[0-9]"} and body["response_format"]["type"] == "json_object"
        assert body["messages"][0]["content"][0]["image_url"]["url"] == data_uri()
        streamed = chat(gate, "hi", stream=True)
        assert streamed.text == "data: one\n\ndata: [DONE]\n\n" and "event-stream" in streamed.headers["content-type"]


@pytest.mark.parametrize(("more", "expected"), [
    ({"image": "http://127.0.0.1/x.png"}, "image_url_unsupported"), ({"mm_processor_kwargs": {}}, "unknown_field"),
    ({"chat_template": "{{ 1 }}"}, "unknown_field"), ({"max_tokens": 10**9}, "invalid_field"),
    ({"n": 99}, "invalid_field"),
])  # fmt: skip
def test_what_is_refused_here_never_gets_there(more, expected):
    with behind() as (server, url), gateway(url) as gate:
        assert code(chat(gate, **more)) == expected and not server.seen


@pytest.mark.parametrize(("says", "status", "expected"), [
    ("400", 400, "refused_upstream"), ("401", 502, "upstream_failed"), ("500", 502, "upstream_failed"),
])  # fmt: skip
def test_its_errors_are_ours(says, status, expected):
    with behind() as (_, url), gateway(url) as gate:
        response = chat(gate, says)
        assert response.status_code == status and code(response) == expected


def test_without_it_there_is_an_error_and_other_routes_do_not_exist():
    with behind() as (_, url):
        pass
    with gateway(url) as gate:
        response = chat(gate)
        assert response.status_code == 502 and code(response) == "upstream_unavailable"
        for route in (
            "/v1/completions",
            "/v1/embeddings",
            "/tokenize",
            "/v1/load_lora_adapter",
            "/pause",
            "/invocations",
        ):
            assert HTTP.post(gate + route, json={}).status_code == 404


def test_an_image_is_sent_on_as_it_was_looked_at():
    odd = data_uri(png(), "jpeg").replace("data:image/jpeg", "data:image/gif;name=x")
    body = forwarded_body(ChatRequest(**chat_body(image=odd)), PlannerLimits())
    assert body["messages"][0]["content"][0]["image_url"]["url"] == data_uri()


SCRIPT = """
import http.server, json, os, sys
if "--fail" in sys.argv:
    try: raise ImportError("no such thing")
    except ImportError as error: raise RuntimeError("Engine core failed. See root cause above.") from error
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({"argv": sys.argv[1:], "key": os.environ["VLLM_API_KEY"]}).encode())
    def log_message(self, *_): pass
address = (sys.argv[sys.argv.index("--host") + 1], int(sys.argv[sys.argv.index("--port") + 1]))
http.server.HTTPServer(address, Handler).serve_forever()
"""


@pytest.fixture
def vllm_here(tmp_path, monkeypatch):
    package = tmp_path
    for part in MODULE.split(".")[:-1]:
        package = package / part
        package.mkdir()
        (package / "__init__.py").touch()
    (package / "api_server.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_vllm_listens_on_this_machine_with_a_key_that_nobody_sees(vllm_here):
    with VllmServer("folder", "mine", sys.executable, ["--dtype", "bfloat16"], "{{ ä }}") as vllm:
        said = HTTP.get(vllm.url).json()
        template = Path(said["argv"][said["argv"].index("--chat-template") + 1])
        said["argv"] = said["argv"][:2] + said["argv"][4:]
        assert template.read_text(encoding="utf-8") == "{{ ä }}"
        assert said["argv"][2:4] == ["--dtype", "bfloat16"] and "mine" in said["argv"] and "127.0.0.1" in said["argv"]
        assert said["key"] == vllm.api_key and len(vllm.api_key) >= 32 and vllm.api_key not in str(said["argv"])
        assert vllm.is_alive
    assert not vllm.is_alive and not template.exists()
    with pytest.raises(httpx.TransportError):
        HTTP.get(vllm.url)


def test_vllm_that_does_not_start_says_why(vllm_here):
    with pytest.raises(ValueError, match="no such thing"), VllmServer("folder", "mine", sys.executable, ["--fail"]):
        pass
