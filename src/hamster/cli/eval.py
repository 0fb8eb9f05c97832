"""`hamster eval`: success rates of planners and policies in closed loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS, POLICIES, SUITES, listed


@dataclass(frozen=True)
class Eval(Compute):
    """Evaluate planners and a policy in closed loop on the same scenes; writes eval_info.json, report.html and videos.

    `hamster eval planner` evaluates a planner alone: see `hamster eval planner --help`.
    """

    out: Path = Path("outputs/eval")
    """Result folder. The same command continues an interrupted run; results of other weights or code are an error."""
    suite: Annotated[str, SUITES] = "tabletop"
    """Distribution of scenes. tabletop-moved: the camera is moved by 25 degrees. tabletop-shifted: the target or its
    goal is shifted under way; use --replan 1. tabletop-occluded: a column hides a part of the way from the camera.
    counterfactual: two tasks per scene with the same instruction, so that only the path of the condition `oracle` tells
    them apart. axes, axes-AXIS: scenes that differ from the demonstrations axes-demos:320 in one held-out factor each.
    With "+blind" or "+wrong-words" after the name, that
    input is withheld."""
    planner: Annotated[str, PLANNERS] = "oracle,nano,shuffled,none"
    """Conditions, separated by commas: the baselines oracle, points, shuffled, shuffled-same, swapped and none; a
    planner by name, a checkpoint folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server that speaks
    OpenAI's protocol."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of planners that are not bundled; if not given, as their checkpoint or server says."""
    policy: Annotated[str, POLICIES] = "nano"
    """A policy by name, a checkpoint folder, a hub id OWNER/NAME, or ws://HOST:PORT of `hamster serve policy`."""
    episodes: int = 60
    """Number of scenes, the same for all conditions, assigned to the families in turn."""
    seed: int = 0
    """Random seed of the scenes."""
    families: str = ""
    """Task families of the suite, separated by commas; if not given, pick_place,press,knock of the tabletop suites,
    all of any other."""
    replan: int | Literal["async"] = 0
    """Number of keyposes after which the planner plans again; 0 plans once, on the first image. async: as soon as it
    has answered, while the policy acts; needs --planner-latency-s."""
    planner_latency_s: float | None = None
    """Simulated seconds from an image to its path: the robot holds still for it, or with --replan async follows the
    path in force. If not given, the episode stands still while the planner computes."""
    workers: int | None = None
    """Number of processes; if not given, one per core. Results do not depend on it."""
    engine: Literal["local", "ray"] = "local"
    """Where they run: on this machine's cores, or on a Ray cluster whose machines share the folders."""
    restart: bool = False
    """Delete the results of a finished run, or of other weights or code, in the folder."""

    def run(self) -> None:
        """Run what is not done yet and print the table."""
        from hamster.cli.planners import (
            check_measured,
            continued_later,
            required_by_planners,
            required_by_suites,
            say_assumed_dialects,
        )
        from hamster.extras import require

        planners = listed(self.planner)
        needed = [*required_by_suites([self.suite]), *required_by_planners(planners), "policy"]
        require([*needed, "ray"] if self.engine == "ray" else needed, "hamster eval")
        from hamster.cli.show import show_summary, with_progress
        from hamster.evaluate import evaluate
        from hamster.terminal import show_next

        with continued_later():
            say_assumed_dialects(planners, self.dialect)
            result = evaluate(
                planners,
                self.policy,
                suite=self.suite,
                episodes=self.episodes,
                seed=self.seed,
                families=listed(self.families),
                replan=self.replan,
                planner_latency_s=self.planner_latency_s,
                out=self.out,
                restart=bool(self.restart),
                workers=self.workers,
                engine=self.engine,
                dialect=self.dialect,
                progress=with_progress,
                **self.computed,
            )
        show_summary(result.info, self.out / "report.html")
        show_next(f"hamster ablate --policies {self.policy}")
        check_measured(result.info)
