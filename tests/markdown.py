"""Cut snippets, links and headings from the repository's Markdown.

The rule for snippets: a block fenced by ``` at the start of a line, with the language `python` or `bash`, is run by
`tests/test_docs.py`, unless the line before it (blank lines aside) is

    <!-- not run: REASON -->

where the reason says what continuous integration lacks or what takes too long. The blocks of a document run in order,
each in a process of its own, in one empty folder that holds a link to `docs/`. A block with `title="NAME"`
after the language is written to that file instead.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANGUAGES = ("bash", "python", "json", "bibtex", "yaml", "toml", "text")
_FENCE = re.compile(r"^```([a-z]*)(?: title=\"([\w./]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- not run: ([^>]+?) -->\s*\Z")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a document.

    Attributes:
        file: the name of the file that it is the content of, or "".
        not_run: the reason why it is not executed, or "".
    """

    document: str
    line: int
    language: str
    text: str
    file: str
    not_run: str


def documents() -> list[str]:
    """Return all Markdown files for readers, relative to the repository."""
    folders = ("docs/**/*.md", "*.md", "packages/*/*.md", "examples/**/*.md")
    return sorted({str(file.relative_to(ROOT)) for pattern in folders for file in ROOT.glob(pattern)})


def snippets(document: str, *languages: str) -> list[Snippet]:
    """Return a document's fenced blocks in order, of these languages or of all."""
    text = (ROOT / document).read_text()
    blocks = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        mark = _MARK.search(before)
        blocks.append(
            Snippet(
                document, before.count("\n") + 1, match[1], match[3], match[2] or "", mark[1].strip() if mark else ""
            )
        )
    return [block for block in blocks if not languages or block.language in languages]


def prose(document: str) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", (ROOT / document).read_text())


def links(document: str) -> list[str]:
    """Return the targets of a document's links and images, code aside."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "`code`", prose(document)))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(document), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        names.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names
