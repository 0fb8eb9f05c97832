"""The planners and the policy that a page can choose from, loaded when they are first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from hamster.rollout.interfaces import PlannerLike, PolicyLike

ORACLE = "oracle"
"""The planner that draws the simulated expert's path; it belongs to a scene, and is not loaded."""


class Models:
    """Models by name; may be used from any thread.

    Args:
        planners: their names, `ORACLE` among them where it may be asked.
        policy: its name, a checkpoint folder, or a hub id.
        dialect: of planners whose checkpoint or server does not name it.
        computed: `device` and `dtype` of all of them.
    """

    def __init__(
        self,
        planners: Sequence[str],
        policy: str,
        dialect: str | None = None,
        computed: Mapping[str, Any] | None = None,
    ) -> None:
        self.planner_names, self.policy_name = tuple(planners), policy
        self._dialect, self._computed = dialect, dict(computed or {})
        self._lock = Lock()
        self._planners: dict[str, PlannerLike] = {}
        self._places: dict[str, str] = {}
        self._policy: PolicyLike | None = None

    def add(self, name: str, place: str) -> None:
        """Give a checkpoint folder a name by which a page can choose it."""
        self._places[name] = place

    def place(self, name: str) -> str:
        """Return what `load_planner` is to load for a name."""
        return self._places.get(name, name)

    def planner(self, name: str) -> PlannerLike:
        """Return a planner, loading it at first use; ValueError and PlannerUnavailableError as `load_planner`."""
        with self._lock:
            if name not in self._planners:
                from hamster.planner import load_planner

                self._planners[name] = load_planner(self.place(name), dialect=self._dialect, **self._computed)
            return self._planners[name]

    def policy(self) -> PolicyLike:
        """Return the policy, loading it at first use; ValueError as `load_policy`."""
        with self._lock:
            if self._policy is None:
                from hamster.policy import load_policy

                self._policy = load_policy(self.policy_name, **self._computed)
            return self._policy
