"""Where the networks of a command compute, and in which numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Options of all commands that load a planner or a policy."""

    device: str | None = None
    """Where models compute: cpu, cuda, cuda:1 …; on a GPU where there is one if not given."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """In which numbers they compute; auto: in those of their weights."""

    @property
    def computed(self) -> dict[str, Any]:
        """The same options of `load_planner` and `load_policy`.

        Raises:
            ValueError: for torch's device "meta", which has shapes and no numbers: nothing can be asked of it.
        """
        if (self.device or "").partition(":")[0] == "meta":
            raise ValueError(f"no answer can be computed on {self.device!r}; say --device cpu, or cuda")
        return {"device": self.device, "dtype": self.dtype}
