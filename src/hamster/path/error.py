"""The errors of planning: whatever goes wrong between an image and a path."""

from __future__ import annotations


class PlanError(ValueError):
    """No path could be had, and why. Never turned into an empty path or an undrawn image.

    Attributes:
        reason: one line that says what was wrong where.
        raw_text: what the model printed, or "" if it never came to that.
    """

    def __init__(self, reason: str, raw_text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw_text = raw_text


class NotInViewError(PlanError):
    """The model answered that what the instruction speaks of is not in the image: an answer, too, but no path."""
