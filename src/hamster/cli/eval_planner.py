"""`hamster eval planner`, or `eval-planner`: metrics of a planner without a policy."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage, Unreadable
    from hamster.evaluate.planner.cached_answers import CachedAnswers
    from hamster.planner import Planner

DEFAULT_SOURCE = "tabletop-images:300"


@dataclass(frozen=True)
class EvalPlanner(Compute):
    """Evaluate a planner alone: path accuracy, distances to the labels, calibration error (ECE), refusal rates.

    A path is right if it starts at the right object and ends at the right goal. Also reported are the trace metrics of
    the published benchmarks, under both of their protocols.
    """

    source: Positional[tuple[str, ...]] = ()
    """One or more of offdomain:N, offdomain-under-way:N, tabletop-images:N, tabletop-under-way:N, tabletop-language:N,
    tabletop-factors:N (all with the seed below); of the published benchmarks vabench-v:FILE, sharerobot:FILE,
    tracespatial:FILE, each the Parquet file of its dataset; of trace:FILE; and of folders of label sets.
    tabletop-images:300 if none is given. tabletop-language refers to one of three similar objects in 18 ways in turn,
    a row of the table each: N = 3600 is 200 per row; tabletop-factors has 8 rows, each with another visible factor
    replaced by the off-domain one."""
    data: UseAppendAction[tuple[str, ...]] = ()
    """More sources; may be given several times."""
    planner: Annotated[str, PLANNERS] = "nano"
    """Name of a planner, a checkpoint folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server
    that speaks OpenAI's protocol, as `hamster serve planner`."""
    answers: Path | None = None
    """JSON lines with the `id` and the raw `text` of each of a model's answers, which are scored in place of a planner;
    needs --dialect and one source. Outputs as RoboTracer and EmbodiedEvalKit publish them are read, too."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of the planner; if not given, as its checkpoint or server says."""
    episodes: int | None = None
    """Number of images per source, one instruction each; if not given, all."""
    seed: int = 1000
    """Random seed of the scenes and of the choice of instructions; 0 is that of the bundled planner's training."""
    out: Path = Path("outputs/eval-planner")
    """Result folder: eval_info.json, paths.jsonl, paths.png, reliability.png. The same command continues an
    interrupted run; results of another planner, weights or code are an error."""
    restart: bool = False
    """Delete the results of a finished run, or of another planner, in the folder."""
    calibrate: bool = False
    """Fit the score calibration on these answers and write calibration.json into the checkpoint folder; evaluate it
    with another seed."""

    def run(self) -> None:
        """Evaluate, and print the tables."""
        from hamster.cli.planners import check_measured, continued_later, required_by_planners
        from hamster.extras import require

        if self.answers is None:
            require(required_by_planners([self.planner]), "hamster eval planner")
        from hamster.cli.show import show_summary
        from hamster.cli.show_paths import show_paths
        from hamster.terminal import show_next

        with continued_later():
            info = self._evaluate()
        show_paths(info["sources"])
        if self.answers is not None and (n_unmatched := info["answers"]["n_unmatched"]):
            sys.stderr.write(
                f"hamster: {n_unmatched} of {info['answers']['n']} answers are for no image of the source\n"
            )
        show_summary(info, self.out / "paths.png")
        if self.answers is None:
            show_next(f"hamster eval --planner oracle,{self.planner}")
        check_measured(info)

    def _evaluate(self) -> dict[str, Any]:
        from hamster.cli.planners import say_assumed_dialects
        from hamster.cli.show import with_progress
        from hamster.cli.sources import open_images
        from hamster.evaluate.planner.run import evaluate_paths, paths_identity
        from hamster.planner import load_planner

        names = tuple(dict.fromkeys((*self.source, *self.data))) or (DEFAULT_SOURCE,)
        cached = self._cached_answers(len(names))
        sources = {name: open_images(name, self.seed) for name in names}
        if cached is None:
            say_assumed_dialects([self.planner], self.dialect)
        if self.calibrate:
            self._calibrate(sources)
            sources = {name: open_images(name, self.seed) for name in names}
        planner: Planner | CachedAnswers = cached or load_planner(self.planner, dialect=self.dialect, **self.computed)
        return evaluate_paths(
            sources,
            planner,
            self.planner if self.answers is None else self.answers.name,
            self.out,
            self.episodes,
            self.seed,
            with_progress,
            paths_identity(cached or self.planner, self.dialect, names, self.device, self.dtype),
            restart=bool(self.restart or self.calibrate),
        )

    def _cached_answers(self, n_sources: int) -> CachedAnswers | None:
        from hamster import dialects
        from hamster.evaluate.planner.cached_answers import CachedAnswers

        if self.answers is None:
            return None
        if self.planner != EvalPlanner.planner:
            raise ValueError(
                f"give --planner {self.planner}, to ask it, or --answers, to score what is stored; not both"
            )
        if self.calibrate:
            raise ValueError("--calibrate asks a planner again and again; it cannot use stored --answers")
        if n_sources > 1:
            raise ValueError(f"--answers are for the items of one source, and {n_sources} are given")
        if self.dialect is None:
            raise ValueError(f"--answers needs --dialect, in which they are; there are {', '.join(dialects.DIALECTS)}")
        return CachedAnswers.read(self.answers, self.dialect)

    def _calibrate(self, sources: Mapping[str, Iterable[AnnotatedImage | Unreadable]]) -> None:
        from hamster.cli.show import with_progress
        from hamster.evaluate.planner.calibrate import calibrate
        from hamster.planner.load import find_planner, load_vlm_planner

        folder = find_planner(self.planner)  # fails early if there is no such folder
        planner = load_vlm_planner(self.planner, dialect=self.dialect, **self.computed)
        calibrate(sources, planner, self.episodes, self.seed, with_progress).save(folder)
