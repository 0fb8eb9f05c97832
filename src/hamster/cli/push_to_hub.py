"""The option --push-to-hub of the commands that write checkpoints, label sets and exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from hamster.hub_upload import Upload, push

REPO = tyro.conf.arg(
    help="Then upload the result, with a card, to this repository of the Hugging Face Hub, OWNER/NAME; a new one is "
    "private. Needs a token (hf auth login); without one, the error says what would be uploaded."
)
Repo = Annotated[str | None, REPO]


def push_to_hub(upload_of: Callable[[Path, str], Upload], folder: Path, repo: str) -> None:
    """Upload a folder and print the address.

    Args:
        upload_of: `model_upload` or `dataset_upload`.
        folder: to upload.
        repo: OWNER/NAME.
    """
    from hamster.terminal import working

    upload = upload_of(folder, repo)
    with working(f"uploading {upload} …"):
        address = push(upload)
    print(f"uploaded: {address}")  # noqa: T201
