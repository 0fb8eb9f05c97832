from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hamster.cli.app import main
from hamster.evaluate.comparison.episodes import Folder
from hamster.evaluate.comparison.plan_file import read_plan
from hamster.evaluate.comparison.report import write_report
from hamster.evaluate.video import webp
from tests.evaluate.comparison.synthetic import write_arm, write_folder
from tests.evaluate.test_report import Page

PLAN = """
contrasts = ["A - B"]
[scenes]
axes = ["basic", "visual"]
beside = ["moved"]
per_axis = 12
block = 6
[statistics]
permutations = 500
resamples = 200
stop_early = true
[arms]
A = { label = "with <path>", policy = "flow", condition = "nano", seeds = 2, share = 1.0 }
B = { label = "without path", policy = "mono", condition = "none", seeds = 3 }
C = { label = "expert", policy = "flow", condition = "oracle", ceiling = true, share = 0.5 }
X = { label = "future arm", policy = "x", condition = "none", not_run = "not built" }
[[predictions]]
contrast = "B - A"
otherwise = "as expected"
"""


@pytest.fixture
def evaluated(tmp_path):
    rates = {"basic": 0.9, "visual": 0.8, "moved": 0.5}
    folders = write_arm(tmp_path, "A", rates, 2, 12) + write_arm(tmp_path, "C", rates, 1, 12)
    return folders + write_arm(tmp_path, "B", dict.fromkeys(rates, 0.3), 2, 12)


@pytest.fixture
def plan_file(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return file


def test_a_planned_axis_without_episodes_does_not_leave_the_mean_silently(evaluated, plan_file, tmp_path):
    plan = plan_file.read_text()
    assert "No arm was evaluated" not in write_report(evaluated, tmp_path / "all", read_plan(plan_file)).markdown
    plan_file.write_text(plan.replace('axes = ["basic", "visual"]', 'axes = ["basic", "visual", "language"]'))
    report = write_report(evaluated, tmp_path / "fewer", read_plan(plan_file))
    assert "No arm was evaluated on language, which the plan names" in report.markdown


def test_the_page_is_self_contained_and_shows_figures_tables_and_what_is_missing(evaluated, plan_file, tmp_path):
    report = write_report(evaluated, tmp_path / "report", read_plan(plan_file))
    text = report.file.read_text()
    page = Page(text)
    assert {"table", "svg", "h1"} <= {tag for tag, _ in page.tags}
    assert not re.search(r"(src|href)=[\"'](?!data:)", text) and "http" not in text.replace("http://www.w3.org", "")
    assert "with <path>" in page.text and "<path>" not in text  # names are escaped
    for words in ("Which arm succeeds where?", "Does off-domain data help?", "did not hold", "as expected"):
        assert words in page.text
    assert "future arm: not run, not built." in page.text and "without path: 2 of 3 training seeds." in page.text
    assert page.text.count("n = 12") >= 3


def test_markdown_and_json_have_the_numbers_of_the_page(evaluated, plan_file, tmp_path):
    report = write_report(evaluated, tmp_path / "report", read_plan(plan_file))
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    mean = content["rates"]["A"]["mean"]["mean"]
    assert f"| with <path> | {100 * mean:.1f} [" in report.markdown
    assert f"{100 * mean:.1f} [" in report.file.read_text()
    assert content["pre_registered"] is True and content["differences"][0]["sequence"] is not None
    assert (tmp_path / "report" / "report.md").read_text() == report.markdown


@pytest.mark.parametrize("value", [None, float("nan"), 2, "half"])
def test_an_episode_without_a_metric_leaves_its_arm_no_mean_and_a_note(value, evaluated, tmp_path):
    file = evaluated[0].path / "rollouts.jsonl"
    first, *others = file.read_text().splitlines()
    record = json.loads(first)
    record["metrics"]["partial"] = value
    file.write_text("\n".join([json.dumps(record), *others]))
    report = write_report(evaluated, tmp_path / "report")
    assert "A: no mean of 'partial', which 1 of 48 episodes do not record." in report.markdown
    assert "A" not in report.comparison.partial and {"B", "C"} <= report.comparison.partial.keys()
    assert "A" in report.comparison.clean and "no mean of 'clean'" not in report.markdown
    assert "NaN" not in (tmp_path / "report" / "report.json").read_text()


def test_strips_are_the_first_of_each_outcome_by_scene_number(tmp_path):
    import numpy as np

    folder = write_folder(tmp_path / "a", "basic", [0, 1, 0, 1])
    (folder / "stills").mkdir()
    records = [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]
    for record in records:
        record["strip"] = f"stills/{record['key']}.webp"
        (folder / record["strip"]).write_bytes(webp(np.full((8, 8, 3), record["scene"], np.uint8)))
    records[0]["strip"] = "../../secret.webp"  # leads out of the folder: not shown
    (folder / "rollouts.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    text = write_report([Folder(folder, "a")], tmp_path / "report").file.read_text()
    assert re.findall(r"basic, scene (\d+)", text) == ["1"]


def test_contrasts_without_a_plan_are_called_descriptions(evaluated, tmp_path):
    assert "were not chosen before the run" in write_report(evaluated, tmp_path / "report").markdown


def test_the_command_prints_markdown_and_refuses_in_one_line(evaluated, plan_file, tmp_path, capsys):
    words = [f"{folder.arm}@{folder.seed}={folder.path}" for folder in evaluated]
    out = ["--out", str(tmp_path / "report")]
    assert main(["report", *words, "--plan", str(plan_file), "--markdown", *out]) == 0
    assert capsys.readouterr().out == (tmp_path / "report" / "report.md").read_text()
    assert main(["report", *out]) == 2 and "name at least one result folder" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none"), *out]) == 2 and "no episodes in" in capsys.readouterr().err


def test_the_plan_of_the_released_table_is_read_at_both_scales():
    file = Path(__file__).parents[3] / "runs" / "headline.toml"
    full, smoke = read_plan(file), read_plan(file, "smoke")
    assert len(full.scenes.axes) == 7 and full.scenes.per_axis >= 100
    assert full.contrasts == (("A1", "B2"), ("A1", "B3"), ("A1", "B4"), ("A1", "B5"))
    assert smoke.scenes.seed < 2**40 <= full.scenes.seed  # only the released table reads test seeds
    assert all(arm.policy in full.policies and not arm.not_run for arm in smoke.arms.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["A - B"]', '["A - Z"]', "no arm 'Z'; there are: A, B, C, X"),
        ('["A - B"]', '["A-B"]', 'must be written "A - B"'),
        ("per_axis = 12", "per_axis = 13", "multiple of scenes.block"),
        ("per_axis = 12", 'per_axis = "12"', "scenes.per_axis must be of type int"),
        ("per_axis = 12", "per_axis = 12\nchance = nan", "scenes.chance must be finite"),
        ("seeds = 2", "seed = 2", "arms.A has no 'seed'; there are: label"),
        ('condition = "none", seeds', "seeds", "arms.B lacks 'condition'"),
        ("contrasts", "contrasts = [", "is no TOML"),
    ],
)
def test_a_mistake_in_a_plan_is_one_line_that_names_it(plan_file, old, new, message):
    plan_file.write_text(plan_file.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=r"plan\.toml") as raised:
        read_plan(plan_file)
    assert message in str(raised.value) and "\n" not in str(raised.value)
