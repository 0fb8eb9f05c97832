"""Filter the logs of C++ libraries from standard error: only lines of their known form are dropped.

They write to the file descriptor, past Python, from threads of their own, and no variable of the environment silences
all of them. So the descriptor goes to a temporary file meanwhile, whose other lines follow once it is put back.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

# "W0000 00:00:17.9 12 file.cc:114] text" (absl, glog); TensorFlow Lite's; and absl's word about itself.
_LOGGED = re.compile(
    rb"^([IWE]\d{4} [\d:. ]+\d+ \S+:\d+\] .*|INFO: Created TensorFlow Lite .*"
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR)\s*$"
)
_lock = threading.Lock()
_inside = 0
_kept = -1
_aside: IO[bytes] | None = None


@contextmanager
def without_logs() -> Iterator[None]:
    """Drop log lines of C++ libraries from standard error; other lines appear there when the last thread is out."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _kept, _aside  # the descriptor is the process's, too
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        with suppress(OSError, ValueError):  # without a standard error there is nothing to keep clean
            sys.stderr.flush()
            aside = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _leave
            _kept, _aside = os.dup(2), aside
            os.dup2(aside.fileno(), 2)


def _leave() -> None:
    global _inside, _kept, _aside
    with _lock:
        _inside -= 1
        if _inside or _aside is None:
            return
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(_kept, 2)
        os.close(_kept)
        aside, _kept, _aside = _aside, -1, None
        with aside:
            aside.seek(0)
            for line in aside:
                if not _LOGGED.match(line):
                    with suppress(OSError):
                        os.write(2, line)
