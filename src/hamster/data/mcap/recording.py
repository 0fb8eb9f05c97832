"""What an MCAP file of ROS 2 messages holds, but for its images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hamster.data.mcap import messages
from hamster.data.mcap.messages import header_stamp_ns, is_depth_message, opened, read_message, schemas_of
from hamster.data.mcap.transforms import TransformTree, stamp_ns

STATIC = "tf_static"
MAX_APART_S = 0.5  # between the delays of two topics of one clock
_INSTRUCTION = re.compile(r"(?:.*[/_])?(?:instruction|task|language)")  # not /task/status, which is no instruction


@dataclass
class Recording:
    """What a file holds besides its images, which are read on access.

    Attributes:
        schemas: message types by topic.
        logged_ns: (N,) by topic of images, when each message was logged, in that order.
        times_ns: (N,) by topic of images and joints, when it was taken: its header's stamp if `by_header`.
        by_header: whether headers tell the time; else it is that of logging.
        notes: on the times.
        colours, depths: topics of images.
        infos: first CameraInfo by topic.
        joints: names and positions of each JointState, by topic.
        tree: of frames.
        texts: instructions.
    """

    schemas: dict[str, str]
    logged_ns: dict[str, list[int]] = field(default_factory=dict)
    times_ns: dict[str, list[int]] = field(default_factory=dict)
    by_header: bool = False
    notes: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    depths: list[str] = field(default_factory=list)
    infos: dict[str, Any] = field(default_factory=dict)
    joints: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    tree: TransformTree = field(default_factory=TransformTree)
    texts: list[str] = field(default_factory=list)


def read_recording(file: Path) -> Recording:
    """Go through a file once; of images only the first one of each topic is decoded."""
    known = (messages.IMAGE, messages.COMPRESSED, messages.INFO, messages.JOINTS, messages.TF, messages.TEXT)
    with opened(file) as reader:
        recording = Recording(schemas_of(reader, known))
        if not recording.schemas:
            raise ValueError(f"{file.name} has no ROS 2 messages of a known type; there are: {', '.join(known)}")
        images = {t for t, s in recording.schemas.items() if s in (messages.IMAGE, messages.COMPRESSED)}
        _read_times(recording, reader, images)
        for topic in sorted(images & recording.times_ns.keys()):
            convert = partial(is_depth_message, recording.schemas[topic])
            is_depth = read_message(file, topic, recording.logged_ns[topic][0], convert)
            (recording.depths if is_depth else recording.colours).append(topic)
        others = [topic for topic in recording.schemas if topic not in images]
        for schema, channel, message, decoded in reader.iter_decoded_messages(others) if others else ():
            _note(recording, schema.name, channel.topic, message.log_time, decoded)
    return recording


def _read_times(recording: Recording, reader: Any, images: set[str]) -> None:
    """Note when the messages of images were logged and taken, and by which clock.

    Headers count if all messages whose time matters have a stamp, and these are of one clock: what lies between stamp
    and logging, the delay of a driver or the start of a simulation, is about the same for all topics.
    """
    moving = (messages.JOINTS, messages.TF)
    timed = [t for t, s in recording.schemas.items() if t in images or (s in moving and not t.endswith(STATIC))]
    logged, stamped = dict[str, list[int]](), dict[str, list[int]]()
    for schema, channel, message in reader.iter_messages(timed) if timed else ():
        logged.setdefault(channel.topic, []).append(message.log_time)
        stamped.setdefault(channel.topic, []).append(header_stamp_ns(schema.name, message.data))
    delays_s = {t: float(np.median(np.subtract(logged[t], stamps))) / 1e9 for t, stamps in stamped.items()}
    if delays_s and all(min(stamps) > 0 for stamps in stamped.values()):
        first, last = min(delays_s, key=delays_s.__getitem__), max(delays_s, key=delays_s.__getitem__)
        recording.by_header = delays_s[last] - delays_s[first] <= MAX_APART_S
        if not recording.by_header:
            recording.notes.append(
                f"the headers of {first} and {last} differ by {delays_s[last] - delays_s[first]:.1f} s: they are of "
                "different clocks, so the times of logging are used"
            )
    for topic in images & logged.keys():
        recording.logged_ns[topic] = logged[topic]
        recording.times_ns[topic] = stamped[topic] if recording.by_header else logged[topic]


def _note(recording: Recording, schema: str, topic: str, time_ns: int, decoded: Any) -> None:
    if schema == messages.INFO:
        recording.infos.setdefault(topic, decoded)
    elif schema == messages.TF:
        logged_ns = None if recording.by_header else time_ns
        recording.tree.add(decoded.transforms, logged_ns, is_static=topic.endswith(STATIC))
    elif schema == messages.JOINTS:
        time_ns = stamp_ns(decoded.header) if recording.by_header else time_ns
        recording.times_ns.setdefault(topic, []).append(time_ns)
        recording.joints.setdefault(topic, []).append(dict(zip(decoded.name, decoded.position, strict=False)))
    elif schema == messages.TEXT and _INSTRUCTION.fullmatch(topic.lower()) and decoded.data.strip():
        recording.texts.append(decoded.data.strip())
