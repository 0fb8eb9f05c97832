"""Errors of planning: everything that can go wrong between an image and a path."""

from __future__ import annotations


class PlanError(ValueError):
    """There is no path, and the reason. Never replaced by an empty path or an image without a path.

    Attributes:
        reason: one line that states the fault and its place.
        raw_text: the model's output, or "" if there is none.
    """

    def __init__(self, reason: str, raw_text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw_text = raw_text


class NotInViewError(PlanError):
    """The model answered that the object of the instruction is not in the image: a valid answer without a path."""
