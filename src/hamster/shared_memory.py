"""Whether processes can hand their results over in shared memory, which containers may lack."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Linux keeps the semaphores and tensors of several processes

log = logging.getLogger("hamster.train")


def loader_processes(processes: int) -> int:
    """Return how many processes may prepare batches: as many as given, or none, with a warning, if they cannot share.

    What is learned does not depend on it.
    """
    reason = missing_shared_memory() if processes else ""
    if not reason:
        return processes
    log.warning("%s; the training prepares its batches itself, which takes longer", reason)
    return 0


def missing_shared_memory() -> str:
    """Return why processes cannot share memory and what would help, "" if they can."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        with tempfile.TemporaryFile(dir=SHARED_MEMORY):
            return ""
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"{SHARED_MEMORY} cannot be written ({why}): mount a tmpfs there (docker run --tmpfs /dev/shm)"
