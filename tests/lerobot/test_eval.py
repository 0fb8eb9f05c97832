"""`lerobot-eval` runs planner and policy on the tabletop, and its episodes are those of `hamster.rollout`."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("lerobot", reason="lerobot is not installed here; `make test-lerobot` runs this beside it")
pytest.importorskip("lerobot_policy_hamster", reason="`make test-lerobot` installs it")

from hamster.planner import load_planner
from hamster.policy import load_policy
from hamster.rollout import rollout
from hamster.rollout.tabletop import TabletopEnvironment

SEED = 1000  # of the first episode, lerobot-eval's own default
EPISODES = 2


def run(module, *arguments):
    command = [sys.executable, "-m", "tests.lerobot.run_module", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500)


def test_lerobot_eval_runs_a_saved_checkpoint_as_rollout_does(tmp_path):
    done = run("lerobot_policy_hamster", str(tmp_path / "checkpoint"))
    assert done.returncode == 0, done.stderr
    done = run(
        "lerobot.scripts.lerobot_eval", f"--policy.path={tmp_path / 'checkpoint'}", "--policy.device=cpu",
        "--env.type=hamster", "--env.task=press", "--env.camera_name=front", f"--eval.n_episodes={EPISODES}",
        "--eval.batch_size=2", "--eval.use_async_envs=false", f"--seed={SEED}", f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    info = json.loads((tmp_path / "out" / "eval_info.json").read_text())
    assert list(info["per_group"]) == ["press"] and info["overall"]["n_episodes"] == EPISODES
    assert len(list((tmp_path / "out" / "videos").rglob("*.mp4"))) == EPISODES
    planner, policy = load_planner("nano", device="cpu"), load_policy("flow-nano", device="cpu")
    ours = [
        rollout(TabletopEnvironment("press", SEED + n), planner, policy, max_steps=200, video_every=0)
        for n in range(EPISODES)
    ]
    assert info["per_task"][0]["metrics"]["successes"] == [episode.success for episode in ours]
    assert any(episode.success for episode in ours)
