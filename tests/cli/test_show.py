from __future__ import annotations

from pathlib import Path

from hamster.cli.show import show_summary, with_progress
from hamster.evaluate.summary import summarize


def episode(condition: str, scene: int, success: bool) -> dict:
    outcome = "success" if success else "timeout"
    family = ("pick_place", "press", "knock")[scene % 3]
    planner_s = [] if condition == "none" else [0.4]
    return {"condition": condition, "scene": scene, "family": family, "success": success, "outcome": outcome,
            "planner_s": planner_s, "policy_s": [0.05]}  # fmt: skip


def test_the_table_fits_80_columns_and_shows_every_number(capsys):
    conditions = ("oracle", "a/rather_long_folder/planner/model", "none")
    records = [episode(condition, scene, condition != "none") for condition in conditions for scene in range(200)]
    info = summarize(records, conditions, {"wall_s": 12.0, "workers": 2, "seed": 3})
    show_summary(info, Path("out/report.html"))
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines()) and "…" not in shown
    for text in (
        "200/200",
        "100 %",
        "98-100 %",
        "67/67",
        "0/200",
        "planner/model",
        "planner 400 ms",
        "out/report.html",
    ):
        assert text in shown


def test_progress_passes_every_record_through():
    records = [episode("none", scene, False) for scene in range(5)]
    assert list(with_progress(iter(records), 2, 7)) == records
