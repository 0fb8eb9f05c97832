"""A process of an evaluation: models loaded once, trials run one after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.identity import dialect_for
from hamster.evaluate.journal import Record
from hamster.evaluate.shared_plans import SharedPlans
from hamster.evaluate.suites import Suite, close, episode_metrics, expert_of, suite_of, swappable
from hamster.evaluate.trials import Trial
from hamster.evaluate.video import filmstrip, webp, write_rollout_video
from hamster.path import PlanError
from hamster.planner.load import is_address
from hamster.planner.registry import PLANNERS
from hamster.rollout import BrokenEnvironmentError, Rollout, rollout
from hamster.rollout.baselines import (
    BASELINES,
    OF_OTHER_SCENE,
    OraclePlanner,
    PointsPlanner,
    ShuffledPlanner,
    SwappedPlanner,
)
from hamster.rollout.environment import Environment
from hamster.rollout.interfaces import PlannerLike, PolicyLike
from hamster.rollout.replanning import Replan

VIDEO_FPS = 10


@dataclass(frozen=True)
class EvalWorker:
    """Suite, planners and policy, loaded and ready to run trials.

    Attributes:
        suite: makes scenes.
        planners: by condition; baselines are made per scene.
        policy: shared by all conditions.
        replan, planner_latency_s: as of `EvalConfig`.
        out: result folder.
        videos: whether videos and stills are written.
        seed_everything: called with the trial's seed, so that a trial's result is a function of the trial.
    """

    suite: Suite
    planners: dict[str, PlannerLike]
    policy: PolicyLike
    replan: Replan
    out: Path
    seed_everything: Callable[[int], object]
    videos: bool = True
    planner_latency_s: float | None = None

    def run(self, trial: Trial) -> Record:
        """Run one trial, write its video and stills, and return its record.

        An environment that breaks down, also that of another scene or after the episode, makes it an "env_error".
        """
        try:
            return self._run(trial)
        except BrokenEnvironmentError as error:
            return {"key": trial.key, **asdict(trial), "success": False, "outcome": "env_error", "message": str(error)}

    def _run(self, trial: Trial) -> Record:
        start = time.perf_counter()
        self.seed_everything(trial.seed)
        env = self.suite.make(trial.family, trial.seed)
        try:
            planner = self._planner(trial, env)
            result = rollout(
                env,
                planner,
                self.policy,
                replan_every=self.replan,
                planner_latency_s=self.planner_latency_s,
                **self.suite.end_conditions(trial.family),
                video_every=max(1, round(1 / (VIDEO_FPS * env.dt_s))) if self.videos else 0,
            )
            measured = episode_metrics(env, result)
            if isinstance(planner, SwappedPlanner) and result.is_measured:
                measured["path_task_success"] = planner.is_path_task_success()
        finally:
            close(env)
        files = self._write_pictures(trial, result) if self.videos and result.is_measured else {}
        record = {"key": trial.key, **asdict(trial), **result.to_json(), **measured, **files}
        return {**record, "wall_s": round(time.perf_counter() - start, 3)}

    def _planner(self, trial: Trial, env: Environment) -> PlannerLike | None:
        if trial.condition == "none":
            return None
        if trial.condition == "oracle":
            return OraclePlanner(expert_of(env))
        if trial.condition == "points":
            return PointsPlanner(expert_of(env))
        if trial.condition == "swapped":
            return SwappedPlanner(swappable(env), trial.seed)
        if trial.condition in OF_OTHER_SCENE:
            return self._shuffled(trial)
        return self.planners[trial.condition]

    def _shuffled(self, trial: Trial) -> ShuffledPlanner:
        """Return the path of the next scene; if that leaves the image, of another scene of the same family."""
        for seed in range(trial.other_seed, trial.other_seed + 20):
            other = self.suite.make(trial.other_family, seed)
            try:
                return ShuffledPlanner(expert_of(other))
            except PlanError:
                continue
            finally:
                close(other)
        raise RuntimeError(f"20 scenes from seed {trial.other_seed} on have no path on the image")

    def _write_pictures(self, trial: Trial, result: Rollout) -> dict[str, Any]:
        files = {"video": f"videos/{trial.key}.mp4", "first": f"stills/{trial.key}.webp"}
        files["strip"] = f"stills/{trial.key}-strip.webp"
        for name in files.values():
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        frames = result.video.drawn()
        write_rollout_video(self.out / files["video"], result, trial.condition, frames)
        (self.out / files["first"]).write_bytes(webp(frames[0]))
        (self.out / files["strip"]).write_bytes(webp(filmstrip(frames)))
        return files


@dataclass(frozen=True)
class WorkerLoader:
    """Loads the workers of all tables of a run; each model is loaded once, however many tables use it.

    Attributes:
        planners, policies: what is loaded, by all that tells two of them apart.
    """

    planners: dict[tuple[str | None, ...], PlannerLike] = field(default_factory=dict)
    policies: dict[tuple[str | None, ...], PolicyLike] = field(default_factory=dict)

    def __call__(self, config: EvalConfig) -> EvalWorker:
        """Load what an evaluation needs; what was passed as objects is used as it is."""
        import torch

        torch.set_num_threads(1)  # the processes are the parallelism
        objects = config.objects
        loaded = {name: self._planner(name, config) for name in config.planners if name not in BASELINES}
        return EvalWorker(
            suite=suite_of(config),
            planners=loaded,
            policy=self._policy(config) if objects.policy is None else objects.policy,
            replan=config.replan,
            planner_latency_s=config.planner_latency_s,
            out=config.out,
            videos=config.videos,
            seed_everything=seed_everything,
        )

    def _planner(self, name: str, config: EvalConfig) -> PlannerLike:
        from hamster.planner import load_planner

        if name in config.objects.planners:
            return config.objects.planners[name]
        dialect = dialect_for(name, config.dialect)
        key = (name, dialect, config.device, config.dtype)
        if key not in self.planners:
            planner = load_planner(name, dialect=dialect, device=config.device, dtype=config.dtype)
            # Checkpoints decode greedily here. Servers and users' planners need not give the same answer twice.
            is_checkpoint = not (is_address(name) or name in PLANNERS)
            self.planners[key] = SharedPlans(planner) if is_checkpoint else planner
        return self.planners[key]

    def _policy(self, config: EvalConfig) -> PolicyLike:
        from hamster.policy import load_policy

        key = (config.policy, config.device, config.dtype)
        if key not in self.policies:
            self.policies[key] = load_policy(config.policy, device=config.device, dtype=config.dtype)
        return self.policies[key]


def seed_everything(seed: int) -> None:
    """Seed every generator that planners, policies and environments of users may draw from."""
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed % (1 << 32))  # users' code may use it
    random.seed(seed)
