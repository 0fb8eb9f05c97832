"""`hamster eval planner`, or `eval-planner`: a planner alone, judged path by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS

if TYPE_CHECKING:
    from hamster.data import AnnotatedImage

USUAL = "tabletop-images:300"


@dataclass(frozen=True)
class EvalPlanner(Compute):
    """Measure how often a planner's path starts at the right object and ends at the right goal, how near it is, whether
    its scores mean what they say, and whether it refuses what is not in view."""

    source: Positional[tuple[str, ...]] = ()
    """One or more of offdomain:N, tabletop-images:N, tabletop-language:N (all with the seed below), and folders of
    label sets; tabletop-images:300 if none is given. tabletop-language asks for one of three like things in 18 ways by
    turns, a row each: 3600 are 200 a row."""
    data: UseAppendAction[tuple[str, ...]] = ()
    """The same, as an option that may be given several times."""
    planner: Annotated[str, PLANNERS] = "nano"
    """Name of a planner, a checkpoint's folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server
    that speaks OpenAI's protocol, as `hamster serve planner`."""
    dialect: Annotated[str | None, DIALECTS] = None
    """In which the planner answers; by default as its checkpoint or server says."""
    episodes: int | None = None
    """Images of each source, one instruction each; all of them if not given."""
    seed: int = 1000
    """Of the scenes and of the choice among their instructions; 0 is what the bundled planner was trained on."""
    out: Path = Path("outputs/eval-planner")
    """Result folder: eval_info.json, paths.jsonl, paths.png, reliability.png. The same command again keeps the answers
    that are there; of another planner, or other weights or code, it is refused."""
    restart: bool = False
    """Throw away what a finished run, or one of another planner, left in the folder."""
    calibrate: bool = False
    """Write calibration.json into the checkpoint's folder, fitted on these answers; judge it with another seed."""

    def run(self) -> None:
        """Asks, judges, and prints the tables."""
        from hamster.cli.planners import check_measured, continued_later
        from hamster.cli.show import show_summary
        from hamster.cli.show_paths import show_paths
        from hamster.terminal import show_next

        with continued_later():
            info = self._measured()
        show_paths(info["sources"])
        show_summary(info, self.out / "paths.png")
        show_next(f"hamster eval --planner oracle,{self.planner}")
        check_measured(info)

    def _measured(self) -> dict[str, Any]:
        from hamster.cli.planners import say_assumed_dialects
        from hamster.cli.show import with_progress
        from hamster.cli.sources import open_images
        from hamster.evaluate.planner.run import evaluate_paths, paths_identity
        from hamster.planner import load_planner

        names = tuple(dict.fromkeys((*self.source, *self.data))) or (USUAL,)
        sources = {name: open_images(name, self.seed) for name in names}
        say_assumed_dialects([self.planner], self.dialect)
        if self.calibrate:
            self._calibrate(sources)
            sources = {name: open_images(name, self.seed) for name in names}
        return evaluate_paths(
            sources,
            load_planner(self.planner, dialect=self.dialect, **self.computed),
            self.planner,
            self.out,
            self.episodes,
            self.seed,
            with_progress,
            paths_identity(self.planner, self.dialect, names, self.device, self.dtype),
            restart=bool(self.restart or self.calibrate),
        )

    def _calibrate(self, sources: Mapping[str, Iterable[AnnotatedImage]]) -> None:
        from hamster.cli.show import with_progress
        from hamster.evaluate.planner.calibrate import calibrate
        from hamster.planner.load import find_planner, load_vlm_planner

        folder = find_planner(self.planner)  # before anything is asked
        planner = load_vlm_planner(self.planner, dialect=self.dialect, **self.computed)
        calibrate(sources, planner, self.episodes, self.seed, with_progress).save(folder)
