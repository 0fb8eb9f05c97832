"""The registry of policy types: by name, an actor class and the class of its configuration."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from hamster.policy.config import ActorConfig
from hamster.policy.legacy_names import upgrade_config
from hamster.registry import Registry

if TYPE_CHECKING:
    from hamster.policy.actor import AnyActor

MAX_SIZE = 1 << 16  # of a width, a number of layers, a side in pixels, metres or seconds


def _actor_class(value: Any) -> type[AnyActor]:
    from hamster.policy.actor import Actor

    if not (isinstance(value, type) and issubclass(value, Actor)):
        raise TypeError("it is no subclass of hamster.policy.actor.Actor")
    config_class = getattr(value, "config_class", None)
    if not (isinstance(config_class, type) and issubclass(config_class, ActorConfig)):
        raise TypeError("it needs `config_class`, a dataclass derived from hamster.policy.config.ActorConfig")
    return value


POLICY_TYPES: Registry[type[AnyActor]] = Registry(
    "policy type",
    "hamster.policies",
    {
        "flow": "hamster.policy.flow.model:FlowActor",
        "views": "hamster.policy.views.actor:ViewsActor",
        "image": "hamster.policy.image.actor:ImageActor",
        "monolithic": "hamster.policy.monolithic.actor:MonolithicActor",
    },
    _actor_class,
)
"""The policy types by name: their actor classes."""
register_policy = POLICY_TYPES.register
"""Add a policy type under a name, as a decorator of its actor class."""


def build_actor(config: ActorConfig) -> AnyActor:
    """Return an untrained actor of a configuration."""
    return POLICY_TYPES.get(config.type)(config)


def config_from_json(record: dict[str, Any], where: object) -> ActorConfig:
    """Return the configuration in a record {"type", "actor": {…}}, as config.json holds it; old names are understood.

    Raises:
        ValueError: if the type is unknown, or a field is unknown, of the wrong kind or size; it says where.
    """
    record = upgrade_config(record)
    policy_type, values = record.get("type"), record.get("actor")
    if not isinstance(policy_type, str) or policy_type not in POLICY_TYPES:
        listed = ", ".join(POLICY_TYPES.names())
        raise ValueError(f"unknown policy type {policy_type!r} in {where}; there are: {listed}")
    config_class: type[Any] = POLICY_TYPES.get(policy_type).config_class
    known = {field.name: field for field in fields(config_class)}
    if not isinstance(values, dict) or (unknown := sorted(set(values) - set(known))):
        raise ValueError(f"{where}: unknown fields {unknown}; {config_class.__name__} has {', '.join(known)}")
    hints = get_type_hints(config_class)
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for name, value in arguments.items():
        _check_kind(name, value, known[name], where)
        choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
        if choices and value not in choices:
            raise ValueError(f"{where}: {name} is {value!r:.50}; there are: {', '.join(choices)}")
    try:
        config: ActorConfig = config_class(**arguments)
    except (ArithmeticError, LookupError, TypeError) as error:  # of a combination that the class does not check
        raise ValueError(f"{where}: no {policy_type} policy can be made of it ({error})") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return config


def _check_kind(name: str, value: Any, field: Field[Any], where: object) -> None:
    """Raise ValueError unless a value is of the same kind as the field's default, and of a sensible size."""
    factory: Any = field.default_factory
    default: Any = factory() if field.default is MISSING else field.default
    kinds: Any = (int, float) if isinstance(default, float) else type(default)
    is_flag = isinstance(value, bool) and not isinstance(default, bool)
    if is_flag or not isinstance(value, kinds):
        raise ValueError(f"{where}: {name} is {value!r:.50}; it must be a {type(default).__name__}")
    if isinstance(default, tuple) and isinstance(value, tuple):
        item_type = type(default[0]) if default else str
        if not all(type(item) is item_type for item in value):
            raise ValueError(f"{where}: {name} is {value!r:.50}; it must be a list of {item_type.__name__}")
    sizes = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else (value,)
    for size in sizes:
        if isinstance(size, int | float) and not 0 <= size <= MAX_SIZE:
            raise ValueError(f"{where}: {name} is {size!r:.30}; it must be between 0 and {MAX_SIZE}")
