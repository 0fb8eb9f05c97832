"""Episodes become paths; label sets are written to disk and read back."""

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
    "LabelledEpisode",
    "Visibility",
    "gripper_events",
    "path_from_poses",
    "paths_from_here",
    "read_annotated",
    "read_conversations",
    "read_episodes",
    "write",
]
