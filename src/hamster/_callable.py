"""Callable packages: `hamster.evaluate(…)` is `hamster.evaluate.evaluate(…)`.

The facade has three functions whose packages have the same name. Whichever of the two an import binds in `hamster`, it
can be called, and its members are accessible.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A package that stands for the function of its own name."""

    @property
    def __wrapped__(self) -> Any:
        """The function."""
        return getattr(self, self.__name__.rpartition(".")[2])

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's."""
        return inspect.signature(self.__wrapped__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


def make_callable(package: str) -> None:
    """Make a package callable; it has a function of its own name."""
    sys.modules[package].__class__ = CallableModule
