"""Loads a planner, or starts vLLM for one, and serves it until somebody says stop."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.cli.listen import api_key_for
from hamster.cli.planners import say_assumed_dialects
from hamster.planner.backend import Backend
from hamster.planner.identity import planner_identity
from hamster.planner.load import is_address, load_vlm_planner, resolve_checkpoint
from hamster.planner.load_model import load_processor
from hamster.serving.planner import Limits, Served, create_app
from hamster.serving.planner.run import Server, address, bound
from hamster.serving.planner.upstream import Upstream
from hamster.serving.planner.vllm import Vllm, behind, template_for

if TYPE_CHECKING:
    from hamster.cli.serve import ServePlanner

THREADS_ELSEWHERE = 32  # questions at a time for a model behind another server, which batches by itself


def serve_planner(options: ServePlanner, limits: Limits) -> None:
    """Serves until a signal. SIGTERM answers what is in work, then ends; a second one ends at once.

    Raises:
        ValueError: if there is no such planner, vLLM does not start, or others could reach it and there is no key.
        OSError: if the port is taken.
    """
    api_key = api_key_for(options.host)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    with ExitStack() as stack:
        stack.enter_context(_sigterm_unwinds())
        listener = stack.enter_context(bound(options.host, options.port))
        served = stack.enter_context(_served(options))
        threads = THREADS_ELSEWHERE if options.backend == "vllm" or is_address(options.model) else 1

        def ready() -> None:
            print(f"serving {served.name} on {address(listener)}: /v1/plan, /v1/chat/completions", flush=True)  # noqa: T201

        app = create_app(served, limits, api_key, threads)
        asyncio.run(Server(app, limits).run_on(listener, ready))
    if not app.service.engine.close():  # a thread in the middle of a tensor would bring the interpreter's end down
        os._exit(0)


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Told to end while it still loads, even twice, it does not leave a vLLM behind."""

    def unwind(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(0)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _served(options: ServePlanner) -> Iterator[Served]:
    """What is served; its process, if it has one of its own, ends with the block."""
    name, abstains = options.name or _name_of(options.model), None if options.refusals else False
    identity = planner_identity(options.model, options.dialect)
    if options.backend == "transformers" or is_address(options.model):
        say_assumed_dialects([options.model], options.dialect)
        planner = load_vlm_planner(options.model, dialect=options.dialect, abstains=abstains, **options.computed)
        upstream = None
        if options.backend == "vllm":
            url, key = options.model.partition("#")[0].rstrip("/"), os.environ.get("OPENAI_API_KEY", "none")
            upstream = Upstream(url, key, planner.backend.name)
        takes_regex = upstream is not None or _takes_regex(planner.backend)
        yield Served(
            name, planner, planner.backend, planner.dialect, upstream, takes_regex=takes_regex, identity=identity
        )
    else:
        if options.dialect is not None:
            raise ValueError("--dialect goes with --backend transformers, or with an address as --model")
        model, arguments = resolve_checkpoint(options.model), shlex.split(options.vllm_arguments)
        processor = load_processor(model)
        python, template = options.vllm_python or sys.executable, template_for(processor)
        with Vllm(model, name, python, arguments, template) as vllm:
            planner, upstream = behind(vllm, name, model, processor, options.deadline_s)
            planner = planner.always_drawing() if abstains is False else planner
            yield Served(
                name, planner, planner.backend, planner.dialect, upstream, is_alive=lambda: vllm.is_alive,
                identity=identity,
            )  # fmt: skip


def _takes_regex(backend: Backend) -> bool:
    """Whether it holds answers to any expression: the nano planner knows only its own, an endpoint may know none."""
    family = getattr(backend, "family", None)
    return family is not None and family.constraints is None


def _name_of(model: str) -> str:
    """What clients call it: the model's name behind an address, the last part of a folder or hub id."""
    if is_address(model):
        return model.partition("#")[2] or "planner"
    return Path(model).resolve().name if Path(model).is_dir() else model.rpartition("/")[2]
