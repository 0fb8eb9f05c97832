"""Demonstrations by the scripted expert, in the place of teleoperation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import pi, remainder
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode, Inputs, Keyposes, Observation, Provenance, Unreadable
from hamster.data.lazy import LazyObservations
from hamster.geometry import quaternion_from_matrix
from hamster.geometry.keypose_motion import yaw_of
from hamster.sim.expert import execute, plan
from hamster.sim.language import TABLETOP, Grammar, Task, commands
from hamster.sim.scene import Command, Keypose, keypose_pose
from hamster.sim.tabletop.disturb import disturb
from hamster.sim.tabletop.sample import sample
from hamster.sim.tabletop.shift import PLAIN
from hamster.sim.tasks import begin, is_success
from hamster.sim.world import Snapshot, World

# The paper's budget of real demonstrations (section 4.2): 220 pick and place, 50 press a button, 50 knock down.
PAPER_MIX = {"pick_place": 220, "press": 50, "knock": 50}
EVERY = 4  # control steps of 0.05 s: five frames a second, and one wherever a keypose is reached
IMAGE_SIZE = 256
TRIES = 20
PHRASINGS = 3
DISTURBED_SHARE = 0.5
REACHED_M, REACHED_RAD = 0.005, 0.03


class Frames(LazyObservations):
    """Observations that are rendered from snapshots when they are indexed."""

    def __init__(self, world: World, snapshots: Sequence[Snapshot], cameras: tuple[str, ...]) -> None:
        self._world, self._snapshots, self._cameras = world, snapshots, cameras

    def __len__(self) -> int:
        return len(self._snapshots)

    def read(self, i: int) -> Observation:
        """Render one frame."""
        self._world.restore(self._snapshots[i])
        return self._world.observe(self._cameras)


@dataclass(frozen=True)
class Demonstrations:
    """`n` successful demonstrations in the paper's mix of families; each depends on the seed and its index alone.

    An episode ends when its task is done; of the retreat, only the keypose is kept. Its frames are rendered from a
    simulation that it holds, so that it cannot be pickled.
    """

    n: int
    seed: int = 0
    image_size: int = IMAGE_SIZE
    per_shard: int = 1

    @property
    def uri(self) -> str:
        """The source as SCHEME:ARGUMENT: tabletop:N."""
        return f"tabletop:{self.n}"

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Episode | Unreadable:
        number = range(self.n)[index]
        family, rng = mixed(self.n)[number], np.random.default_rng((self.seed, number))
        for _ in range(TRIES):
            extra = {"seed": self.seed, "index": number}
            if (episode := self._demonstrate(rng, family, extra)) is not None:
                return episode
        return Unreadable(self.inputs(number).name, f"the expert failed {TRIES} times in a row at {family!r}")

    def inputs(self, index: int) -> Inputs:
        """Return the inputs: numbers only, no files."""
        number = range(self.n)[index]
        return Inputs(f"tabletop episode {number}", (), f"{(self.seed, number, self.image_size)}")

    def _demonstrate(self, rng: np.random.Generator, family: str, extra: dict[str, Any]) -> Episode | None:
        """Return one try at an episode; None if the expert failed."""
        scene, command = sample(rng, family)
        world = World(scene, self.image_size)
        return demonstrate(world, command, plan(world, command), TABLETOP, extra)


@dataclass(frozen=True)
class DisturbedDemonstrations(Demonstrations):
    """As `Demonstrations`, but that a half of the episodes start in the middle of a task, after a disturbance.

    See `disturb`. Path, images and gripper state of such an episode are those from there on. The other half are
    episodes of `Demonstrations`.
    """

    @property
    def uri(self) -> str:
        """The source as SCHEME:ARGUMENT: tabletop-disturbed:N."""
        return f"tabletop-disturbed:{self.n}"

    def _demonstrate(self, rng: np.random.Generator, family: str, extra: dict[str, Any]) -> Episode | None:
        if np.random.default_rng((self.seed, extra["index"], 1)).random() >= DISTURBED_SHARE:
            return super()._demonstrate(rng, family, extra)
        scene, command = sample(rng, family)
        world = World(scene, self.image_size)
        if (name := disturb(world, command, rng)) is None:
            return None
        task = Task(command.family, command.target, command.goal)
        plain = commands(scene, rng, 1, PLAIN, among=[task])
        if not plain:
            return None
        keyposes = [_present(world), *_ahead(world, plan(world, command))]
        return demonstrate(world, plain[0], keyposes, PLAIN, {**extra, "disturbance": name}, n_reached=1)


@cache
def mixed(n: int) -> tuple[str, ...]:
    """Return n families in the proportions of `PAPER_MIX`, always the one that lags behind its share most."""
    total, so_far = sum(PAPER_MIX.values()), dict.fromkeys(PAPER_MIX, 0)
    families: list[str] = []
    for i in range(1, n + 1):
        families.append(max(PAPER_MIX, key=lambda name: PAPER_MIX[name] * i / total - so_far[name]))
        so_far[families[-1]] += 1
    return tuple(families)


def demonstrate(
    world: World, command: Command, keyposes: list[Keypose], grammar: Grammar, extra: dict[str, Any], n_reached: int = 0
) -> Episode | None:
    """Carry out a plan; return the episode, None if the task was done before, or is not done then.

    Args:
        world: where the plan starts.
        command: the task.
        keyposes: the plan, after `n_reached` keyposes that the robot is at.
        grammar: of more instructions.
        extra: of the episode's provenance.
        n_reached: see `keyposes`.
    """
    start = begin(world)
    if is_success(world, command, start):
        return None
    snapshots, leads_to, commanded = [world.snapshot()], [n_reached], [_action(world)]
    touches = np.zeros(len(keyposes), bool)

    def record(index: int) -> None:
        snapshots.append(world.snapshot())
        leads_to.append(n_reached + index)
        commanded.append(_action(world))
        touches[n_reached + index] |= world.in_contact

    execute(world, keyposes[n_reached:], record)
    if not is_success(world, command, start):
        return None
    steps = np.array(leads_to), np.stack(commanded)
    return _episode(world, command, keyposes, touches, snapshots, *steps, grammar, extra)


def _present(world: World) -> Keypose:
    """Return the keypose that the robot is at, with the gripper command in force.

    At its head, an episode's keyposes tell that a gripper that is half open was told to close.
    """
    x, y, z = world.tool_pose_world[:3, 3].tolist()
    return Keypose((x, y, z), yaw_of(world.tool_pose_world), world.gripper_open)


def _ahead(world: World, keyposes: list[Keypose]) -> list[Keypose]:
    """Return the keyposes without those at the head that the robot is at already."""
    present = _present(world)
    for i, keypose in enumerate(keyposes):
        distance_m = float(np.linalg.norm(np.subtract(keypose.position, present.position)))
        turn_rad = abs(remainder(keypose.yaw - present.yaw, 2 * pi))
        if distance_m > REACHED_M or turn_rad > REACHED_RAD or keypose.gripper_open != present.gripper_open:
            return keyposes[i:]
    return []


def _action(world: World) -> NDArray[np.float64]:
    pose = world.tool_pose_world
    return np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), float(world.gripper_open)])


def _episode(
    world: World, command: Command, keyposes: list[Keypose], touches: NDArray[np.bool_], snapshots: list[Snapshot],
    leads_to: NDArray[np.int64], commanded: NDArray[np.float64], grammar: Grammar, extra: dict[str, Any],
) -> Episode:  # fmt: skip
    reached = np.append(np.diff(leads_to) > 0, True)
    upcoming = np.where(reached, leads_to + 1, leads_to)
    last = max(i for i, keypose in enumerate(keyposes) if not keypose.retreat)
    steps = np.arange(len(snapshots))
    kept = steps[((steps % EVERY == 0) | reached) & (leads_to <= last)]
    frames = Frames(world, [snapshots[i] for i in kept], tuple(world.scene.cameras))
    states = [_state(world, snapshots[i]) for i in kept]
    return Episode(
        instructions=[command.instruction, *_rephrased(world, command, grammar, extra["index"])],
        observations=frames,
        provenance=Provenance("tabletop", extra={**extra, "family": command.family}),
        tool_poses_world=np.stack([pose for pose, _ in states]),
        gripper=np.array([opening for _, opening in states]),
        actions=commanded[kept],
        keyposes=Keyposes(
            np.stack([keypose_pose(keypose) for keypose in keyposes]),
            np.array([keypose.gripper_open for keypose in keyposes]),
            upcoming[kept],
            touches,
        ),
    )


def _rephrased(world: World, command: Command, grammar: Grammar, seed: int) -> list[str]:
    task, rng = Task(command.family, command.target, command.goal), np.random.default_rng(seed)
    return [c.instruction for c in commands(world.scene, rng, PHRASINGS, grammar, among=[task])]


def _state(world: World, snapshot: Snapshot) -> tuple[NDArray[np.float64], float]:
    world.restore(snapshot)
    return world.tool_pose_world, world.gripper_opening
