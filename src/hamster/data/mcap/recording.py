"""What an MCAP file of ROS 2 messages holds, but for its images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hamster.data.mcap import messages
from hamster.data.mcap.messages import is_depth_message, opened, read_message, schemas_of
from hamster.data.mcap.transforms import TransformTree

_INSTRUCTION = re.compile(r"(?:.*[/_])?(?:instruction|task|language)")  # not /task/status, which is no instruction


@dataclass
class Recording:
    """What a file holds besides its images, which are read on access.

    Attributes:
        schemas: message types by topic.
        times_ns: (N,) by topic of images and joints.
        colours, depths: topics of images.
        infos: first CameraInfo by topic.
        joints: names and positions of each JointState, by topic.
        tree: of frames.
        texts: instructions.
    """

    schemas: dict[str, str]
    times_ns: dict[str, list[int]] = field(default_factory=dict)
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
        for _, channel, message in reader.iter_messages(list(images)):
            recording.times_ns.setdefault(channel.topic, []).append(message.log_time)
        for topic in sorted(images & recording.times_ns.keys()):
            convert = partial(is_depth_message, recording.schemas[topic])
            is_depth = read_message(file, topic, recording.times_ns[topic][0], convert)
            (recording.depths if is_depth else recording.colours).append(topic)
        others = [topic for topic in recording.schemas if topic not in images]
        for schema, channel, message, decoded in reader.iter_decoded_messages(others) if others else ():
            _note(recording, schema.name, channel.topic, message.log_time, decoded)
    return recording


def _note(recording: Recording, schema: str, topic: str, time_ns: int, decoded: Any) -> None:
    if schema == messages.INFO:
        recording.infos.setdefault(topic, decoded)
    elif schema == messages.TF:
        recording.tree.add(decoded.transforms, time_ns, is_static=topic.endswith("tf_static"))
    elif schema == messages.JOINTS:
        recording.times_ns.setdefault(topic, []).append(time_ns)
        recording.joints.setdefault(topic, []).append(dict(zip(decoded.name, decoded.position, strict=False)))
    elif schema == messages.TEXT and _INSTRUCTION.fullmatch(topic.lower()) and decoded.data.strip():
        recording.texts.append(decoded.data.strip())
