"""The one state that all pages show: immutable records, as JSON what a page needs to draw itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hamster.path import Path2D

Status = Literal["loading", "ready", "planning", "running", "comparing", "stopping"]
"""What is going on; everything that changes the scene or the path waits for "ready", but for stops and moved things."""
Origin = Literal["planned", "drawn", "mended"]
"""How the present path came about; "mended": planned, and then changed by hand."""
PictureKind = Literal["simulator", "picture", "upload", "video"]
ArmName = Literal["oracle", "planner", "page", "none"]
FineTuningStatus = Literal["labelling", "training", "done", "cancelled", "interrupted", "failed"]
UV = tuple[float, float]


@dataclass(frozen=True)
class PictureState:
    """The picture on the page.

    Attributes:
        kind: "simulator", a still "picture" of the folder or video that was opened, an "upload", or a frame of the
            "video" that was uploaded last.
        name: for people.
        number: changes with the scene or picture, so that a page knows that it is another one.
        width, height: pixels.
        index, count: place among the stills; 0 of 0 in the simulator.
    """

    kind: PictureKind
    name: str
    number: int
    width: int
    height: int
    index: int = 0
    count: int = 0


@dataclass(frozen=True)
class TaskState:
    """The simulated scene.

    Attributes:
        suite: its name.
        family: of the task.
        families: those of the suite.
        seed: of the scene.
        instruction: its own, which its judge goes by.
    """

    suite: str
    family: str
    families: tuple[str, ...]
    seed: int
    instruction: str


@dataclass(frozen=True, eq=False)
class PlanState:
    """The planner's last answer, also while it comes.

    Attributes:
        planner: its name.
        instruction: that it was asked.
        raw_text: what it has said so far; "" where the planner writes no text.
        partial: (u, v) of the waypoints so far.
        is_refusal: whether it said that nothing of the kind is in view.
        problem: why there is no path, in words; "" if there is one.
        paths: the answers, the best first.
        chosen: index of the one that was taken over.
        seconds: it took.
    """

    planner: str
    instruction: str
    raw_text: str = ""
    partial: tuple[UV, ...] = ()
    is_refusal: bool = False
    problem: str = ""
    paths: tuple[Path2D, ...] = ()
    chosen: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class KeyposeState:
    """A keypose of the policy.

    Attributes:
        uv: where it is on the image; None where the camera is not calibrated.
        gripper_open: commanded there.
        is_reached: whether the robot has been there.
    """

    uv: UV | None
    gripper_open: bool
    is_reached: bool = False


@dataclass(frozen=True)
class RunState:
    """The robot's last run, also while it goes on.

    Attributes:
        seconds: of simulated time.
        keyposes: that the policy has commanded.
        replans: how often the planner was asked again.
        outcome: a `rollout.Outcome`, "stopped", or "" while it runs.
        message: how it ended, in words.
        done: what is done now in the scene, in words.
    """

    seconds: float = 0.0
    keyposes: tuple[KeyposeState, ...] = ()
    replans: int = 0
    outcome: str = ""
    message: str = ""
    done: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ArmState:
    """One of the runs of a comparison.

    Attributes:
        name: where its path comes from: "oracle", "planner" or "page"; "none" is a robot with the instruction alone.
        path: that the robot followed; None if there is none, or not yet.
        run: None while it waits.
    """

    name: ArmName
    path: Path2D | None = None
    run: RunState | None = None


@dataclass(frozen=True, eq=False)
class ComparisonState:
    """Runs from the start of one scene, which differ in where the path comes from.

    Attributes:
        number: changes with each comparison.
        instruction: of all runs.
        planner: its name; "" if none is among them.
        arms: in the order in which they run.
    """

    number: int
    instruction: str
    planner: str
    arms: tuple[ArmState, ...]


@dataclass(frozen=True)
class ThingState:
    """Something that can be moved: see `rollout.tabletop_view.MovableThing`."""

    name: str
    label: str
    uv: UV
    radius: float


@dataclass(frozen=True)
class FineTuningState:
    """A fine-tuning on the kept examples, also while it goes on.

    Attributes:
        name: of the planner that it makes.
        status: how far it is; "interrupted" and "failed" ones can be continued.
        message: why it came to no end, in words; "" if it did.
        step, steps: done, and in all.
        seconds_left: of training; None where that is not known.
        loss: steps and losses of the answers.
        kept, known: steps and shares of paths that are right, in [0, 1], on kept examples and on off-domain images that
            are not trained on.
    """

    name: str
    status: FineTuningStatus
    message: str = ""
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    loss: tuple[tuple[int, float], ...] = ()
    kept: tuple[tuple[int, float], ...] = ()
    known: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Choices:
    """What a page can choose from: names of planners, suites, and the policy that there is."""

    planners: tuple[str, ...]
    suites: tuple[str, ...]
    policy: str


@dataclass(frozen=True, eq=False)
class State:
    """All that a page shows, but for the picture itself.

    Attributes:
        note: what it is busy with, in words.
        path_version: changes with the path; an edit must name the one that it started from.
        problem: of the last request that failed after it was taken, in words.
        kept, kept_in: number of examples, and their folder.
        is_path_kept: whether the present path is among them.
        fine_tuning, comparison: the last one.
        number: changes with everything.
    """

    choices: Choices
    status: Status = "loading"
    note: str = ""
    picture: PictureState | None = None
    task: TaskState | None = None
    instruction: str = ""
    path: Path2D | None = None
    path_version: int = 0
    origin: Origin | None = None
    plan: PlanState | None = None
    run: RunState | None = None
    things: tuple[ThingState, ...] = ()
    problem: str = ""
    kept: int = 0
    kept_in: str = ""
    is_path_kept: bool = False
    fine_tuning: FineTuningState | None = None
    comparison: ComparisonState | None = None
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; paths as `Path2D.to_json` writes them."""
        record = {name: _plain(value) for name, value in vars(self).items()}
        if self.plan is not None:
            record["plan"]["paths"] = [path.to_json() for path in self.plan.paths]
        return record


def _plain(value: Any) -> Any:
    if isinstance(value, Path2D):
        return value.to_json()
    if isinstance(value, PlanState):
        return vars(value) | {"partial": [list(uv) for uv in value.partial]}
    if isinstance(value, ComparisonState | ArmState):
        return {name: _plain(item) for name, item in vars(value).items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
