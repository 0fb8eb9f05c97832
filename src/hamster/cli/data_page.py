"""The page of `hamster data show`: one item after the other, its image, paths, instructions and how it was labelled.

`show.html` holds everything but the images, which lie beside it and are loaded when they are looked at. Items are
written as they come: a page of 10,000 episodes takes no more memory than one of ten.
"""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Conversation, Provenance
from hamster.label.dataset_stats import Found, Survey
from hamster.label.episodes import REASONS, LabelledEpisode
from hamster.label.method import Skipped
from hamster.path import Path2D

IMAGES = "show_images"
LARGEST_PX = 1024
FILES_PER_FOLDER = 1000
DECIMALS = 4  # of relative coordinates: a tenth of a pixel of the largest image
STUDIO_MODULES = ("path.js", "colours.js", "draw.js")  # which draw paths on the studio's page


class DataPage:
    """Writes the page and its images.

    Args:
        stream: of the page, text.
        folder: of the images' folder, `IMAGES`, which is cleared.
        title: of the page.
    """

    def __init__(self, stream: TextIO, folder: Path, title: str) -> None:
        self._stream, self._folder, self._n_items = stream, folder, 0
        shutil.rmtree(folder / IMAGES, ignore_errors=True)
        stream.write(_head(title))

    def written(self, items: Iterable[Found]) -> Iterator[Found]:
        """Yield items as they come, and write each."""
        for item in items:
            self._stream.write(f"{',' if self._n_items else ''}\n{_json(self._record(item))}")
            self._n_items += 1
            yield item

    def finish(self, facts: Sequence[tuple[str, str]], survey: Survey) -> None:
        """Write what was counted: facts as (name, text), and where paths start and end."""
        counted = {"facts": facts, "starts": survey.starts.tolist(), "ends": survey.ends.tolist()}
        self._stream.write(f"\n]\n{_tail(counted)}")

    def _record(self, item: Found) -> dict[str, Any]:
        if isinstance(item, LabelledEpisode):
            return self._episode(item)
        if isinstance(item, AnnotatedImage):
            return self._image(item)
        if isinstance(item, Conversation):
            turns = [_shown(f"{role}: {text}") for role, text in item.turns]
            return {"paths": turns, "facts": [["image", item.image], *_origin(item.provenance)]}
        kind = "abstained" if isinstance(item, Skipped) else "failed"
        return {"left_out": kind, "paths": [], "facts": [[kind, item.reason], ["file", item.file]]}

    def _episode(self, item: LabelledEpisode) -> dict[str, Any]:
        paths: list[dict[str, Any]] = []
        for frame in sorted({0, *(part.first for part in item.episode.parts)}):
            image = self._write(item.episode.observations[frame].views[item.camera].rgb, len(paths))
            starting = [part.text for part in item.episode.parts if part.first == frame]
            for text, label in item.at(frame):
                if frame == 0 or text in starting:
                    paths.append(_shown(text, image, label.path, f"frame {frame}" if frame else ""))
        frames = [f"{len(item.labels)}", *(f"{n} left out {REASONS.get(why, why)}" for why, n in item.left_out.items())]
        facts = [["frames", "; ".join(frames)], ["camera", item.camera], ["task", item.task]]
        return {"paths": paths, "facts": [*facts, *_how(item.method.to_json()), *_origin(item.episode.provenance)]}

    def _image(self, item: AnnotatedImage) -> dict[str, Any]:
        image = self._write(item.view.rgb, 0)
        paths = [_shown(a.instruction, image, a.path) for a in item.annotations]
        paths += [_shown(text, image, note="not in view") for text in item.absent]
        tasks = ", ".join(dict.fromkeys(a.task for a in item.annotations))
        how = item.provenance.extra.get("how", {})
        return {"paths": paths, "facts": [["task", tasks], *_how(how), *_origin(item.provenance)]}

    def _write(self, rgb: NDArray[np.uint8], number: int) -> str:
        """Write an image as JPEG, scaled down if it is large; return its address in the page."""
        name = f"{IMAGES}/{self._n_items // FILES_PER_FOLDER:04d}/{self._n_items:07d}-{number}.jpg"
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rgb)
        image.thumbnail((LARGEST_PX, LARGEST_PX))
        image.save(self._folder / name, "JPEG", quality=88)
        return name


def _shown(text: str, image: str = "", path: Path2D | None = None, note: str = "") -> dict[str, Any]:
    """Return an instruction with what is to be seen of it."""
    record: dict[str, Any] = {"text": text, "image": image, "note": note, "path": None}
    if path is not None:
        drawn = path.to_json()
        record["path"] = {"uv": path.uv.round(DECIMALS).tolist(), "gripper": drawn["gripper"], "score": drawn["score"]}
    return record


def _how(how: Mapping[str, Any]) -> list[list[str]]:
    """Return how a label was made, as a fact for each field of `LabelMethod.to_json`."""
    notes = how.get("notes", ())
    made = [str(how[name]) for name in ("tool", "version") if name in how]
    score = how.get("score")
    return [
        ["method", str(how.get("method", ""))],
        ["score", "" if score is None else str(score)],
        ["made by", " ".join(made)],
        *(["note", str(note)] for note in notes),
    ]


def _origin(provenance: Provenance) -> list[list[str]]:
    return [["file", provenance.file], ["source", provenance.source], ["licence", provenance.licence]]


def _head(title: str) -> str:
    """Return the page up to its items. Nothing but its own script, its own style and local images is ever loaded."""
    here = files("hamster.cli")
    style, script = (here / "data_page.css").read_text(), _script()
    policy = (
        f"default-src 'none'; img-src 'self' file: data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    body = (here / "data_page.html").read_text()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body.replace("TITLE", escape(title))}
<script type="application/json" id="items">["""


def _tail(counted: Mapping[str, Any]) -> str:
    return f"""</script>
<script type="application/json" id="counted">{_json(counted)}</script>
<script type="module">{_script()}</script>
</body>
</html>
"""


def _script() -> str:
    """Return the page's own script after the modules that it uses, as one: a page that is a file can import none."""
    studio = files("hamster.studio") / "static"
    modules = [(studio / name).read_text() for name in STUDIO_MODULES]
    modules.append((files("hamster.cli") / "data_page.js").read_text())
    text = "\n".join(re.sub(r"^import .*$", "", module, flags=re.MULTILINE) for module in modules)
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _json(value: Any) -> str:
    """Return JSON that no text in it can end the script element with."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
