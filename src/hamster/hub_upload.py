"""Upload checkpoints and label sets to the Hugging Face Hub, each with a card (README.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hamster.cards import CARD, header, section
from hamster.extras import needs
from hamster.hub import HUB, HubId, is_offline, model_files
from hamster.inspect_checkpoint import inspect_checkpoint

_USE = """```python
import hamster

{kind} = hamster.load_{kind}("{repo}")
```"""


@dataclass(frozen=True)
class Upload:
    """What is to be uploaded, in one commit.

    Attributes:
        repo: OWNER/NAME; made if it does not exist, as a private repository.
        kind: whether it is a model or a dataset.
        folder: that the files are in.
        files: relative to it, without the card.
        card: the text of README.md.
    """

    repo: str
    kind: Literal["model", "dataset"]
    folder: Path
    files: tuple[Path, ...]
    card: str

    def __str__(self) -> str:
        """Return one line: files, sizes, card."""
        sizes = {file: (self.folder / file).stat().st_size for file in self.files}
        shown = [f"{file.as_posix()} {_size(sizes[file])}" for file in self.files[:4]]
        more = [f"{len(self.files) - len(shown)} more"] if len(self.files) > len(shown) else []
        return (
            f"the {self.kind} {self.repo}: {len(self.files)} files, {_size(sum(sizes.values()))} "
            f"({', '.join([*shown, *more])}), and the card {CARD} of {len(self.card.splitlines())} lines"
        )


def check_repo(repo: str) -> str:
    """Return the name of a repository unchanged; ValueError unless it is OWNER/NAME."""
    hub_id = HubId.parse(repo)
    if hub_id is None or hub_id.revision is not None:
        raise ValueError(f"--push-to-hub needs OWNER/NAME, the name of a repository on the hub; got {repo!r}")
    return repo


def model_upload(folder: Path, repo: str) -> Upload:
    """Return the upload of a policy's or a planner's checkpoint: weights, configuration, tokenizer.

    Args:
        folder: of the checkpoint. Its README.md is the card, if there is one.
        repo: OWNER/NAME.

    Raises:
        ValueError: if the folder holds no checkpoint, or a damaged one.
    """
    about = inspect_checkpoint(folder)
    files = tuple(file.relative_to(folder) for file in model_files(folder))
    return Upload(check_repo(repo), "model", folder, files, card_of(folder) or _model_card(about, repo))


def card_of(folder: Path) -> str:
    """Return the text of the README.md in a folder; "" if there is none."""
    file = folder / CARD
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def push(upload: Upload) -> str:
    """Upload, and return the address of the repository.

    Args:
        upload: what to upload.

    Raises:
        ValueError: one line with the reason, and what would have been uploaded: there is no token, the hub cannot be
            reached or refuses.
        NotInstalledError: without huggingface_hub.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
    except ImportError:
        raise needs("huggingface_hub", "planner", f"uploading to {upload.repo}") from None
    if is_offline():
        raise _not_uploaded(upload, "HF_HUB_OFFLINE is set")
    if not get_token():
        raise _not_uploaded(upload, "there is no token; log in with: hf auth login")
    endpoint = os.environ.get("HF_ENDPOINT", HUB)
    api = HfApi(endpoint=endpoint)
    operations = [CommitOperationAdd(CARD, upload.card.encode())]
    operations += [CommitOperationAdd(file.as_posix(), str(upload.folder / file)) for file in upload.files]
    try:
        api.create_repo(upload.repo, repo_type=upload.kind, private=True, exist_ok=True)
        api.create_commit(upload.repo, operations, commit_message="Upload with HAMSTER", repo_type=upload.kind)
    except Exception as error:  # whatever the hub's client and its HTTP library raise
        reason = " ".join(f"{error}".split())[:200]
        raise _not_uploaded(upload, f"{endpoint}: {type(error).__name__}: {reason}") from error
    return f"{endpoint}/{'datasets/' if upload.kind == 'dataset' else ''}{upload.repo}"


def _model_card(about: Mapping[str, Mapping[str, Any]], repo: str) -> str:
    kind = "policy" if "policy" in about else "planner"
    what = "Follows a 2D path on the image in 3D." if kind == "policy" else "Draws a 2D path on an image."
    head = {"library_name": "hamster-vla", "pipeline_tag": "robotics", "tags": ["robotics", "hamster", kind]}
    sections = [section(name.capitalize(), values) for name, values in about.items()]
    parts = [
        header(head),
        f"# A {kind} of HAMSTER\n\n{what}",
        _USE.format(kind=kind, repo=repo),
        *sections,
        "## Licence\n\nThe weights are bound by the licences of the data, and of the model that training started from.",
    ]
    return "\n\n".join(parts) + "\n"


def _not_uploaded(upload: Upload, reason: str) -> ValueError:
    return ValueError(f"not uploaded ({reason}); it would be {upload}")


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
