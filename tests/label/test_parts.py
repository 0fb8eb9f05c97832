"""Words that hold for some frames of an episode: their paths end where the words end, wherever they are used."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hamster.data import Episode, Instruction
from hamster.data.instructions import whole_and_parts
from hamster.data.lazy import chosen_frames
from hamster.data.lerobot import LeRobot
from hamster.label import read_episodes, write
from hamster.label.dataset_stats import stored_items, survey
from hamster.label.export import export
from hamster.label.label_item import Options, label_item
from hamster.label.track2d import Track, paths_from_track
from tests.data.lerobot_files import write_dataset
from tests.data.real import real_data

TASKS = [["open it"] * 3 + ["fill it"] * 3 + ["close it"] * 2]
SPANS = [("open it", 0, 3), ("fill it", 3, 6), ("close it", 6, 8)]


def spans(parts):
    return [(part.text, part.first, part.stop) for part in parts]


def test_columns_of_texts_say_what_holds_for_all_and_what_for_some():
    whole, parts = whole_and_parts([["a"] * 4, [" b ", "", "", ""], ["c", "c", "", "d"], ["x", "x", "", "y"], [""] * 4])
    assert whole == ("a", "b")
    assert spans(parts) == [("c", 0, 2), ("x", 0, 2), ("d", 3, 4), ("y", 3, 4)]
    assert whole_and_parts([]) == ((), ()) and whole_and_parts([["", "late", "late"]])[0] == ()


def test_paths_end_where_the_words_end(tmp_path):
    episode = LeRobot(write_dataset(tmp_path / "set", lengths=(8,), tasks=TASKS))[0]
    assert isinstance(episode, Episode) and episode.instructions == () and spans(episode.parts) == SPANS
    labelled = label_item(episode, Options())
    px = [o.views["front"].camera.project(pose[:3, 3])[0]
          for o, pose in zip(episode.observations, episode.tool_poses_world, strict=True)]  # fmt: skip
    for t in range(8):
        ((text, label),) = labelled.at(t)
        _, first, stop = next(span for span in SPANS if span[1] <= t < span[2])
        assert text == TASKS[0][t] and label.frames[0] == t and label.frames[-1] == stop - 1 and first <= t
        assert np.allclose(label.path.uv[[0, -1]] * [48, 32], [px[t], px[stop - 1]])
        assert label is labelled.labels[t] or label.path == labelled.labels[t].path


def test_a_part_begins_with_what_is_held_and_ends_before_what_comes_after(tmp_path):
    """The gripper closes in the second part (frame 4 of 8)."""
    labelled = label_item(LeRobot(write_dataset(tmp_path / "set", lengths=(8,), tasks=TASKS))[0], Options())
    events = [[state.name for _, state in labelled.labels[t].path.events] for t in (0, 3, 6)]
    assert events == [[], ["CLOSED"], ["CLOSED"]]


def test_words_for_the_whole_keep_their_paths_beside_those_of_the_parts(tmp_path):
    folder = write_dataset(tmp_path / "set", lengths=(8,), tasks=["tidy up"],
                           extra=lambda n: {"subtask_index": [0] * 3 + [1] * 3 + [-1] * 2})  # fmt: skip
    pq.write_table(pa.table({"subtask_index": [0, 1], "subtask": ["open it", "fill it"]}),
                   folder / "meta/subtasks.parquet")  # fmt: skip
    episode = LeRobot(folder)[0]
    assert episode.instructions == ("tidy up",) and spans(episode.parts) == SPANS[:2]
    labelled = label_item(episode, Options())
    assert [(text, label.frames[-1]) for text, label in labelled.at(1)] == [("tidy up", 7), ("open it", 2)]
    assert [(text, label.frames[-1]) for text, label in labelled.at(7)] == [("tidy up", 7)]


def test_language_columns_of_lerobot_are_read(tmp_path):
    def persistent(n):
        said = [("open it", "subtask", 0.0), ("close it", "subtask", 0.5), ("why", "plan", 0.0)]
        rows = [{"role": "assistant", "content": text, "style": style, "timestamp": at} for text, style, at in said]
        return {"language_persistent": [rows] * n}

    episode = LeRobot(write_dataset(tmp_path / "set", lengths=(8,), tasks=["use it"], extra=persistent))[0]
    assert episode.instructions == ("use it",) and spans(episode.parts) == [("open it", 0, 5), ("close it", 5, 8)]

    texts = lambda n: {"language_instruction": ["go"] * n, "language_instruction_2": ["a"] * 3 + ["b"] * 5}  # noqa: E731
    folder = write_dataset(tmp_path / "texts", lengths=(8,), tasks=["use it"], extra=texts)
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"] |= {name: {"dtype": "string", "shape": [1], "names": None} for name in texts(8)}
    (folder / "meta/info.json").write_text(json.dumps(info))
    episode = LeRobot(folder)[0]
    assert episode.instructions == ("use it", "go") and spans(episode.parts) == [("a", 0, 3), ("b", 3, 8)]


def test_tasks_of_which_nobody_says_when_are_refused(tmp_path):
    folder = write_dataset(tmp_path / "set", lengths=(8,), tasks=TASKS)
    file = folder / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["task_index"]), file)
    assert "no column says when" in LeRobot(folder)[0].reason


def test_frames_without_words_have_no_path_and_are_counted(tmp_path):
    tasks = [["open it"] * 3 + [""] * 2 + ["close it"] * 3]
    labelled = label_item(LeRobot(write_dataset(tmp_path / "set", lengths=(8,), tasks=tasks))[0], Options())
    assert labelled.left_out == {"without_words": 2} and len(labelled.labels) == 6
    assert spans(labelled.episode.parts) == [("open it", 0, 3), ("close it", 3, 6)]
    assert [labelled.at(t)[0][0] for t in range(6)] == ["open it"] * 3 + ["close it"] * 3
    assert [label.frames[-1] for label in labelled.labels] == [2, 2, 2, 5, 5, 5]


@pytest.fixture
def label_set(tmp_path):
    folder = write_dataset(tmp_path / "set", lengths=(8, 6), tasks=[*TASKS, "wipe it"])
    write([LeRobot(folder)], tmp_path / "labels")
    return tmp_path / "labels"


def test_label_sets_keep_words_with_their_frames(label_set):
    stored, plain = list(read_episodes(label_set))
    assert spans(stored.episode.parts) == SPANS and stored.episode.instructions == []
    assert [stored.at(t)[0][0] for t in range(8)] == TASKS[0]
    assert [stored.at(t)[0][1].frames[-1] for t in range(8)] == [2, 2, 2, 5, 5, 5, 7, 7]
    assert plain.episode.parts == () and plain.at(3)[0][0] == "wipe it"
    counted = survey(stored_items(label_set))
    assert counted.instructions == {"open it", "fill it", "close it", "wipe it"}


def test_exports_ask_for_what_is_done_at_the_frame(label_set, tmp_path):
    export(label_set, tmp_path / "trl", "trl")
    rows = pq.read_table(next((tmp_path / "trl").rglob("*.parquet"))).to_pylist()
    texts = json.dumps([{k: v for k, v in row.items() if k != "images"} for row in rows], default=str)
    assert all(texts.count(words) for words in ("open it", "fill it", "close it", "wipe it"))
    export(label_set, tmp_path / "lerobot", "lerobot")
    back = LeRobot(tmp_path / "lerobot")
    assert spans(back[0].parts) == SPANS and back[1].instructions == ("wipe it",)


def test_an_old_label_set_is_read_as_before(label_set):
    """Without parts, without notes."""
    names = sorted(file for file in label_set.glob("ep-*.json"))
    record = json.loads(names[1].read_text())
    assert set(record) == {"instructions", "task", "camera", "labels", "how", "success", "provenance"}
    assert set(record["how"]) == {"method", "score", "tool", "version"}


def test_a_tracked_path_ends_there_too():
    track = Track(np.linspace([0.1, 0.1], [0.9, 0.5], 10), np.linspace(0.1, 1, 10))
    labels = paths_from_track(track, span=(2, 6))
    assert [label.frames[0] for label in labels] == [2, 3, 4, 5] and {label.frames[-1] for label in labels} == {5}
    assert labels[0].path.score == pytest.approx(track.score[2:6].mean())


def test_chosen_frames_keep_their_words():
    class Seen(list):
        pass

    episode = Episode((), [f"o{i}" for i in range(6)], None, np.arange(6 * 16.0).reshape(6, 4, 4), np.arange(6.0),
                      parts=(Instruction("a", 0, 3), Instruction("b", 3, 4), Instruction("c", 4, 6)))  # fmt: skip
    some = chosen_frames(episode, [1, 2, 5])
    assert list(some.observations) == ["o1", "o2", "o5"] and some.gripper.tolist() == [1, 2, 5]
    assert spans(some.parts) == [("a", 0, 2), ("c", 2, 3)]
    assert chosen_frames(episode, range(6)) is episode and replace(some) is not some


def test_real_subtasks():
    episode = LeRobot(real_data("f-user-cases") / "lr" / "subtasks")[0]
    labelled = label_item(episode, Options())
    ends = [label.frames[-1] for label in labelled.labels]
    assert ends == [7] * 8 + [13] * 6 + [19] * 6
