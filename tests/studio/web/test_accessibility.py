"""No serious fault by axe-core's rules, in any state, on a laptop and a phone, light and dark."""

import io

import pytest
from PIL import Image

from hamster.cli.show_data import show_data
from tests.studio.web.conftest import PHONE, WIDE
from tests.studio.web.test_page import drag, open_scene, plan, run, screenshot, until

pytestmark = pytest.mark.slow

LOOKS = [(size, is_dark) for size in (WIDE, PHONE) for is_dark in (False, True)]
TESTED = "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations)"


def faults(page):
    """What axe-core calls serious or critical: rule, its help, and where."""
    violations = page.evaluate(TESTED)
    return [
        (fault["id"], fault["help"], [node["target"] for node in fault["nodes"]])
        for fault in violations
        if fault["impact"] in ("serious", "critical")
    ]


def name_of(size, is_dark):
    return f"{'phone' if size == PHONE else 'wide'}-{'dark' if is_dark else 'light'}"


@pytest.mark.parametrize(("size", "is_dark"), LOOKS)
def test_the_studio_in_each_state(open_page, size, is_dark):
    page = open_page(size, is_dark)
    name = name_of(size, is_dark)
    open_scene(page, 9)
    by_state = {"scene": faults(page)}
    plan(page, "nano")
    page.click("summary")
    by_state["planned"] = faults(page)
    screenshot(page, f"a-planned-{name}")
    plan(page, "oracle")
    run(page)
    by_state["done"] = faults(page)
    screenshot(page, f"b-done-{name}")
    page.set_input_files("#file", {"name": "broken.png", "mimeType": "image/png", "buffer": b"broken"})
    page.wait_for_selector("#problem:not([hidden])")
    by_state["problem"] = faults(page)
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "PNG")
    page.set_input_files("#file", {"name": "desk.png", "mimeType": "image/png", "buffer": file.getvalue()})
    until(page, lambda now: now["picture"]["kind"] == "upload" and now["status"] == "ready")
    if size == WIDE:
        drag(page, (0.2, 0.7), (0.5, 0.3), (0.8, 0.6))
        until(page, lambda now: now["path"])
    by_state["photo"] = faults(page)
    screenshot(page, f"c-photo-{name}")
    page.click("#simulator")
    until(page, lambda now: now["picture"]["kind"] == "simulator" and now["status"] == "ready")
    assert {state: what for state, what in by_state.items() if what} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize(("size", "is_dark"), LOOKS)
def test_the_page_of_data_show(open_file, tmp_path, size, is_dark):
    show_data("offdomain:3", tmp_path, None, 0, rerun=False)
    page = open_file(tmp_path / "show.html", size, is_dark)
    assert page.inner_text("#place") == "1 of 3" and page.is_disabled("#previous")
    while not page.evaluate("document.getElementById('picture').naturalWidth"):
        page.wait_for_timeout(50)
    screenshot(page, f"d-data-{name_of(size, is_dark)}")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#place") == "2 of 3"
    page.click("#next")
    assert page.inner_text("#place") == "3 of 3" and page.is_disabled("#next")
    page.keyboard.press("ArrowLeft")
    page.reload()
    assert page.inner_text("#place") == "2 of 3"
    words = page.inner_text("#paths button").split("\n")[0]
    page.keyboard.press("/")
    page.keyboard.type(words)
    assert page.inner_text("#count") == "1 of 3 items"
    page.fill("#filter", "nothing of the kind")
    assert page.inner_text("#count") == "0 of 3 items"
    page.click("text=Statistics")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize(("size", "is_dark"), LOOKS)
def test_the_report_of_an_evaluation(open_file, finished, size, is_dark):
    config, _ = finished
    page = open_file(config.out / "report.html", size, is_dark)
    assert faults(page) == []
    box = page.locator(".rate").first.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= size[0], "success is visible without scrolling"
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for film in page.locator("video").all():
        assert film.get_attribute("poster").startswith("data:image/webp")
