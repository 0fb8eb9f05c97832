"""Label sets: episodes become paths, on disk and back. `hamster.label(…)` is `label` of this package."""

from hamster._callable import make_callable
from hamster.label.api import LabelResult, label
from hamster.label.dataset import read_annotated, read_conversations, read_episodes, write
from hamster.label.episodes import LabelledEpisode
from hamster.label.gripper import gripper_events
from hamster.label.project import Label, Visibility, path_from_poses, paths_from_here

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
    "paths_from_here",
    "read_annotated",
    "read_conversations",
    "read_episodes",
    "write",
]

make_callable(__name__)
