"""A planner is taught on the page; runs are compared there, and videos drawn on."""

import os
import signal
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from hamster.data.sketch import Sketch
from hamster.data.video_writer import write_video
from hamster.label import label
from hamster.studio.finetuning import FEWEST_EXAMPLES
from tests.studio.web.conftest import Server
from tests.studio.web.test_page import (
    SEED,
    click,
    drag,
    open_page_while_busy,
    open_scene,
    plan,
    ready,
    screenshot,
    state,
    until,
)

pytestmark = pytest.mark.slow

N_DRAWINGS, N_STEPS = 20, 5


@pytest.fixture
def own_server(tmp_path):
    """A studio that no other test keeps anything in."""
    server = Server(tmp_path / "taught", "--planner=nano,oracle")
    yield server
    server.stop()


def kept(page, n):
    return until(page, lambda now: now["kept"] == n)


def test_a_planner_is_taught_twenty_drawings(open_page, own_server, tmp_path):
    page = open_page(link=own_server.link)
    open_scene(page, SEED)
    tool = plan(page)["path"]["uv"][0]
    for i in range(N_DRAWINGS):
        page.click("#clear")
        until(page, lambda now: not now["path"])
        target = (0.3 + 0.02 * i, 0.55 + 0.01 * (i % 5))
        drag(page, tool, target, (0.7, 0.4), steps=5)
        until(page, lambda now: now["path"] and now["status"] == "ready")
        page.fill("#instruction", f"put thing {i} to the right")
        page.click("#keep")
        now = kept(page, i + 1)
        if now["kept"] < FEWEST_EXAMPLES:
            assert page.is_disabled("#fine-tune")
            assert f"keep {FEWEST_EXAMPLES - now['kept']} more" in page.inner_text("#fine-tune-hint")
    screenshot(page, "13-kept")

    with page.expect_download() as download:
        page.click("#export")
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "exported")
    assert len(Sketch(tmp_path / "exported")) == N_DRAWINGS
    assert label(f"sketch:{tmp_path / 'exported'}", tmp_path / "labels").n_labelled == N_DRAWINGS

    page.select_option("#planner", "nano")
    page.evaluate(f"document.querySelector('#fine-tune-steps option').value = {N_STEPS}")
    page.select_option("#fine-tune-steps", str(N_STEPS))
    start_s = time.monotonic()
    page.click("#fine-tune")
    until(page, lambda now: now["fine_tuning"])
    page.reload()
    second = open_page_while_busy(open_page, page)
    page.wait_for_selector("#fine-tuning-cancel:not([hidden])")
    assert second.is_disabled("#fine-tune") and second.is_visible("#fine-tuning-progress")
    now = until(page, lambda now: now["fine_tuning"]["status"] not in ("labelling", "training"), 1800)
    print(f"fine-tuned in {time.monotonic() - start_s:.0f} s")  # noqa: T201
    tuning = now["fine_tuning"]
    assert (tuning["status"], tuning["step"]) == ("done", N_STEPS), tuning
    assert len(tuning["kept"]) >= 2 and len(tuning["loss"]) == N_STEPS
    for each in (page, second):
        each.wait_for_selector("#fine-tuning-curves svg >> nth=1")
    page.select_option("#planner", "nano-taught-1")
    page.fill("#instruction", "put thing 3 to the right")
    page.click("#plan")
    now = until(page, lambda now: now["status"] == "ready" and now["plan"] and now["plan"]["raw_text"])
    assert now["plan"]["planner"] == "nano-taught-1" and (now["path"] or now["plan"]["is_refusal"])
    screenshot(page, "14-fine-tuned")

    page.click("#fine-tune")
    until(page, lambda now: now["fine_tuning"]["name"] == "nano-taught-2")
    own_server.process.send_signal(signal.SIGKILL)
    own_server.process.wait(120)
    again = Server(own_server.out, "--planner=nano,oracle")
    page = open_page(link=again.link)
    now = state(page)
    assert now["kept"] == N_DRAWINGS and "nano-taught-1" in now["choices"]["planners"]
    assert now["fine_tuning"]["status"] == "interrupted" and page.is_visible("#fine-tuning-continue")
    again.stop()


def test_runs_are_compared_side_by_side(open_page):
    page = open_page()
    open_scene(page, SEED)
    plan(page)
    page.select_option("#planner", "nano")
    page.click("#compare")
    until(page, lambda now: now["status"] == "comparing")
    assert page.is_disabled("#run") and page.is_enabled("#stop")
    arms = ready(page)["comparison"]["arms"]
    assert [arm["name"] for arm in arms] == ["oracle", "planner", "page", "none"]
    assert (
        all(arm["run"]["outcome"] for arm in arms)
        and arms[0]["run"]["outcome"] == arms[2]["run"]["outcome"] == "success"
    )
    page.wait_for_selector(".arm[data-arm=page][data-outcome=success] canvas")
    assert "Done" in page.inner_text(".arm[data-arm=oracle]")
    screenshot(page, "15-compared")


def test_a_frame_of_a_video_is_drawn_on(open_page, tmp_path):
    page = open_page()
    page.set_input_files("#file", {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": os.urandom(4000)})
    page.wait_for_selector("#problem:not([hidden])")
    assert "roken.mp4 is not a video" in page.inner_text("#problem")
    scene = np.asarray(Image.linear_gradient("L").convert("RGB").resize((320, 240)))
    write_video(tmp_path / "table.mp4", (np.roll(scene, 10 * i, 1) for i in range(12)), 6)
    page.set_input_files("#file", tmp_path / "table.mp4")
    now = until(page, lambda now: now["picture"]["kind"] == "video" and now["status"] == "ready")
    assert now["picture"]["count"] == 12 and page.is_visible("#frame")
    for key in ("End", "ArrowLeft"):
        page.press("#frame", key)
    now = until(page, lambda now: now["picture"]["index"] == 10 and now["status"] == "ready")
    assert "table.mp4 at" in page.inner_text("#picture-name")
    page.wait_for_timeout(300)
    drag(page, (0.2, 0.7), (0.5, 0.3), (0.8, 0.6))
    until(page, lambda now: now["path"])
    click(page, "closed", (0.2, 0.7))
    page.fill("#instruction", "put the block there")
    page.click("#keep")
    until(page, lambda now: now["is_path_kept"])
    screenshot(page, "16-video")
    page.click("#simulator")
    until(page, lambda now: now["picture"]["kind"] == "simulator" and now["status"] == "ready")


def test_an_instruction_of_five_megabytes_is_refused_and_nothing_else_changes(open_page):
    page = open_page()
    before = state(page)
    for route, body in (("plan", "{planner: 'nano', instruction: text}"), ("keep", "{instruction: text}")):
        status = page.evaluate(
            "text => fetch('/api/" + route + "', {method: 'POST', headers: {'content-type': 'application/json'}, "
            "body: JSON.stringify(" + body + ")}).then((response) => response.status)",
            "x" * (5 << 20),
        )
        assert status == 413
    page.fill("#instruction", "x" * (5 << 20))  # as if typed
    assert len(page.input_value("#instruction")) == 2000
    page.eval_on_selector("#instruction", "(input, text) => (input.value = text)", "x" * (5 << 20))
    page.click("#plan")
    page.wait_for_selector("#problem:not([hidden])")
    now = state(page)
    assert now["status"] == "ready" and now["path_version"] == before["path_version"]
    page.fill("#instruction", "grab the red cup")
    assert plan(page, "oracle")["path"]
