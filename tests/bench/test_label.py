import json
import time

import numpy as np
import pytest

from hamster.bench import label
from hamster.bench.ratio import Ratio, compare
from hamster.cli import main, show_bench
from hamster.label.episodes import label_episode
from hamster.path import Gripper


def test_a_ratio_is_that_of_the_medians_and_both_are_warm():
    calls = []
    slow = ("slow", lambda: (calls.append("slow"), time.sleep(0.02)))
    found = compare("x", slow, ("fast", lambda: calls.append("fast")), wanted=2, n=3)
    assert calls == ["slow", "fast"] * 4 and found.ratio > 2 and found.to_json()["holds"] is True


def test_the_recorded_motion_has_a_path_that_closes_and_opens():
    path = label_episode(label._recorded(), None, 0.05).labels[0].path
    assert [state for _, state in path.events] == [Gripper.CLOSED, Gripper.OPEN]


def test_the_clip_shows_a_square_that_is_carried():
    frames = list(label._frames())
    red = [np.argwhere((f[..., 0] > 150) & (f[..., 1] < 80)).mean(0)[1] / label.WIDTH for f in (frames[0], frames[-1])]
    assert len(frames) == label.FRAMES and red == pytest.approx([0.325, 0.675], abs=0.02)


def test_a_broken_promise_is_exit_code_1_and_written_down(tmp_path, monkeypatch, capsys):
    found = [Ratio("a", "s", "f", 3.0, 1.0, 2.0, 1), Ratio("b", "s", "f", 3.0, 2.0, 2.0, 1)]
    monkeypatch.setitem(show_bench.BENCHES, "label", lambda: iter(found))
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "label", "--out", str(tmp_path)])
    assert exit_.value.code == 1 and capsys.readouterr().out.count("holds") == 1
    assert [r["holds"] for r in json.loads((tmp_path / "bench.json").read_text())["ratios"]] == [True, False]
