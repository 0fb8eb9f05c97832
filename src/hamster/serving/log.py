"""The log of both servers."""

from __future__ import annotations

import logging

log = logging.getLogger("hamster.serve")


def configure_logging(is_verbose: bool = False) -> None:
    """Log warnings to standard error, and every request if `is_verbose`."""
    logging.basicConfig(level=logging.DEBUG if is_verbose else logging.WARNING, format="%(asctime)s %(message)s")
