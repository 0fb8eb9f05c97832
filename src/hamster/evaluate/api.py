"""`hamster.evaluate()`: planners and a policy, by name or as objects, on the scenes of a suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from hamster.evaluate.config import DEFAULT_CONDITIONS, EvalConfig, EvalObjects
from hamster.evaluate.eval_result import EvalResult
from hamster.evaluate.journal import read_records
from hamster.evaluate.pool import single_process_reason
from hamster.evaluate.run import Progress, evaluate_config
from hamster.evaluate.suites import Suite
from hamster.rollout.environment import Environment
from hamster.rollout.interfaces import PlannerLike, PolicyLike
from hamster.rollout.replanning import Replan


def evaluate(
    planner: str | PlannerLike | Sequence[str | PlannerLike] | Mapping[str, PlannerLike] = DEFAULT_CONDITIONS,
    policy: str | Path | PolicyLike = "nano",
    *,
    suite: str | Suite | None = None,
    env: Callable[[int], Environment] | None = None,
    episodes: int = 60,
    seed: int = 0,
    families: Sequence[str] = (),
    replan: Replan = 0,
    planner_latency_s: float | None = None,
    max_steps: int = 300,
    out: Path | str | None = None,
    videos: bool | None = None,
    restart: bool = False,
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    dialect: str | None = None,
    device: str | None = None,
    dtype: str = "auto",
    progress: Progress | None = None,
) -> EvalResult:
    """Measure planners and a policy on the same scenes.

    Args:
        planner: what draws the paths, one or several, each a condition of its own. By name: "oracle", "shuffled",
            "none" and the others of `BASELINES`, everything else as for `load_planner`. As objects: with a method
            `plan(image, instruction)`; they are called by their class, or by their key in a mapping.
        policy: a name, a folder or a hub id as for `load_policy`, or an object with `act` and `reset`.
        suite: name of a registered suite, or a `Suite`; "tabletop" if neither this nor `env` is given.
        env: instead of a suite, seed -> an environment just reset.
        episodes: scenes per condition, dealt to the families in turn.
        seed: scene i is a function of (seed, i) alone, so a longer run contains a shorter one.
        families: task families of the suite; () for those it is evaluated on by default.
        replan: keyposes between two calls of the planner; 0 plans once; "async": as soon as it has answered.
        planner_latency_s: simulated seconds from an image to its path, in which the episode goes on; see `EvalConfig`.
        max_steps: control steps after which an episode of `env` has timed out; a suite has its own.
        out: result folder, in which an interrupted run is continued; None keeps nothing but what is returned.
        videos: keep a video, stills and a report in `out`; by default if there is an `out`.
        restart: delete what a finished run, or one of other weights or code, left in `out`.
        workers: number of processes, one per core if None; no result depends on it. What cannot be pickled runs in
            this process, with a warning.
        engine: where they run: on this machine's cores, or on a Ray cluster. No result depends on it.
        dialect: answer format of planners that are not bundled; None: each planner's own.
        device: torch device of planners and policies that are given by name, as in `load_planner`.
        dtype: number format they compute in, as in `load_planner`.
        progress: wraps the stream of records; called with the records, how many are done already and the total.

    Raises:
        ValueError: if a name is unknown, the folder holds another run, or a condition needs an expert's path and the
            environment has none.
        PlannerUnavailableError: if a planner's server does not respond at the start.
        RunStoppedError: if several episodes of a condition in a row could not be measured; the same call with an
            `out` continues.

    >>> result = evaluate("none", "nano", episodes=1, workers=1)  # doctest: +SKIP
    >>> result.success_rate  # doctest: +SKIP
    0.0
    """
    if isinstance(planner, EvalConfig):  # until version 0.3
        warnings.warn("evaluate(EvalConfig(…)) is now evaluate(planner, policy, …)", DeprecationWarning, stacklevel=2)
        return evaluate_config(planner, policy if callable(policy) else progress)  # type: ignore[return-value]
    if suite is not None and env is not None:
        raise ValueError("give a suite or an env, not both")
    names, objects = _conditions(planner)
    suite_object = Suite.of_environment(env, max_steps) if env is not None else suite
    suite_name = suite if isinstance(suite, str) else "tabletop" if suite_object is None else _name(env or suite)
    with _folder(out) as folder:
        config = EvalConfig(
            out=folder,
            suite=suite_name,
            planners=names,
            policy=str(policy) if isinstance(policy, str | Path) else _name(policy),
            episodes=episodes,
            seed=seed,
            families=tuple(families),
            replan=replan,
            planner_latency_s=planner_latency_s,
            workers=workers,
            engine=engine,
            videos=out is not None if videos is None else videos,
            restart=restart,
            dialect=dialect,
            device=device,
            dtype=dtype,
            objects=EvalObjects(
                objects,
                None if isinstance(policy, str | Path) else policy,
                suite_object if isinstance(suite_object, Suite) else None,
            ),
        )
        if workers != 1 and (reason := single_process_reason(config)):
            warnings.warn(f"evaluating in this process alone: {reason}", stacklevel=2)
        with _same_number_of_threads():
            info = evaluate_config(config, progress)
        records = read_records(folder / "rollouts.jsonl")
    in_table = [record for record in records.values() if record["condition"] in names]
    return EvalResult(info, in_table, None if out is None else folder)


def _conditions(planner: Any) -> tuple[tuple[str, ...], dict[str, PlannerLike]]:
    """Return the names of the conditions, and the objects among them by name."""
    if isinstance(planner, Mapping):
        named = dict(planner)
    else:
        planners = [planner] if isinstance(planner, str) or hasattr(planner, "plan") else list(planner)
        named = {}
        for item in planners:
            name = item if isinstance(item, str) else _name(item)
            if name in named:
                raise ValueError(f"two planners are called {name!r}: give a mapping of names to planners")
            named[name] = item
    for name, item in named.items():
        if not isinstance(item, str) and not callable(getattr(item, "plan", None)):
            raise ValueError(
                f"the planner {name!r} has no method plan(image, instruction): it is a {type(item).__name__}"
            )
        if isinstance(item, str) and item != name:
            raise ValueError(f"the planner {name!r} is a name, {item!r}: give it as that, or load it by load_planner")
    return tuple(named), {name: item for name, item in named.items() if not isinstance(item, str)}


def _name(value: Any) -> str:
    return str(getattr(value, "__name__", type(value).__name__))


@contextmanager
def _folder(out: Path | str | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="hamster-eval-") as folder:
        yield Path(folder)


@contextmanager
def _same_number_of_threads() -> Iterator[None]:
    """Restore torch's number of threads, which an evaluation in this process sets to one."""
    import torch  # which the identity of every evaluation needs

    n_threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
