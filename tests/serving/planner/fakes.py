"""A model that does what a test needs, a server for it in a thread, and plain sockets to mistreat it with."""

from __future__ import annotations

import asyncio
import base64
import io
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import numpy as np
from PIL import Image

from hamster.path import NotInViewError, Path2D, PlanError
from hamster.planner import Plan
from hamster.planner.backend import Completion
from hamster.serving.planner import ModelHandle, PlannerLimits, create_app
from hamster.serving.planner.server import PlannerServer
from hamster.serving.sockets import bind_socket, socket_url

# One for all, as making one takes longer than most requests.
HTTP = httpx.Client(timeout=30, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
# Generous, as machines are busy; what is about a limit sets its own.
QUICK = PlannerLimits(read_s=20, deadline_s=30, gather_s=0.01, drain_s=10)
IMPATIENT = replace(QUICK, read_s=0.5, write_s=0.5)


@dataclass
class FakeModel:
    """Says its question again, word by word; plans a path from the image's mean colour. Backend and planner in one.

    Attributes:
        token_s: time per word.
        hold: cleared, all inference waits.
        slow_word: if any, only questions with this word wait for `hold`.
        batches: how many questions there were at a time.
        said: words that were generated.
        entered: how often it was asked.
    """

    name: str = "fake"
    token_s: float = 0.0
    slow_word: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    batches: list = field(default_factory=list)
    seen: list = field(default_factory=list)
    said: int = 0
    entered: int = 0

    def __post_init__(self):
        self.hold.set()

    def generate(self, requests, sampling, on_token=None):
        self.entered += 1
        if any(self.slow_word in question.text for question in requests):
            assert self.hold.wait(30)
        self.batches.append(len(requests))
        self.seen += [(question, sampling) for question in requests]
        if any("trouble" in question.text for question in requests):
            raise RuntimeError("trouble, with secrets in its traceback")
        if any("too long" in question.text for question in requests):
            raise PlanError("the question is too long for this model")
        words = [question.text.split()[: sampling.max_new_tokens] for question in requests for _ in range(sampling.n)]
        owners = [i for i in range(len(requests)) for _ in range(sampling.n)]
        for step in range(1, max(map(len, words)) + 1):
            time.sleep(self.token_s)
            self.said += 1
            if on_token and all(on_token(lambda i, step=step: " ".join(words[i][:step]), owners)):
                break
        answers = [Completion(" ".join(w), (-0.5,) * len(w), "stop", 7, len(w)) for w in words]
        return [answers[i : i + sampling.n] for i in range(0, len(answers), sampling.n)]

    def plan_many(self, images, instructions, gripper_uv, on_token=None):
        assert self.hold.wait(30)
        time.sleep(self.token_s)
        return [self._plan(*each) for each in zip(images, instructions, gripper_uv, strict=True)]

    def _plan(self, image, instruction, gripper_uv):
        if "absent" in instruction:
            return NotInViewError("there is no unicorn in view", "none")
        if "gibberish" in instruction:
            return PlanError("expected <ans>, found 'blub'", "blub")
        if "trouble" in instruction:
            raise RuntimeError("trouble, with secrets in its traceback")
        raw_text = "raw" * (3_000_000 if "much" in instruction else 1)
        mean = image.mean((0, 1))[:2] / 255
        best = Path2D(np.array([mean, [0.5, 0.5]]), np.array([0, 1], np.int8), score=0.75)
        second = Path2D(np.array([[0.1, 0.9]]), np.array([-1], np.int8), score=0.25)
        return Plan((best, second), raw_text, {"generate_s": 0.001})


@contextmanager
def serving(model=None, limits=QUICK, api_key=None, threads=1, wait=True):
    """(address, model, server) of a server in a thread; on leaving it drains."""
    model = model or FakeModel()
    with _running(ModelHandle(model.name, model, model, "hamster"), limits, api_key, threads, wait, model.hold) as (
        url,
        server,
    ):
        yield url, model, server


@contextmanager
def serving_as(served, limits=QUICK, threads=1):
    """The address of a server of anything in a thread."""
    with _running(served, limits, None, threads, True, threading.Event()) as (url, _):
        yield url


@contextmanager
def _running(served, limits, api_key, threads, wait, hold):
    listener = bind_socket("127.0.0.1", 0)
    app = create_app(served, limits, api_key, threads)
    server, ready, failed = PlannerServer(app, limits), threading.Event(), []

    def run():
        try:
            asyncio.run(server.run_on(listener, ready.set))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert not wait or ready.wait(30), failed
    try:
        yield socket_url(listener), server
    finally:
        hold.set()
        if thread.is_alive():
            server.handle_exit(15, None)
        thread.join(30)
        assert not thread.is_alive() and not failed, failed
        assert app.service.engine.close()


def png(width=32, height=24, colour=(255, 0, 0), kind="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def data_uri(data: bytes = png(), kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def plan_body(instruction="pick up the red cube", image=None, **more) -> dict:
    return {"instruction": instruction, "image": data_uri() if image is None else image, **more}


def chat_body(text="pick up the red cube", image=None, **more) -> dict:
    parts = [{"type": "image_url", "image_url": {"url": image or data_uri()}}, {"type": "text", "text": text}]
    return {"model": "fake", "messages": [{"role": "user", "content": parts}], "temperature": 0, **more}


def plan(url: str, *args, **more) -> httpx.Response:
    return HTTP.post(url + "/v1/plan", json=plan_body(*args, **more))


def chat(url: str, *args, **more) -> httpx.Response:
    return HTTP.post(url + "/v1/chat/completions", json=chat_body(*args, **more))


def code(response: httpx.Response) -> str:
    """The code of a typed error, whose shape is checked."""
    error = response.json()["error"]
    assert {"message", "type", "code", "param"} <= set(error) and "Traceback" not in response.text
    return error["code"]


def raw(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def metric(url: str, name: str) -> float:
    lines = HTTP.get(url + "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))
