"""Writes RLDS datasets as TensorFlow Datasets does: features.json, and tf.Examples in a TFRecord file."""

import io
import json
import struct

import google_crc32c
import numpy as np
from PIL import Image


def dataset(folder, episodes, features, name="droid", file="droid-train.tfrecord-00000-of-00001"):
    """A folder with one shard of episodes, each {feature: list of bytes, or numbers}."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.json").write_text(json.dumps(tree(features)))
    (folder / "dataset_info.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    (folder / file).write_bytes(b"".join(record(example(episode)) for episode in episodes))
    return folder / file


def tree(features):
    """Nested dicts of leaves {"image": …} | {"text": …} | {"tensor": …}; `steps` becomes a sequence."""
    if all("dtype" in child or not child for child in features.values()):
        return features
    children = {name: tree(child) for name, child in features.items()}
    if "steps" in children:
        children["steps"] = {"pythonClassName": "Dataset", "sequence": {"feature": children["steps"], "length": "-1"}}
    return {"pythonClassName": "FeaturesDict", "featuresDict": {"features": children}}


def image_feature(size="32"):
    return {"image": {"shape": {"dimensions": [size, size, "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"}}


def tensor_feature(*shape, dtype="float32"):
    return {"tensor": {"shape": {"dimensions": [str(size) for size in shape]}, "dtype": dtype, "encoding": "none"}}


def text_feature():
    return {"text": {}}


def picture(seed, size=32, format="JPEG"):
    rgb = np.kron(np.random.default_rng(seed).integers(0, 255, (4, 4, 3)), np.ones((size // 4, size // 4, 1)))
    return _encoded(rgb, format)


def black(size=32):
    return _encoded(np.zeros((size, size, 3)), "JPEG")


def _encoded(rgb, format):
    stream = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(stream, format)
    return stream.getvalue()


def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data):
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def example(features):
    return field(1, b"".join(field(1, field(1, name.encode()) + field(2, feature(v))) for name, v in features.items()))


def feature(values):
    if isinstance(values, list):
        return field(1, b"".join(field(1, value) for value in values))
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return field(2, field(1, values.astype("<f4").tobytes()))
    return field(3, field(1, b"".join(varint(int(value)) for value in values.ravel())))


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    value %= 2**64
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def droid_features():
    steps = {
        "language_instruction": text_feature(),
        "language_instruction_2": text_feature(),
        "is_first": tensor_feature(dtype="bool"),
        "observation": {
            "wrist_image_left": image_feature(),
            "exterior_image_1_left": image_feature(),
            "cartesian_position": tensor_feature(6, dtype="float64"),
            "gripper_position": tensor_feature(1, dtype="float64"),
            "joint_position": tensor_feature(7, dtype="float64"),
        },
        "action_dict": {"gripper_position": tensor_feature(1, dtype="float64")},
    }
    return {"steps": steps, "episode_metadata": {"file_path": text_feature()}}


def droid_episode(steps=5, seed=0):
    """The tool points down, and goes along x; the gripper closes."""
    seen = "steps/observation/"
    state = np.tile([0.4, 0.0, 0.5, np.pi, 0.0, 0.0], (steps, 1))
    state[:, 0] += np.linspace(0, 0.2, steps)
    return {
        "steps/language_instruction": [b"Put the cup away"] * steps,
        "steps/language_instruction_2": [b"move the cup"] * steps,
        "steps/is_first": np.eye(1, steps, dtype=int)[0],
        seen + "wrist_image_left": [picture(seed + 100 + i) for i in range(steps)],
        seen + "exterior_image_1_left": [picture(seed + i) for i in range(steps)],
        seen + "cartesian_position": state.ravel().astype(float),
        seen + "gripper_position": np.linspace(0, 1, steps),
        seen + "joint_position": np.zeros(7 * steps),
        "episode_metadata/file_path": [b"/raw/trajectory.h5"],
    }
