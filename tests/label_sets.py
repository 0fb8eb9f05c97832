"""Label sets by hand, for those who learn from them."""

import hashlib
import json
from pathlib import Path

from hamster.label.dataset import FORMAT


def write_manifest(folder: Path, kind: str, *shards: list[str]) -> None:
    """A manifest of the shards whose files have these names."""
    listed = [
        {
            "kind": kind,
            "n": 1,
            "files": [{"file": f, "sha256": hashlib.sha256((folder / f).read_bytes()).hexdigest()} for f in names],
        }
        for names in shards
    ]
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "shards": listed}))
