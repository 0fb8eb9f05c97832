"""Writes MCAP files of ROS 2 messages, with the definitions that a recorder puts into them."""

import io
from types import SimpleNamespace as Message

import numpy as np
from PIL import Image

from hamster.geometry import look_at, quaternion_from_matrix
from tests.data.depth_files import encoded, millimetres, scene_m

HEADER = "std_msgs/Header header\n"
PARTS = {
    "std_msgs/Header": "builtin_interfaces/Time stamp\nstring frame_id\n",
    "builtin_interfaces/Time": "int32 sec\nuint32 nanosec\n",
    "geometry_msgs/TransformStamped": HEADER + "string child_frame_id\ngeometry_msgs/Transform transform\n",
    "geometry_msgs/Transform": "geometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation\n",
    "geometry_msgs/Vector3": "float64 x\nfloat64 y\nfloat64 z\n",
    "geometry_msgs/Quaternion": "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n",
}
TYPES = {
    "sensor_msgs/msg/CompressedImage": HEADER + "string format\nuint8[] data\n",
    "sensor_msgs/msg/Image": HEADER
    + "uint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data\n",
    "sensor_msgs/msg/CameraInfo": HEADER + "uint32 height\nuint32 width\nfloat64[] d\nfloat64[9] k\n",
    "sensor_msgs/msg/JointState": HEADER + "string[] name\nfloat64[] position\n",
    "tf2_msgs/msg/TFMessage": "geometry_msgs/TransformStamped[] transforms\n",
    "std_msgs/msg/String": "string data\n",
}
COLOUR, DEPTH = "/front/color/image_raw/compressed", "/front/aligned_depth_to_color/image_raw"
SIZE, STEP_NS, START_NS = (48, 32), 100_000_000, 10**18
WORLD_FROM_CAMERA = look_at([1, 0.1, 0.8], [0.4, 0, 0.1])


def definition(name):
    needed = PARTS if "Header" in TYPES[name] or "Transform" in TYPES[name] else {}
    return TYPES[name] + "".join(f"{'=' * 80}\nMSG: {part}\n{text}" for part, text in needed.items())


def header(frame="", stamp_ns=0):
    sec, nanosec = divmod(stamp_ns, 10**9)
    return Message(stamp=Message(sec=sec, nanosec=nanosec), frame_id=frame)


def transform(parent, child, pose):
    w, x, y, z = quaternion_from_matrix(pose[:3, :3])
    moved = Message(**dict(zip("xyz", pose[:3, 3].tolist(), strict=True)))
    turned = Message(x=float(x), y=float(y), z=float(z), w=float(w))
    return Message(header=header(parent), child_frame_id=child, transform=Message(translation=moved, rotation=turned))


def image(values, encoding, padding=0, frame=""):
    rows = np.pad(values.reshape(len(values), -1).view(np.uint8), ((0, 0), (0, padding)))
    height, width = values.shape[:2]
    return Message(header=header(frame), height=height, width=width, encoding=encoding, is_bigendian=0,
                   step=rows.shape[1], data=rows.tobytes())  # fmt: skip


def compressed(data, format, frame=""):
    return Message(header=header(frame), format=format, data=data)


def jpeg(i):
    rgb = np.full((SIZE[1], SIZE[0], 3), 40 + 10 * i, np.uint8)
    rgb[:8] = 200
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG")
    return compressed(buffer.getvalue(), "jpeg", "front_optical")


def depth_image(frame="front_optical"):
    return image(millimetres(scene_m()), "16UC1", frame=frame)


def tips(frames):
    return np.linspace([0.3, -0.1, 0.3], [0.45, 0.15, 0.05], frames)


def write(
    file,
    frames=6,
    depth=depth_image,
    depth_type="sensor_msgs/msg/Image",
    depth_topic=DEPTH,
    text="reach it",
    text_topic="/instruction",
    distortion=(),
    stamp_ns=lambda topic, at_ns: 0,
    logged_ns=lambda topic, at_ns: at_ns,
):
    """`stamp_ns` and `logged_ns` tell the header's stamp and the time of logging of what was taken at a time."""
    from mcap.writer import CompressionType
    from mcap_ros2.writer import Writer

    with file.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.NONE)
        schemas = {name: writer.register_msgdef(name, definition(name)) for name in TYPES}

        def add(topic, kind, message, at_ns):
            for stamped in getattr(message, "transforms", [message]):
                if hasattr(stamped, "header"):
                    stamped.header.stamp = header(stamp_ns=stamp_ns(topic, START_NS + at_ns)).stamp
            writer.write_message(topic, schemas[kind], message, log_time=START_NS + logged_ns(topic, at_ns))

        static = [transform("base", "front_optical", WORLD_FROM_CAMERA)]
        add("/tf_static", "tf2_msgs/msg/TFMessage", Message(transforms=static), 0)
        if text:
            add(text_topic, "std_msgs/msg/String", Message(data=text), 0)
        matrix = [40.0, 0, 24, 0, 40, 16, 0, 0, 1]
        info = Message(header=header("front_optical"), height=SIZE[1], width=SIZE[0], d=list(distortion), k=matrix)
        add("/front/color/camera_info", "sensor_msgs/msg/CameraInfo", info, 0)
        for i, tip in enumerate(tips(frames)):
            pose = np.diag([1.0, -1, -1, 1])
            pose[:3, 3] = tip
            at_ns = i * STEP_NS
            add(COLOUR, "sensor_msgs/msg/CompressedImage", jpeg(i), at_ns)
            if depth is not None:
                add(depth_topic, depth_type, depth(), at_ns + 7_000_000)
            moving = [transform("base", "link", np.eye(4)), transform("link", "tcp", pose)]
            add("/tf", "tf2_msgs/msg/TFMessage", Message(transforms=moving), at_ns + 3_000_000)
            for name, position, late_ns in (("joint1", 0.1, 0), ("finger", 0.04 * (i < frames // 2), 1_000_000)):
                state = Message(header=header(), name=[name], position=[position])
                add("/joint_states", "sensor_msgs/msg/JointState", state, at_ns + late_ns)
        writer.finish()
    return file


def compressed_depth():
    return compressed(bytes(12) + encoded(millimetres(scene_m())), "16UC1; compressedDepth png")


def inverse_depth():
    """32-bit floats as compressed_depth_image_transport packs them: a / depth + b in 16 bits."""
    a, b = np.float32(20000.0), np.float32(3.0)
    known = scene_m() > 0
    codes = np.where(known, a / np.where(known, scene_m(), 1) + b, 0).round().astype(np.uint16)
    return compressed(bytes(4) + np.array([a, b], "<f4").tobytes() + encoded(codes), "32FC1; compressedDepth png")
