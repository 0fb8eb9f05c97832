"""Atomic writes, locks of output folders, and full disks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hamster.stopped import RunStoppedError

LOCK_NAME = ".hamster.lock"
OWNER_NAME = ".hamster.owner.json"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SAYS_FULL = ("No space left on device", "Disk quota exceeded")  # libraries that keep no error number
_FAILED_WRITE = "PytorchStreamWriter failed writing"  # torch.save, which does not say why
_NEARLY_FULL_BYTES = 1 << 26


class FolderInUseError(ValueError):
    """Another process writes into this output folder."""


def write_atomic(file: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Replace a file in one step, so that a reader sees either the old or the new content in full.

    The content and the rename are synced to disk. The file gets the mode that `open` would give it (0o666 less umask).

    Args:
        file: to write; its folder must exist.
        content: text (UTF-8), bytes, or parts of bytes.
    """
    parts = [content.encode()] if isinstance(content, str) else [content] if isinstance(content, bytes) else content
    with replacing(file) as temporary, temporary.open("xb") as stream:
        stream.writelines(parts)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `file` in one step at the end of the block, synced to disk.

    For libraries that write a file by its name. If the block raises, `file` stays as it was. Whatever mode the library
    gave it (safetensors: 0o600), the file gets the mode that `open` would give it.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield temporary
        set_usual_mode(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(file.parent)


def set_usual_mode(path: Path) -> None:
    """Give a file, or every file below a folder, the mode that `open` gives a new file there (0o666 less umask)."""
    folder = path if path.is_dir() else path.parent
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.part"
    with probe.open("xb") as stream:  # `os.umask` alone could tell, and only by changing it for all threads
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    probe.unlink()
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries (renames, new files) to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_disk_full(error: BaseException, folder: Path | None = None) -> bool:
    """Return whether an error, or its cause, is a full disk or an exceeded quota.

    Args:
        error: of any library.
        folder: that was written to; its free space decides for errors without a reason.
    """
    visited: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        message = str(cause)
        if (isinstance(cause, OSError) and cause.errno in _FULL) or any(text in message for text in _SAYS_FULL):
            return True
        if folder is not None and _FAILED_WRITE in message and shutil.disk_usage(folder).free < _NEARLY_FULL_BYTES:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold an output folder for this process alone, creating it if needed.

    A full disk stops the run that holds the folder, with a one-line message.

    The operating system frees the lock when its owner ends, so a killed run never blocks the next one. A process that
    holds the lock may take it again.

    Raises:
        FolderInUseError: if another process holds it; the message names that process.
        RunStoppedError: if a disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(
            f"{folder} is in use by another run{_owner(folder)}; wait for it to end, or name another folder"
        ) from None
    try:
        write_atomic(folder / OWNER_NAME, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        yield
    except RunStoppedError:
        raise
    except Exception as error:  # every library has its own
        if not is_disk_full(error, folder):
            raise
        place = getattr(error, "filename", None) or folder
        raise RunStoppedError(
            f"the disk is full ({place}): what was finished is kept; make room and run the same command again to go on"
        ) from error
    finally:
        if lock.lock_counter == 1:
            (folder / OWNER_NAME).unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        owner = json.loads((folder / OWNER_NAME).read_text())
        return f" (process {owner['pid']} on {owner['host']})"
    return ""
