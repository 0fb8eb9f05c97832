"""What comes after a frame of a demonstration, for policies that predict more than one pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import interpolate_poses
from hamster.policy.config import ActorConfig

Array = NDArray[np.float64]


def poses_ahead(track: dict[str, Array], frame: int, config: ActorConfig) -> tuple[Array, NDArray[np.bool_]]:
    """Return the next `horizon` poses of an episode, and the gripper command at each.

    Args:
        track: of the episode's T frames: tool (T, 4, 4) poses, open (T,) gripper commands, keypose (T,) the index of
            the next keypose, time_s (T,).
        frame: from which on.
        config: its action_type "chunk" means the poses after every `step_s` seconds from here on, the last one where
            the episode is over; "trajectory" means evenly spaced frames from here to where the next keypose is reached.

    Returns:
        Poses (K, 4, 4) and commands (K,).
    """
    tool, time_s, keypose, last = track["tool"], track["time_s"], track["keypose"], len(track["tool"]) - 1
    if config.action_type == "chunk":
        times = time_s[frame] + config.step_s * np.arange(1, config.horizon + 1)
        indices = np.interp(times, time_s, np.arange(last + 1.0))
    elif config.action_type == "trajectory":
        reached = np.flatnonzero(keypose[frame:] != keypose[frame])
        end = frame + int(reached[0]) if len(reached) else last
        indices = np.linspace(frame, end, config.horizon + 1)[1:]
    else:
        raise ValueError(f"no trajectory for action_type {config.action_type!r}; there are trajectory and chunk")
    return interpolate_poses(tool, indices), np.asarray(track["open"][np.floor(indices + 1e-9).astype(int)], bool)
