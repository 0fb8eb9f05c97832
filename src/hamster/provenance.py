"""Where a result comes from: versions, commit, command, machine. Dumped with every artefact."""

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
    """What somebody needs to make the same thing again, as plain JSON values.

    Args:
        seed: of the run, None where nothing is drawn.
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
    """Version by distribution name, of those of `PACKAGES` that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the source tree, with "+dirty" where tracked files differ; None for an installed package."""
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / ".git").exists():
        return None
    commit = _git(here, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+dirty" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")


def hardware() -> dict[str, Any]:
    """Processor, usable cores, memory; the GPU only if torch is loaded already (asking must not import it)."""
    info: dict[str, Any] = {"cpu": _cpu_name(), "cores": usable_cores(), "memory_gib": _memory_gib()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        info["gpu"] = torch.cuda.get_device_name(0)
    return info


def usable_cores() -> int:
    """Cores that this process may run on, which in a container are often fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory_bytes() -> int:
    """Memory of this machine, or less where a container has less; 0 where nobody can tell."""
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
    """The command without the folders in which this machine keeps its programs."""
    if not argv:
        return ""
    program = Path(argv[0]).name
    return " ".join(["hamster" if program in ("__main__.py", "hamster") else program, shlex.join(argv[1:])]).rstrip()
