"""Registries: tables by name that code outside of this package can add to, by a decorator or by an entry point.

>>> shapes: Registry[type] = Registry("shape", "example.shapes", {"fraction": "fractions:Fraction"})
>>> @shapes.register("square")
... class Square:
...     pass
>>> shapes.names()
['fraction', 'square']
>>> shapes.get("fraction").__name__
'Fraction'
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from hamster.plugins import note_declared, note_registering

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True)
class _Entry:
    """A registered value, or the "module:attribute" where it is found; where it is defined, and who registered it."""

    value: Any
    origin: str
    registrant: str = ""


class Registry(Generic[T]):
    """Values by name: built-in ones, those that code registers, and those that installed packages declare.

    Nothing is imported before it is asked for by `get`, so that listing names stays fast.

    Args:
        kind: what the values are, for messages: "policy type".
        entry_point_group: the group of entry points in which packages declare more, e.g. "hamster.policies". An entry
            point names the value itself, or a module that registers that name when it is imported.
        builtins: values by name, or strings "module:attribute" that are imported on first use.
        adapt: makes a value of the kind out of what was registered or declared. It raises ValueError or TypeError for
            what is none; the message is completed with the name. By default values are kept as they are.
        aliases: other names that are still understood, and the names that they stand for; `names` leaves them out.
        reserved: names that cannot be registered, and what they mean already where such a name is given.
    """

    def __init__(
        self,
        kind: str,
        entry_point_group: str,
        builtins: Mapping[str, T | str] | None = None,
        adapt: Callable[[Any], T] | None = None,
        aliases: Mapping[str, str] | None = None,
        reserved: Mapping[str, str] | None = None,
    ) -> None:
        self.kind, self.group, self._adapt = kind, entry_point_group, adapt
        self._entries = {name: _Entry(value, _origin(value)) for name, value in (builtins or {}).items()}
        self._builtin = frozenset(self._entries)
        self._loaded: dict[str, T] = {}
        self._aliases, self._reserved = dict(aliases or {}), dict(reserved or {})
        self._self_registered: set[str] = set()  # by the module that their entry point names

    @overload
    def register(self, name: str) -> Callable[[V], V]: ...

    @overload
    def register(self, name: str, value: V) -> V: ...

    def register(self, name: str, value: Any = None) -> Any:
        """Add a value under a name, and return it unchanged; without a value, return a decorator that does so.

        Args:
            name: by which `get` and the command line know it.
            value: what is registered, or a string "module:attribute" that is imported on first use.

        Raises:
            ValueError: if the name is taken, naming both holders, or the value is not of this kind. Registering the
                same definition again, as a re-run notebook cell does, replaces it.
        """
        if value is None:
            return partial(self.register, name)
        if not name or name != name.strip() or set(name) & set(",:/"):
            raise ValueError(f"{name!r} cannot name a {self.kind}: no spaces around it, none of , : /")
        if isinstance(value, str) and not all(value.partition(":")):
            raise ValueError(f'{self.kind} {name!r}: {value!r} is no "module:attribute", nor a value')
        if name in self._reserved:
            raise ValueError(f"{self.kind} {name!r}: the name is {self._reserved[name]}; choose another one")
        registrant = _calling_module()
        entry = _Entry(value, _origin(value, registrant), registrant)
        holder = self._entries.get(name)
        if holder is not None and (name in self._builtin or holder.origin != entry.origin):
            raise ValueError(f"{self.kind} {name!r} is registered twice: by {holder.origin} and by {entry.origin}")
        adapted = None if isinstance(value, str) else self._adapted(name, value)
        note_registering(entry.registrant)
        self._entries[name] = entry
        self._loaded.pop(name, None)
        if adapted is not None:
            self._loaded[name] = adapted
        return value

    def get(self, name: str) -> T:
        """Return the value of that name, importing it if need be.

        Raises:
            ValueError: one line: the name is unknown (it lists what there is), taken twice, or what an installed
                package declares cannot be imported (it names the distribution).
            ImportError: if a built-in needs a package that is not installed.
        """
        name = self.canonical(name)
        if name not in self:
            raise unknown_name(self.kind, name, self.names())
        self._check_single(name)
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def canonical(self, name: str) -> str:
        """Return the name that an alias stands for; any other name as it is."""
        return self._aliases.get(name, name)

    def names(self) -> list[str]:
        """Return all names: built-in ones first, then registered ones, then those that packages declare."""
        return list(dict.fromkeys([*self._entries, *(point.name for point in _entry_points(self.group))]))

    def is_builtin(self, name: str) -> bool:
        """Return whether the value of that name comes with this package."""
        return name in self._builtin

    def is_known(self, name: str) -> bool:
        """Return whether the name is built in or registered, so that no package must be imported for it first."""
        return name in self._entries

    def is_of_script(self, name: str) -> bool:
        """Return whether the script that is running registered that name, so that no other process knows it."""
        return name in self._entries and self._entries[name].registrant == "__main__"

    def __contains__(self, name: object) -> bool:
        if name in self._aliases or name in self._entries:
            return True
        return any(point.name == name for point in _entry_points(self.group))

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        return self.get(name)

    def __len__(self) -> int:
        return len(self.names())

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield all names and values, importing them."""
        return ((name, self.get(name)) for name in self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _check_single(self, name: str) -> None:
        points = [point for point in _entry_points(self.group) if point.name == name]
        if points and name in self._reserved:
            raise ValueError(
                f"{self.kind} {name!r} of {_described(points[0])}: the name is {self._reserved[name]}; "
                "the package must choose another one"
            )
        holders = [_described(point) for point in points]
        entry = self._entries.get(name)
        # A package may register a name and declare it as well: whoever imports it before the entry point is used.
        is_same = any(_package(point.module) == _package(entry.origin) for point in points) if entry else False
        if entry is not None and not is_same and name not in self._self_registered:
            holders.insert(0, entry.origin)
        if len(holders) > 1:
            raise ValueError(f"{self.kind} {name!r} is registered twice: by {' and by '.join(holders)}")

    def _load(self, name: str) -> T:
        entry = self._entries.get(name)
        if entry is not None:
            module, _, attribute = entry.origin.partition(":")
            value = getattr(import_module(module), attribute) if isinstance(entry.value, str) else entry.value
            return self._adapted(name, value)
        [point] = [point for point in _entry_points(self.group) if point.name == name]
        try:
            value = point.load()
        except Exception as error:  # whatever somebody's module raises when it is imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{self.kind} {name!r} of {_described(point)} cannot be imported: {reason}") from error
        note_declared(point.module)
        if name in self._entries:  # the module has registered it
            self._self_registered.add(name)
            return self.get(name)
        if isinstance(value, ModuleType):
            raise ValueError(f"{_described(point)} registers no {self.kind} {name!r} when it is imported")
        return self._adapted(name, value)

    def _adapted(self, name: str, value: Any) -> T:
        if self._adapt is None:
            return cast(T, value)
        try:
            return self._adapt(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.kind} {name!r} ({_origin(value)}): {error}") from None


def call_factory(kind: str, name: str, factory: Callable[..., T], computed: Mapping[str, Any], /, **options: Any) -> T:
    """Return what a registered class or function makes.

    Args:
        kind: what that is, for messages.
        name: under which it is registered.
        factory: the class or function.
        computed: keywords that are passed on only if it takes them: device and dtype.
        options: keywords that it has to take.

    Raises:
        ValueError: if it does not take one of the options, or needs another one.
    """
    signature = inspect.signature(factory)
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())
    keywords = options | {key: value for key, value in computed.items() if takes_any or key in signature.parameters}
    try:
        signature.bind(**keywords)
    except TypeError as error:
        given = ", ".join(keywords) or "no options"
        raise ValueError(f"the {kind} {name!r} cannot be made with {given}: {error}") from None
    return factory(**keywords)


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like a misspelt one; None if none is.

    >>> closest("nanoo", ["nano", "oracle"])
    'nano'
    """
    return next(iter(difflib.get_close_matches(name, list(names), n=1)), None)


def unknown_name(kind: str, name: str, names: Iterable[str]) -> ValueError:
    """Return the error for a name that is not there: it lists the names there are, and the nearest one first."""
    names = list(names)
    near = closest(name, names)
    hint = f" Did you mean {near!r}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}.{hint} There are: {', '.join(names) or 'none'}.")


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Return what installed distributions declare; one that is found twice on the search path counts once."""
    from importlib.metadata import entry_points  # which takes longer to import than all of this package

    return tuple({(point.name, point.value): point for point in entry_points(group=group)}.values())


def _described(point: EntryPoint) -> str:
    distribution = "" if point.dist is None else f" (distribution {point.dist.name} {point.dist.version})"
    return f"{point.value}{distribution}"


def _calling_module() -> str:
    """Return the name of the module outside of this package whose code is calling."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "hamster":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def _package(origin: str) -> str:
    return origin.partition(":")[0].partition(".")[0]


def _origin(value: Any, registrant: str = "") -> str:
    """Return "module:name" of where a class or function is defined; of any other object, who registers it.

    A record that stands for a class or function, and says so by an attribute `implementation`, has that one's origin.
    """
    while isinstance(value, partial) or hasattr(value, "implementation"):
        value = value.func if isinstance(value, partial) else value.implementation
    if isinstance(value, str):
        return value
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    return f"{registrant or type(value).__module__}:{type(value).__qualname__}"
