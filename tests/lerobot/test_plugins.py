"""The policy and the environment that LeRobot finds as plug-ins, under LeRobot's own factories: `make test-lerobot`."""

import json
from importlib.metadata import distributions

import numpy as np
import pytest

pytest.importorskip("lerobot", reason="lerobot is not installed here; `make test-lerobot` runs this beside it")
pytest.importorskip("lerobot_policy_hamster", reason="`make test-lerobot` installs it")

import lerobot_env_hamster  # noqa: F401  # registers the environment
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.envs import EnvConfig, make_env, make_env_config, make_env_pre_post_processors, preprocess_observation
from lerobot.policies import make_policy, make_pre_post_processors
from lerobot_policy_hamster.modeling_hamster import HamsterPolicy
from lerobot_policy_hamster.observation import ObservationReader

import hamster
from hamster.hub import model_files
from hamster.policy import bundled_policies
from hamster.rollout.tabletop import TabletopEnvironment
from tests.rollout.fakes import START, FakeMotion

SIZE = 64


class Waypoints:
    """A policy that goes to two keyposes, closes, and from then on stays; `seen` are its observations and paths."""

    def __init__(self):
        self.seen = []

    def reset(self):
        self.seen = []

    def act(self, observation, path, instruction):
        self.seen.append((observation, path, instruction))
        pose = START.copy()
        pose[:3, 3] += [0.02 * len(self.seen), 0.01, -0.02]
        return FakeMotion(pose[None], np.array([len(self.seen) < 2]))


@pytest.fixture(scope="module")
def registered():
    hamster.register_policy("waypoints-of-a-test")(lambda device=None, dtype="auto": Waypoints())


def env_config(**changes):
    size = {"observation_height": SIZE, "observation_width": SIZE}
    return make_env_config("hamster", **{"task": "push", **size, **changes})


def observed(env, config, preprocessor, **reset):
    """Return what LeRobot's evaluation gives to the policy, on an environment's first observation."""
    observation = preprocess_observation(env.reset(**reset)[0])
    observation["task"] = list(env.call("task_description"))
    env_preprocessor, _ = make_env_pre_post_processors(config, None)
    return preprocessor(env_preprocessor(observation))


def policy_config(**changes):
    return PreTrainedConfig.get_choice_class("hamster")(**{"device": "cpu", "planner": None, **changes})


def test_lerobot_can_find_both_by_the_names_of_their_distributions():
    names = {distribution.metadata["Name"] for distribution in distributions()}
    assert {"lerobot_policy_hamster", "lerobot_env_hamster"} <= names
    assert "hamster" in PreTrainedConfig.get_known_choices() and "hamster" in EnvConfig.get_known_choices()


def test_the_environment_has_lerobots_names_units_and_seeds():
    config = env_config()
    (env,) = make_env(config, n_envs=2)["push"].values()
    batch = observed(env, config, lambda x: x, seed=[3, 4])
    ours = TabletopEnvironment("push", 3, image_size=SIZE)
    view = ours.observe().views["front"]
    assert batch["task"][0] == ours.instruction != ""
    rgb = (batch["observation.images.front"][0].numpy().transpose(1, 2, 0) * 255).round()
    assert np.array_equal(rgb, view.rgb) and batch["observation.images.wrist"].shape == (2, 3, SIZE, SIZE)
    assert np.array_equal(batch["observation.images.front_depth"][0, 0].numpy(), view.depth_m)
    assert np.allclose(batch["observation.intrinsics.front"][0], view.camera.intrinsics)
    assert np.allclose(batch["observation.world_from_camera.front"][0], view.camera.world_from_camera, atol=1e-6)
    read = ObservationReader(["front"], ["front"]).read(batch, 0)
    assert np.allclose(read.tool_pose_world, ours.tool_pose_world(), atol=1e-6)
    assert np.array_equal(read.views["front"].rgb, view.rgb)
    env.close()


def test_a_finished_environment_waits_for_the_others_and_reports_success(monkeypatch):
    config = env_config(episode_length=3)
    (env,) = make_env(config, n_envs=2)["push"].values()
    env.reset(seed=[0, 1])
    monkeypatch.setattr(env.envs[0].unwrapped._env, "is_success", lambda: True)
    hold = np.tile(env.envs[0].unwrapped._read()["agent_pos"], (2, 1))
    _, _, terminated, truncated, info = env.step(hold)
    assert terminated.tolist() == [True, False] and info["is_success"].tolist() == [True, False]
    env.step(hold)
    *_, truncated, info = env.step(hold)
    assert truncated.tolist() == [False, True] and not info["is_success"][1]
    assert env.call("_max_episode_steps") == (3, 3)
    env.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "fly"}, "no task 'fly'; there are: pick_place, press, knock, stack, push, all"),
        ({"camera_name": "top"}, "no camera top in camera_name; there are: front, wrist"),
        ({"fps": 30}, "20 control steps per second, not at 30"),
        ({"observation_width": 65}, "images are square"),
    ],
)
def test_what_the_environment_lacks_is_named(changes, words):
    with pytest.raises(ValueError, match=words):
        env_config(**changes)


def test_all_families_are_suites_of_their_own():
    envs = make_env(env_config(task="all"), n_envs=1)
    assert list(envs) == ["pick_place", "press", "knock", "stack", "push"] and all(
        list(e) == [0] for e in envs.values()
    )


def test_each_environment_of_a_batch_has_an_episode_of_its_own(registered):
    config = env_config(camera_name="front")
    (env,) = make_env(config, n_envs=2)["push"].values()
    policy = make_policy(policy_config(policy="waypoints-of-a-test"), env_cfg=config)
    preprocessor, postprocessor = make_pre_post_processors(policy.config)
    batch = observed(env, config, preprocessor, seed=[0, 1])
    actions = postprocessor(policy.select_action(batch))
    assert actions.shape == (2, 8) and actions.dtype == torch.float32
    policies = [episode.agent._policy for episode in policy._episodes]
    assert [len(p.seen) for p in policies] == [1, 1] and policies[0].seen[0][2] == batch["task"][0]
    most = 100
    while any(len(p.seen) < 3 for p in policies) and (most := most - 1):
        actions = policy.select_action(batch)
    assert actions[0, 7] == 0 and policies[0].seen[-1][0].time_s > 0
    policy.reset()
    chunk = policy.predict_action_chunk(batch)
    assert chunk.shape[0] == 2 and chunk.shape[2] == 8 and torch.equal(chunk[0, 0], policy_first(policy, batch)[0])
    env.close()


def policy_first(policy, batch):
    policy.reset()
    return policy.select_action(batch)


def test_a_policy_without_the_depth_that_it_needs_says_so(registered):
    config = env_config(camera_name="front")
    (env,) = make_env(config, n_envs=1)["push"].values()
    policy = HamsterPolicy(policy_config())
    batch = observed(env, config, lambda x: x, seed=[0])
    del batch["observation.images.front_depth"], batch["observation.intrinsics.front"]
    with pytest.raises(ValueError, match=r"lacks observation.images.front_depth, observation.intrinsics.front: use an"):
        policy.select_action(batch)
    del batch["observation.images.front"]
    with pytest.raises(ValueError, match=r"lacks observation.images.front; it has: .*observation.state"):
        policy.select_action(batch)
    env.close()


def test_depth_in_millimetres_and_a_fixed_calibration(tmp_path):
    (tmp_path / "meta").mkdir()
    front = {
        "convention": "opencv",
        "width": 128,
        "height": 128,
        "intrinsics": [[100, 0, 64], [0, 100, 64], [0, 0, 1]],
        "world_from_camera": np.eye(4).tolist(),
    }
    flange = np.eye(4)
    flange[2, 3] = 0.1  # the robot reports a frame 10 cm behind the tip
    robot = {"recorded_from_tool": flange.tolist()}
    (tmp_path / "meta" / "cameras.json").write_text(json.dumps({"front": front, "robot": robot}))
    reader = ObservationReader(["front"], ["front"], str(tmp_path), 0.001)
    state = torch.tensor([[0.4, 0, 0.2, 0, 1, 0, 0, 1.0]])
    image, depth = torch.zeros(1, 3, SIZE, SIZE), torch.full((1, 1, SIZE, SIZE), 750.0)
    names = ("observation.images.front", "observation.images.front_depth", "observation.state")
    read = reader.read(dict(zip(names, (image, depth, state), strict=True)), 0)
    assert np.allclose(read.tool_pose_world[:3, 3], [0.4, 0, 0.1]) and read.gripper == 1
    action = np.array([[0.4, 0, 0.1, 0, 1, 0, 0, 1]])
    assert np.allclose(reader.recorded(action), state, atol=1e-6)  # what is commanded is what was reported
    view = read.views["front"]
    assert np.allclose(view.depth_m, 0.75) and view.camera.intrinsics[0, 0] == 50 and view.camera.width == SIZE


def test_features_that_are_no_tool_poses_are_refused():
    config = env_config()
    config.features["action"].shape = (14,)
    with pytest.raises(ValueError, match=r"the policy hamster needs action of shape \(8,\)"):
        make_policy(policy_config(), env_cfg=config)


def test_a_checkpoint_holds_copies_of_planner_and_policy_and_loads_elsewhere(tmp_path):
    HamsterPolicy(policy_config(planner="nano", replan_every=2)).save_pretrained(tmp_path / "saved")
    (tmp_path / "saved").rename(tmp_path / "moved")
    stored = json.loads((tmp_path / "moved" / "config.json").read_text())
    assert (stored["type"], stored["planner"], stored["policy"]) == ("hamster", "./planner", "./policy")
    bundled = bundled_policies()["flow-nano"]
    for file in model_files(bundled):
        assert (tmp_path / "moved" / "policy" / file.name).read_bytes() == file.read_bytes()
    config = PreTrainedConfig.from_pretrained(tmp_path / "moved", cli_overrides=["--replan_every=3", "--device=cpu"])
    config.pretrained_path = tmp_path / "moved"
    policy = make_policy(config, env_cfg=env_config())
    assert PreTrainedConfig.from_pretrained(tmp_path / "moved", cli_overrides=["--planner=null"]).planner is None
    assert policy.config.replan_every == 3 and policy.actor is not None and not policy.training
    overrides = {"device_processor": {"device": "cpu"}, "rename_observations_processor": {"rename_map": {}}}
    pre, post = make_pre_post_processors(config, str(tmp_path / "moved"), preprocessor_overrides=overrides)
    assert len(pre.steps) == 3 and len(post.steps) == 1
    policy.save_pretrained(tmp_path / "moved")  # onto itself
    assert model_files(tmp_path / "moved" / "policy")


def test_hub_ids_and_registered_names_stay_names(tmp_path, registered):
    HamsterPolicy(policy_config(policy="waypoints-of-a-test")).save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert (stored["planner"], stored["policy"]) == (None, "waypoints-of-a-test")
    assert not (tmp_path / "policy").exists()


def test_lerobot_train_is_told_what_trains_it():
    policy = HamsterPolicy(policy_config())
    with pytest.raises(NotImplementedError, match="hamster train policy"):
        policy.forward({})
