"""What a robot recorded means the same, whichever format it comes in."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.data.lerobot import LeRobot
from hamster.data.lerobot.robot import GripperSignal
from hamster.data.rlds import RLDS
from hamster.data.robots import NO_GRIPPER, RECORDED_FROM_TOOL, UNKNOWN_GRIPPER, GripperScale, infer_gripper_scale
from hamster.geometry import inverse, matrix_from_quaternion, quaternion_from_matrix
from tests.data import lerobot_files, rlds_files

STEPS = 6


def _tools():
    """(T, 4, 4) tool poses, turned anyhow."""
    rng = np.random.default_rng(3)
    tools = np.tile(np.eye(4), (STEPS, 1, 1))
    tools[:, :3, :3] = matrix_from_quaternion(rng.normal(size=(STEPS, 4)))
    tools[:, :3, 3] = rng.uniform(0.2, 0.6, (STEPS, 3))
    return tools


def _euler(rotations):
    """Angles about the fixed axes x, y, z."""
    x = np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    return np.stack([x, -np.arcsin(rotations[:, 2, 0]), np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])], -1)


def _rotation_vector(rotations):
    quaternion = quaternion_from_matrix(rotations)
    angle = 2 * np.arccos(quaternion[:, :1].clip(-1, 1))
    return quaternion[:, 1:] / np.linalg.norm(quaternion[:, 1:], axis=1, keepdims=True) * angle


def _xyzw(rotations):
    return np.roll(quaternion_from_matrix(rotations), -1, 1)


OPENING = np.array([1, 1, 0.5, 0, 0, 1])
# By robot: the name of its RLDS dataset, its state there, its LeRobot conversion's state: feature -> names and numbers.
FORMATS = {
    "droid": lambda place, turn: (
        "droid",
        {"cartesian_position": np.c_[place, _euler(turn)], "gripper_position": 1 - OPENING[:, None]},
        "Franka",
        {
            "observation.state.cartesian_position": (
                ["x", "y", "z", "roll", "pitch", "yaw"],
                np.c_[place, _euler(turn)],
            ),
            "observation.state.gripper_position": (["gripper"], 1 - OPENING[:, None]),
        },
    ),
    "bridge": lambda place, turn: (
        "bridge_dataset",
        {"state": np.c_[place, _euler(turn), OPENING]},
        "widowx",
        {
            "observation.state": (
                ["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper_open"],
                np.c_[place, _euler(turn), np.zeros(STEPS), OPENING],
            )
        },
    ),
    "fractal": lambda place, turn: (
        "fractal20220817_data",
        {"base_pose_tool_reached": np.c_[place, _xyzw(turn)], "gripper_closed": 1 - OPENING[:, None]},
        "google_robot",
        {
            "observation.state": (
                ["x", "y", "z", "rx", "ry", "rz", "rw", "gripper_closed"],
                np.c_[place, _xyzw(turn), 1 - OPENING],
            )
        },
    ),
    "robosuite": lambda place, turn: (
        "libero_10_no_noops",
        {"state": np.c_[place, _rotation_vector(turn), 0.04 * OPENING, -0.04 * OPENING]},
        "franka",
        {
            "observation.state": (
                ["x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3", "gripper", "gripper"],
                np.c_[place, _rotation_vector(turn), 0.04 * OPENING, -0.04 * OPENING],
            )
        },
    ),
}


def _rlds(folder, name, state):
    steps = {"image": rlds_files.image_feature()}
    steps |= {key: rlds_files.tensor_feature(values.shape[1]) for key, values in state.items()}
    features = {f"steps/observation/{key}": value for key, value in steps.items()}
    tree = {"steps": {"observation": steps, "language_instruction": rlds_files.text_feature()}}
    episode = {"steps/observation/image": [rlds_files.picture(i) for i in range(STEPS)]}
    episode |= {f"steps/observation/{key}": values.ravel().astype(np.float32) for key, values in state.items()}
    episode["steps/language_instruction"] = [b"pick up the cup"] * STEPS
    assert features.keys() <= episode.keys()
    rlds_files.dataset(folder, [episode], tree, name=name, file=f"{name}-train.tfrecord-00000-of-00001")
    return RLDS(folder)[0]


def _lerobot(folder, robot_type, features):
    keys = list(features)
    columns = {key: values.astype(np.float32).tolist() for key, (_, values) in features.items()}
    names, values = features.get("observation.state", (None, np.zeros((STEPS, 2))))
    extra = (lambda n: {key: columns[key] for key in keys if key != "observation.state"}) if keys else None
    lerobot_files.write_dataset(folder, lengths=(STEPS,), states=lambda n: np.resize(values, (n, values.shape[1])),
                                names=names, extra=extra)  # fmt: skip
    file = folder / "meta" / "info.json"
    info = json.loads(file.read_text()) | {"robot_type": robot_type}
    for key, (names, values) in features.items():
        info["features"][key] = {"dtype": "float32", "shape": [values.shape[1]], "names": names}
    file.write_text(json.dumps(info))
    return LeRobot(folder)[0]


@pytest.mark.parametrize("robot", RECORDED_FROM_TOOL)
def test_the_same_pose_through_every_reader_is_the_same_tool(tmp_path, robot):
    tools = _tools()
    recorded = tools @ inverse(RECORDED_FROM_TOOL[robot])
    name, state, robot_type, features = FORMATS[robot](recorded[:, :3, 3], recorded[:, :3, :3])
    for episode in (_rlds(tmp_path / "rlds", name, state), _lerobot(tmp_path / "lerobot", robot_type, features)):
        assert np.allclose(episode.tool_poses_world, tools, atol=1e-5), episode.provenance.source
        assert np.allclose(episode.gripper, OPENING, atol=1e-5), episode.provenance.source


def test_a_sidecar_says_of_what_frame_a_pose_is(tmp_path):
    tools = _tools()
    state = np.c_[tools[:, :3, 3], quaternion_from_matrix(tools[:, :3, :3]), OPENING]
    folder = tmp_path / "set"
    lerobot_files.write_dataset(folder, lengths=(STEPS,), states=lambda n: np.resize(state, (n, 8)), sidecar=False)
    file = folder / "meta" / "cameras.json"
    offset = np.eye(4)
    offset[:3, 3] = [0.01, 0, 0.2]
    for value, expected in (("droid", RECORDED_FROM_TOOL["droid"]), (offset.tolist(), offset)):
        file.write_text(json.dumps({"robot": {"recorded_from_tool": value}}))
        assert np.allclose(LeRobot(folder)[0].tool_poses_world, tools @ expected, atol=1e-5)
    for wrong in ("hal9000", [1, 2, 3], (2 * np.eye(4)).tolist()):
        file.write_text(json.dumps({"robot": {"recorded_from_tool": wrong}}))
        with pytest.raises(
            ValueError, match="recorded_from_tool has to be a rigid 4 x 4 matrix or one of droid, bridge"
        ):
            LeRobot(folder)


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0, 1, (0, 1)), (0.1, 0.7, (0, 1)), (-1, 1, (-1, 1)), (-0.3, 0.9, (-1, 1)),
        (0, 0.08, (0, 0.08)), (0.02, 0.08, (0, 0.08)), (0.001, 0.085, (0, 0.085)), (0.05, 0.08, (0.05, 0.08)),
        (18, 95, (0, 100)), (0, 85, (0, 100)), (0, 40, (0, 40)), (3, 230, (0, 255)), (0, 255, (0, 255)),
        (0, 1000, (0, 1000)), (-100, 80, (-100, 100)), (30, 40, (30, 40)), (0, 0, (0, 1)), (1, 1, (0, 1)),
        (0.08, 0.08, None), (0.079, 0.081, None), (np.nan, 1, None), (0, np.inf, None), (2, 1, None),
    ],
)  # fmt: skip
def test_the_unit_of_a_gripper_follows_from_its_range(low, high, scale):
    inferred = infer_gripper_scale(low, high)
    assert (inferred and (inferred.closed, inferred.open)) == scale
    inverted = infer_gripper_scale(low, high, opens_upwards=False)
    assert (inverted and (inverted.open, inverted.closed)) == scale


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_a_dataset_never_leaves_the_scale_that_its_range_gave(low, span):
    scale = infer_gripper_scale(low, low + span)
    if scale is not None:
        opening = scale.opening(np.linspace(low, low + span, 5))
        assert opening is not None and ((opening >= 0) & (opening <= 1)).all()


def test_a_signal_outside_its_scale_is_unknown_and_never_clipped():
    scale = GripperScale(closed=0, open=1)
    assert scale.opening([0, 0.5, 1.04]).tolist() == [0, 0.5, 1]
    assert scale.opening([0, 80]) is None and scale.opening([-0.2, 1]) is None and scale.opening([np.nan]) is None


def test_a_gripper_that_opens_and_closes_within_a_small_part_of_its_scale_is_in_another_unit():
    turns = np.repeat([1.0, 0.0, 1.0], 7)
    for closed, full in ((0, 100), (100, 0), (0, 255), (0, 12.5)):
        scale = GripperScale(closed, full)
        assert scale.opening(turns) is None
    closed_with_noise = np.random.default_rng(0).uniform(0, 0.05, 40)
    assert GripperScale(0, 1).opening(closed_with_noise) is not None
    assert GripperScale(0, 1).opening(np.zeros(9)) is not None and GripperScale(0, 1).opening(turns) is not None


def _lerobot_with_grippers(folder, signals, version="v3.0", name="gripper_opening"):
    names = [*lerobot_files.STATE[:7], name]
    lengths = tuple(len(signal) for signal in signals)
    states_of = iter(signals)

    def in_order(n):
        signal = next(states_of, signals[0])
        return np.c_[lerobot_files.tips(n), np.tile([0.0, 1, 0, 0], (n, 1)), np.resize(signal, n)]

    return lerobot_files.write_dataset(folder, version, lengths=lengths, states=in_order, names=names)


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
@pytest.mark.parametrize("broken", [1e9, 100.0, 0.08, np.nan, np.inf])
def test_one_episode_in_another_unit_costs_the_others_nothing(tmp_path, version, broken):
    opening = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])
    other = np.where(opening > 0, broken, 0.0)
    source = LeRobot(_lerobot_with_grippers(tmp_path / "set", [opening, opening, other, opening], version))
    for good in (0, 1, 3):
        assert source[good].gripper.tolist() == opening.tolist()
    if np.isfinite(broken):
        assert source[2].gripper is None
    else:
        assert np.array_equal(source[2].gripper, np.where(opening > 0, np.nan, 0.0), equal_nan=True)


@pytest.mark.parametrize("row", [6, 7, 9])
def test_one_episode_with_rows_of_another_length_costs_the_others_nothing(tmp_path, row):
    folder = lerobot_files.write_dataset(tmp_path / "set", "v2.1")
    file = folder / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(file)
    rows = [[*values, 0.0, 0.0][:row] for values in table["observation.state"].to_pylist()]
    pq.write_table(table.set_column(0, "observation.state", pa.array(rows, pa.list_(pa.float32()))), file)
    source = LeRobot(folder)
    assert source[0].gripper is not None and source[2].gripper is not None
    if row < 8:
        assert "'observation.state' has" in source[1].reason


def test_a_part_of_a_column_that_is_not_what_is_needed_is_one_line(tmp_path):
    folder = lerobot_files.write_dataset(tmp_path / "set")
    for robot in (
        {"tool_position": "observation.state[7:10]"},
        {"tool_position": "observation.state[0:4]"},
        {"tool_rotation": "observation.state[3:7]", "rotation": "euler_xyz"},
        {"gripper": "observation.state[20]"},
    ):
        (folder / "meta/cameras.json").write_text(json.dumps({"robot": robot}))
        reason = LeRobot(folder)[0].reason
        assert reason.startswith("column 'observation.state' has 8 numbers in a row, of which") and "\n" not in reason


def test_a_gripper_without_a_name_that_is_known_is_noted(tmp_path):
    folder = lerobot_files.write_dataset(tmp_path / "set", names=[*lerobot_files.STATE[:7], "gripper"])
    episode = LeRobot(folder)[0]
    assert episode.gripper is None and episode.provenance.extra["notes"] == [NO_GRIPPER]


@pytest.mark.parametrize("name", ["gripper_open", "gripper_closed", "gripper_width"])
@pytest.mark.parametrize("unit", [1, 0.08, 85, 100, 255, 1000])
def test_a_gripper_in_any_unit_opens_and_closes_at_the_same_frames(tmp_path, name, unit):
    opening = np.array([1, 1, 1, 0.2, 0.2, 0.2, 1, 1])
    signal = unit * ((1 - opening) if name == "gripper_closed" else opening)

    def states(n):
        return np.c_[lerobot_files.tips(n), np.tile([0.0, 1, 0, 0], (n, 1)), np.resize(signal, n)]

    names = [*lerobot_files.STATE[:7], name]
    folder = lerobot_files.write_dataset(tmp_path / "set", lengths=(8, 8), states=states, names=names)
    gripper = LeRobot(folder)[0].gripper
    assert gripper[[0, 1, 2, 6, 7]].min() > 0.8 and gripper[3:6].max() < 0.35


def test_statistics_of_the_dataset_count_and_what_leaves_them_is_unknown(tmp_path):
    folder = lerobot_files.write_dataset(tmp_path / "set")  # openings 0 and 1
    stats = {"observation.state": {"min": [0] * 7 + [0], "max": [1] * 7 + [100]}}
    (folder / "meta" / "stats.json").write_text(json.dumps(stats))
    assert LeRobot(folder)[0].gripper is None  # shares among percent
    stats["observation.state"]["max"][7] = 0.08
    (folder / "meta" / "info.json").touch()
    (folder / "meta" / "stats.json").write_text(json.dumps(stats))
    episode = LeRobot(folder)[0]
    assert episode.gripper is None and episode.provenance.extra["notes"] == [UNKNOWN_GRIPPER]


def test_the_text_in_digests_does_not_depend_on_the_names_of_classes():
    signal = GripperSignal("observation.state", [6], scale=GripperScale(0.0, 0.08))
    assert signal.digest_text() == (
        "GripperSignal(column='observation.state', take=[6], opens_upwards=True, is_width=False, "
        "scale=GripperScale(closed=0.0, open=0.08))"
    )
    assert (
        GripperSignal("a", slice(6, 7))
        .digest_text()
        .endswith("take=slice(6, 7, None), opens_upwards=True, is_width=False, scale=None)")
    )
