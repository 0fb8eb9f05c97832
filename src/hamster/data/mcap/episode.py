"""One MCAP file of ROS 2 messages as an episode.

Times are the stamps of the messages' headers if all have them, of one clock; else those of logging. The frames are the
images of the first colour topic; of any other topic each frame has the message nearest in time, if that is less than
half a step away.

| message type | what is read |
|---|---|
| sensor_msgs/Image, CompressedImage | colours (rgb8, bgr8 …, JPEG, PNG); depth (16UC1, 32FC1, compressedDepth) |
| sensor_msgs/CameraInfo | intrinsics of the images in the same namespace (`p` of rectified ones, else `k`), frame |
| tf2_msgs/TFMessage | poses of the cameras and of the tool |
| sensor_msgs/JointState | positions of the joints, and the gripper's |
| std_msgs/String, of a topic whose name ends in instruction, task or language | the instruction |

Which frame is the tool's tip and which joint the gripper, no message says: NAME.json beside NAME.mcap does, with
`tool_frame`, `world_frame` (by default the root above the tool; where joints are to give the tool's poses, the robot's
base), `gripper_joint` and its values `open` and `closed`; it may also hold the `instruction`, as of videos.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.annotations import read_notes
from hamster.data.depth import Depth, camera_of_depth, check_plausible, fit_depth, name_words, to_metres
from hamster.data.lazy import LazyObservations
from hamster.data.mcap.messages import Value, colour_of, depth_of, nearest, read_message
from hamster.data.mcap.recording import Recording, read_recording
from hamster.data.records import Episode, JointStates, Observation, Provenance, View
from hamster.data.robots import NO_GRIPPER, GripperScale
from hamster.data.text import decode_text
from hamster.geometry import Camera

Array = NDArray[np.float64]
Times = NDArray[np.int64]
MAX_FRAMES = 1_000_000
MAX_TEXT_BYTES = 1 << 20
_COMMANDED = re.compile(r"command|target|desired|leader|master|gello")  # of joints that another arm, or nobody, has
_HAND = re.compile(r"wrist|hand|gripper")


def read_episode(file: Path) -> Episode:
    """Return a file as an episode.

    Raises:
        ValueError: in one line, if it is damaged, has no colour images, or NAME.json does not fit it.
    """
    recording, described = read_recording(file), _described(file)
    if not recording.colours:
        raise ValueError(f"{file.name} has no colour images; its topics are {', '.join(sorted(recording.schemas))}")
    cameras = {
        _camera_name(topic): topic for topic in sorted(recording.colours, key=lambda t: (bool(_HAND.search(t)), t))
    }
    times = {topic: np.array(taken, np.int64) for topic, taken in recording.times_ns.items()}
    at_ns = np.unique(times[next(iter(cameras.values()))])
    if len(at_ns) > MAX_FRAMES:
        raise ValueError(f"{file.name} has {len(at_ns)} frames; an episode has at most {MAX_FRAMES:,}")
    step_ns = int(np.median(np.diff(at_ns))) if len(at_ns) > 1 else 10**9
    index = {topic: _nearest(times[topic], at_ns, step_ns) for topic in (*recording.colours, *recording.depths)}
    logged = {topic: np.array(recording.logged_ns[topic], np.int64) for topic in index}
    logged = {topic: np.where(rows >= 0, logged[topic][rows], -1) for topic, rows in index.items()}
    poses, notes = _tool_poses(recording, described, at_ns)
    world = described.get("world_frame") or (
        recording.tree.root_of(described["tool_frame"]) if poses is not None else ""
    )
    lenses, lens_notes = _lenses(recording, cameras, world, at_ns)
    gripper = _gripper(recording, described, times, at_ns, step_ns)
    frames = _Frames(file, recording.schemas, cameras, {}, logged, lenses, poses, gripper, (at_ns - at_ns[0]) / 1e9)
    depths, depth_notes = _depths(recording, cameras, frames)
    notes += [
        *recording.notes,
        *lens_notes,
        *depth_notes,
        *([NO_GRIPPER] if gripper is None and poses is not None else []),
    ]
    instructions = tuple(dict.fromkeys(recording.texts)) or read_notes(file).instructions
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Episode(
        instructions=instructions,
        observations=replace(frames, depths=depths),
        provenance=Provenance(f"mcap:{file.name}", file.name, digest, "", {"notes": notes} if notes else {}),
        tool_poses_world=poses,
        gripper=gripper,
        joints=_joints(recording, times, at_ns, step_ns),
    )


@dataclass(frozen=True, eq=False)
class _Frames(LazyObservations):
    """Observations of a recording; each image is read from the file when it is indexed."""

    file: Path
    schemas: Mapping[str, str]
    cameras: Mapping[str, str]
    depths: Mapping[str, str]
    logged_ns: Mapping[str, Times]  # of each frame's message, -1 if it has none
    lenses: Mapping[str, Sequence[Camera | None]]
    tool_poses_world: Array | None
    gripper: Array | None
    times_s: Array

    def __len__(self) -> int:
        return len(self.times_s)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        views = {name: self.view(name, i) for name, topic in self.cameras.items() if self.logged_ns[topic][i] >= 0}
        pose = None if self.tool_poses_world is None else self.tool_poses_world[i]
        return Observation(
            views, pose, None if self.gripper is None else float(self.gripper[i]), float(self.times_s[i])
        )

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        if camera not in self.cameras:
            return frozenset()
        return frozenset(np.flatnonzero(self.logged_ns[self.cameras[camera]] < 0).tolist())

    def view(self, name: str, i: int) -> View:
        """Return one camera's view of a frame that has its image."""
        topic = self.cameras[name]
        rgb = self._read(topic, i, partial(colour_of, self.schemas[topic], name=f"{topic}, frame {i}"))
        height, width, _ = rgb.shape
        lens = self.lenses[name][i] if name in self.lenses else None
        camera = None if lens is None else lens.resized(width, height)
        return View(rgb, self.depth(self.depths[name], i, width, height) if name in self.depths else None, camera)

    def depth(self, topic: str, i: int, width: int, height: int) -> Depth:
        """Return depth (height, width), metres, of a topic; 0 everywhere at a frame without a message."""
        if self.logged_ns[topic][i] < 0:
            return np.zeros((height, width), np.float32)
        name = f"{topic}, frame {i}"
        stored = self._read(topic, i, partial(depth_of, self.schemas[topic], name=name))
        return fit_depth(to_metres(stored, name), width, height, topic)

    def frame_id(self, topic: str, i: int) -> str:
        """Return the TF frame that the message of a frame of the episode states, "" if none."""
        return self._read(topic, i, lambda message: str(message.header.frame_id).lstrip("/"))

    def _read(self, topic: str, i: int, convert: Callable[[Any], Value]) -> Value:
        return read_message(self.file, topic, int(self.logged_ns[topic][i]), convert)


def _depths(recording: Recording, cameras: Mapping[str, str], frames: _Frames) -> tuple[dict[str, str], list[str]]:
    """Return the depth topic of each camera that has usable depth, and notes on depth that is not used."""
    depths, notes = dict[str, str](), list[str]()
    for topic in recording.depths:
        camera = camera_of_depth(topic, cameras)
        if camera is None or camera in depths:
            notes.append(f"{topic} holds depth, but of which camera its name does not say: it is not used")
            continue
        known = frames.logged_ns[topic] >= 0
        both = np.flatnonzero(known & (frames.logged_ns[cameras[camera]] >= 0)).tolist()
        try:
            if not both:
                raise ValueError(f"{topic} has no image at the time of any of {cameras[camera]}")
            colour_frame, depth_frame = frames.frame_id(cameras[camera], both[0]), frames.frame_id(topic, both[0])
            if colour_frame and depth_frame and colour_frame != depth_frame:
                raise ValueError(
                    f"{topic} is in the frame {depth_frame!r:.60}, {cameras[camera]} in {colour_frame!r:.60}: it is "
                    "not registered to that image"
                )
            height, width, _ = frames.view(camera, both[0]).rgb.shape
            check_plausible(frames.depth(topic, both[0], width, height), topic)
            depths[camera] = topic
        except ValueError as error:
            notes.append(f"depth of camera {camera} is not used: {error}")
    return depths, notes


def _tool_poses(recording: Recording, described: Mapping[str, Any], at_ns: Times) -> tuple[Array | None, list[str]]:
    """Return (T, 4, 4) of the tool in the world, NaN where unknown; None, with a note, if it is not named."""
    tool, tree = described.get("tool_frame"), recording.tree
    if not tool:
        some = ", ".join(sorted(tree.parents)[:8])
        return None, [f"tool_frame is not named in NAME.json, so paths come from tracking; frames: {some or 'none'}"]
    if tool not in tree.parents:
        raise ValueError(
            f"TF has no tool_frame {tool!r:.60}; there are: {', '.join(sorted(tree.parents)[:20]) or 'none'}"
        )
    return tree.poses(tool, described.get("world_frame") or tree.root_of(tool), at_ns), []


def _lenses(
    recording: Recording, cameras: Mapping[str, str], world: str, at_ns: Times
) -> tuple[dict[str, list[Camera | None]], list[str]]:
    """Return each camera's calibration per frame, None where its pose is unknown, and notes on what is missing."""
    lenses, notes = dict[str, list[Camera | None]](), list[str]()
    for name, topic in cameras.items():
        base = re.sub(r"/(compressed|image\w*)(/compressed)?$", "", topic)
        info = recording.infos.get(f"{base}/camera_info")
        if info is None or not world:
            notes.append(
                f"camera {name} is not calibrated: " + ("no world frame" if info else f"no {base}/camera_info")
            )
            continue
        try:
            poses = recording.tree.poses(info.header.frame_id.lstrip("/"), world, at_ns)
            matrix, is_distorted = intrinsics_of(info, topic)
            lenses[name] = [
                Camera(matrix, pose, int(info.width), int(info.height)) if np.isfinite(pose).all() else None
                for pose in poses
            ]
            if is_distorted:
                notes.append(f"the lens distortion of camera {name} is not corrected; record rectified images")
        except (ValueError, AttributeError, TypeError) as error:  # the file's own definition of CameraInfo
            notes.append(f"camera {name} is not calibrated: {error}")
    return lenses, notes


def intrinsics_of(info: Any, topic: str) -> tuple[Array, bool]:
    """Return the intrinsics (3, 3), pixels, of a topic's images, and whether these are distorted.

    Args:
        info: the CameraInfo of the topic's namespace; of a rectified image its `p` holds, of a raw one its `k`.
        topic: of the images; image_proc and drivers name rectified ones image_rect.
    """
    is_rectified = "image_rect" in topic and len(getattr(info, "p", ())) == 12
    matrix = np.array(info.p if is_rectified else info.k, np.float64).reshape(3, -1)[:, :3]
    return matrix, not is_rectified and bool(np.any(np.abs(getattr(info, "d", ())) > 0))


def _gripper(
    recording: Recording, described: Mapping[str, Any], times: Mapping[str, Times], at_ns: Times, step_ns: int
) -> Array | None:
    """Return (T,) openings from the joint that is named, NaN where no message is near; None if none is named."""
    joint = described.get("gripper_joint")
    if not joint:
        return None
    topic = next((topic for topic, states in recording.joints.items() if any(joint in state for state in states)), None)
    if topic is None:
        names = sorted({name for states in recording.joints.values() for state in states for name in state})
        raise ValueError(f"no JointState has gripper_joint {joint!r:.60}; there are: {', '.join(names) or 'none'}")
    values = _positions(recording.joints[topic], joint, times[topic], at_ns, step_ns)
    scale = GripperScale(closed=float(described["closed"]), open=float(described["open"]))
    opening = scale.opening(values)
    if opening is None:
        known = values[np.isfinite(values)]
        span = (
            f"goes from {known.min():g} to {known.max():g}" if len(known) else "has no position near any image's time"
        )
        raise ValueError(f"gripper_joint {joint!r:.60} {span}; `closed` is {scale.closed:g} and `open` {scale.open:g}")
    return opening


def _joints(recording: Recording, times: Mapping[str, Times], at_ns: Times, step_ns: int) -> JointStates | None:
    """Return the positions of all joints, radians as ROS has them (REP 103); None if there are none."""
    topics = sorted((t for t in recording.joints if not _COMMANDED.search(t.lower())), key=lambda t: (len(t), t))
    topic_of = {name: topic for topic in reversed(topics) for state in recording.joints[topic] for name in state}
    if not topic_of:
        return None
    positions = np.stack(
        [_positions(recording.joints[topic], name, times[topic], at_ns, step_ns) for name, topic in topic_of.items()], 1
    )
    known = np.isfinite(positions)
    low, high = np.where(known, positions, np.inf).min(0), np.where(known, positions, -np.inf).max(0)
    return JointStates(tuple(topic_of), positions, low, high, unit="rad")


def _positions(states: Sequence[Mapping[str, float]], joint: str, times_ns: Times, at_ns: Times, step_ns: int) -> Array:
    """Return (T,) positions of a joint, NaN where no message is near."""
    rows = [i for i, state in enumerate(states) if joint in state]  # an arm and its gripper may share a topic
    index, positions = _nearest(times_ns[rows], at_ns, step_ns), np.array([states[i][joint] for i in rows])
    return np.where(index >= 0, positions[index], np.nan)


def _nearest(times_ns: Times, at_ns: Times, step_ns: int) -> NDArray[np.intp]:
    """Return for each time the index of the nearest of `times_ns`, -1 if it is half a step away; stamps may go back."""
    order = np.argsort(times_ns, kind="stable")
    index = nearest(times_ns[order], at_ns, step_ns // 2)
    return np.where(index >= 0, order[index], -1)


def _described(file: Path) -> dict[str, Any]:
    """Return what NAME.json says of the robot."""
    beside = file.with_suffix(".json")
    if not beside.is_file():
        return {}
    if beside.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(f"{beside.name} is larger than {MAX_TEXT_BYTES >> 20} MiB")
    try:
        record = json.loads(decode_text(beside.read_bytes(), beside.name))
    except (ValueError, RecursionError):
        raise ValueError(f"{beside.name} is not JSON") from None
    if not isinstance(record, dict):
        raise ValueError(f"{beside.name} is not a JSON object")
    for name in ("tool_frame", "world_frame", "gripper_joint"):
        if not isinstance(record.get(name, ""), str):
            raise ValueError(f"{beside.name}: {name} must be a name, got {record[name]!r:.60}")
    ends = [record.get(name) for name in ("open", "closed")]
    are_numbers = all(isinstance(end, int | float) and abs(end) < 1e9 for end in ends)
    if record.get("gripper_joint") and not (are_numbers and ends[0] != ends[1]):
        raise ValueError(f"{beside.name}: gripper_joint needs its values `open` and `closed`, two different numbers")
    return record


def _camera_name(topic: str) -> str:
    return "_".join(name_words(topic)) or "camera"
