"""A data source of your own: recordings in a format that the library does not know, labelled and exported.

A source is a numbered collection of items, each of which can be read alone: `__len__`, `__getitem__`, `uri`, `per_shard`.
Here the recordings are .npz files of a robot with a calibrated camera, made up by `record`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hamster
from hamster.data import Provenance, Unreadable
from hamster.geometry import look_at
from hamster.label.export import export

STEPS, HEIGHT, WIDTH = 20, 96, 128


class Frames(Sequence[hamster.Observation]):
    """The observations of one recording, each made when it is indexed."""

    def __init__(self, recording: dict[str, np.ndarray]) -> None:
        self.recording = recording

    def __len__(self) -> int:
        return len(self.recording["time_s"])

    def __getitem__(self, index: int) -> hamster.Observation:
        recording = self.recording
        camera = hamster.Camera(recording["intrinsics"], recording["world_from_camera"], WIDTH, HEIGHT)
        return hamster.Observation(
            views={"front": hamster.View(recording["rgb"][index], camera=camera)},
            tool_pose_world=recording["tool_pose_world"][index],  # (4, 4), origin between the finger tips
            gripper=float(recording["gripper"][index]),  # 0 closed to 1 open
            time_s=float(recording["time_s"][index]),
        )


@hamster.register_source("npz_robot", "DIR")
@dataclass(frozen=True)
class NpzRobot:
    """Episodes in a folder of .npz files, one episode per file."""

    folder: Path
    per_shard: int = 1

    @property
    def uri(self) -> str:
        """Return the name of this source on the command line."""
        return f"npz_robot:{self.folder}"

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.npz")))

    def __getitem__(self, index: int) -> hamster.Episode | Unreadable:
        file = sorted(self.folder.glob("*.npz"))[index]
        try:
            recording = dict(np.load(file))  # arrays only: np.load refuses pickles by default
        except (OSError, ValueError) as error:
            return Unreadable(file.name, str(error))
        return hamster.Episode(
            instructions=[str(recording["instruction"])],
            observations=Frames(recording),
            provenance=Provenance(source=self.uri, file=str(file)),
            tool_poses_world=recording["tool_pose_world"],
            gripper=recording["gripper"],
        )


def record(folder: Path, seed: int) -> None:
    """Write a made-up recording: the tool moves in a line to a cup, and closes."""
    rng = np.random.default_rng(seed)
    cup = np.array([rng.uniform(0.35, 0.5), rng.uniform(-0.1, 0.1), 0.05])
    poses = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (STEPS, 1, 1))  # pointing down
    poses[:, :3, 3] = np.linspace([0.3, -0.1, 0.3], cup, STEPS)
    intrinsics = np.array([[110.0, 0, WIDTH / 2], [0, 110, HEIGHT / 2], [0, 0, 1]])
    camera = hamster.Camera(intrinsics, look_at([1.2, 0, 0.6], [0.4, 0, 0.1]), WIDTH, HEIGHT)
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    images = np.tile(rng.integers(100, 140, (HEIGHT, WIDTH, 3), np.uint8), (STEPS, 1, 1, 1))
    for image, (column, row) in zip(images, camera.project(poses[:, :3, 3])[0], strict=True):
        image[np.hypot(columns - column, rows - row) < 6] = (200, 40, 40)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / f"{seed}.npz",
        rgb=images,
        intrinsics=camera.intrinsics,
        world_from_camera=camera.world_from_camera,
        tool_pose_world=poses,
        gripper=np.r_[np.ones(STEPS - 2), 0.0, 0.0],
        time_s=np.arange(STEPS) / 10,
        instruction="grasp the cup",
    )


def main() -> None:
    """Record, label, export as LeRobotDataset v3.0."""
    out = Path("outputs/own_data_source")
    for seed in range(2):
        record(out / "recordings", seed)
    result = hamster.label(NpzRobot(out / "recordings"), out / "labels", workers=1)
    print(f"{result.n_labelled} of {result.n_items} episodes labelled, {result.n_failed} failed")
    export(out / "labels", out / "lerobot", "lerobot")
    print(f"wrote {out / 'labels'} and {out / 'lerobot'}")


if __name__ == "__main__":
    main()
