"""Device and number format of the models of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Options of all commands that load a planner or a policy."""

    device: str | None = None
    """Torch device of the models, e.g. cpu or cuda:1; if not given, the GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the models; auto: that of their weights."""

    @property
    def computed(self) -> dict[str, Any]:
        """The options as arguments of `load_planner` and `load_policy`.

        Raises:
            ValueError: for torch's device "meta", whose tensors have no values.
        """
        if (self.device or "").partition(":")[0] == "meta":
            raise ValueError(f"models cannot run on the device {self.device!r}; use --device cpu or cuda")
        return {"device": self.device, "dtype": self.dtype}
