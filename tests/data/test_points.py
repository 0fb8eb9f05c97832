import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hamster.data import Conversation, Unreadable
from hamster.data.points import Points


def row(i, image="a.png", answer="[(0.461, 0.527)]"):
    return {
        "id": f"r{i}",
        "image": image,
        "conversations": [
            {"from": "human", "value": f"<image>\nWhere is the {i}th mug? Answer [(x, y), …]"},
            {"from": "gpt", "value": answer},
        ],
    }


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    return tmp_path


def written(folder, text, name="p.json"):
    (folder / name).write_text(text, "utf-8")
    return folder / name


@pytest.mark.parametrize("layout", ["compact", "indented", "lines"])
def test_every_conversation_is_found_whatever_the_layout(folder, layout):
    rows = [row(i, answer='[(0.1, 0.2), "]}{[\\" é"]') for i in range(200)]
    lines = "\n".join(json.dumps(r) for r in rows) + "\n\n"
    text = {"compact": json.dumps(rows), "indented": json.dumps(rows, indent=2), "lines": lines}[layout]
    source = Points(written(folder, text))
    assert len(source) == 200
    for i in (0, 63, 64, 199):
        turns = source[i].turns
        assert turns[0] == ("user", rows[i]["conversations"][0]["value"])
        assert turns[1] == ("assistant", rows[i]["conversations"][1]["value"])
        assert source[i].image == str(folder / "a.png")
        assert source[i].provenance.extra["id"] == f"r{i}" and len(source[i].provenance.sha256) == 64


@given(st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.text())), min_size=1, max_size=80))
def test_brackets_and_quotes_in_the_text_do_not_matter(tmp_path_factory, rows):
    file = written(tmp_path_factory.mktemp("p"), json.dumps(rows, ensure_ascii=False))
    source = Points(file)
    assert len(source) == len(rows)
    assert all(json.loads(source.text(i)) == r for i, r in enumerate(rows))


def test_the_source_is_small_and_can_be_pickled(folder):
    source = Points(written(folder, json.dumps([row(i) for i in range(3000)])))
    data = pickle.dumps(source)
    assert len(data) < 4000
    assert pickle.loads(data)[2999] == source[2999]


def test_messages_and_text_alone_are_conversations_too(folder):
    said = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which colour?"}]},
        {"role": "assistant", "content": "Red."},
    ]
    lines = [{"images": ["a.png"], "messages": said}, {"conversations": row(0)["conversations"]}]
    source = Points(written(folder, "\n".join(map(json.dumps, lines)), "p.jsonl"))
    assert source[0].turns == (("user", "<image>\nWhich colour?"), ("assistant", "Red."))
    assert source[1].image == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "../secret.png"}, "outside"),
        ({"image": "/etc/hostname"}, "outside"),
        ({"image": "no.png"}, "no image"),
        ({"image": "a\0.png"}, "name of a file"),
        ({"image": 3}, "name of a file"),
        ({"image": ["a.png", "b.png"]}, "2 images"),
        ({"conversations": []}, "conversations"),
        ({"conversations": [{"from": "human", "value": "?"}]}, "without an answer"),
        ({"conversations": [{"from": "ghost", "value": "boo"}]}, "ghost"),
        ({"conversations": [{"from": "gpt", "value": 3}]}, "not text"),
        ({"conversations": ["hello"]}, "turn"),
    ],
)
def test_what_cannot_be_used_says_why_and_stops_nothing(folder, change, reason):
    Image.new("RGB", (4, 4)).save(folder.parent / "secret.png")
    source = Points(written(folder, json.dumps([{**row(0), **change}, row(1)])))
    assert isinstance(source[0], Unreadable) and reason in source[0].reason
    assert isinstance(source[1], Conversation)


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder.parent / "secret2.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(folder.parent / "secret2.png")
    assert "outside" in Points(written(folder, json.dumps([row(0, "link.png")])))[0].reason


@pytest.mark.parametrize("keep", [0.3, 0.52, 0.9, 0.999])
def test_a_file_that_is_cut_off_keeps_what_is_whole_and_says_so(folder, keep):
    text = json.dumps([row(i) for i in range(10)])
    cut = text[: int(len(text) * keep)]
    source = Points(written(folder, cut))
    items = [source[i] for i in range(len(source))]
    assert [isinstance(item, Conversation) for item in items] == [True] * cut.count("}]}") + [False]
    assert "cut off" in items[-1].reason


@given(st.binary(max_size=300) | st.text('[]{}"\\,:1a \n', max_size=200).map(str.encode))
def test_no_file_crashes_it(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("p") / "p.json"
    file.write_bytes(data)
    try:
        source = Points(file)
    except ValueError:
        return
    assert all(isinstance(source[i], Unreadable) for i in range(len(source)))


def test_deep_nesting_is_a_reason_not_a_crash(folder):
    deep = '{"image": ' + "[" * 200_000 + "]" * 200_000 + "}"
    assert isinstance(Points(written(folder, f"[{deep}]"))[0], Unreadable)


@pytest.mark.parametrize("text", ["", "[]", " \n"])
def test_nothing_at_all_is_refused(folder, text):
    with pytest.raises(ValueError, match=r"empty|no conversations"):
        Points(written(folder, text))
    with pytest.raises(ValueError, match="points:JSON"):
        Points(folder / "nowhere.json")
