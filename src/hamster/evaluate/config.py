"""The settings of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.devices import check_dtype, choose_device
from hamster.evaluate.engines import ENGINES
from hamster.rollout.baselines import BASELINES
from hamster.rollout.replanning import Replan, check_replan

if TYPE_CHECKING:
    from hamster.evaluate.suites import Suite
    from hamster.rollout.interfaces import PlannerLike, PolicyLike

DEFAULT_CONDITIONS = ("oracle", "nano", "shuffled", "none")


@dataclass(frozen=True, eq=False)
class EvalObjects:
    """Planners, policy and suite that were passed as objects instead of by name.

    Attributes:
        planners: by the name of their condition, which `EvalConfig.planners` lists.
        policy: replaces the one that `EvalConfig.policy` names.
        suite: replaces the one that `EvalConfig.suite` names.
    """

    planners: Mapping[str, PlannerLike] = field(default_factory=dict)
    policy: PolicyLike | None = None
    suite: Suite | None = None

    def __bool__(self) -> bool:
        return bool(self.planners) or self.policy is not None or self.suite is not None


@dataclass(frozen=True)
class EvalConfig:
    """The settings of one table: conditions, one policy, the same scenes for every condition.

    Attributes:
        out: result folder.
        suite: name in `SUITES`, with the suffixes of `WITHHELD`, if any.
        planners: conditions: a baseline's name (`BASELINES`), a bundled planner's or a checkpoint's folder.
        policy: a bundled policy's name or a checkpoint's folder.
        episodes: scenes per condition, dealt to the families in turn.
        seed: scene i is a function of (seed, i) alone, so a longer run contains a shorter one.
        families: task families; () for those that the suite is evaluated on by default.
        replan: keyposes between two calls of the planner; 0 plans once. "async" calls it again as soon as it has
            answered, while the policy acts.
        workers: number of processes, one per usable core if None. No result depends on it.
        engine: of `engines.ENGINES`, on which they run. No result depends on it.
        videos: write a video and two stills per episode, and a report; without, an episode takes two thirds as long.
        restart: delete what a finished run, or one of another identity, left in `out`; an unfinished one of the same
            identity is continued.
        device: torch device of planners and policy, as in `load_planner`.
        dtype: number format they compute in, as in `load_planner`.
        dialect: answer format of planners that are not bundled; None: each planner's own.
        objects: planners, policy and suite that were passed as objects; their names are in the fields above.
        planner_latency_s: simulated seconds from an image to its path, in which the episode goes on: the robot holds
            still, or with "async" follows the path in force. None: the episode stands still while the planner computes.
        allow_test_seeds: whether `seed` may be one of the axes suites' test seeds, which runs/headline.sh alone reads.

    Raises:
        ValueError: if a number is too small, "async" has no latency, a list is empty or repeats itself, or this machine
            has no such device.
    """

    out: Path
    suite: str = "tabletop"
    planners: tuple[str, ...] = DEFAULT_CONDITIONS
    policy: str = "nano"
    episodes: int = 60
    seed: int = 0
    families: tuple[str, ...] = ()
    replan: Replan = 0
    workers: int | None = None
    videos: bool = True
    restart: bool = False
    dialect: str | None = None
    device: str | None = None
    dtype: str = "auto"
    objects: EvalObjects = field(default_factory=EvalObjects)
    planner_latency_s: float | None = None
    allow_test_seeds: bool = False
    engine: str = "local"

    def __post_init__(self) -> None:
        for name, low in (("episodes", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be >= {low}, got {getattr(self, name)}")
        check_replan(self.replan, self.planner_latency_s)
        if self.replan == "async" and self.planner_latency_s is None:
            raise ValueError(
                "replan 'async' needs planner_latency_s, such as 1 (--planner-latency-s 1): results that depend on how "
                "fast this machine computes could not be repeated"
            )
        check_dtype(self.dtype)
        if self.device is not None:  # before processes are started
            choose_device(self.device)
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be >= 1, got {self.workers}")
        if self.engine not in ENGINES:
            raise ValueError(f"no engine {self.engine!r}; there are {', '.join(ENGINES)}")
        if reserved := [name for name in self.objects.planners if name in BASELINES]:
            raise ValueError(f"{reserved[0]!r} is the name of a baseline; give the planner another one")
        if not self.families:
            from hamster.evaluate.suites import suite_of

            suite = suite_of(self)
            object.__setattr__(self, "families", suite.default_families or suite.families)
        for name in ("planners", "families"):
            names = getattr(self, name)
            if not names or len(set(names)) != len(names):
                raise ValueError(f"{name} must be at least one name, each only once, got {', '.join(names) or 'none'}")
