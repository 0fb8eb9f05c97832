"""Lists the public surface: every name in `__all__` of a public package, with signatures and members.

Update the list after a change that is meant: python -m tests.public_api > tests/public_api.txt
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGES = (
    "hamster",
    "hamster.data",
    "hamster.dialects",
    "hamster.evaluate",
    "hamster.geometry",
    "hamster.geometry.calibration",
    "hamster.geometry.kinematics",
    "hamster.label",
    "hamster.path",
    "hamster.planner",
    "hamster.policy",
    "hamster.policy.conditioning",
    "hamster.rollout",
    "hamster.rollout.robots",
    "hamster_client",
)
FILE = Path(__file__).with_suffix(".txt")


def listing() -> list[str]:
    """Return a line per name, a line per member, sorted by name within a package."""
    lines: list[str] = []
    described: dict[int, str] = {}
    for package in PACKAGES:
        module = import_module(package)
        lines += ["", f"[{package}]"]
        for name in sorted(module.__all__):
            value, where = getattr(module, name), f"{package}.{name}"
            if package != "hamster" and id(value) in described and not isinstance(value, int | str | float):
                lines.append(f"{name}: see {described[id(value)]}")
                continue
            described.setdefault(id(value), where)
            lines += _described(name, value)
    return lines[1:]


def _described(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, type):
        yield f"class {name}{_bases(value)}"
        yield from (f"    {line}" for line in _members(value))
    elif inspect.isroutine(value) or (inspect.ismodule(value) and callable(value)):
        yield f"{name}{_signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _bases(value: type) -> str:
    names = [base.__name__ for base in value.__bases__ if base.__name__ not in ("object", "Generic")]
    return f"({', '.join(names)})" if names else ""


def _members(value: type) -> Iterator[str]:
    if issubclass(value, enum.Enum):
        yield from (f"{member.name} = {member.value!r}" for member in value)
        return
    named = {field.name for field in fields(value)} if is_dataclass(value) else set[str]()
    if is_dataclass(value):
        for field in fields(value):
            has_default = field.default is not MISSING or field.default_factory is not MISSING
            yield f"{field.name}: {_text(field.type)}{' = …' if has_default else ''}"
    elif "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
        yield f"__init__{_signature(value.__init__)}"
    for name, member in sorted(vars(value).items()):
        if (name.startswith("_") and name not in ("__getitem__", "__len__", "__iter__", "__call__")) or name in named:
            continue
        if isinstance(member, property):
            yield f"{name}: {_text(inspect.signature(member.fget).return_annotation)}"  # type: ignore[arg-type]
        elif isinstance(member, classmethod | staticmethod):
            yield f"{type(member).__name__} {name}{_signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield f"{name}{_signature(member)}"


class _Raw:
    """An annotation that prints as it was written, without quotes."""

    def __init__(self, annotation: Any) -> None:
        self.text = _text(annotation)

    def __repr__(self) -> str:
        return self.text


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    empty = inspect.Signature.empty
    parameters = [
        one.replace(
            annotation=empty if one.annotation is empty else _Raw(one.annotation),
            default=_Raw("…") if callable(one.default) and one.default is not empty else one.default,
        )
        for one in signature.parameters.values()
    ]
    returned = signature.return_annotation
    return str(
        signature.replace(parameters=parameters, return_annotation=empty if returned is empty else _Raw(returned))
    )


def _text(annotation: Any) -> str:
    return annotation.strip("'") if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


if __name__ == "__main__":
    sys.stdout.write("\n".join(listing()) + "\n")
