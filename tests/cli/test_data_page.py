from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from hamster.cli.show_data import show_data
from hamster.data import Conversation, Provenance, Unreadable, View
from hamster.data.rlbench import RLBench
from hamster.label import write
from hamster.label.method import Skipped
from tests.data.rlbench_files import write_episode
from tests.label.made import Listed, image

HOSTILE = """</script><script>alert(1)</script><img src=x onerror="alert(2)"> & 'it' \u2028 <!-- [red]x[/]"""


class Page(HTMLParser):
    """The elements of a page, and what its scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        name = self.tags[-1][1].get("id", self.tags[-1][0]) if self.tags else ""
        self.texts[name] = self.texts.get(name, "") + data

    @property
    def items(self):
        return json.loads(self.texts["items"])


def shown(tmp_path, monkeypatch, items):
    monkeypatch.setattr("hamster.cli.show_data.open_source", lambda uri, seed: Listed(tuple(items)))
    show_data("made:1", tmp_path, None, 0, rerun=False)
    return Page((tmp_path / "show.html").read_text())


def test_each_item_has_its_image_paths_and_facts(tmp_path, monkeypatch):
    vain = replace(image(1), absent=("take the moon",))
    page = shown(tmp_path, monkeypatch, [image(0), vain, Skipped("b.mp4", "no hand"), Unreadable("c.mp4", "torn")])
    first, second, skipped, failed = page.items
    (path,) = first["paths"]
    annotation = image(0).annotations[0]
    assert path["text"] == annotation.instruction
    assert np.allclose(path["path"]["uv"], annotation.path.uv, atol=1e-4)
    assert path["path"]["gripper"] == annotation.path.to_json()["gripper"]
    with Image.open(tmp_path / path["image"]) as picture:
        assert picture.size == image(0).view.rgb.shape[1::-1]
    assert ["method", "simulation"] in first["facts"]
    assert [p["path"] is None for p in second["paths"]] == [False, True]
    absent = {"text": "take the moon", "image": second["paths"][0]["image"], "note": "not in view", "path": None}
    assert second["paths"][1] == absent
    assert skipped["left_out"] == "abstained" and ["abstained", "no hand"] in skipped["facts"]
    assert failed["left_out"] == "failed" and ["file", "c.mp4"] in failed["facts"]
    assert sum(map(sum, json.loads(page.texts["counted"])["starts"])) == 2


def test_a_label_set_of_episodes_is_shown_as_its_source_is(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=4)
    write([RLBench(tmp_path / "in")], tmp_path / "labels")
    pages = []
    for source in (f"rlbench:{tmp_path / 'in'}", str(tmp_path / "labels")):
        show_data(source, tmp_path / "out", None, 0, rerun=False)
        pages.append(Page((tmp_path / "out" / "show.html").read_text()).items)
    assert pages[0] == pages[1]
    facts = dict(pages[0][0]["facts"])
    assert (facts["frames"], facts["camera"], facts["method"]) == ("4", "front", "projection")


def test_text_of_the_data_stays_text(tmp_path, monkeypatch):
    evil = image(0)
    evil = replace(
        evil,
        annotations=[replace(evil.annotations[0], instruction=HOSTILE, task=HOSTILE)],
        provenance=Provenance(HOSTILE, HOSTILE, licence=HOSTILE),
    )
    talk = Conversation("a.png", (("user", HOSTILE), ("assistant", "no")), Provenance(HOSTILE))
    page = shown(tmp_path, monkeypatch, [evil, talk, Skipped(HOSTILE, HOSTILE)])
    assert page.items[0]["paths"][0]["text"] == HOSTILE and page.items[1]["paths"][0]["text"] == f"user: {HOSTILE}"
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_page_loads_nothing_but_its_images(tmp_path, monkeypatch):
    page = shown(tmp_path, monkeypatch, [image(0)])
    policy = next(attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; img-src 'self' file: data:;") and "unsafe" not in policy
    assert not any("src" in attributes or "href" in attributes for tag, attributes in page.tags)
    assert not re.search(r"(?m)^\s*(import|export)\b|fetch\(|XMLHttpRequest|innerHTML", page.texts["script"])


def test_a_second_page_replaces_the_first_with_its_images(tmp_path, monkeypatch):
    shown(tmp_path, monkeypatch, [image(i) for i in range(3)])
    shown(tmp_path, monkeypatch, [image(0)])
    assert len(list((tmp_path / "show_images").rglob("*.jpg"))) == 1


def test_large_images_are_scaled_down_and_keep_their_proportions(tmp_path, monkeypatch):
    large = np.random.default_rng(0).integers(0, 255, (500, 2000, 3), np.uint8)
    page = shown(tmp_path, monkeypatch, [replace(image(0), view=View(large), segmentation=None)])
    with Image.open(tmp_path / page.items[0]["paths"][0]["image"]) as picture:
        assert picture.size == (1024, 256)


def test_a_run_that_fails_leaves_the_page_of_the_one_before(tmp_path, monkeypatch):
    shown(tmp_path, monkeypatch, [image(0)])
    before = (tmp_path / "show.html").read_text()
    with pytest.raises(OSError, match="No space"):
        shown(tmp_path, monkeypatch, [image(0), OSError(errno.ENOSPC, "No space left on device")])
    assert (tmp_path / "show.html").read_text() == before and not list(tmp_path.glob(".*"))
