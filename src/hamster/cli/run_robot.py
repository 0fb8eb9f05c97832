"""`hamster run robot`: a planner and a policy on a robot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS, POLICIES, ROBOTS


@dataclass(frozen=True)
class RunRobot(Compute):
    """Run a planner and a policy on a robot until Ctrl-C, a stop, or the end of the time.

    Every command passes the safety filter; the robot is stopped at the first violation, when observations are lost, and
    when commands fail to come. Read docs/howto/robot.md before power is on.
    """

    robot: Annotated[str, ROBOTS] = "sim-remote"
    """Name of a robot: sim-remote is the built-in tabletop behind a socket; your own by --import."""
    options: tuple[str, ...] = ()
    """Options of the robot, NAME=VALUE, e.g. --options seed=3 latency_s=0.05 drop=0.1 for sim-remote."""
    planner: Annotated[str, PLANNERS] = "nano"
    """A planner by name, a checkpoint folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL; none: without a
    path."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of the planner; if not given, as its checkpoint or server says."""
    policy: Annotated[str, POLICIES] = "nano"
    """A policy by name, a checkpoint folder, a hub id OWNER/NAME, or ws://HOST:PORT of `hamster serve policy`."""
    instruction: str = ""
    """What the robot should do, in plain English; if not given, as the robot says."""
    control_hz: float = 20.0
    """Commands per second."""
    command_timeout_s: float = 0.1
    """Seconds after the last valid command at which the watchdog stops the robot."""
    max_age_s: float = 0.3
    """Age of the newest observation at which the robot is stopped; from half of it on the motion slows down to rest."""
    replan_s: float = 0.0
    """Seconds between two calls of the planner, which runs beside the motion; 0 plans once."""
    duration_s: float = 60.0
    """Seconds after which the run ends."""
    speed_m_s: float = 0.25
    """Speed of the tool's tip."""
    workspace_low_m: tuple[float, float, float] = (0.1, -0.6, -0.03)
    """Lower corner x y z, in the world, of the box that the tool's tip must not leave."""
    workspace_high_m: tuple[float, float, float] = (0.9, 0.6, 0.9)
    """Upper corner."""
    dry_run: bool = False
    """Observe, plan, act, check, draw and log, and send nothing to the robot."""
    confirm: bool = False
    """Ask on the terminal before every action of the policy; the robot stands still meanwhile."""
    rerun: bool = False
    """Also write a recording for the Rerun viewer."""
    out: Path = Path("outputs/robot")
    """Folder of the runs; each gets a folder of its own."""

    def run(self) -> None:
        """Run, log to the terminal, and print where the records are."""
        from hamster.cli.planners import required_by_planners, say_assumed_dialects
        from hamster.cli.robot_session import run_robot
        from hamster.extras import require

        planners = [] if self.planner == "none" else [self.planner]
        require([*required_by_planners(planners), "policy", "data"], "hamster run robot")
        say_assumed_dialects(planners, self.dialect)
        run_robot(self)

    def parsed_options(self) -> dict[str, Any]:
        """Return the options of the robot: numbers, true and false where they are such, else text.

        Raises:
            ValueError: if one is no NAME=VALUE.
        """
        import json

        parsed: dict[str, Any] = {}
        for option in self.options:
            name, separator, text = option.partition("=")
            if not separator or not name.isidentifier():
                raise ValueError(f"--options takes NAME=VALUE, got {option!r}")
            try:
                parsed[name] = json.loads(text)
            except ValueError:
                parsed[name] = text
        return parsed
