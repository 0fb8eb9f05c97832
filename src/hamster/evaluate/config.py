"""What to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamster.devices import check_dtype, choose_device

DEFAULT_CONDITIONS = ("oracle", "nano", "shuffled", "none")
FAMILIES = ("pick_place", "press", "knock")


@dataclass(frozen=True)
class EvalConfig:
    """One table: some conditions, one policy, the same scenes for every condition.

    Attributes:
        out: result folder.
        suite: name in `SUITES`.
        planners: conditions: "oracle", "shuffled", "none", a bundled planner's name or a checkpoint's folder.
        policy: a bundled policy's name or a checkpoint's folder.
        episodes: scenes per condition, dealt to the families in turn.
        seed: scene i is a function of (seed, i) alone, so a longer run contains a shorter one.
        families: task families.
        replan: keyposes from one question to the planner to the next; 0 asks once.
        workers: processes, one per usable core if None. No result depends on it.
        videos: keep a video, two stills and a report; without, an episode takes two thirds of the time.
        restart: throw away what a finished run, or one of another kind, left in `out`; an unfinished one of the same
            kind is continued all the same.
        device, dtype: where planners and the policy compute, and in which numbers; as in `load_planner`.
        dialect: in which planners that are not bundled are asked to answer; None: each in its own.

    Raises:
        ValueError: if a number is too small, a list is empty or repeats itself, or this machine has no such device.
    """

    out: Path
    suite: str = "tabletop"
    planners: tuple[str, ...] = DEFAULT_CONDITIONS
    policy: str = "nano"
    episodes: int = 60
    seed: int = 0
    families: tuple[str, ...] = FAMILIES
    replan: int = 0
    workers: int | None = None
    videos: bool = True
    restart: bool = False
    dialect: str | None = None
    device: str | None = None
    dtype: str = "auto"

    def __post_init__(self) -> None:
        for name, low in (("episodes", 1), ("seed", 0), ("replan", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be >= {low}, got {getattr(self, name)}")
        check_dtype(self.dtype)
        if self.device is not None:  # before processes are started
            choose_device(self.device)
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be >= 1, got {self.workers}")
        for name in ("planners", "families"):
            listed = getattr(self, name)
            if not listed or len(set(listed)) != len(listed):
                raise ValueError(f"{name} must be at least one name, each only once, got {', '.join(listed) or 'none'}")
