"""Label sets by hand, for those who learn from them."""

import hashlib
import json
from pathlib import Path

from hamster.label.dataset import FORMAT


def write_manifest(folder: Path, kind: str, *shards: list[str]) -> None:
    """A manifest, and the journal, of the shards whose files have these names."""
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT}))
    lines = [{}]
    for number, names in enumerate(shards):
        files = [{"file": f, "sha256": hashlib.sha256((folder / f).read_bytes()).hexdigest()} for f in names]
        counted = {"items": 1, "labelled": 1, "counts": {}, "left_out": []}
        lines.append({"number": number, **counted, "kind": kind, "files": files})
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
