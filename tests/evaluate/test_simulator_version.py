import logging
from pathlib import Path

import pytest

from hamster.evaluate import simulator_version
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.simulator_version import warn_of_other_mujoco


def config(policy="flow-nano", suite="tabletop"):
    return EvalConfig(out=Path("out"), suite=suite, policy=policy)


@pytest.fixture
def lines(monkeypatch, caplog):
    """Returns the warnings about evaluations under a release of MuJoCo."""

    def lines(installed, *configs):
        monkeypatch.setattr(simulator_version, "versions", lambda: {"mujoco": installed} if installed else {})
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            warn_of_other_mujoco(configs)
        return caplog.messages

    return lines


def test_a_bundled_policy_under_another_mujoco_is_one_line_a_policy(lines):
    (line,) = lines("3.9.0", config(), config(), config(suite="counterfactual"))
    assert line.startswith("MuJoCo 3.9.0 is installed, and the policy flow-nano was trained and measured with 3.3.0: ")
    assert "\n" not in line and len(lines("3.9.0", config("nano"))) == 1  # its former name


def test_the_release_of_the_training_is_no_warning(lines):
    assert lines("3.3.0", config()) == []


def test_a_policy_of_a_users_own_or_no_simulator_is_no_warning(lines):
    assert lines("3.9.0", config("outputs/train/policy")) == []
    assert lines(None, config()) == []
