"""`hamster serve`: a policy over websockets, or a planner over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import subcommand

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS, POLICIES
from hamster.extras import extra


@dataclass(frozen=True)
class ServePolicy(Compute):
    """Serve a policy over openpi's websocket protocol until Ctrl-C or SIGTERM; `/healthz` on the same port."""

    policy: Annotated[str, POLICIES] = "nano"
    """A policy by name, a checkpoint folder, or a hub id OWNER/NAME."""
    host: str = "127.0.0.1"
    """Address to listen on. Other than localhost, it needs an API key in the environment variable HAMSTER_API_KEY."""
    port: int = 8000
    """Port to listen on; 0 chooses a free one."""
    deadline_s: float = 30.0
    """Seconds after which an unanswered observation is an error."""
    inference_s: float = 10.0
    """Longest computation for one observation in seconds, so that no client starves the others."""
    clients: int = 8
    """Maximum number of connected clients."""
    message_mib: int = 32
    """Maximum size of an observation in MiB."""
    verbose: bool = False
    """Log every request."""

    def run(self) -> None:
        """Serve; the first line on standard output is the address."""
        with extra("serve"):
            from hamster.serving.policy import PolicyLimits
            from hamster.serving.policy.serve import serve_policy
        if not (self.deadline_s > 0 and self.inference_s > 0 and self.clients > 0 and self.message_mib > 0):
            raise ValueError("deadline-s, inference-s, clients and message-mib must be > 0")
        limits = PolicyLimits(
            body_bytes=self.message_mib << 20, connections=self.clients, deadline_s=self.deadline_s,
            inference_s=self.inference_s,
        )  # fmt: skip
        serve_policy(self.policy, self.host, self.port, limits, self.verbose, **self.computed)


@dataclass(frozen=True)
class ServePlanner(Compute):
    """Serve a planner over HTTP until Ctrl-C or SIGTERM.

    Routes: /v1/plan, /v1/chat/completions, /chat/completions as HAMSTER_beta's server has it, /v1/models, /health,
    /metrics.
    """

    model: Annotated[str, PLANNERS] = "nano"
    """Name of a planner, a checkpoint folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a remote one."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """Engine that runs the model. vllm starts a vLLM server behind this one, or uses the one at the address of
    --model."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of the model; if not given, as its checkpoint or server says. Not with --backend vllm and a model
    here."""
    refusals: bool = True
    """Let the planner refuse if the object is not in view (if it can); --no-refusals: always draw a path."""
    name: str = ""
    """Name of the model for clients; if not given, the last part of --model."""
    host: str = "127.0.0.1"
    """Address to listen on. Other than localhost, it needs an API key in the environment variable HAMSTER_API_KEY,
    which clients send as Authorization: Bearer."""
    port: int = 8000
    """Port to listen on; 0 chooses a free one."""
    batch: int = 8
    """Maximum batch size."""
    queue: int = 128
    """Maximum number of concurrent requests; more get 429 and Retry-After."""
    deadline_s: float = 30.0
    """Seconds after which an unanswered request gets 504."""
    body_mib: int = 24
    """Maximum size of a request in MiB."""
    drain_s: float = 30.0
    """Seconds to finish running requests when the server is stopped."""
    vllm_python: str = ""
    """Python interpreter with vLLM; if not given, this one."""
    vllm_arguments: str = ""
    """More arguments for vLLM, as one string: --vllm-arguments="--dtype bfloat16 --max-model-len 4096"."""

    def run(self) -> None:
        """Serve; the first line on standard output is the address, printed once the model is warm."""
        with extra("serve"):
            from hamster.serving.planner import PlannerLimits
            from hamster.serving.planner.serve import PlannerSource, serve_planner
        from hamster.cli.planners import say_assumed_dialects

        limits = PlannerLimits(
            body_bytes=self.body_mib << 20, batch=self.batch, queue=self.queue, deadline_s=self.deadline_s,
            drain_s=self.drain_s,
        )  # fmt: skip
        source = PlannerSource(
            self.model, self.backend, self.dialect, None if self.refusals else False, self.name, self.computed,
            self.vllm_python, self.vllm_arguments,
        )  # fmt: skip
        say_assumed_dialects([self.model], self.dialect)
        serve_planner(source, self.host, self.port, limits)


@dataclass(frozen=True)
class Serve:
    """Serve a policy or a planner."""

    what: (
        Annotated[ServePolicy, subcommand("policy", prefix_name=False)]
        | Annotated[ServePlanner, subcommand("planner", prefix_name=False)]
    )

    def run(self) -> None:
        """Run the subcommand."""
        self.what.run()
