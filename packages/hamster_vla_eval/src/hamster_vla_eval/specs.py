"""What model server and benchmark say of their actions and observations, so that vla-eval can compare them."""

from __future__ import annotations

from vla_eval.specs import (
    IMAGE_RGB,
    LANGUAGE,
    POSITION_ABSOLUTE,
    ROTATION_QUAT,
    STATE_EEF_POS_QUAT_GRIP,
    DimSpec,
)

ACTION = {
    "position": POSITION_ABSOLUTE,  # of the tool in the world, metres
    "rotation": ROTATION_QUAT,  # x, y, z, w
    "gripper": DimSpec("gripper", 1, "continuous_01", (0, 1), description="1 open"),
}
DEPTH = DimSpec("depth", 0, "metres_hw", description="along the optical axis, with intrinsics and world_from_camera")


def observation_spec(cameras: tuple[str, ...], depth_cameras: tuple[str, ...]) -> dict[str, DimSpec]:
    """Return the components of an observation; the state's quaternion is w, x, y, z.

    Args:
        cameras: that have an image.
        depth_cameras: that have depth and calibration.
    """
    images = dict.fromkeys(cameras, IMAGE_RGB)
    depths = {f"{name}_depth": DEPTH for name in depth_cameras}
    return {**images, **depths, "state": STATE_EEF_POS_QUAT_GRIP, "language": LANGUAGE}
