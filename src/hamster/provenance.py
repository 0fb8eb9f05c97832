"""Provenance of a result: versions, commit, command, machine. Written with every artefact."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hamster.plugins import imported_as_given

LEARNING = ("torch", "transformers", "accelerate", "trl", "peft")
PACKAGES = ("hamster-vla", "numpy", "mujoco", "gymnasium", *LEARNING, "pillow", "av")


def run_info(seed: int | None = None, argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what is needed to reproduce a run, as plain JSON values.

    Args:
        seed: of the run; None if nothing is random.
        argv: the command line, default this process's.
    """
    return {
        "seed": seed,
        "command": _command(sys.argv if argv is None else argv),
        "versions": versions(),
        "git_commit": git_commit(),
        **({"imports": list(imports)} if (imports := imported_as_given()) else {}),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": hardware(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed `PACKAGES` by distribution name."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def git_commit() -> str | None:
    """Return the commit of the source tree, with "+dirty" if tracked files differ; None for an installed package."""
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / ".git").exists():
        return None
    commit = _git(here, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+dirty" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")


def hardware() -> dict[str, Any]:
    """Return processor, usable cores and memory; the GPU only if torch has been imported already."""
    info: dict[str, Any] = {"cpu": _cpu_name(), "cores": usable_cores(), "memory_gib": _memory_gib()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        info["gpu"] = torch.cuda.get_device_name(0)
    return info


def usable_cores() -> int:
    """Return the number of cores that this process may run on, in a container often fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory_bytes() -> int:
    """Return the memory of this machine or container; 0 if unknown."""
    limits = [int((_memory_gib() or 0) * 2**30)]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # the file says "max" where there is no limit
            limits.append(int(Path(file).read_text()))
    return min(limits)


def _git(folder: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["git", "-C", str(folder), *args],  # noqa: S607  # whichever git the user has
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _command(argv: Sequence[str]) -> str:
    """Return the command line without the folder of the program."""
    if not argv:
        return ""
    program = Path(argv[0]).name
    return " ".join(["hamster" if program in ("__main__.py", "hamster") else program, shlex.join(argv[1:])]).rstrip()
