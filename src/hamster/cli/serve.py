"""`hamster serve`: a policy for robots elsewhere, or a planner over HTTP."""

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
    """Address to listen on. One that others can reach needs a key in the environment variable HAMSTER_API_KEY."""
    port: int = 8000
    """0 chooses a free one."""
    deadline_s: float = 30.0
    """An observation that is not answered by then is an error."""
    inference_s: float = 10.0
    """Longest computation for one observation, so that no client starves the others."""
    clients: int = 8
    """How many may be connected at a time."""
    message_mib: int = 32
    """Longest observation."""
    verbose: bool = False
    """Log every request."""

    def run(self) -> None:
        """Serve; the first line on standard output says where."""
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
    """Serve a planner over HTTP until Ctrl-C or SIGTERM: /v1/plan, /v1/chat/completions, /chat/completions as
    HAMSTER_beta's server has it, /v1/models, /health, /metrics."""

    model: Annotated[str, PLANNERS] = "nano"
    """Name of a planner, a checkpoint's folder or hub id, or http://HOST:PORT/v1#MODEL for one elsewhere."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """What runs the model. vllm starts a server of its own behind this one, or with an address uses that one."""
    dialect: Annotated[str | None, DIALECTS] = None
    """In which the model answers; by default as its checkpoint or its own server says. Not for a vllm of its own."""
    refusals: bool = True
    """Let the planner say that what it is asked for is not in view, if it can; without, it always draws."""
    name: str = ""
    """What clients call the model; else the last part of its name."""
    host: str = "127.0.0.1"
    """Address to listen on. One that others can reach needs a key in the environment variable HAMSTER_API_KEY, which
    clients send as Authorization: Bearer."""
    port: int = 8000
    """0 chooses a free one."""
    batch: int = 8
    """Questions that are answered together."""
    queue: int = 128
    """Requests at a time; more are sent off with 429 and Retry-After."""
    deadline_s: float = 30.0
    """A request that is not answered by then gets 504."""
    body_mib: int = 24
    """Longest request."""
    drain_s: float = 30.0
    """For what is in work when the server is told to stop."""
    vllm_python: str = ""
    """An interpreter that has vLLM; else this one."""
    vllm_arguments: str = ""
    """More arguments for vLLM, in one text: --vllm-arguments="--dtype bfloat16 --max-model-len 4096"."""

    def run(self) -> None:
        """Serve; the first line on standard output says where, once the model is warm."""
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
        """Serve what was chosen."""
        self.what.run()
