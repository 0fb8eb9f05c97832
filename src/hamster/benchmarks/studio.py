"""The studio over HTTP and its websocket, as a page uses it, against a server in a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.sync.client import ClientConnection, connect

REPEATS = 10
PAGES, PLANS = REPEATS, REPEATS
ANSWER_S = 600.0  # a loaded machine is no failure
STOP_AFTER_S = 0.3  # of simulated time
TOKEN_HEADER = "x-studio-token"  # noqa: S105  # its name
MODULE = re.compile(r'(?:from|import|src=|href=)\s*"(?:\./|/static/)([\w.]+)"')


@dataclass(frozen=True)
class Measure:
    """A number and its limit.

    Attributes:
        name: what was measured.
        value, limit: in `unit`.
        is_at_most: whether the limit is an upper one.
        n: of how many measurements it is the median, or the number of images.
    """

    name: str
    value: float
    unit: str
    limit: float
    is_at_most: bool
    n: int

    @property
    def holds(self) -> bool:
        """Whether the value keeps its limit."""
        return self.value <= self.limit if self.is_at_most else self.value >= self.limit

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "value": round(self.value, 4), "holds": self.holds}


@dataclass
class StudioClient:
    """What a page does.

    Attributes:
        link: as the studio printed it, with the token.
        images: times at which images came, by `time.perf_counter`.
        state: the newest one.
    """

    link: str
    images: list[float] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.link)
        self.address, [self._token] = parts.netloc, parse_qs(parts.query)["token"]

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request and return the content; ValueError with the server's words if it is refused."""
        connection = http.client.HTTPConnection(self.address, timeout=ANSWER_S)
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {TOKEN_HEADER: self._token, "content-type": "application/json"}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            received = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(f"{method} {path}: {response.status} {received.decode(errors='replace')[:200]}")
        return received

    @contextmanager
    def watching(self) -> Iterator[ClientConnection]:
        """Connect to the news."""
        uri, headers = f"ws://{self.address}/api/watch", {TOKEN_HEADER: self._token}
        with connect(uri, additional_headers=headers, max_size=1 << 24, open_timeout=ANSWER_S, proxy=None) as socket:
            yield socket

    def follow(self, socket: ClientConnection, until: Callable[[StudioClient], bool]) -> None:
        """Take in the news until something holds; ValueError after `ANSWER_S` without."""
        end_s = time.perf_counter() + ANSWER_S
        while not until(self):
            if time.perf_counter() > end_s:
                raise ValueError(f"the studio stays {self.state.get('status')!r} for {ANSWER_S:.0f} s")
            news = socket.recv(timeout=ANSWER_S)
            if isinstance(news, bytes):
                self.images.append(time.perf_counter())
            else:
                self.state = json.loads(news)


def bench_studio(model: str = "nano", on_measure: Callable[[Measure], object] = lambda _: None) -> list[Measure]:
    """Start a studio, load its page, plan, run and stop; return what each took.

    Args:
        model: planner that is asked, as `hamster studio --planner`.
        on_measure: called with each measure.

    Raises:
        ValueError: if the studio does not start, or refuses a request.
    """
    measures = list[Measure]()
    with tempfile.TemporaryDirectory() as folder, served(["--planner", f"{model},oracle", "--out", folder]) as link:
        client = StudioClient(link)
        with client.watching() as socket:
            client.follow(socket, _is_ready)
            for measure in (_interactive, _plan, _live, _stop):
                measures.append(measure(client, socket, model))
                on_measure(measures[-1])
    return measures


@contextmanager
def served(arguments: list[str]) -> Iterator[str]:
    """Run `hamster studio` in a process and yield its link; ValueError if it does not start."""
    command = [sys.executable, "-m", "hamster", "studio", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own command
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            if not link.startswith("http://"):
                raise ValueError(f"the studio did not start: {link or 'its message is above'}")
            yield link
        finally:
            process.terminate()
            process.wait(60)


def load_page(client: StudioClient) -> set[str]:
    """Load the page and, one after the other, all files that it names; return their addresses."""
    todo, loaded = ["/"], set[str]()
    while todo:
        path = todo.pop()
        loaded.add(path)
        text = client.request("GET", path).decode()
        todo += [f"/static/{name}" for name in MODULE.findall(text) if f"/static/{name}" not in {*loaded, *todo}]
    return loaded


def _is_ready(client: StudioClient) -> bool:
    return client.state.get("status") == "ready" and bool(client.images)


def _interactive(client: StudioClient, socket: ClientConnection, model: str) -> Measure:
    """Load the page as a browser does: the files it names, one after the other, then the first state and image."""
    del socket, model  # a page has its own connection
    times_s = []
    for _ in range(PAGES):
        start_s = time.perf_counter()
        load_page(client)
        page = StudioClient(client.link)
        with page.watching() as socket:
            page.follow(socket, _is_ready)
        times_s.append(time.perf_counter() - start_s)
    return Measure("interactive", median(times_s), "s", 1.0, True, len(times_s))


def _plan(client: StudioClient, socket: ClientConnection, model: str) -> Measure:
    """Ask the planner, from the request to the state with its answer; the first answer also warms it up."""
    times_s = []
    for _ in range(PLANS + 1):
        is_answered = _answered_after(client.state["number"])
        start_s = time.perf_counter()
        client.request("POST", "/api/plan", {"planner": model, "instruction": client.state["task"]["instruction"]})
        client.follow(socket, is_answered)
        times_s.append(time.perf_counter() - start_s)
    return Measure("plan", median(times_s[1:]), "s", 1.5, True, PLANS)


def _answered_after(number: int) -> Callable[[StudioClient], bool]:
    """Return whether the planner has answered since the state of this number."""

    def is_answered(client: StudioClient) -> bool:
        state = client.state
        has_answer = state["plan"] is not None and bool(state["plan"]["paths"] or state["plan"]["problem"])
        return bool(state["number"] > number and state["status"] == "ready" and has_answer)

    return is_answered


def _live(client: StudioClient, socket: ClientConnection, model: str) -> Measure:
    """Let the robot follow the expert's path, and count the images that come while it moves."""
    del model  # the expert draws the path
    _start(client, socket)
    client.follow(socket, lambda c: c.state["status"] == "running" and c.state["run"]["seconds"] > 0)
    client.images.clear()
    client.follow(socket, lambda c: c.state["status"] == "ready")
    duration_s = client.images[-1] - client.images[0] if len(client.images) > 1 else float("inf")
    return Measure("live view", (len(client.images) - 1) / duration_s, "images/s", 10.0, False, len(client.images))


def _stop(client: StudioClient, socket: ClientConnection, model: str) -> Measure:
    """Stop the robot on its way, from the request to the state that says so."""
    del model
    number = client.state["number"]
    client.request("POST", "/api/reset", {})
    client.follow(socket, lambda c: c.state["number"] > number and c.state["status"] == "ready")
    _start(client, socket)
    client.follow(socket, lambda c: c.state["status"] == "running" and c.state["run"]["seconds"] > STOP_AFTER_S)
    start_s = time.perf_counter()
    client.request("POST", "/api/stop", {})
    client.follow(socket, lambda c: c.state["status"] == "ready")
    return Measure("stop", time.perf_counter() - start_s, "s", 0.1, True, 1)


def _start(client: StudioClient, socket: ClientConnection) -> None:
    """Run on a path of the expert, which leads somewhere in every scene."""
    is_answered = _answered_after(client.state["number"])
    client.request("POST", "/api/plan", {"planner": "oracle", "instruction": client.state["task"]["instruction"]})
    client.follow(socket, is_answered)
    client.request("POST", "/api/run", {"instruction": client.state["task"]["instruction"]})
