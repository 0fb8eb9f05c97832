import json
import time

import numpy as np
import pytest

from hamster.benchmarks import label
from hamster.benchmarks.ratio import Ratio, compare
from hamster.cli import main, show_bench
from hamster.label.episodes import label_episode
from hamster.path import Gripper


def test_a_ratio_is_that_of_the_medians_and_both_are_warm():
    calls = []
    slow = ("slow", lambda: (calls.append("slow"), time.sleep(0.02)))
    found = compare("x", slow, ("fast", lambda: calls.append("fast")), limit=2, n=3)
    assert calls == ["slow", "fast"] * 4 and found.ratio > 2 and found.to_json()["holds"] is True


def test_the_recorded_motion_has_a_path_that_closes_and_opens():
    path = label_episode(label._recorded(), None, 0.05).labels[0].path
    assert [state for _, state in path.events] == [Gripper.CLOSED, Gripper.OPEN]


def test_the_clip_shows_a_square_that_is_carried():
    frames = list(label._frames())
    red = [np.argwhere((f[..., 0] > 150) & (f[..., 1] < 80)).mean(0)[1] / label.WIDTH for f in (frames[0], frames[-1])]
    assert len(frames) == label.FRAMES and red == pytest.approx([0.325, 0.675], abs=0.02)


@pytest.mark.parametrize("check", [False, True])
def test_a_missed_limit_is_printed_and_an_error_only_where_it_is_checked(check, tmp_path, monkeypatch, capsys):
    found = [Ratio("a", "s", "f", 3.0, 1.0, 2.0, 1), Ratio("b", "s", "f", 3.0, 2.0, 2.0, 1)]
    monkeypatch.setitem(show_bench.BENCHES, "label", lambda: iter(found))
    arguments = ["bench", "label", "--out", str(tmp_path)]
    if check:
        with pytest.raises(SystemExit) as exit_:
            main([*arguments, "--check"])
        assert exit_.value.code == 1
    else:
        assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.count("holds") == 1 and printed.count("missed") == 1 and "1 of 2 ratios" in printed
    assert [r["holds"] for r in json.loads((tmp_path / "bench.json").read_text())["ratios"]] == [True, False]


def test_as_json_it_prints_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(show_bench.BENCHES, "label", lambda: iter([Ratio("a", "s", "f", 3.0, 1.0, 2.0, 1)]))
    assert main(["bench", "label", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["ratios"][0]["holds"] is True


def test_only_what_has_limits_is_checked(capsys):
    assert main(["bench", "policy", "--check"]) == 2 and "bench label" in capsys.readouterr().err
