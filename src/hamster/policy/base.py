"""What a policy is: observation and path in, motion out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.hub import HubId, fetch
from hamster.path import Path2D

if TYPE_CHECKING:
    from hamster.policy.actor_policy import ActorPolicy


@dataclass(frozen=True, eq=False)
class Motion:
    """What the robot is to do next.

    Attributes:
        poses: (K, 4, 4) tool poses in the world, metres, to be reached one after the other.
        gripper_open: (K,) bool, commanded once the pose is reached.
        step_s: seconds from one pose to the next; None for keyposes, each of which is moved to and settled at.
        touches: (K,) probability that robot or load touch something on the way there, which a motion planner has to
            allow then (RLBench's `ignore_collisions`); None of policies that do not say.
    """

    poses: NDArray[np.float64]
    gripper_open: NDArray[np.bool_]
    step_s: float | None = None
    touches: NDArray[np.float64] | None = None


class PolicyError(ValueError):
    """A policy has no motion to offer, and why. Never turned into a motion, nor into a success."""


class Policy(Protocol):
    """The low level: follows a path in 3D. It is never told the names of things.

    A path is lifted into 3D with the observation that it first comes with, so pass the same `Path2D` object for as long
    as it stands, and a new one with the observation that it was drawn on.
    """

    def reset(self) -> None:
        """Forgets the episode: its path and the gripper's state."""
        ...

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> Motion:
        """The next keypose or trajectory.

        Args:
            observation: with RGB, depth and calibration of the policy's cameras, and the tool's pose.
            path: on the policy's first camera; None lets the policy guess.
            instruction: policies of the bundled family ignore it.

        Raises:
            PolicyError: if what it works out is no motion: a number is not finite.
            ValueError: if the observation lacks something; one line that names it.
        """
        ...


def bundled() -> dict[str, Path]:
    """Folders of the checkpoints that ship with the package, by name."""
    root = Path(str(files("hamster.policy"))) / "checkpoints"
    return {p.parent.name: p.parent for p in sorted(root.glob("*/config.json"))}


def load_policy(name_or_path: str | Path = "nano", *, device: str | None = None, dtype: str = "auto") -> ActorPolicy:
    """Load a policy: a bundled one, one from a folder that `hamster train policy` wrote, or one from the hub.

    Args:
        name_or_path: of the checkpoint; OWNER/NAME or OWNER/NAME@REVISION on the hub.
        device: where its network computes; by default on a GPU where there is one, as planners do.
        dtype: in which it computes: "auto" is that of the weights, float32; or "float32", "bfloat16", "float16".

    Raises:
        ValueError: if there is no such checkpoint or device, or the checkpoint is damaged; one line that says which.
    """
    from hamster.devices import check_dtype, choose_device
    from hamster.policy.actor_policy import ActorPolicy
    from hamster.policy.checkpoint import load

    folder, place = find_policy(name_or_path), choose_device(device)
    return ActorPolicy(load(folder).to(place), dtype=check_dtype(dtype))


def find_policy(name_or_path: str | Path) -> Path:
    """Return the folder of a checkpoint, of a hub id fetched into the cache; ValueError if there is none."""
    hub_id = HubId.parse(name_or_path)
    if hub_id is not None:
        return fetch(hub_id, "model")
    known = bundled()
    folder = known.get(str(name_or_path), Path(name_or_path))
    if not (folder / "config.json").is_file():
        names = ", ".join(known) or "none"
        raise ValueError(
            f"no policy {str(name_or_path)!r}: neither bundled ({names}) nor a folder with config.json, nor a hub id"
        )
    return folder
