"""How a label was made, and what stands in the place of an item that was not labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hamster import __version__

Method = Literal["projection", "hands", "tracking", "stroke", "text", "simulation"]


@dataclass(frozen=True)
class LabelMethod:
    """The method by which a label was made.

    Attributes:
        name: of the method.
        score: its confidence, 0 to 1; None where the method gives none.
        tool, version: what computed the path: this package, or a model that it called.
        notes: for users of the label: which of several cameras was taken, why nothing was projected.
    """

    name: Method
    score: float | None = None
    tool: str = "hamster"
    version: str = __version__
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return its fields, the name under `method`; the notes only where there are any."""
        record = {"method": self.name, "score": self.score, "tool": self.tool, "version": self.version}
        return {**record, "notes": self.notes} if self.notes else record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> LabelMethod:
        """Return the method that `to_json` wrote."""
        fields = {("name" if key == "method" else key): value for key, value in record.items()}
        return cls(**{**fields, "notes": tuple(fields.get("notes", ()))})


@dataclass(frozen=True)
class Skipped:
    """An item that was read but shows too little to be labelled, and why; a run counts and reports it."""

    file: str
    reason: str
