"""Units of joint positions: what the evidence leaves open is refused, what it decides comes back as it was."""

import numpy as np
import pytest

from hamster.geometry.kinematics import (
    JOINT_UNITS,
    Joint,
    UnknownUnitError,
    detect_joint_unit,
    from_radians,
    to_radians,
)

JOINTS = (*(Joint(f"j{i}", False, -1.7, 1.7) for i in range(4)), Joint("wrist_roll", False, -2.74, 2.84))


def test_radians_of_a_moving_arm():
    assert detect_joint_unit([-1.0, 0, 0, -1.5, 0], [1.0, 0.2, 1.2, 1.5, 2.0], JOINTS) == "rad"


def test_degrees_of_an_arm_that_exceeds_every_radian():
    assert detect_joint_unit([-40.0] * 5, [60.0] * 5, JOINTS) == "deg"
    # Of LeRobot's motors, only what exceeds 100 % can be degrees.
    assert detect_joint_unit([-40.0] * 5, [60.0] * 4 + [140.0], JOINTS, robot_type="so101_follower") == "deg"


def test_percent_is_what_exceeds_the_limits_in_degrees():
    joints = tuple(Joint(f"j{i}", False, -1.0, 1.0) for i in range(5))
    assert detect_joint_unit([-99.0] * 5, [98.0] * 5, joints, lerobot_motors=True) == "percent"


def test_what_several_units_fit_is_not_guessed():
    with pytest.raises(UnknownUnitError, match="from -40 to 60, which fits deg and percent"):
        detect_joint_unit([-40.0] * 5, [60.0] * 5, JOINTS, lerobot_motors=True)
    with pytest.raises(UnknownUnitError, match="hardly change"):
        detect_joint_unit([0.0] * 5, [0.01] * 5, JOINTS)
    with pytest.raises(UnknownUnitError, match="in no unit"):
        detect_joint_unit([-400.0] * 5, [2047.0] * 5, JOINTS)
    with pytest.raises(UnknownUnitError, match="not known"):
        detect_joint_unit([np.nan] * 5, [1.0] * 5, JOINTS)


def test_names_that_state_the_unit_count_more_than_ranges():
    names = [f"j{i}_deg" for i in range(5)]
    assert detect_joint_unit([0.0] * 5, [1.0] * 5, JOINTS, names) == "deg"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("motors", [False, True])
def test_a_detected_unit_gives_the_positions_back(seed, motors):
    """Whatever is detected for a whole working range is right: the conversion undoes what made the numbers."""
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2.5, -1.2, 4)
    joints = tuple(Joint(f"j{i}", False, low, low + 3.3) for i, low in enumerate(lower))
    q = lower + 3.3 * rng.uniform(0, 1, (200, 4))
    middle = lower + 1.65
    stored = {"rad": q, "deg": np.degrees(q - middle if motors else q), "percent": (q - middle) / 1.65 * 100}
    for unit, values in stored.items():
        np.testing.assert_allclose(to_radians(values, unit, joints, motors if unit != "percent" else True), q)
        if unit == ("rad" if motors else "percent"):  # which no such robot reports
            continue
        try:
            detected = detect_joint_unit(values.min(0), values.max(0), joints, lerobot_motors=motors)
        except UnknownUnitError as error:
            assert "fits deg and percent" in str(error)
        else:
            assert detected == unit


def test_a_motor_that_turns_fully_has_its_zero_in_the_files_zero():
    out = to_radians([0, 0, 0, 0, 50.0], "percent", JOINTS, True, ("wrist_roll",))
    np.testing.assert_allclose(out, [0, 0, 0, 0, np.pi / 2], atol=1e-12)


def test_slides_stay_in_metres_and_percent_needs_limits():
    slide, free = Joint("s", True, 0.0, 0.3), Joint("f", False, -np.inf, np.inf)
    np.testing.assert_allclose(to_radians([0.2, 90.0], "deg", (slide, free)), [0.2, np.pi / 2])
    with pytest.raises(ValueError, match="joint f has no limits"):
        to_radians([0.2, 90.0], "percent", (slide, free), True)
    with pytest.raises(ValueError, match="there are " + ", ".join(JOINT_UNITS)):
        to_radians([0.0, 0.0], "turns", (slide, free))


@pytest.mark.parametrize("unit", JOINT_UNITS)
@pytest.mark.parametrize("motors", [False, True])
def test_what_is_sent_to_a_robot_is_what_it_would_report(unit, motors):
    joints = (*JOINTS, Joint("slide", True, 0.0, 0.04))
    q = np.random.default_rng(0).uniform(-1, 1, (20, 6))
    sent = from_radians(q, unit, joints, motors, ("wrist_roll",))
    np.testing.assert_allclose(to_radians(sent, unit, joints, motors, ("wrist_roll",)), q)
    np.testing.assert_array_equal(sent[:, 5], q[:, 5])
