"""How a label came about, and what stands in the place of one that did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hamster import __version__

Method = Literal["projection", "hands", "tracking", "stroke", "text", "simulation"]


@dataclass(frozen=True)
class How:
    """Attributes:
    method: by which the path was found.
    score: how sure it is, 0 to 1; None where the method has no doubts of its own.
    tool, version: that found it: this package, or a model that it asked.
    notes: what whoever uses the label should know: which camera was taken of several, why nothing was projected.
    """

    method: Method
    score: float | None = None
    tool: str = "hamster"
    version: str = __version__
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its fields; the notes where there are any."""
        return {name: value for name, value in vars(self).items() if name != "notes" or value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> How:
        """What `to_json` wrote."""
        return cls(**{**record, "notes": tuple(record.get("notes", ()))})


@dataclass(frozen=True)
class Abstained:
    """An item that was read but shows too little to be labelled, and why; a run counts and reports it."""

    file: str
    reason: str
