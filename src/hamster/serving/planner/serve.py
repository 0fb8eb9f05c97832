"""Load a planner, or start vLLM for one, and serve it until a signal."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hamster.planner import load_planner
from hamster.planner.backend import Backend
from hamster.planner.identity import planner_identity
from hamster.planner.load import is_address, resolve_checkpoint
from hamster.planner.load_model import load_processor
from hamster.planner.vlm import VlmPlanner
from hamster.serving.auth import required_api_key
from hamster.serving.limits import PlannerLimits
from hamster.serving.log import configure_logging
from hamster.serving.planner.app import create_app
from hamster.serving.planner.server import PlannerServer
from hamster.serving.planner.service import ModelHandle
from hamster.serving.planner.upstream import Upstream
from hamster.serving.planner.vllm import VllmServer, chat_template_for, planner_over
from hamster.serving.sockets import bind_socket, socket_url

REMOTE_THREADS = 32  # requests at a time for a model behind another server, which batches by itself


@dataclass(frozen=True)
class PlannerSource:
    """Which planner to serve, and how it is run.

    Attributes:
        model: as for `load_planner`; a registered planner answers /v1/plan only.
        backend: "vllm" starts a vLLM of its own, or uses the one at the address `model`.
        dialect: of the answers, None for the model's own.
        abstains: False for a planner that always draws a path, None for the model's own behaviour.
        name: what clients call the model; "" takes the last part of `model`.
        computed: `device` and `dtype` of `load_planner`.
        vllm_python: an interpreter that has vLLM; "" for this one.
        vllm_arguments: more arguments for vLLM, as one text.
    """

    model: str = "nano"
    backend: Literal["transformers", "vllm"] = "transformers"
    dialect: str | None = None
    abstains: bool | None = None
    name: str = ""
    computed: Mapping[str, Any] = field(default_factory=dict)
    vllm_python: str = ""
    vllm_arguments: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether another process infers, which batches by itself."""
        return self.backend == "vllm" or is_address(self.model)


def serve_planner(
    source: PlannerSource, host: str = "127.0.0.1", port: int = 8000, limits: PlannerLimits | None = None
) -> None:
    """Serve until a signal. SIGTERM answers the requests in work, then ends; a second one ends at once.

    Args:
        source: the planner.
        host: to listen on; one that others can reach needs a key in the environment.
        port: 0 for a free one.
        limits: on what clients can ask for.

    Raises:
        ValueError: if there is no such planner, vLLM does not start, or others could reach it and there is no key.
        OSError: if the port is taken.
    """
    api_key, limits = required_api_key(host), limits or PlannerLimits()
    configure_logging()
    with ExitStack() as stack:
        stack.enter_context(_sigterm_exits())
        listener = stack.enter_context(bind_socket(host, port))
        model = stack.enter_context(open_model(source, limits.deadline_s))

        def ready() -> None:
            print(f"serving {model.name} on {socket_url(listener)}: /v1/plan, /v1/chat/completions", flush=True)  # noqa: T201

        app = create_app(model, limits, api_key, REMOTE_THREADS if source.is_remote else 1)
        asyncio.run(PlannerServer(app, limits).run_on(listener, ready))
    if not app.service.engine.close():  # a thread that still computes would crash while the interpreter ends
        os._exit(0)


@contextmanager
def open_model(source: PlannerSource, timeout_s: float) -> Iterator[ModelHandle]:
    """Load the model; its process, if it has one of its own, ends with the block.

    Args:
        source: the planner.
        timeout_s: for one answer of a vLLM of its own.

    Raises:
        ValueError: as `serve_planner`.
    """
    name = source.name or _name_of(source.model)
    identity = planner_identity(source.model, source.dialect)
    if source.backend == "transformers" or is_address(source.model):
        planner = load_planner(source.model, dialect=source.dialect, abstains=source.abstains, **source.computed)
        if not isinstance(planner, VlmPlanner):  # a registered one, without a language model that could chat
            yield ModelHandle(name, planner, None, source.dialect or "hamster", takes_regex=False, identity=identity)
            return
        upstream = None
        if source.backend == "vllm":
            url, key = source.model.partition("#")[0].rstrip("/"), os.environ.get("OPENAI_API_KEY", "none")
            upstream = Upstream(url, key, planner.backend.name)
        takes_regex = upstream is not None or _takes_regex(planner.backend)
        yield ModelHandle(
            name, planner, planner.backend, planner.dialect, upstream, takes_regex=takes_regex, identity=identity
        )
        return
    if source.dialect is not None:
        raise ValueError("--dialect goes with --backend transformers, or with an address as --model")
    model, arguments = resolve_checkpoint(source.model), shlex.split(source.vllm_arguments)
    processor = load_processor(model)
    python, template = source.vllm_python or sys.executable, chat_template_for(processor)
    with VllmServer(model, name, python, arguments, template) as vllm:
        planner, upstream = planner_over(vllm, name, model, processor, timeout_s)
        planner = planner.without_refusals() if source.abstains is False else planner
        yield ModelHandle(
            name, planner, planner.backend, planner.dialect, upstream, is_alive=lambda: vllm.is_alive,
            identity=identity,
        )  # fmt: skip


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Exit on SIGTERM while the model loads, through `finally` blocks, so that no vLLM is left behind."""

    def unwind(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(0)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _takes_regex(backend: Backend) -> bool:
    """Return whether it holds answers to any expression: the nano planner has a grammar of its own, endpoints vary."""
    family = getattr(backend, "family", None)
    return family is not None and family.logits_processors is None


def _name_of(model: str) -> str:
    """Return the model's name behind an address, or the last part of a folder or hub id."""
    if is_address(model):
        return model.partition("#")[2] or "planner"
    return Path(model).resolve().name if Path(model).is_dir() else model.rpartition("/")[2]
