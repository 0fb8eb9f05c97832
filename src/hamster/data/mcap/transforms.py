"""The tree of frames that TF messages describe, over time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.mcap.messages import nearest
from hamster.geometry import matrix_from_quaternion

WITHIN_NS = 100_000_000  # a transform that is older than this is unknown
MAX_DEPTH = 64  # of the tree
Array = NDArray[np.float64]


def stamp_ns(header: Any) -> int:
    """Return the stamp of a decoded header, nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


@dataclass
class TransformTree:
    """Poses of frames in their parents.

    Attributes:
        parents: by frame.
    """

    parents: dict[str, str] = field(default_factory=dict)
    _times_ns: dict[str, list[int]] = field(default_factory=dict)
    _poses: dict[str, list[Array]] = field(default_factory=dict)
    _static: dict[str, Array] = field(default_factory=dict)
    _reattached: set[str] = field(default_factory=set)  # frames with several parents over time

    def add(self, transforms: Iterable[Any], logged_ns: int | None, is_static: bool) -> None:
        """Add the transforms of a message; ValueError if one is no transform.

        Args:
            transforms: stamped.
            logged_ns: the time of all of them; None for that of each one's header.
            is_static: whether they hold at any time.
        """
        for stamped in transforms:
            child, parent = stamped.child_frame_id.lstrip("/"), stamped.header.frame_id.lstrip("/")
            move, turn = stamped.transform.translation, stamped.transform.rotation
            pose = np.eye(4)
            wxyz = np.array([turn.w, turn.x, turn.y, turn.z], np.float64)
            if not (np.isfinite(wxyz).all() and np.linalg.norm(wxyz) > 1e-6):
                raise ValueError(f"the transform of {child!r:.60} has no rotation")
            pose[:3, :3], pose[:3, 3] = matrix_from_quaternion(wxyz), [move.x, move.y, move.z]
            if self.parents.setdefault(child, parent) != parent:
                self._reattached.add(child)
            if is_static:
                self._static[child] = pose
            else:
                self._times_ns.setdefault(child, []).append(
                    stamp_ns(stamped.header) if logged_ns is None else logged_ns
                )
                self._poses.setdefault(child, []).append(pose)

    def root_of(self, frame: str) -> str:
        """Return the frame at the top of the tree above a frame."""
        for _ in range(MAX_DEPTH):
            if frame not in self.parents:
                return frame
            frame = self.parents[frame]
        raise ValueError(f"the frames above {frame!r:.60} go in a circle")

    def poses(self, frame: str, root: str, at_ns: NDArray[np.int64]) -> Array:
        """Return (T, 4, 4) of a frame in one above it, NaN at times at which some transform is unknown.

        Args:
            frame, root: names.
            at_ns: (T,) times.

        Raises:
            ValueError: if `root` is not above `frame`, or a frame between them changes its parent.
        """
        out, here = np.tile(np.eye(4), (len(at_ns), 1, 1)), frame
        for _ in range(MAX_DEPTH):
            if here == root:
                return out
            if here not in self.parents:
                raise ValueError(f"TF does not lead from {frame!r:.60} to {root!r:.60}, but to {here!r:.60}")
            if here in self._reattached:
                raise ValueError(f"the parent of the frame {here!r:.60} in TF changes from {self.parents[here]!r:.60}")
            out = self._in_parent(here, at_ns) @ out
            here = self.parents[here]
        raise ValueError(f"the frames above {frame!r:.60} go in a circle")

    def _in_parent(self, frame: str, at_ns: NDArray[np.int64]) -> Array:
        if frame in self._static:
            return np.broadcast_to(self._static[frame], (len(at_ns), 4, 4))
        times_ns = np.array(self._times_ns[frame], np.int64)
        order = np.argsort(times_ns, kind="stable")
        index = nearest(times_ns[order], at_ns, WITHIN_NS)
        poses = np.stack(self._poses[frame])[order][index]
        return np.where((index >= 0)[:, None, None], poses, np.nan)
