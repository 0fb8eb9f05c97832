"""`hamster studio`: a page to type or draw a path, and watch the simulated robot follow it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS, POLICIES, SUITES, listed


@dataclass(frozen=True)
class Studio(Compute):
    """Open a page in which you type or draw a path, and the simulated robot follows it; until Ctrl-C.

    It listens on this machine alone. The first line on standard output is the link to open; it holds a key, a new one
    with every start.
    """

    env: Annotated[str, SUITES] = "tabletop"
    """What to draw on: a suite of the simulator, images:DIR for the pictures of a folder, or video:FILE."""
    planner: Annotated[str, PLANNERS] = "nano,oracle"
    """Planners to choose from, separated by commas: names, checkpoint folders, hub ids OWNER/NAME,
    http://HOST:PORT/v1#MODEL, and oracle for the simulated expert."""
    policy: Annotated[str, POLICIES] = "nano"
    """A policy by name, a checkpoint folder, a hub id OWNER/NAME, or ws://HOST:PORT of `hamster serve policy`."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of planners that are not bundled; if not given, as their checkpoint or server says."""
    seed: int = 0
    """Random seed of the first scene."""
    port: int = 8020
    """Port to listen on; 0 chooses a free one."""
    out: Path = Path("outputs/studio")
    """Folder of the paths that are kept as examples; `hamster label sketch:DIR` reads it."""

    def run(self) -> None:
        """Serve; the first line on standard output is the link."""
        from hamster.cli.planners import required_by_planners, required_by_suites, say_assumed_dialects
        from hamster.extras import require

        planners, is_simulated = listed(self.planner), not self.env.startswith(("images:", "video:"))
        needed = [*required_by_suites([self.env]), "policy"] if is_simulated else []
        require([*needed, *required_by_planners(planners), "studio"], "hamster studio")
        from hamster.studio.serve import StudioOptions, serve_studio

        if self.seed < 0:
            raise ValueError(f"--seed must be >= 0, got {self.seed}")
        models = [name for name in planners if name != "oracle"]
        say_assumed_dialects(models, self.dialect)
        options = StudioOptions(self.env, planners, self.policy, self.dialect, self.seed, self.out, self.computed)
        serve_studio(options, self.port)
