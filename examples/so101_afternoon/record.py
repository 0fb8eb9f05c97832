"""Record what an owner of an SO-101 has: demonstrations as joints, and a camera that nobody has calibrated.

    python record.py OUT [DEMONSTRATIONS] [CALIBRATION_FRAMES]

writes the LeRobotDatasets OUT/demos and OUT/calibration; in the latter a marker is on the gripper. The arm is moved by the
inverse kinematics of `hamster.geometry.kinematics`, and records what LeRobot does: positions of motors, -100 to 100, images,
and depth in millimetres. The calibration of the camera is not recorded; OUT/truth.json, for check.py alone, has it, and
where the simulator's own gripper is in each image.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from so101_sim import FEATURES, HEIGHT, INSTRUCTION, WIDTH, SimulatedSO101, tool_pose

FPS = 10
SPEED_M_S, ABOVE_M, LIFT_M = 0.12, 0.07, 0.09
OPEN, CLOSED = 100.0, 0.0
CLOSING_FRAMES = 8
Target = tuple[np.ndarray, float]  # pose of the tool (4, 4), and the gripper, 0 closed to 100 open


def demonstration(arm: SimulatedSO101) -> Iterator[Target]:
    """Yield targets, one a frame: over the block, down, close, up."""
    block = arm.block_m
    azimuth = float(np.arctan2(block[1], block[0]))
    start = arm.arm.forward(arm.data.qpos[arm._addresses[:5]])
    over, at, up = (tool_pose(azimuth, tuple(block + np.array([0, 0, height]))) for height in (ABOVE_M, 0.0, LIFT_M))
    yield from _moved(start, over, OPEN)
    yield from _moved(over, at, OPEN)
    yield from [(at, CLOSED)] * CLOSING_FRAMES
    yield from _moved(at, up, CLOSED)
    yield from [(up, CLOSED)] * 3


def tour(frames: int) -> Iterator[Target]:
    """Yield targets through the whole workspace, up and down, with the gripper turned differently each time."""
    rng, pose = np.random.default_rng(0), tool_pose(0.0, (0.2, 0.0, 0.12))
    count = 0
    while count < frames:
        azimuth, radius, height = rng.uniform(-0.9, 0.9), rng.uniform(0.16, 0.27), rng.uniform(0.03, 0.16)
        position = (radius * np.cos(azimuth), radius * np.sin(azimuth), height)
        following = tool_pose(azimuth + rng.uniform(-0.4, 0.4), position, rng.uniform(0.2, 0.9))
        for target in _moved(pose, following, CLOSED):
            yield target
            count += 1
        pose = following


def _moved(start: np.ndarray, end: np.ndarray, gripper: float) -> Iterator[Target]:
    """Yield poses on a straight way at `SPEED_M_S`; the arm goes the way from orientation to orientation by itself."""
    count = max(2, round(float(np.linalg.norm(end[:3, 3] - start[:3, 3])) / SPEED_M_S * FPS))
    for share in np.arange(1, count + 1) / count:
        pose = end.copy()
        pose[:3, 3] = start[:3, 3] + share * (end[:3, 3] - start[:3, 3])
        yield pose, gripper


class Recording:
    """A LeRobotDataset v2.1 with images in the tables; an episode at a time is in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lengths = folder, list[int]()
        self.true_uv: list[list[list[float]]] = []  # of each frame
        (folder / "data" / "chunk-000").mkdir(parents=True)
        (folder / "meta").mkdir()

    def add(self, arm: SimulatedSO101, targets: Iterator[Target]) -> None:
        """Move the arm along targets, and record it."""
        states, actions, images, depths, true_uv = [], [], [], [], []
        joints = arm.data.qpos[arm._addresses[:5]].copy()
        for pose, gripper in targets:
            reading = arm.get_observation()
            joints = arm.arm.inverse(pose, joints, restarts=0).positions
            action = arm.motor_values(np.array([*joints, 0.0])) | {FEATURES[-1]: gripper}
            states.append([reading[name] for name in FEATURES])
            actions.append([action[name] for name in FEATURES])
            images.append({"bytes": _png(reading["front"]), "path": None})
            depths.append({"bytes": _png(reading["front_depth"][..., 0]), "path": None})
            true_uv.append((arm.true_camera().project(arm.true_tip_m[None])[0][0] / [WIDTH, HEIGHT]).tolist())
            arm.send_action(action)
        self.true_uv.append(true_uv)
        self._write(np.float32(states), np.float32(actions), images, depths)

    def _write(self, states: np.ndarray, actions: np.ndarray, images: list[dict], depths: list[dict]) -> None:
        count, episode, begun = len(states), len(self.lengths), sum(self.lengths)
        table = pa.table(
            {
                "observation.state": pa.array(states.tolist(), pa.list_(pa.float32())),
                "action": pa.array(actions.tolist(), pa.list_(pa.float32())),
                "observation.images.front": pa.array(images),
                "observation.images.front_depth": pa.array(depths),
                "timestamp": pa.array(np.arange(count) / FPS, pa.float32()),
                "frame_index": pa.array(range(count)),
                "episode_index": pa.array([episode] * count),
                "index": pa.array(range(begun, begun + count)),
                "task_index": pa.array([0] * count),
            }
        )
        pq.write_table(table, self.folder / "data" / "chunk-000" / f"episode_{episode:06d}.parquet")
        self.lengths.append(count)

    def close(self) -> None:
        """Write the metadata."""
        meta, motors = self.folder / "meta", {"dtype": "float32", "shape": [len(FEATURES)], "names": [*FEATURES]}
        image = {"dtype": "image", "names": ["height", "width", "channels"]}
        features = {
            "observation.state": motors,
            "action": motors,
            "observation.images.front": {**image, "shape": [HEIGHT, WIDTH, 3]},
            "observation.images.front_depth": {
                **image, "shape": [HEIGHT, WIDTH, 1], "info": {"is_depth_map": True, "depth_unit": "mm"}
            },
        }  # fmt: skip
        info = {
            "codebase_version": "v2.1", "robot_type": "so101_follower", "fps": FPS, "chunks_size": 1000,
            "total_episodes": len(self.lengths), "features": features,
        }  # fmt: skip
        (meta / "info.json").write_text(json.dumps(info, indent=1))
        (meta / "tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": INSTRUCTION}) + "\n")
        episodes = [{"episode_index": i, "tasks": [INSTRUCTION], "length": n} for i, n in enumerate(self.lengths)]
        (meta / "episodes.jsonl").write_text("".join(json.dumps(episode) + "\n" for episode in episodes))


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def main(out: str, demonstrations: int = 80, calibration_frames: int = 80) -> None:
    """Record both datasets; demonstrations that fail are recorded again on another scene, as a person would."""
    tagged = Recording(Path(out) / "calibration")
    tagged.add(SimulatedSO101(0, 1 / FPS, with_marker=True), tour(calibration_frames))
    tagged.close()
    arm, demos = SimulatedSO101(0, 1 / FPS), Recording(Path(out) / "demos")
    lifted = 0
    for seed in range(1000, 1000 + demonstrations):  # other scenes than those of evaluate.py
        arm.reset(seed)
        demos.add(arm, demonstration(arm))
        lifted += arm.is_lifted
    demos.close()
    camera = arm.true_camera()
    truth = {
        "intrinsics": camera.intrinsics.tolist(), "world_from_camera": camera.world_from_camera.tolist(),
        "tip_uv": demos.true_uv,
    }  # fmt: skip
    (Path(out) / "truth.json").write_text(json.dumps(truth))
    print(f"{lifted} of {demonstrations} demonstrations lift the block; {sum(demos.lengths)} frames in {demos.folder}")


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
