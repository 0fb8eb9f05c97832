"""Which files of a label set, or of its export, go to the Hugging Face Hub, and their card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamster.cards import CARD, header, section
from hamster.data.text import decode_text
from hamster.hub_upload import Upload, card_of, check_repo
from hamster.label.dataset import read_manifest, shards
from hamster.label.export.staging import NOTE
from hamster.label.storage import FILE as JOURNAL


def dataset_upload(folder: Path, repo: str) -> Upload:
    """Return the upload of a finished label set, or of an export to LeRobot, TRL or LLaVA.

    Args:
        folder: of the label set or the export. Its README.md is the card, if there is one.
        repo: OWNER/NAME.

    Raises:
        ValueError: if it is neither, or not finished.
    """
    if (folder / NOTE).is_file():
        return _export(folder, check_repo(repo))
    manifest = read_manifest(folder)
    names = ["manifest.json", JOURNAL, *(file["file"] for shard in shards(folder) for file in shard["files"])]
    return Upload(check_repo(repo), "dataset", folder, tuple(map(Path, names)), _label_card(manifest, repo))


def _export(folder: Path, repo: str) -> Upload:
    note: dict[str, Any] = json.loads(decode_text((folder / NOTE).read_bytes(), NOTE))
    written = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    files = tuple(file for file in written if file.name != CARD and not file.name.startswith("."))
    card = card_of(folder)
    if not card:
        format_name = note["settings"]["format"]
        card = _card(f"Paths on images, written by HAMSTER as {format_name}.", {"Content": note["summary"]}, "")
    return Upload(repo, "dataset", folder, files, card)


def _label_card(manifest: dict[str, Any], repo: str) -> str:
    run = manifest["run"]
    sections = {
        "Content": {"format": manifest["format"], "sources": manifest["sources"], **manifest["counts"]},
        "Settings": {"seed": manifest["seed"], **manifest["options"]},
        "Provenance": {name: run[name] for name in ("command", "git_commit", "started", "versions") if name in run},
    }
    use = f"```bash\nhamster train policy --data {repo}\nhamster train planner --data {repo}\n```"
    return _card("2D paths of the end effector on images: a label set of HAMSTER.", sections, use)


def _card(what: str, sections: dict[str, dict[str, Any]], use: str) -> str:
    head = {"task_categories": ["robotics"], "tags": ["robotics", "hamster"]}
    parts = [
        header(head),
        f"# Paths for HAMSTER\n\n{what}",
        *([use] if use else []),
        *(section(title, values) for title, values in sections.items()),
        "## Licence\n\nThe licences of the sources hold.",
    ]
    return "\n\n".join(parts) + "\n"
