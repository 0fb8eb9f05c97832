"""Check for shared memory between processes, which containers may lack."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Linux keeps the semaphores and tensors of several processes

log = logging.getLogger("hamster.train")


def loader_processes(processes: int) -> int:
    """Return the number of data-loader processes: as given, or 0, with a warning, without shared memory.

    Training results do not depend on it.
    """
    reason = missing_shared_memory() if processes else ""
    if not reason:
        return processes
    log.warning("%s; batches are prepared in the training process, which is slower", reason)
    return 0


def missing_shared_memory() -> str:
    """Return why processes cannot share memory, and the fix; "" if they can."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        with tempfile.TemporaryFile(dir=SHARED_MEMORY):
            return ""
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"{SHARED_MEMORY} cannot be written ({why}): mount a tmpfs there (docker run --tmpfs /dev/shm)"
