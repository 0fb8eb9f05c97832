"""`hamster eval`: conditions, scenes, success with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS, POLICIES, SUITES, listed


@dataclass(frozen=True)
class Eval(Compute):
    """Measure planners and a policy on the same scenes; writes eval_info.json, report.html and a video per episode.

    `hamster eval planner` measures a planner alone: see `hamster eval planner --help`.
    """

    out: Path = Path("outputs/eval")
    """Result folder. The same command again continues an interrupted run; of other weights or code it is refused."""
    suite: Annotated[str, SUITES] = "tabletop"
    """tabletop; tabletop-moved: the camera stands 25 degrees aside; counterfactual: two tasks a scene, two episodes, in
    the same words, so that only the path of the condition `oracle` tells them apart."""
    planner: Annotated[str, PLANNERS] = "oracle,nano,shuffled,none"
    """Conditions, separated by commas: the baselines oracle, shuffled and none; a planner by name, a checkpoint folder,
    a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server that speaks OpenAI's protocol."""
    dialect: Annotated[str | None, DIALECTS] = None
    """In which the planners answer that are not bundled; by default as their checkpoint or server says."""
    policy: Annotated[str, POLICIES] = "nano"
    """A policy by name, a checkpoint folder, or a hub id OWNER/NAME."""
    episodes: int = 60
    """Scenes per condition, shared by all conditions, dealt to the families in turn."""
    seed: int = 0
    """Which scenes."""
    families: str = ""
    """Task families of the suite, separated by commas. If not given: pick_place,press,knock of the tabletop, all of any
    other suite."""
    replan: int = 0
    """Ask the planner again every so many keyposes; 0: once, on the first image."""
    workers: int | None = None
    """Processes; one per core if not given. The results do not depend on it."""
    restart: bool = False
    """Throw away what a finished run, or one of other weights or code, left in the folder."""

    def run(self) -> None:
        """Runs what is not done yet and prints the table."""
        from hamster.cli.planners import check_measured, continued_later, say_assumed_dialects
        from hamster.cli.show import show_summary, with_progress
        from hamster.evaluate import evaluate
        from hamster.terminal import show_next

        planners = listed(self.planner)
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
                out=self.out,
                restart=bool(self.restart),
                workers=self.workers,
                dialect=self.dialect,
                progress=with_progress,
                **self.computed,
            )
        show_summary(result.info, self.out / "report.html")
        show_next(f"hamster ablate --policies {self.policy}")
        check_measured(result.info)
