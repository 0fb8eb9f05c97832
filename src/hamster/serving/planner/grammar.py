"""A stranger's regular expression, checked before a batch depends on it."""

from __future__ import annotations

from hamster.serving.planner.errors import invalid


def check_regex(regex: str) -> None:
    """ServeError unless llguidance can hold answers to it."""
    from llguidance import LLMatcher, grammar_from

    complaint = LLMatcher.validate_grammar(grammar_from("regex", regex))
    if complaint:
        raise invalid(f"structured_outputs.regex: {complaint}", "structured_outputs", "invalid_field")
