"""Inverse kinematics: forward undoes it, in one go and along a line, within the joints' limits."""

from math import pi

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from hamster.geometry.keypose_motion import down_pose
from hamster.sim.arms import ARMS
from hamster.sim.ik import Ik


def solver(name: str) -> Ik:
    spec = mujoco.MjSpec()
    ARMS[name].attach(spec)
    return Ik(spec.compile(), ARMS[name])


def tool_axis(name: str, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the tool's approach axis (3,) in world coordinates, by MuJoCo's forward kinematics."""
    spec = mujoco.MjSpec()
    ARMS[name].attach(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    for joint, position in zip(ARMS[name].joints, q, strict=True):
        data.joint(joint).qpos = position
    mujoco.mj_kinematics(model, data)
    axis: NDArray[np.float64] = data.site("tool").xmat.reshape(3, 3)[:, 2]
    return axis


@pytest.fixture(scope="module")
def panda() -> Ik:
    return solver("panda")


def test_reaches_the_workspace_within_half_a_millimetre(panda: Ik) -> None:
    rng, missed = np.random.default_rng(0), 0
    for _ in range(60):
        target = down_pose(rng.uniform((0.32, -0.28, 0.01), (0.68, 0.28, 0.3)), -pi / 2 + rng.uniform(-1.2, 1.2))
        q = panda.solve(target, ARMS["panda"].home, 200)
        shift_m, turn_rad = panda.error(target, q)
        missed += shift_m > 5e-4 or turn_rad > 5e-3
    assert missed == 0


def test_follows_a_line_from_the_last_solution(panda: Ik) -> None:
    q = panda.solve(down_pose((0.35, -0.25, 0.2), -pi / 2), ARMS["panda"].home, 200)
    for part in np.linspace(0, 1, 40):
        target = down_pose((0.35 + 0.3 * part, -0.25 + 0.5 * part, 0.2 - 0.18 * part), -pi / 2 + 0.8 * part)
        before, q = q, panda.solve(target, q)
        assert panda.error(target, q)[0] < 5e-4
        assert np.abs(q - before).max() < 0.2


def test_stays_within_limits_where_the_target_is_out_of_reach(panda: Ik) -> None:
    q = panda.solve(down_pose((3.0, 0.0, 0.5), 0.0), ARMS["panda"].home)
    low, high = np.array([(-2.8973, 2.8973), (-1.7628, 1.7628)]).T
    assert (low <= q[:2]).all()
    assert (q[:2] <= high).all()
    assert np.isfinite(q).all()


@pytest.mark.parametrize("name", sorted(set(ARMS) - {"panda"}))
def test_other_arms_reach_the_point_whatever_they_cannot_turn(name: str) -> None:
    ik = solver(name)
    for x, y in ((0.4, -0.15), (0.5, 0.1)):
        target = down_pose((x, y, 0.1), -pi / 2)
        q = ik.solve(target, ARMS[name].home, 300)
        assert ik.error(target, q)[0] < 1e-3
        assert tool_axis(name, q)[2] < -0.9  # points down
