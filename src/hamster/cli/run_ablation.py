"""The work of `hamster ablate`."""

from __future__ import annotations

from rich.console import Console

from hamster.cli.ablate import Ablate
from hamster.cli.names import listed
from hamster.cli.planners import continued_later, say_assumed_dialects
from hamster.cli.show import with_progress
from hamster.evaluate.ablation.plan import AblationConfig, seconds_left
from hamster.evaluate.ablation.run import ablate
from hamster.evaluate.ablation.variants import Variant, variants
from hamster.evaluate.ablation.variants import seconds_left as training_left
from hamster.extras import extra
from hamster.files import lock_folder
from hamster.terminal import show_next

console = Console()


def run_ablation(options: Ablate) -> None:
    """Train the variants, evaluate all policies, and print the table."""
    trained = _variants(options) if options.train else []
    if options.dry_run:
        _print_plan(options, trained)
        return
    with lock_folder(options.out), continued_later():
        for variant in trained:
            if not variant.is_trained:
                console.print(f"training {variant.name}", style="bold")
            with extra("train"):
                variant.train(options.data, options.out / "train" / "packs")
        say_assumed_dialects(listed(options.planners), options.dialect)
        ablate(_config(options, trained), with_progress)
    console.print((options.out / "ablation.md").read_text(), soft_wrap=True, markup=False)
    console.print(f"look at {options.out / 'ablation.png'}", soft_wrap=True)
    show_next("hamster eval --policy POLICY, for the videos of one of them")


def _variants(options: Ablate) -> list[Variant]:
    shares = tuple(_share(text) for text in listed(options.demonstrations))
    names, conditioners = listed(options.config), listed(options.conditioners)
    valid, invalid = variants(options.out / "train", names, conditioners, shares, options.steps, options.seed)
    for reason in invalid:
        console.print(f"left out {reason}", style="dim", markup=False)
    if not (options.data / "manifest.json").is_file() and not all(variant.is_trained for variant in valid):
        raise ValueError(f"no label set in {options.data}; make one: hamster label tabletop:320 -o {options.data}")
    return valid


def _config(options: Ablate, trained: list[Variant]) -> AblationConfig:
    return AblationConfig(
        out=options.out,
        policies=(*options.policy_names, *(str(variant.folder) for variant in trained)),
        planners=listed(options.planners),
        cameras=listed(options.cameras),
        episodes=options.episodes,
        seed=options.seed,
        workers=options.workers,
        counterfactual=options.counterfactual,
        restart=bool(options.restart),
        dialect=options.dialect,
        device=options.device,
        dtype=options.dtype,
    )


def _print_plan(options: Ablate, planned: list[Variant]) -> None:
    total_s = 0.0
    for variant in planned:
        left_s = training_left(variant, planned)
        console.print(f"train {variant.name}: {_minutes(left_s)}", soft_wrap=True, markup=False)
        total_s += left_s
    untrained = {str(v.folder): bool(v.config.actor.conditioners) for v in planned if not v.is_trained}
    for name, n, left_s in seconds_left(_config(options, planned), untrained):
        console.print(f"evaluate {name}, {n} episodes: {_minutes(left_s)}", soft_wrap=True, markup=False)
        total_s += left_s
    console.print(f"in all about {total_s / 60:.0f} minutes", style="bold")


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.1f} minutes" if seconds else "done"


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"demonstrations are numbers in (0, 1], separated by commas, not {text!r}") from None
