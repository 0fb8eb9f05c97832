r"""LLaVA's JSON: one list of conversations, and the images as files, as LLaVA, VILA, RoboPoint and Qwen's scripts read.

[{"id": "00000000", "image": "images/000/00000000.jpg", "conversations": [
    {"from": "human", "value": "<image>\\nIn the image, …"}, {"from": "gpt", "value": "<ans>[…]</ans>"}]}, …]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamster.label.export.examples import PLACE, Turns, examples, published

FILE = "train.json"
_SPEAKERS = {"user": "human", "human": "human", "assistant": "gpt", "gpt": "gpt", "system": "system"}


def write(folder: Path, out: Path, frames: int, dialect: str) -> dict[str, int]:
    """Write a label set as train.json and images/, each image once; return counts of what was written.

    Args:
        folder: of the label set.
        out: folder to write to.
        frames: of each episode.
        dialect: of the answers.
    """
    counts = dict.fromkeys(("images", "rows", "paths", "left_out"), 0)
    with (out / FILE).open("w", encoding="utf-8") as stream:
        stream.write("[")
        for example in examples(folder, frames, published(dialect)):
            if example is None:
                counts["left_out"] += 1
                continue
            image = None
            if example.image is not None:
                number = counts["images"]
                image = f"images/{number // 1000:03d}/{number:08d}{example.suffix}"
                (out / image).parent.mkdir(parents=True, exist_ok=True)
                (out / image).write_bytes(example.image)
                counts["images"] += 1
            for talk in example.talks:
                record = _record(counts["rows"], image, talk.turns)
                stream.write(",\n" if counts["rows"] else "\n")
                stream.write(json.dumps(record, ensure_ascii=False))
                counts["rows"] += 1
                counts["paths"] += talk.path is not None
        stream.write("\n]\n")
    return counts


def _record(number: int, image: str | None, talk: Turns) -> dict[str, Any]:
    messages = [{"from": _SPEAKERS.get(role, role), "value": text} for role, text in talk]
    if image is None:
        return {"id": f"{number:08d}", "conversations": messages}
    first = next((turn for turn in messages if turn["from"] == "human"), messages[0])
    first["value"] = f"{PLACE}\n{first['value']}"
    return {"id": f"{number:08d}", "image": image, "conversations": messages}
