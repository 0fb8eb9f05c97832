from dataclasses import replace

import pytest

from hamster.data import Unreadable
from hamster.data.rlbench import RLBench
from hamster.label import write
from hamster.label.dataset_stats import labelled_items, stored_items, survey
from hamster.label.label_item import Options
from hamster.label.method import Skipped
from hamster.label.rerun_log import recorded
from tests.data.rlbench_files import write_episode
from tests.label.made import Listed, image


def test_everything_is_counted_once():
    vain = replace(image(700), absent=("take the cup", "press the button"))
    items = [image(0), vain, Unreadable("a", "torn"), Skipped("b", "no hand"), Skipped("c", "no hand")]
    facts = survey(items).to_json()
    assert [facts[name] for name in ("items", "labelled", "abstained", "failed")] == [5, 2, 2, 1]
    assert facts["reasons"] == {"no hand": 2, "torn": 1} and facts["tasks"] == {"pick_place": 2}
    assert facts["instructions"] == 2 and facts["waypoints"] == {2: 2} and facts["gripper_events"] == {1: 2}
    assert facts["absent"] == 2
    assert facts["coverage"] == {"starts": 0.01, "ends": 0.02}, "both start at (0.1, 0.2), and end 0.7 apart"


def test_a_label_set_shows_what_its_source_shows(tmp_path):
    for number in range(2):
        write_episode(tmp_path / "in" / f"episode{number}", steps=3 + number)
    source = RLBench(tmp_path / "in")
    write([source], tmp_path / "out")
    live, stored = (survey(x).to_json() for x in (labelled_items(source, Options()), stored_items(tmp_path / "out")))
    assert live == stored
    assert live["frames"] == {"total": 7, "shortest": 3, "median": 3.5, "longest": 4}
    assert live["cameras"] == {"front 32x32, depth, calibrated": 2} and live["methods"] == {"projection": 2}


def test_only_the_first_items_are_read_where_no_more_are_wanted():
    items = Listed((image(0), image(1), RuntimeError("never asked for")))
    assert survey(labelled_items(items, Options(), most=2)).outcome == {"labelled": 2}


def test_a_recording_for_rerun(tmp_path):
    pytest.importorskip("rerun", reason="Rerun is an extra: the extra `rerun`")
    write_episode(tmp_path / "in" / "episode0", steps=3)
    items = [*labelled_items(RLBench(tmp_path / "in"), Options()), image(1), Unreadable("a", "torn")]
    assert list(recorded(items, tmp_path / "show.rrd")) == items
    assert (tmp_path / "show.rrd").read_bytes()[:3] == b"RRF"
