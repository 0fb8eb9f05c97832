import json
import pickle

import numpy as np
import pytest

from hamster.data import Episode, Unreadable
from hamster.data.rlds import RLDS
from hamster.data.rlds.robots import matrix_from_xyzw
from hamster.geometry import rotation_z
from tests.data.real import real_data
from tests.data.rlds_files import (
    black,
    dataset,
    droid_episode,
    droid_features,
    image_feature,
    picture,
    tensor_feature,
    text_feature,
)


def test_reads_droid(tmp_path):
    dataset(tmp_path / "droid" / "1.0.0", [droid_episode(), droid_episode(7, seed=50)], droid_features())
    source = pickle.loads(pickle.dumps(RLDS(tmp_path / "droid")))
    assert len(source) == 2 and source.uri == f"rlds:{tmp_path / 'droid'}"
    episode = source[0]
    assert episode.instructions == ("Put the cup away", "move the cup")
    assert list(episode.observations[0].views) == ["exterior_image_1_left", "wrist_image_left"]
    assert len(source[1].observations) == 7
    fourth = episode.observations[3]
    assert fourth.time_s == pytest.approx(3 / 15) and fourth.views["wrist_image_left"].camera is None
    assert len(episode.provenance.sha256) == 64 and episode.provenance.source == "rlds:droid#0"
    assert episode.provenance.extra == {"dataset": "droid", "file_path": "/raw/trajectory.h5"}


def test_words_that_change_hold_for_their_steps_and_others_for_all(tmp_path):
    changing = droid_episode() | {"steps/language_instruction": [b"open it"] * 2 + [b""] + [b"close it"] * 2}
    once = droid_episode() | {"steps/language_instruction": [b"open it"] + [b""] * 4}
    dataset(tmp_path, [changing, once], droid_features())
    episode, other = RLDS(tmp_path)[0], RLDS(tmp_path)[1]
    assert episode.instructions == ("move the cup",)
    assert [(part.text, part.first, part.stop) for part in episode.parts] == [("open it", 0, 2), ("close it", 3, 5)]
    assert other.instructions == ("open it", "move the cup") and other.parts == ()


def test_words_and_states_of_another_number_of_steps_are_refused(tmp_path):
    state = "steps/observation/cartesian_position"
    unaligned = droid_episode() | {"steps/language_instruction": [b"open it", b"close it"]}
    shorter = droid_episode() | {state: droid_episode()[state][:-6]}
    dataset(tmp_path, [unaligned, shorter], droid_features())
    assert "has 2 texts for 5 steps" in RLDS(tmp_path)[0].reason
    assert "cartesian_position has values of 4 steps, and there are images of 5" in RLDS(tmp_path)[1].reason


def test_droids_gripper_is_turned_round_and_its_wrist_becomes_a_tip(tmp_path):
    dataset(tmp_path, [droid_episode()], droid_features())
    episode = RLDS(tmp_path)[0]
    assert episode.gripper.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert np.allclose(episode.tool_poses_world[:, :3, 2], [0, 0, -1], atol=1e-6)  # points down
    assert np.allclose(episode.tool_poses_world[0, :3, 3], [0.4, 0, 0.5 - 0.16], atol=1e-6)


def test_images_are_those_of_that_step_and_decoded_when_asked_for(tmp_path):
    episode = droid_episode()
    episode["steps/observation/exterior_image_1_left"][2] = picture(2, format="PNG")
    episode["steps/observation/exterior_image_1_left"][4] = picture(4)[:300]
    dataset(tmp_path, [episode], droid_features())
    frames = RLDS(tmp_path)[0].observations
    seen = [frame.views["exterior_image_1_left"].rgb.astype(int) for frame in frames[:4]]
    expected = np.kron(np.random.default_rng(2).integers(0, 255, (4, 4, 3)), np.ones((8, 8, 1)))
    assert np.array_equal(seen[2], expected) and np.abs(seen[1] - expected).max() > 50
    with pytest.raises(ValueError, match="image 4 of exterior_image_1_left"):
        frames[4]


def bridge(state):
    steps = len(state)
    features = {
        "steps": {
            "language_instruction": text_feature(),
            "observation": {f"image_{i}": image_feature() for i in range(2)} | {"state": tensor_feature(7)},
        }
    }
    episode = {
        "steps/language_instruction": [b""] * steps,
        "steps/observation/image_0": [picture(i) for i in range(steps)],
        "steps/observation/image_1": [black()] * steps,
        "steps/observation/state": np.ravel(state).astype(float),
    }
    return features, episode


def test_bridge_has_cameras_that_are_not_there_and_episodes_without_words(tmp_path):
    features, episode = bridge([[0.3, 0.1, 0.2, 0, 0, np.pi / 2, 0.9]] * 4)
    dataset(tmp_path, [episode], features, name="bridge_dataset")
    found = RLDS(tmp_path)[0]
    assert list(found.observations[0].views) == ["image_0"] and found.instructions == ("",)
    assert found.gripper.tolist() == pytest.approx([0.9] * 4)
    tool = found.tool_poses_world[0]
    assert np.allclose(tool[:3, 3], [0.3, 0.1, 0.2]) and np.allclose(tool[:3, 2], [0, 0, -1], atol=1e-6)
    assert np.allclose(np.abs(tool[:3, 1]), [1, 0, 0], atol=1e-6)  # turned by a quarter, so the fingers move along x


def test_of_an_unknown_robot_the_state_is_not_guessed(tmp_path):
    features, episode = bridge([[0.3, 0.1, 0.2, 0, 0, 0, 0.9]] * 4)
    dataset(tmp_path, [episode], features, name="somebodys_arm")
    found = RLDS(tmp_path)[0]
    assert found.tool_poses_world is None and found.gripper is None and found.observations[1].gripper is None


def test_words_wherever_they_are_and_as_numbers(tmp_path):
    features = {
        "steps": {
            "observation": {
                "image": image_feature(),
                "natural_language_instruction": text_feature(),
                "instruction": tensor_feature(12, dtype="int32"),
            }
        },
        "language_instruction": text_feature(),
    }
    words = np.zeros((3, 12), int)
    words[:, :7] = list(b"push it")
    episode = {
        "steps/observation/image": [picture(i) for i in range(3)],
        "steps/observation/natural_language_instruction": [b"push the block"] * 3,
        "steps/observation/instruction": words,
        "language_instruction": [b"push"],
    }
    dataset(tmp_path, [episode], features, name="language_table")
    assert set(RLDS(tmp_path)[0].instructions) == {"push the block", "push it", "push"}


def test_damaged_episodes_are_reported_and_the_others_read(tmp_path):
    short, broken = droid_episode(), droid_episode()
    short["steps/observation/wrist_image_left"].pop()
    broken["steps/observation/cartesian_position"][:] = [np.nan] * len(broken["steps/observation/cartesian_position"])
    episodes = [droid_episode(), short, broken, droid_episode()]
    file = dataset(tmp_path, episodes, droid_features())
    file.write_bytes(file.read_bytes()[:-20])
    good, uneven, nan, cut = (RLDS(tmp_path)[i] for i in range(4))
    assert isinstance(good, Episode)
    assert all(isinstance(bad, Unreadable) and file.name in bad.file for bad in (uneven, nan, cut))
    assert "wrist_image_left 4" in uneven.reason and "not finite" in nan.reason and "cut off" in cut.reason


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        RLDS(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"need one features\.json"):
        RLDS(tmp_path)
    file = dataset(tmp_path, [], droid_features())
    with pytest.raises(ValueError, match="no records"):
        RLDS(tmp_path)
    file.write_bytes(b"x")
    assert "cut off" in RLDS(tmp_path)[0].reason
    for text in ("[1]", "{", "[" * 100_000, json.dumps({"featuresDict": {"features": {"steps": 3}}})):
        (tmp_path / "features.json").write_text(text)
        with pytest.raises(ValueError, match=r"features\.json"):
            RLDS(tmp_path)


def test_quaternions_have_the_scalar_last():
    xyzw = np.array([[0, 0, np.sqrt(0.5), np.sqrt(0.5)]])
    assert np.allclose(matrix_from_xyzw(xyzw)[0], rotation_z(np.pi / 2))


def test_real_bridge_episodes():
    source = RLDS(real_data("a-bridge-rlds-octo"))
    episodes = [source[i] for i in range(len(source))]
    assert len(episodes) == 25 and all(isinstance(episode, Episode) for episode in episodes)
    assert all(len(e.observations) == 10 and e.instructions[0] for e in episodes)
    tools = np.concatenate([e.tool_poses_world for e in episodes])
    assert (tools[:, 2, 2] < -0.6).all()  # a WidowX's gripper points down, more or less
    assert set(episodes[0].observations[0].views) == {"image_0", "image_1", "image_2"}
    assert all(e.gripper.min() >= 0 and e.gripper.max() <= 1 for e in episodes)


def test_words_that_are_no_text_are_refused_and_not_mended(tmp_path):
    features = {
        "steps": {
            "observation": {"image": image_feature()},
            "language_instruction": text_feature(),
        }
    }
    for words in (b"pick \xff it", b"pick \xed\xa0\x80 it"):
        steps = {
            "steps/observation/image": [picture(i) for i in range(2)],
            "steps/language_instruction": [words] * 2,
        }
        dataset(tmp_path / words.hex(), [steps], features)
        assert "steps/language_instruction is not UTF-8 text" in RLDS(tmp_path / words.hex())[0].reason
