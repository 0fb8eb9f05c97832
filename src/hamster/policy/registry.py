"""The families of policies: a name, what it is configured by, and where its actor lives."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hamster.policy.actor import AnyActor
from hamster.policy.config import ActorConfig
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.views.config import ViewsConfig

CONFIGS: dict[str, type[ActorConfig]] = {
    config.family: config for config in (FlowConfig, ViewsConfig, ImageConfig, MonolithicConfig)
}
_ACTORS = {
    "flow": ("hamster.policy.flow.actor", "FlowActor"),
    "views": ("hamster.policy.views.actor", "ViewsActor"),
    "image": ("hamster.policy.image.actor", "ImageActor"),
    "monolithic": ("hamster.policy.monolithic.actor", "MonolithicActor"),
}

LARGEST = 1 << 16  # of a width, a number of layers, a side in pixels, metres or seconds


def build(config: ActorConfig) -> AnyActor:
    """An untrained actor."""
    module, name = _ACTORS[config.family]
    actor: AnyActor = getattr(import_module(module), name)(config)
    return actor


def config_from_json(record: dict[str, Any], where: object) -> ActorConfig:
    """{"family", "actor": {…}} -> its configuration; ValueError names what is unknown."""
    family, values = record.get("family"), record.get("actor")
    if family not in CONFIGS:
        raise ValueError(f"unknown policy family {family!r} in {where}; there are: {', '.join(CONFIGS)}")
    config = CONFIGS[family]
    known = {field.name: field for field in fields(config)}
    if not isinstance(values, dict) or (unknown := sorted(set(values) - set(known))):
        raise ValueError(f"{where}: unknown fields {unknown}; {config.__name__} has {', '.join(known)}")
    hints = get_type_hints(config)
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for name, value in lists.items():
        _check_kind(name, value, known[name], where)
        choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
        if choices and value not in choices:
            raise ValueError(f"{where}: {name} is {value!r:.50}; there are: {', '.join(choices)}")
    try:
        return config(**lists)
    except (ArithmeticError, LookupError, TypeError) as error:  # of a combination that nobody thought of
        raise ValueError(f"{where}: no {family} policy can be made of it ({error})") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_kind(name: str, value: Any, field: Field[Any], where: object) -> None:
    """ValueError unless a value is of the same kind as the field's default, and no absurd size."""
    factory: Any = field.default_factory
    default: Any = factory() if field.default is MISSING else field.default
    kinds: Any = (int, float) if isinstance(default, float) else type(default)
    is_flag = isinstance(value, bool) and not isinstance(default, bool)
    if is_flag or not isinstance(value, kinds):
        raise ValueError(f"{where}: {name} is {value!r:.50}; it must be a {type(default).__name__}")
    if isinstance(default, tuple) and isinstance(value, tuple):
        inside = type(default[0]) if default else str
        if not all(type(each) is inside for each in value):
            raise ValueError(f"{where}: {name} is {value!r:.50}; it must be a list of {inside.__name__}")
    sizes = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else (value,)
    for size in sizes:
        if isinstance(size, int | float) and not 0 <= size <= LARGEST:
            raise ValueError(f"{where}: {name} is {size!r:.30}; it must be between 0 and {LARGEST}")
