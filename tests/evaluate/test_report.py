from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import av
import pytest

from hamster.evaluate.summary import summarize
from hamster.evaluate.video import CAPTION_PX
from tests.evaluate.fakes import HOSTILE, SuiteEnv

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects tags and attributes, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(finished):
    config, _ = finished
    return Page((config.out / "report.html").read_text())


def test_the_page_needs_nothing_else(finished, page):
    config, _ = finished
    for _tag, attributes in page.tags:
        assert all(not attributes.get(a, "data:").startswith(("http", "//")) for a in ("src", "href"))
        assert attributes.get("src", "data:").startswith("data:")
    text = re.sub(r"base64,[\w+/=]+", "", (config.out / "report.html").read_text())
    assert "http://" not in text and "https://" not in text and "@import" not in text and "url(" not in text


def test_links_lead_to_the_films_beside_the_page(finished, page):
    config, _ = finished
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(links) == 12 and all((config.out / link).is_file() for link in links)


def test_a_hostile_instruction_stays_text(page):
    assert HOSTILE in page.text
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(tag == "b" and not attributes.get("style") for tag, attributes in page.tags)


def test_every_picture_has_words_and_every_episode_its_pictures(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    videos = [attributes for tag, attributes in page.tags if tag == "video"]
    assert len(images) == 2 * 12 and len(videos) == 3 * 4
    assert all(len(image["alt"]) > 20 for image in images) and all(video["aria-label"] for video in videos)
    assert all(video["poster"].startswith("data:image/webp;base64,") for video in videos)


def test_films_have_ten_frames_a_second_at_the_size_of_the_image(finished):
    config, _ = finished
    record = json.loads((config.out / "rollouts.jsonl").read_text().splitlines()[0])
    with av.open(str(config.out / record["video"])) as film:
        stream = film.streams.video[0]
        assert stream.average_rate == 10 and (stream.width, stream.height) == (64, 64 + CAPTION_PX)
        seconds = float(stream.duration * stream.time_base)
    assert seconds == pytest.approx(record["n_steps"] * SuiteEnv.dt_s + 1, abs=0.2)  # the end is held for a second


def test_on_a_phone_the_column_of_success_comes_right_after_the_path(finished):
    config, _ = finished
    text = (config.out / "report.html").read_text()
    _, phone = text.split("@media (max-width: 640px) {")
    assert "th.wide, td.wide { display: none; }" in phone.split("@media")[0]
    row = text.split("<tbody>")[1].split("</tr>")[0]
    assert re.findall(r"<(?:th|td)[^>]*class=.wide|<span class=.rate", row) == ['<td class="wide', '<span class="rate']


def test_the_numbers_are_those_of_eval_info(finished, page):
    _, info = finished
    for condition in info["conditions"].values():
        assert f"{condition['n_success']} of {condition['n_episodes']}" in page.text
        low, high = condition["pc_success_ci95"]
        assert f"{low:.0f} to {high:.0f} %" in page.text


def test_an_arm_without_episodes_is_left_out():
    episode = {"condition": "none", "family": "press", "scene": 0, "success": False, "outcome": "timeout"}
    info = summarize([{**episode, "planner_s": [], "policy_s": [0.1]}], ("oracle", "none"), {})
    assert list(info["conditions"]) == ["none"] and info["conditions"]["none"]["latency_ms"]["planner"] is None
