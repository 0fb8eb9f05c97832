"""Everything in an observation may be wrong; the answer names what."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hamster_client.errors import RequestError
from hamster_client.wire import pack, unpack
from hypothesis import given
from hypothesis import strategies as st

from hamster.serving.policy.request import OBSERVATION, VIEW, read_request
from tests.serving.policy.fakes import PATH, TOOL, observation, view


def refused(message) -> RequestError:
    with pytest.raises(RequestError) as error:
        read_request(unpack(pack(message)))
    return error.value


def with_view(**changes):
    return observation(views={"front": view() | changes})


def spoilt(array, value):
    out = np.array(array, copy=True)
    out.flat[5 % out.size] = value
    return out


def blank(height, width):
    return {"rgb": np.zeros((height, width, 3), np.uint8), "depth_m": None}


WRONG = [
    (3, "malformed", "map"),
    ({}, "malformed", "views"),
    ({"reset": 1}, "malformed", "reset"),
    (observation(viewz={}), "malformed", "viewz"),
    (observation(views={}), "malformed", "views"),
    (observation(views={f"c{i}": view() for i in range(9)}), "oversized", "8 views"),
    (with_view(rgb=view()["rgb"].astype(np.float32)), "malformed", "views/front/rgb"),
    (with_view(rgb=view()["rgb"][..., 0]), "malformed", "(H, W, 3)"),
    (with_view(rgb=view()["rgb"][:0]), "malformed", "pixels"),
    (with_view(**blank(16, 262_144)), "oversized", "4096 pixels on a side"),
    (with_view(**blank(5000, 20)), "oversized", "4096 pixels on a side"),
    (with_view(**blank(16, 2048)), "malformed", "8 times the other"),
    (
        observation(views={name: view() | blank(2048, 2048) for name in "abc"}),
        "oversized",
        "8388608 pixels together",
    ),
    (with_view(rgb="x" * 100), "malformed", "str"),
    (with_view(rgb=np.zeros((2049, 2048, 3), np.uint8)), "oversized", "2048 x 2049"),
    (with_view(depth_m=np.ones((32, 31), np.float32)), "malformed", "depth_m"),
    (with_view(depth_m=np.ones((32, 32))), "malformed", "float32"),
    (with_view(depth_m=spoilt(view()["depth_m"], np.nan)), "not_finite", "depth_m"),
    (with_view(depth_m=spoilt(view()["depth_m"], np.inf)), "not_finite", "depth_m"),
    (with_view(depth_m=-view()["depth_m"]), "malformed", "0 where unknown"),
    (with_view(intrinsics=np.eye(4)), "malformed", "intrinsics"),
    (with_view(intrinsics=-np.eye(3)), "malformed", "focal"),
    (with_view(intrinsics=spoilt(np.eye(3), np.nan)), "not_finite", "intrinsics"),
    (with_view(intrinsics=None), "malformed", "both"),
    (with_view(world_from_camera=2 * np.eye(4)), "malformed", "rigid"),
    (with_view(world_from_camera=spoilt(np.eye(4), -np.inf)), "not_finite", "world_from_camera"),
    (observation(tool_pose_world=np.eye(3)), "malformed", "(4, 4)"),
    (observation(tool_pose_world=spoilt(TOOL, np.nan)), "not_finite", "tool_pose_world"),
    (observation(tool_pose_world=np.diag([1.0, 1, -1, 1])), "malformed", "rigid"),
    (observation(tool_pose_world="four by four"), "malformed", "numbers"),
    (observation(tool_pose_world=[[1, 2], [3]]), "malformed", "numbers"),
    (observation(gripper=float("nan")), "not_finite", "gripper"),
    (observation(gripper=1.5), "malformed", "0 to 1"),
    (observation(gripper="open"), "malformed", "gripper"),
    (observation(gripper=True), "malformed", "gripper"),
    (observation(gripper=2**63), "malformed", "gripper"),
    (observation(time_s=-1), "malformed", "time_s"),
    (observation(prompt=b"bytes"), "malformed", "prompt"),
    (observation(prompt="x" * 2001), "oversized", "prompt"),
    (observation(path=[0.1, 0.2]), "malformed", "path"),
    (observation(path={}), "malformed", "uv"),
    (observation(path=PATH | {"uv": np.zeros((300, 2))}), "oversized", "256"),
    (observation(path=PATH | {"uv": np.full((2, 2), np.nan)}), "not_finite", "uv"),
    (observation(path=PATH | {"uv": np.full((2, 2), 1.5)}), "invalid_path", "[0, 1]"),
    (observation(path=PATH | {"gripper": ["closed", "ajar"]}), "malformed", "gripper"),
    (observation(path=PATH | {"gripper": np.array([0, 7])}), "malformed", "state"),
    (observation(path=PATH | {"gripper": ["closed"]}), "malformed", "(2,)"),
    (observation(path=PATH | {"depth_m": [0.5, -1.0]}), "invalid_path", "depth_m"),
    (observation(path={"text": 5}), "malformed", "text"),
    (observation(path={"text": "", "dialect": "latin"}), "invalid_path", "latin"),
    (observation(path={"text": "(" * 10_000}), "invalid_path", ""),
    (observation(path={"text": "x", "image_size": [float("inf"), 1]}), "not_finite", "image_size"),
]


@pytest.mark.parametrize(("message", "type", "word"), WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_a_wrong_field_is_named(message, type, word):
    error = refused(message)
    assert error.type == type and word in error.message, error
    assert "\n" not in error.message and len(error.message) <= 500


def test_the_smallest_observation_has_one_image():
    request = read_request({"views": {"front": {"rgb": view()["rgb"]}}})
    assert request.observation.views["front"].camera is None and request.observation.tool_pose_world is None
    assert not request.states_path and request.instruction == ""


def test_numbers_may_come_as_lists_and_scalars_as_arrays():
    request = read_request(
        unpack(
            pack(observation(tool_pose_world=TOOL.tolist(), gripper=np.array([0.25], np.float32), time_s=np.int32(3)))
        )
    )
    np.testing.assert_array_equal(request.observation.tool_pose_world, TOOL)
    assert (request.observation.gripper, request.observation.time_s) == (0.25, 3)


def test_path_json_is_a_path():
    from hamster.path import Path2D

    path = Path2D(
        np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([-1, 1], np.int8), np.array([0.5, 0.6]), 0.7, np.array([0.1, 0])
    )
    assert read_request(unpack(pack(observation(path=path.to_json())))).path == path


def test_images_can_be_written_to():
    """As those of a data set can: torch warns of others."""
    seen = read_request(unpack(pack(observation()))).observation.views["front"]
    assert seen.rgb.flags.writeable and seen.depth_m.flags.writeable


FIELDS = st.sampled_from([*OBSERVATION, *VIEW, "uv", "text", "front", "dialect", "\0"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5), st.binary(max_size=5),
    st.sampled_from([view()["rgb"], view()["depth_m"], TOOL, np.eye(3), np.zeros(0), np.array(np.nan), PATH["uv"]]),
)  # fmt: skip
MESSAGES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(FIELDS, inner)))


@given(MESSAGES, MESSAGES, MESSAGES)
def test_whatever_comes_is_read_or_refused(whole, one, other):
    for message in (
        whole,
        observation(path=one, gripper=other),
        observation(views={"front": one}),
        with_view(rgb=other),
    ):
        with suppress(RequestError):
            read_request(unpack(pack(message)))
