"""One simulated scene, as the studio uses it. All of it belongs to one thread: so do physics and OpenGL."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.evaluate.suites import close, find_suite
from hamster.rollout.baselines import OraclePlanner
from hamster.rollout.environment import checked_image
from hamster.rollout.interfaces import PlannerLike
from hamster.studio.errors import invalid
from hamster.studio.state import UV, TaskState, ThingState

Rgb = NDArray[np.uint8]
DISPLAY_PX = 512
LARGEST_SHOWN_PX = 1280
MORE_TIME = 2  # than a suite gives, as people move things under way
STILL_STEPS = 25
"""Control steps without any motion after which a run ends: the robot has done what the path says."""


class Simulator:
    """A scene of a suite.

    Args:
        suite: its name.
        family: of the task; "" for the first one.
        seed: of the scene.

    Raises:
        StudioError: if there is no such suite or family.
    """

    def __init__(self, suite: str, family: str, seed: int) -> None:
        try:
            self._suite = find_suite(suite)
        except ValueError as error:
            raise invalid(str(error)) from None
        families = self._suite.default_families or self._suite.families
        family = family or families[0]
        if family not in self._suite.families:
            raise invalid(f"{suite} has no task family {family!r}; there are {', '.join(self._suite.families)}")
        self.env: Any = self._suite.make(family, seed)
        self._view = _view_of(self.env)
        self.task = TaskState(suite, family, self._suite.families, seed, str(self.env.instruction))

    @property
    def end_conditions(self) -> dict[str, Any]:
        """When a run ends: as the suite says but for more time, and when the robot stands still."""
        conditions = self._suite.end_conditions(self.task.family)
        conditions["max_steps"] *= MORE_TIME
        if not conditions["idle_steps"] and callable(getattr(self.env, "positions_world", None)):
            conditions["idle_steps"] = STILL_STEPS
        return conditions

    @property
    def has_expert(self) -> bool:
        """Whether the suite has an expert."""
        return hasattr(self.env, "expert_path")

    @property
    def expert(self) -> PlannerLike:
        """A planner that draws the expert's path; StudioError if the suite has no expert."""
        if not self.has_expert:
            raise invalid(f"the suite {self.task.suite} has no expert: choose another planner")
        return OraclePlanner(self.env)

    def image(self) -> Rgb:
        """Return the image (H, W, 3) that a planner is given."""
        return checked_image(self.env)

    def shown_image(self) -> Rgb:
        """Return the same image for people, larger where the simulator can."""
        return self.image() if self._view is None else self._view.image()

    def things(self) -> tuple[ThingState, ...]:
        """Return what can be moved; nothing in suites other than those of the tabletop."""
        return () if self._view is None else tuple(ThingState(**vars(thing)) for thing in self._view.things())

    def move(self, name: str, uv: UV) -> None:
        """Move a thing; ValueError, in words, if that is impossible."""
        if self._view is None:
            raise ValueError("things of this suite cannot be moved")
        self._view.move(name, uv)

    def done(self) -> tuple[str, ...]:
        """Return in words which tasks of the scene are done now."""
        return () if self._view is None else tuple(self._view.tasks_done())

    def project(self, pose_world: NDArray[np.float64]) -> UV | None:
        """Return where a pose (4, 4) is on the image; None if it is outside, or the camera is not known."""
        if self._view is None:
            return None
        camera = self._view.camera
        px, _ = camera.project(pose_world[:3, 3])
        u, v = (px / camera.size_px).tolist()
        return (u, v) if 0 <= u <= 1 and 0 <= v <= 1 else None

    def tool_uv(self) -> UV | None:
        """Return where the tool is on the image, if that is known."""
        return self.project(self.env.tool_pose_world())

    def close(self) -> None:
        """Free what the scene holds."""
        if self._view is not None:
            self._view.close()
        close(self.env)


def _view_of(env: Any) -> Any:
    """Return a `TabletopView` where the environment is a tabletop."""
    module = sys.modules.get("hamster.rollout.tabletop")  # is loaded, and MuJoCo with it, if it is one
    if module is None or not isinstance(env, module.TabletopEnvironment):
        return None
    from hamster.rollout.tabletop_view import TabletopView

    return TabletopView(env, DISPLAY_PX)


def jpeg(rgb: Rgb) -> bytes:
    """Encode an image (H, W, 3), scaled down if it is large, for a page."""
    image = Image.fromarray(rgb)
    image.thumbnail((LARGEST_SHOWN_PX, LARGEST_SHOWN_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
