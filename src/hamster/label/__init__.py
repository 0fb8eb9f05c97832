"""Label sets: episodes become paths, on disk and back. `hamster.label(…)` is `label` of this package."""

import warnings
from typing import Any

from hamster._callable import make_callable
from hamster.label.api import LabelResult, label
from hamster.label.dataset import read_annotated, read_conversations, read_episodes, write
from hamster.label.episodes import LabelledEpisode
from hamster.label.gripper import gripper_events
from hamster.label.project import Label, Visibility, path_from_poses, project_paths_per_frame

VISIBLE = Visibility.VISIBLE
"""A waypoint that the camera sees."""
OCCLUDED = Visibility.OCCLUDED
"""A waypoint behind something else."""
OUT_OF_VIEW = Visibility.OUT_OF_VIEW
"""A waypoint outside the image, moved to its border."""

__all__ = [
    "OCCLUDED",
    "OUT_OF_VIEW",
    "VISIBLE",
    "Label",
    "LabelResult",
    "LabelledEpisode",
    "Visibility",
    "gripper_events",
    "label",
    "path_from_poses",
    "project_paths_per_frame",
    "read_annotated",
    "read_conversations",
    "read_episodes",
    "write",
]


def __getattr__(name: str) -> Any:
    """Return what had another name before version 0.2; until version 0.3."""
    if name != "paths_from_here":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("hamster.label.paths_from_here is now project_paths_per_frame", DeprecationWarning, stacklevel=2)
    return project_paths_per_frame


make_callable(__name__)
