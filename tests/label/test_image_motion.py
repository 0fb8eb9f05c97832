from dataclasses import replace

import numpy as np
import pytest

from hamster.geometry import Camera, look_at, pose
from hamster.label.image_motion import Sample

CAMERA = Camera([[110, 0, 48], [0, 110, 36], [0, 0, 1]], look_at([1.2, 0.2, 0.7], [0.4, 0.0, 0.15]), 96, 72)


def _sample(cameras):
    n = len(cameras)
    rgb, moving = np.zeros((n, 72, 96, 3), np.float32), np.zeros((n, 72, 96), bool)
    return Sample(np.arange(n), rgb, moving, cameras, np.zeros((n, 3)), {})


@pytest.mark.parametrize(("way_m", "still"), [(0.0, True), (0.005, True), (0.05, False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_camera_stands_still_whose_poses_agree_within_a_centimetre(way_m, still, axis):
    shifts = [pose(part * way_m * np.eye(3)[axis]) for part in np.linspace(0, 1, 5)]
    cameras = [replace(CAMERA, world_from_camera=shift @ CAMERA.world_from_camera) for shift in shifts]
    assert _sample(cameras).stands_still == still
