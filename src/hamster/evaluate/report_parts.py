"""Small pieces of the report: cards, chips, filters."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from hamster.evaluate.trials import short_name
from hamster.evaluate.video import CAPTION_PX
from hamster.rollout.baselines import BASELINES

Record = Mapping[str, Any]
MIME = {".webp": "image/webp", ".mp4": "video/mp4"}


def kind(condition: str) -> str:
    """Return a baseline's own name, or "planner"."""
    return condition if condition in BASELINES else "planner"


def percent(rate: Mapping[str, Any]) -> str:
    """Format a success rate as whole per cent."""
    return f"{rate['pc_success']:.0f}\u00a0%"


def format_rate(rate: Mapping[str, Any]) -> str:
    """Format a success rate with its interval: "28 of 30, 93 % [79, 98]"."""
    low, high = rate["pc_success_ci95"]
    return f"{rate['n_success']} of {rate['n_episodes']}, {percent(rate)} [{low:.0f}, {high:.0f}]"


def tag(text: str) -> str:
    """Return a label chip."""
    return f'<span class="tag">{escape(text.replace("_", " "))}</span>'


def data_uri(file: Path) -> str:
    """Return an image or a video as a data URI."""
    return f"data:{MIME[file.suffix]};base64,{b64encode(file.read_bytes()).decode()}"


def video_card(record: Record, folder: Path) -> str:
    """Return a card with a video that plays in the page; its poster is the first frame with the path."""
    label = escape(f"Video: {_words(record)}", quote=True)
    with Image.open(folder / record["first"]) as first:
        width, height = first.size
    video = (
        f'<video src="{data_uri(folder / record["video"])}" poster="{data_uri(folder / record["first"])}" '
        f'loop muted playsinline controls preload="metadata" '
        f'style="aspect-ratio:{width}/{height + CAPTION_PX}" aria-label="{label}"></video>'
    )
    return f'<figure data-kind="{kind(record["condition"])}">{video}{_caption(record)}</figure>'


def episode_card(record: Record, folder: Path) -> str:
    """Return the first frame, a filmstrip, the outcome, and a link to the video."""
    words = escape(_words(record), quote=True)
    first = f'<img src="{data_uri(folder / record["first"])}" alt="First frame with path: {words}" loading="lazy">'
    strip = f'<img src="{data_uri(folder / record["strip"])}" alt="Six moments: {words}" loading="lazy">'
    why = f'<p class="why">{escape(record["message"])}</p>' if record["message"] else ""
    link = f'<a href="{escape(record["video"], quote=True)}" class="small soft">video</a>'
    return f'<figure data-kind="{kind(record["condition"])}">{first}{strip}{_caption(record, link)}{why}</figure>'


def _caption(record: Record, extra: str = "") -> str:
    name = {"none": "no path"}.get(record["condition"], short_name(record["condition"]))
    end = "yes" if record["success"] else "no"
    sign = "✓" if record["success"] else "✗"
    outcome = escape(record["outcome"].replace("_", " "))
    return (
        f'<figcaption><span class="condition">{escape(name)}</span>{extra}'
        f'<span class="end {end}">{sign} {outcome}</span></figcaption>'
    )


def _words(record: Record) -> str:
    return (
        f"{record['instruction']}; condition {short_name(record['condition'])}; {record['outcome'].replace('_', ' ')}"
    )


@dataclass(frozen=True)
class Tag:
    """A filter of scenes."""

    name: str
    label: str
    fits: Callable[[Sequence[Record]], bool]

    @staticmethod
    def of(scenes: Sequence[Sequence[Record]]) -> list[Tag]:
        """Return the filters: all scenes, each family, scenes that the oracle or a planner failed."""
        tags = [Tag("all", "all", lambda _: True)]
        for family in dict.fromkeys(episodes[0]["family"] for episodes in scenes):
            tags.append(Tag(f"family-{family}", family.replace("_", " "), _in_family(family)))
        conditions = dict.fromkeys(r["condition"] for episodes in scenes for r in episodes)
        for number, condition in enumerate(a for a in conditions if kind(a) in ("oracle", "planner")):
            tags.append(Tag(f"failed-{number}", f"{short_name(condition)} failed", _failed(condition)))
        return [t for t in tags if any(t.fits(episodes) for episodes in scenes)]


def _in_family(family: str) -> Callable[[Sequence[Record]], bool]:
    return lambda episodes: bool(episodes[0]["family"] == family)


def _failed(condition: str) -> Callable[[Sequence[Record]], bool]:
    return lambda episodes: any(r["condition"] == condition and not r["success"] for r in episodes)
