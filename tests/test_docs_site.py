"""Build the documentation site strictly, and check that it is complete and needs no network."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

import hamster
from tests.markdown import ROOT

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings")),
    reason="the dependency group `docs` is not installed: make setup-dev",
)
API = sorted(page for page in (ROOT / "docs" / "api").glob("*.md") if page.name != "index.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """The addresses that a browser loads with a page, and the page's anchors."""

    def __init__(self):
        super().__init__()
        self.addresses, self.ids = [], set()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(values.get("src") or "")
        if tag == "link" and values.get("rel") != "canonical":
            self.addresses.append(values["href"])
        self.ids.add(values.get("id"))


def parsed(page):
    parser = Loaded()
    parser.feed(page.read_text())
    return parser


def test_no_page_loads_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert {a for page in pages for a in parsed(page).addresses if re.match("(https?:)?//", a)} == set()
    styles = "".join(style.read_text() for style in site.rglob("*.css"))
    assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", styles)


@pytest.mark.parametrize("page", API, ids=lambda page: page.stem)
def test_an_api_page_shows_all_public_names_of_its_module(page, site):
    ids = parsed(site / "api" / f"{page.stem}.html").ids
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
        public = getattr(importlib.import_module(name), "__all__", ())
        assert {f"{name}.{member}" for member in public} - ids == set()


def test_the_page_of_the_facade_lists_all_its_names():
    assert set(re.findall(r"\[`(\w+)`\]\[", (ROOT / "docs" / "api" / "hamster.md").read_text())) == set(hamster.__all__)
