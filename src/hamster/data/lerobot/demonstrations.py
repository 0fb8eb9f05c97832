"""meta/demonstrations.parquet: an episode's task and keyposes, for which LeRobot has no field.

One row an episode: `episode_index`, `task`; of K keyposes `keypose_poses` (16 numbers each, row by row, metres, in the
world), `keypose_open` and `keypose_touches` (null where unknown); and `keypose_index`, per frame the keypose ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hamster.data.lerobot.columns import read_table
from hamster.data.records import Keyposes

FILE = Path("meta") / "demonstrations.parquet"
SCHEMA = pa.schema(
    [
        ("episode_index", pa.int64()),
        ("task", pa.string()),
        ("keypose_poses", pa.list_(pa.float64())),
        ("keypose_open", pa.list_(pa.bool_())),
        ("keypose_touches", pa.list_(pa.bool_())),
        ("keypose_index", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What a dataset written by us says of an episode beyond LeRobot's fields."""

    task: str = ""
    keyposes: Keyposes | None = None

    def row(self, episode: int) -> dict[str, Any]:
        """Return its row of the table.

        Args:
            episode: its episode_index.
        """
        row: dict[str, Any] = {"episode_index": episode, "task": self.task}
        if (keyposes := self.keyposes) is not None:
            row |= {
                "keypose_poses": keyposes.tool_poses_world.ravel().tolist(),
                "keypose_open": keyposes.gripper_open.tolist(),
                "keypose_touches": None if keyposes.touches is None else keyposes.touches.tolist(),
                "keypose_index": keyposes.next.tolist(),
            }
        return row


def read_demonstration(folder: Path, episode: int, frames: int) -> Demonstration:
    """Return what meta/demonstrations.parquet says of an episode; nothing without the file or a row.

    Args:
        folder: of the dataset.
        episode: its episode_index.
        frames: of the episode.

    Raises:
        ValueError: if the file is damaged, or its keyposes are none.
    """
    if not (folder / FILE).is_file():
        return Demonstration()
    rows = read_table(folder / FILE, SCHEMA.names, episode).to_pylist()
    if not rows:
        return Demonstration()
    row, task = rows[0], str(rows[0].get("task") or "")
    if row.get("keypose_poses") is None:
        return Demonstration(task)
    try:
        poses = np.array(row["keypose_poses"], np.float64).reshape(-1, 4, 4)
        is_open, ahead = np.array(row["keypose_open"], bool), np.array(row["keypose_index"], np.int64)
        touches = None if row.get("keypose_touches") is None else np.array(row["keypose_touches"], bool)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{FILE}: the keyposes of episode {episode} are damaged") from None
    lengths = {len(poses), len(is_open), *([] if touches is None else [len(touches)])}
    fits = (
        len(lengths) == 1
        and len(poses)
        and ahead.shape == (frames,)
        and (ahead >= 0).all()
        and (ahead < len(poses)).all()
    )
    if not fits or not np.isfinite(poses).all():
        raise ValueError(f"{FILE}: the keyposes of episode {episode} do not fit its {frames} frames")
    return Demonstration(task, Keyposes(poses, is_open, ahead, touches))
