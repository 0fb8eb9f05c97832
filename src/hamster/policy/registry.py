"""The registry of policies: types that are trained (an actor and its configuration), and policies ready as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from hamster.identity import plugin_digest
from hamster.policy.conditioning import CONDITIONERS
from hamster.policy.config import ActorConfig
from hamster.policy.legacy_names import upgrade_config
from hamster.registry import Registry, call_factory

if TYPE_CHECKING:
    from hamster.policy.actor import AnyActor
    from hamster.policy.base import Policy

MAX_SIZE = 1 << 16  # of a width, a number of layers, a side in pixels, metres or seconds


@dataclass(frozen=True)
class PolicyFactory:
    """A registered policy that is ready as it is, not a type that is trained.

    Attributes:
        implementation: a class or function that returns an object with `act` and `reset` (`hamster.Policy`). It is
            called with `device` and `dtype` if it takes them.
    """

    implementation: Callable[..., Policy]


def _policy_type(value: Any) -> type[AnyActor] | PolicyFactory:
    if _is_actor(value):
        config_class = getattr(value, "config_class", None)
        if not (isinstance(config_class, type) and issubclass(config_class, ActorConfig)):
            raise TypeError("it needs `config_class`, a dataclass derived from hamster.policy.config.ActorConfig")
        if missing := sorted(getattr(value, "__abstractmethods__", ())):
            raise TypeError(f"it lacks the method {' and the method '.join(missing)}")
        actor: type[AnyActor] = value
        return actor
    acts = all(callable(getattr(value, name, None)) for name in ("act", "reset"))
    if not acts and (isinstance(value, type) or not callable(value)):
        raise TypeError("it is no subclass of hamster.policy.actor.Actor, and has no act() and reset()")
    return PolicyFactory(value if isinstance(value, type) or not acts else partial(_same, value))


def _is_actor(value: Any) -> bool:
    """Return whether it is a subclass of `Actor`, without importing torch for what cannot be one."""
    actor = sys.modules.get("hamster.policy.actor")
    return actor is not None and isinstance(value, type) and issubclass(value, actor.Actor)


def _same(policy: Policy) -> Policy:
    return policy


POLICY_TYPES: Registry[type[AnyActor] | PolicyFactory] = Registry(
    "policy type",
    "hamster.policies",
    {
        "flow": "hamster.policy.flow.model:FlowActor",
        "views": "hamster.policy.views.actor:ViewsActor",
        "image": "hamster.policy.image.actor:ImageActor",
        "monolithic": "hamster.policy.monolithic.actor:MonolithicActor",
    },
    _policy_type,
)
"""The policy types by name: their actor classes."""
register_policy = POLICY_TYPES.register
"""Add a policy type under a name, as a decorator of its actor class."""


def actor_class(name: str) -> type[AnyActor]:
    """Return the actor of a policy type; ValueError if it is unknown, or a policy that is not trained."""
    value = POLICY_TYPES.get(name)
    if isinstance(value, PolicyFactory):
        raise ValueError(f"the policy {name!r} is ready as it is: it is no type that can be trained or loaded")
    return value


def checked_type(name: object, where: object) -> str:
    """Return the name of a policy type; ValueError, with the way out, if it is unknown where it is named."""
    if not isinstance(name, str) or name not in POLICY_TYPES:
        raise ValueError(
            f"unknown policy type {name!r} in {where}; there are: {', '.join(POLICY_TYPES)}. "
            "Import the code that registers it: --import FILE.py"
        )
    return name


def policy_code(name: str, conditioners: Iterable[str] = ()) -> str | None:
    """Return the digest of the source code of a policy type and its conditioners; None if all are this package's own.

    Args:
        name: of the policy type.
        conditioners: names in a configuration; those that are the type's own are its code.
    """
    registered: list[object] = [] if POLICY_TYPES.is_builtin(name) else [POLICY_TYPES.get(name)]
    registered += [
        CONDITIONERS.get(conditioner)
        for conditioner in conditioners
        if conditioner in CONDITIONERS and not CONDITIONERS.is_builtin(conditioner)
    ]
    return plugin_digest(*registered)


def is_ready(name: str) -> bool:
    """Return whether a name is that of a registered policy that needs no checkpoint."""
    return (
        name in POLICY_TYPES and not POLICY_TYPES.is_builtin(name) and isinstance(POLICY_TYPES.get(name), PolicyFactory)
    )


def ready_policies() -> list[str]:
    """Return the names of registered policies that need no checkpoint; those of packages are not imported for it."""
    return [name for name in POLICY_TYPES if POLICY_TYPES.is_known(name) and is_ready(name)]


def make_policy(name: str, device: str | None = None, dtype: str = "auto") -> Policy:
    """Return the ready policy that is registered under a name.

    Args:
        name: in `POLICY_TYPES`.
        device: where it computes; passed on to factories that take it.
        dtype: in which numbers; likewise.

    Raises:
        ValueError: if its factory needs more, or what it returns has no `act` and `reset`.
    """
    factory = POLICY_TYPES.get(name)
    assert isinstance(factory, PolicyFactory)
    policy = call_factory("policy", name, factory.implementation, {"device": device, "dtype": dtype})
    if lacking := [member for member in ("act", "reset") if not callable(getattr(policy, member, None))]:
        raise ValueError(f"the policy {name!r}, a {type(policy).__name__}, has no method {' and no '.join(lacking)}")
    return policy


def build_actor(config: ActorConfig) -> AnyActor:
    """Return an untrained actor of a configuration."""
    return actor_class(config.type)(config)


def config_from_json(record: dict[str, Any], where: object) -> ActorConfig:
    """Return the configuration in a record {"type", "actor": {…}}, as config.json holds it; old names are understood.

    Raises:
        ValueError: if the type is unknown, or a field is unknown, of the wrong kind or size; it says where.
    """
    record = upgrade_config(record)
    policy_type, values = checked_type(record.get("type"), where), record.get("actor")
    config_class: type[Any] = actor_class(policy_type).config_class
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
