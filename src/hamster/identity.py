"""Identity of a run: digests of code and weights, so that a folder's results are only continued by the same run.

Digests are of contents, never of names and dates alone: weights that were replaced in their folder are other weights.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hamster.files import write_atomic
from hamster.hub import MODEL_FILES

RUN = "run.json"
ROOT = Path(__file__).resolve().parent
SCENES = ("geometry", "path", "dialects", "data", "sim", "rollout", "evaluate")  # code that makes and judges an episode
MODELS = ("nano", "planner", "policy", "weights.py", "devices.py")  # code of planners and policies
NOT_IN_THEM = ("training", "nano_training", "finetune")  # except training code
ENGINES = ("mujoco", "numpy", "torch", "transformers")  # versions that change results
LEFT_BY_TRAINING = frozenset({"state.safetensors", "train_info.json", "metrics.json", RUN})
SHOWN = 12  # characters of a digest in a message
MOST_NAMED = 4  # differences in a message
_PROCESS = f"of process {uuid.uuid4().hex}"  # differs from every other process
LONG = 40  # characters, above which a value in a message is shortened


def code_digests() -> dict[str, str | None]:
    """Return digests of the source files that results depend on, and the versions of the numerical libraries."""
    return {
        "scene code": _digest_of_code(SCENES),
        "model code": _digest_of_code(MODELS),
        **{f"{name} version": _version(name) for name in ENGINES},
    }


def checkpoint_digest(folder: Path) -> str:
    """Return the digest of all files that a model is loaded from: weights, configuration, tokenizer, calibration.

    Other files of a training (its state, logs, images) do not count.
    """
    files = {file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.name not in LEFT_BY_TRAINING}
    return _digest((file.name, _file_digest_now(file)) for file in sorted(files))


def plugin_digest(*values: object) -> str | None:
    """Return the digest of the source code of users' objects; None if all of it is this package's own.

    For code in a package it covers the whole package, for a single file that file, for code without a file (in a
    notebook) the definition itself.

    Args:
        values: classes, functions or objects; records with an attribute `implementation` stand for that.
    """
    files: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for value in values:
        definition = _definition(value)
        module = definition.__module__
        file = getattr(sys.modules.get(module), "__file__", None)
        top = module.partition(".")[0]
        if top in ("hamster", "builtins"):
            continue
        if file is None:
            texts[f"{module}.{definition.__qualname__}"] = _source_text(definition)
        elif top == module and Path(file).name != "__init__.py":
            files[module] = Path(file)
        else:
            root = Path(sys.modules[top].__file__ or file).parent
            files |= {f"{top}/{inner.relative_to(root).as_posix()}": inner for inner in root.rglob("*.py")}
    if not (files or texts):
        return None
    hashed = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    hashed |= {name: _file_digest_now(file) for name, file in files.items()}
    return _digest(sorted((name, digest) for name, digest in hashed.items()))


def object_identity(value: object) -> dict[str, Any]:
    """Return the identity of an object: its class, the digest of the class's code, and a digest of its state.

    An object that cannot be pickled equals no object of another process.
    """
    definition = _definition(value)
    try:
        state = hashlib.sha256(pickle.dumps(value)).hexdigest()
    except Exception:  # a user's __reduce__ may raise anything
        state = f"{_PROCESS} {id(value)}"
    return {
        "class": f"{definition.__module__}:{definition.__qualname__}",
        "code": plugin_digest(value),
        "state": state,
    }


def _definition(value: Any) -> Any:
    """Return the class or function that a value is, is an instance of, or stands for."""
    while isinstance(value, partial) or hasattr(value, "implementation"):
        value = value.func if isinstance(value, partial) else value.implementation
    return value if hasattr(value, "__qualname__") else type(value)


def _source_text(definition: Any) -> str:
    try:
        return inspect.getsource(definition)
    except (OSError, TypeError):
        return _PROCESS


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first few differences of two identities, as "seed was 7, is 4, …"; "" if there are none."""
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    parts = [f"{name} was {_shown(before.get(name))}, is {_shown(now.get(name))}" for name in names[:MOST_NAMED]]
    more = len(names) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def claim(
    folder: Path,
    identity: Mapping[str, Any],
    has_begun: bool,
    info: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    upgrade: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> None:
    """Write the identity of a training to run.json, or check it against the training that was started in this folder.

    Args:
        folder: of the training; created if missing.
        identity: its configuration and the digests of its data and initial weights.
        has_begun: whether the folder holds a state to resume from.
        info: more entries of run.json, for people.
        defaults: values of settings that did not exist when an earlier version wrote the folder.
        upgrade: maps an identity with former names to today's.

    Raises:
        ValueError: if the folder holds another training; the message names the differences.
    """
    file, now, stored = folder / RUN, plain(identity), claimed(folder)
    assumed = {name: value for name, value in plain(defaults or {}).items() if stored and name in now}
    if has_begun and (changes := differences({**assumed, **upgrade(stored)}, now)):
        raise ValueError(f"{folder} holds another training ({changes}); name another --out, or remove that folder")
    if not has_begun or not stored:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps({"run": now, **info}, indent=1) + "\n")


def claimed(folder: Path) -> dict[str, Any]:
    """Return the identity of the training in a folder; empty if there is none."""
    try:
        stored = json.loads((folder / RUN).read_text())["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return stored if isinstance(stored, dict) else {}


def flat(name: str, nested: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested mappings to keys "name.key", so that a message can name the one that differs."""
    flattened: dict[str, Any] = {}
    for key, value in nested.items():
        flattened |= flat(f"{name}.{key}", value) if isinstance(value, Mapping) else {f"{name}.{key}": value}
    return flattened


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON reads them back, so that they compare equal to what was written."""
    read: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return read


@cache  # loaded code does not change
def _digest_of_code(names: tuple[str, ...]) -> str:
    places = [ROOT / name for name in names]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    inside = [(file.relative_to(ROOT), file) for file in files]
    return _digest(
        (inner.as_posix(), _file_digest_now(file))
        for inner, file in inside
        if not (len(inner.parts) > 2 and inner.parts[1] in NOT_IN_THEM)
    )


def _file_digest_now(file: Path) -> str:
    status = file.stat()
    return _file_digest(file, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache  # within one process only: every write changes the time of the last change, which no program can set
def _file_digest(file: Path, *_: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(named: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in named).encode()).hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _shown(value: Any) -> str:
    if value is None:
        return "not noted"
    text = value if isinstance(value, str) else json.dumps(value)
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:SHOWN] if is_digest else text if len(text) <= LONG else f"{text[: LONG - 1]}…"
