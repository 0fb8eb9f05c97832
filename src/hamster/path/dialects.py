"""The old place of `hamster.dialects`, which README and docs of version 0.1.0 showed; ends with version 0.3."""

import warnings
from typing import Any

from hamster import dialects


def __getattr__(name: str) -> Any:
    """Return a name of `hamster.dialects`."""
    value = getattr(dialects, name)
    if not name.startswith("_"):
        warnings.warn(f"hamster.path.dialects.{name} is now hamster.dialects.{name}", DeprecationWarning, 2)
    return value
