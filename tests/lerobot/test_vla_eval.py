"""The real vla-eval runs planner and policy on the tabletop: `make test-lerobot`."""

import numpy as np
import pytest

pytest.importorskip("vla_eval", reason="vla-eval is not installed here; `make test-lerobot` has it")
pytest.importorskip("hamster_vla_eval", reason="`make test-lerobot` installs it")

from hamster_vla_eval.server import XYZW, HamsterModelServer, read_observation
from hamster_vla_eval.tabletop import TabletopBenchmark
from vla_eval import evaluate
from vla_eval.recording import NullEpisodeRecorder
from vla_eval.specs import check_specs

from hamster.planner import load_planner
from hamster.policy import load_policy
from hamster.rollout import rollout
from hamster.rollout.tabletop import TabletopEnvironment

BENCHMARK = "hamster_vla_eval.tabletop:TabletopBenchmark"


@pytest.fixture(scope="module")
def server():
    return HamsterModelServer("nano", "flow-nano", device="cpu")


def benchmark(**options):
    made = TabletopBenchmark(families=("push",), image_size=64, **options)
    made._recorder = NullEpisodeRecorder()
    return made


def test_vla_eval_runs_the_episodes_of_rollout(server, tmp_path):
    tabletop = {
        "benchmark": BENCHMARK, "subname": "tabletop", "episodes_per_task": 2,
        "params": {"families": ["press"], "seed": 1000},
    }  # fmt: skip
    config = {"benchmarks": [tabletop], "server": {"timeout": 600}, "render": "cpu"}
    (result,) = evaluate(server, config, output_dir=tmp_path, no_save=True, docker=False)
    (task,) = result["tasks"]
    episodes = sorted(task["episodes"], key=lambda episode: episode["episode_id"])
    theirs = [episode["metrics"]["success"] for episode in episodes]
    planner, policy = load_planner("nano", device="cpu"), load_policy("flow-nano", device="cpu")
    ours = [
        rollout(TabletopEnvironment("press", 1000 + n), planner, policy, max_steps=200, video_every=0).success
        for n in range(2)
    ]
    assert theirs == ours and any(ours)
    assert not server._agents  # episodes are forgotten


def test_server_and_benchmark_agree_on_what_they_exchange(server):
    theirs = benchmark(**server.get_observation_params())
    specs = server.get_action_spec(), theirs.get_action_spec()
    assert check_specs(*specs, server.get_observation_spec(), theirs.get_observation_spec()) == []


def test_an_observation_comes_back_as_it_was():
    theirs = benchmark(send_depth=True, send_wrist_image=True)
    raw = theirs.reset({"name": "push", "episode_idx": 3})
    obs = theirs.make_obs(raw, {})
    read = read_observation(obs, ("front", "wrist"))
    assert np.allclose(read.tool_pose_world, raw.tool_pose_world) and read.gripper == pytest.approx(raw.gripper)
    for name, view in raw.views.items():
        assert np.array_equal(read.views[name].rgb, view.rgb) and np.array_equal(read.views[name].depth_m, view.depth_m)
        assert np.allclose(read.views[name].camera.world_from_camera, view.camera.world_from_camera)
    step = theirs.step({"actions": obs["states"][XYZW]})
    assert np.allclose(step.obs.tool_pose_world, raw.tool_pose_world, atol=0.02)
    theirs.cleanup()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"states": np.zeros(7)}, r"states must be \(8,\)"),
        ({"images": {}}, "lacks images of front"),
        ({"images": {"front": np.zeros((4, 4, 3))}}, r"not \(H, W, 3\) uint8"),
        ({"depth": {"front": np.zeros((2, 2))}}, "the depth of 'front' is"),
    ],
)
def test_what_an_observation_lacks_is_named(changes, words):
    obs = {"images": {"front": np.zeros((4, 4, 3), np.uint8)}, "states": np.array([0, 0, 0, 1.0, 0, 0, 0, 1])}
    with pytest.raises(ValueError, match=words):
        read_observation({**obs, **changes}, ("front",))


def test_unknown_families_are_named():
    with pytest.raises(ValueError, match="no families fly; there are: pick_place"):
        TabletopBenchmark(families=("fly",))
