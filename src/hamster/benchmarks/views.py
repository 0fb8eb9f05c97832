"""The virtual-view policy at RVT-2's sizes: CPU time and memory of a step, from an observation to a motion."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Literal

import numpy as np
import torch

from hamster.benchmarks.clock import cpu_ms
from hamster.benchmarks.flow import PATH, make_observation
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.views.actor import ViewsActor
from hamster.policy.views.config import RVT2

Dtype = Literal["fp32", "bf16"]
INSTRUCTION = " ".join(f"word{i}" for i in range(RVT2.max_instruction_tokens))  # uses all instruction tokens


def measure_views(dtype: Dtype, n: int = 5) -> dict[str, float]:
    """Return {"cpu_ms", "peak_mb"}: the median of n steps on one thread, and the peak memory of a new process."""
    call = f"from hamster.benchmarks.views import report; report({dtype!r}, {n})"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)  # noqa: S603
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(dtype: Dtype, n: int) -> None:
    """Measure in this process, and print the result as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = ActorPolicy(ViewsActor(RVT2))
    observation = make_observation(RVT2.cameras, np.random.default_rng(0), RVT2.points_px)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
        step_ms = cpu_ms(lambda: policy.act(observation, PATH, INSTRUCTION), n)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    sys.stdout.write(json.dumps({"cpu_ms": round(step_ms, 1), "peak_mb": round(peak_mb)}))
