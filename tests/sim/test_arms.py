"""Arms: the Panda is Franka's, every arm points down at home, and none fights itself."""

from math import cos, pi, sin

import mujoco
import numpy as np
import pytest

from hamster.sim.arms import ARMS


def alone(name: str, look: int = 0) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # stiff servos; `build` sets it too
    ARMS[name].attach(spec, look)
    model = spec.compile()
    return model, mujoco.MjData(model)


def modified_dh(a: float, d: float, alpha: float, theta: float) -> np.ndarray:
    """Craig's convention, in which Franka publishes its parameters."""
    ca, sa, ct, st = cos(alpha), sin(alpha), cos(theta), sin(theta)
    rows = [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
    return np.array(rows)


def test_panda_follows_frankas_published_table() -> None:
    a = (0, 0, 0, 0.0825, -0.0825, 0, 0.088)
    d = (0.333, 0, 0.316, 0, 0.384, 0, 0)
    alpha = (0, -pi / 2, pi / 2, pi / 2, -pi / 2, pi / 2, pi / 2)
    model, data = alone("panda")
    rng = np.random.default_rng(0)
    for _ in range(10):
        q = rng.uniform(*np.array([model.joint(name).range for name in ARMS["panda"].joints]).T)
        data.qpos[:7] = q
        mujoco.mj_kinematics(model, data)
        flange = np.eye(4)
        for i in range(7):
            flange = flange @ modified_dh(a[i], d[i], alpha[i], q[i])
        tip = flange @ modified_dh(0, 0.107 + 0.1034, 0, -pi / 4)
        assert np.allclose(data.site("tool").xpos, tip[:3, 3], atol=1e-6)
        assert np.allclose(data.site("tool").xmat.reshape(3, 3), tip[:3, :3], atol=1e-6)


@pytest.mark.parametrize("name", ARMS)
def test_home_is_within_limits_and_holds_still(name: str) -> None:
    model, data = alone(name, look=3)
    arm = ARMS[name]
    for joint, angle in zip(arm.joints, arm.home, strict=True):
        low, high = model.joint(joint).range
        assert low <= angle <= high
        data.joint(joint).qpos = data.actuator(joint).ctrl = angle
    mujoco.mj_forward(model, data)
    start = data.site("tool").xpos.copy()
    for _ in range(100):
        mujoco.mj_step(model, data)
    assert data.ncon == 0
    assert np.linalg.norm(data.site("tool").xpos - start) < 1e-3


@pytest.mark.parametrize("name", ARMS)
def test_gripper_goes_from_open_to_closed(name: str) -> None:
    arm = ARMS[name]
    assert arm.gripper_ctrl(0.0) == tuple(closed for _, closed, _ in arm.gripper)
    assert arm.gripper_ctrl(1.0) == arm.gripper_ctrl(7.0) == tuple(wide for _, _, wide in arm.gripper)


def test_panda_fingers_open_along_y_by_eight_centimetres() -> None:
    model, data = alone("panda")
    for name, _, wide in ARMS["panda"].gripper:
        data.joint(name).qpos = wide
    mujoco.mj_kinematics(model, data)
    apart = data.body("gripper_left_finger").xpos - data.body("gripper_right_finger").xpos
    assert np.allclose(data.body("hand").xmat.reshape(3, 3).T @ apart, [0, 0.08, 0], atol=1e-9)


def test_no_foreign_arm_has_the_pandas_white() -> None:
    for name in set(ARMS) - {"panda"}:
        for look in range(20):
            rgba = alone(name, look)[0].geom_rgba[:, :3]
            assert not ((rgba.min(1) > 0.5) & (np.ptp(rgba, axis=1) < 0.05)).any(), (name, look)
