"""Robot files are anybody's: what is missing does not matter, what is hostile is refused in one line."""

import sys

import pytest

from hamster.extras import NotInstalledError, install_extra
from hamster.geometry.kinematics import Kinematics
from hamster.geometry.kinematics.robot_file import load_mujoco
from tests.geometry.kinematics.robot_files import SIX_JOINTS, TWO_LINKS, write

BOMB = f'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "{"&a;" * 50}">]><robot name="&b;"><link name="tip"/></robot>'

XACRO = '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:include filename="a"/><link name="tip"/></robot>'


def arm(folder, text, tool="tip", name="robot.xml"):
    return Kinematics(write(folder, text, name), tool)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "DOCTYPE"),
        ("<robot><link", "not XML"),
        ("", "not XML"),
        ("<svg/>", "is a 'svg'; a URDF begins with 'robot'"),
        ("<robot/>", "it has 0 links"),
        ('<?xml version="1.0" encoding="nonsense"?><robot/>', "not XML"),
        (TWO_LINKS.replace('xyz="0.3 0 0"', 'xyz="nan 0 0"'), "not finite numbers"),
        (TWO_LINKS.replace('lower="-2.5"', 'lower="low"'), "not finite numbers"),
        (TWO_LINKS.replace('<parent link="upper"/>', '<parent link="ghost"/>'), "robot.xml: "),
        (TWO_LINKS.replace('type="revolute"', 'type="telepathic"'), "robot.xml: "),
        (XACRO, "xacro"),
        ("<mujoco>" + "<default>" * 300 + "</default>" * 300 + "</mujoco>", "nested more than 200 deep"),
        ("<mujoco><worldbody>" + '<body name="b"/>' * 1001 + "</worldbody></mujoco>", "1001 links"),
        ('<mujoco><include file="../secret.xml"/></mujoco>', "'../secret.xml', which lies outside of its folder"),
        ('<mujoco><include file="/etc/passwd"/></mujoco>', "outside of its folder"),
        ('<mujoco><include file="gone.xml"/></mujoco>', "there is no robot model"),
        ('<mujoco><include file="robot.xml"/></mujoco>', "more than once"),
        ('<mujoco><worldbody><replicate count="9"/></worldbody></mujoco>', "generates bodies by 'replicate'"),
        (SIX_JOINTS.replace('name="j3"', 'name="j3" type="ball"').replace('range="-120 120"', ""), "ball joint"),
        (SIX_JOINTS.replace('<joint name="j3"/>', "<joint/>"), "has no name"),
    ],
)
def test_hostile_and_damaged_files_are_refused_in_one_line(tmp_path, text, words):
    (tmp_path.parent / "secret.xml").write_text("<mujoco/>")
    with pytest.raises(ValueError, match=words.replace("(", r"\(")) as error:
        arm(tmp_path, text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 700


def test_meshes_may_be_missing_and_includes_lie_beside(tmp_path):
    (tmp_path / "parts").mkdir()
    start = SIX_JOINTS.index("<worldbody>")
    (tmp_path / "parts" / "bodies.xml").write_text(f"<mujoco>{SIX_JOINTS[start:].replace('</mujoco>', '')}</mujoco>")
    split = arm(tmp_path, SIX_JOINTS[:start] + '<include file="parts/bodies.xml"/></mujoco>', name="split.xml")
    whole = arm(tmp_path, SIX_JOINTS)
    assert (split.forward([0.1] * 6) == whole.forward([0.1] * 6)).all()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no robot model"):
        Kinematics(tmp_path / "none.urdf", "tip")


def test_without_mujoco_the_error_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    load_mujoco.cache_clear()
    with pytest.raises(NotInstalledError) as raised:
        arm(tmp_path, SIX_JOINTS)
    assert str(raised.value) == f"kinematics needs mujoco: {install_extra('sim')}"
