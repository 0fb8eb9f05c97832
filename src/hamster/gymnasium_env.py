"""Makes `gymnasium.make("hamster/Tabletop-v0")` work after `import hamster`, without importing Gymnasium.

Gymnasium 1.0 and later load no entry points: a package registers its environments when it is imported. Importing
Gymnasium takes a third of a second, so the registration waits until something else imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

GYMNASIUM = "gymnasium"
ENV_ID = "hamster/Tabletop-v0"
ENTRY_POINT = "hamster.sim.tabletop.env:TabletopEnv"


def register_with_gymnasium() -> None:
    """Register the tabletop: now, if Gymnasium has been imported, else right after it is. Repeatable."""
    gymnasium = sys.modules.get(GYMNASIUM)
    if gymnasium is None:
        if not any(isinstance(finder, _AfterGymnasium) for finder in sys.meta_path):
            sys.meta_path.insert(0, _AfterGymnasium())
    elif hasattr(gymnasium, "registry") and ENV_ID not in gymnasium.registry:
        gymnasium.register(ENV_ID, entry_point=ENTRY_POINT)


class _AfterGymnasium:
    """Finds Gymnasium by the other finders, and registers once it has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != GYMNASIUM:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            register_with_gymnasium()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
