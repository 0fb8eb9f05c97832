"""Kinematics of arms from files: against closed forms and MuJoCo's own; inverse undoes forward within limits."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.geometry import matrix_from_euler_xyz, pose, quaternion_from_matrix
from hamster.geometry.kinematics import Kinematics
from tests.geometry.kinematics.robot_files import SIX_JOINTS, TWO_LINKS, planar_tip, write


@pytest.fixture(scope="module")
def planar(tmp_path_factory):
    return Kinematics(write(tmp_path_factory.mktemp("planar"), TWO_LINKS, "planar.urdf"), "tip")


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    return Kinematics(write(tmp_path_factory.mktemp("six")), "tip")


def angle(a, b):
    return 2 * np.arccos(min(1.0, abs(quaternion_from_matrix(a[:3, :3]) @ quaternion_from_matrix(b[:3, :3]))))


def test_joints_are_those_from_base_to_tool_with_their_limits(planar, six):
    assert [(j.name, j.lower, j.upper) for j in planar.joints] == [("shoulder", -2.5, 2.5), ("elbow", 0.1, 2.6)]
    assert six.joint_names == ("j1", "j2", "j3", "j4", "j5", "j6")  # not the finger's
    np.testing.assert_allclose(six.upper, np.radians([170, 120, 120, 170, 120, 170]))


@given(st.floats(-2.5, 2.5), st.floats(0.1, 2.6))
def test_forward_is_the_closed_form_of_two_links(planar, shoulder, elbow):
    tip = planar.forward([shoulder, elbow])
    np.testing.assert_allclose(tip[:2, 3], planar_tip((shoulder, elbow)), atol=1e-9)
    np.testing.assert_allclose(tip[:2, 0], [np.cos(shoulder + elbow), np.sin(shoulder + elbow)], atol=1e-9)


def test_forward_is_mujocos_own(six, tmp_path):
    whole = SIX_JOINTS.replace('<geom type="mesh" mesh="lost"/>', "").replace('<geom mesh="lost"/>', "")
    whole = whole.replace('<asset><mesh name="lost" file="lost.stl"/></asset>', "")
    whole = whole.replace('meshdir="none"', 'boundmass="1" boundinertia="1"')
    model = mujoco.MjModel.from_xml_string(whole)
    data = mujoco.MjData(model)
    for q in np.random.default_rng(0).uniform(six.lower, six.upper, (20, 6)):
        data.qpos[:6] = q
        mujoco.mj_kinematics(model, data)
        tip = six.forward(q)
        np.testing.assert_allclose(tip[:3, 3], data.site("tip").xpos, atol=1e-9)
        np.testing.assert_allclose(tip[:3, :3].ravel(), data.site("tip").xmat, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_inverse_reaches_what_forward_gives_within_limits(six, seed):
    share = np.random.default_rng(seed).uniform(0.03, 0.97, 6)
    target = six.forward(six.lower + share * (six.upper - six.lower))
    solution = six.inverse(target)
    assert solution.reached
    assert (solution.positions >= six.lower).all() and (solution.positions <= six.upper).all()
    reached = six.forward(solution.positions)
    assert np.linalg.norm(reached[:3, 3] - target[:3, 3]) < 1e-3 and angle(reached, target) < 0.011


def test_an_arm_with_few_joints_puts_the_tip_in_place_first(planar):
    target = pose([*planar_tip((0.4, 1.0)), 0.0], matrix_from_euler_xyz([0.3, 0.2, 2.0]))  # a rotation out of reach
    solution = planar.inverse(target)
    assert solution.position_error_m < 1e-3 and solution.rotation_error_rad > 0.1 and not solution.reached
    far = planar.inverse(pose([3.0, 0.0, 0.0]))
    assert far.position_error_m > 2 and (far.positions >= planar.lower).all() and (far.positions <= planar.upper).all()


def test_inverse_stays_near_its_start(six):
    q = np.array([0.3, 0.6, 0.8, -0.4, 0.5, 0.2])
    target = six.forward(q + 0.02)
    np.testing.assert_allclose(six.inverse(target, start=q).positions, q + 0.02, atol=0.02)
    assert (six.inverse(target).positions == six.inverse(target).positions).all()


def test_the_tip_is_an_offset_from_a_body_or_a_site(six, tmp_path):
    file = write(tmp_path)
    q = np.linspace(-0.5, 0.8, 6)
    body, by_offset = Kinematics(file, "b6"), Kinematics(file, "b6", [0, 0.02, 0.1])
    np.testing.assert_allclose(by_offset.forward(q)[:3, 3], six.forward(q)[:3, 3], atol=1e-9)
    np.testing.assert_allclose(body.forward(q) @ pose([0, 0.02, 0.1]), by_offset.forward(q), atol=1e-9)
    further = Kinematics(file, "tip", pose([0, 0, 0.05]))
    np.testing.assert_allclose(further.forward(q), six.forward(q) @ pose([0, 0, 0.05]), atol=1e-9)


def test_many_rows_at_once_and_what_is_not_known_stays_so(six):
    q = np.random.default_rng(1).uniform(six.lower, six.upper, (4, 6))
    q[2, 3] = np.nan
    out = six.forward(q)
    assert out.shape == (4, 4, 4) and np.isnan(out[2]).all()
    np.testing.assert_allclose(out[1], six.forward(q[1]))
    with pytest.raises(ValueError, match=r"6 joints \(j1, .*\), got shape \(4, 5\)"):
        six.forward(q[:, :5])


def test_wrong_names_and_targets_are_refused_in_words(six, tmp_path):
    file = write(tmp_path)
    with pytest.raises(ValueError, match="no body or site 'tipp' for the tool's tip; did you mean 'tip'"):
        Kinematics(file, "tipp")
    with pytest.raises(ValueError, match=r"there are .*b6.*tip"):
        Kinematics(file)
    with pytest.raises(ValueError, match="no joint lies between the base and 'base'"):
        Kinematics(file, "base")
    with pytest.raises(ValueError, match="must be rigid"):
        Kinematics(file, "tip", 2 * np.eye(4))
    with pytest.raises(ValueError, match="finite"):
        six.inverse(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="start needs 6"):
        six.inverse(np.eye(4), start=[0.0])
