"""Checkpoints and datasets of the Hugging Face Hub, by OWNER/NAME or OWNER/NAME@REVISION where a folder is named."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from hamster.extras import needs

HUB = "https://huggingface.co"
_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")  # nothing that runs code or unpickles
_IGNORED = ("*/*", "consolidated*")  # other formats of the same weights


def model_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint's folder that are weights, configuration or tokenizer, sorted by name.

    The state of a training, from which it is resumed, is not among them.
    """
    files = {file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()}
    return sorted(file for file in files if not (file.match("consolidated*") or file.name == "state.safetensors"))


@dataclass(frozen=True)
class HubId:
    """A repository on the hub.

    >>> HubId.parse("lerobot/pusht@v3.0")
    HubId(repo='lerobot/pusht', revision='v3.0')
    >>> HubId.parse("./a_folder") is None
    True

    Attributes:
        repo: OWNER/NAME.
        revision: a branch, tag or commit; None is the main branch.
    """

    repo: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str | Path) -> Self | None:
        """Return the id that a text is; None if it is none, or a folder or file of that name exists."""
        match = _ID.fullmatch(str(text))
        return None if match is None or Path(text).exists() else cls(match["repo"], match["revision"])

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def fetch(hub_id: HubId, kind: Literal["model", "dataset"]) -> Path:
    """Return the local folder of a repository, downloaded into the hub's cache if it is not there yet.

    Of a model only weights in safetensors, configuration and tokenizer are fetched. The folder is named after the
    commit. Without a connection the newest cached copy serves.

    Args:
        hub_id: of the repository.
        kind: whether it is a model or a dataset.

    Raises:
        ValueError: one line: there is no such repository or revision, it is private, or the hub cannot be reached.
        NotInstalledError: without huggingface_hub.
    """
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        name = "planner" if kind == "model" else "data"
        raise needs("huggingface_hub", name, f"fetching {hub_id}") from None
    endpoint = os.environ.get("HF_ENDPOINT", HUB)
    is_model = kind == "model"
    try:
        folder: str = snapshot_download(
            hub_id.repo, repo_type=kind, revision=hub_id.revision, endpoint=endpoint,
            allow_patterns=list(MODEL_FILES) if is_model else None,
            ignore_patterns=list(_IGNORED) if is_model else None,
        )  # fmt: skip
        return Path(folder)
    except errors.GatedRepoError:
        raise ValueError(
            f"the {kind} {hub_id.repo} is gated: accept its terms at {endpoint}/{_page(hub_id, kind)}, then run: "
            "hf auth login"
        ) from None
    except errors.RevisionNotFoundError:
        raise ValueError(f"the {kind} {hub_id.repo} has no revision {hub_id.revision!r} on {endpoint}") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise ValueError(
            f"no folder and no {kind} {str(hub_id)!r} on {endpoint} (if it is private: hf auth login)"
        ) from None
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, OSError) as error:
        from hamster.proxies import client_options  # imports ssl, which would slow down every start of the command line

        client_options(endpoint)  # raises a line about a proxy that cannot be used
        cause = error.__cause__ or error
        reason = "HF_HUB_OFFLINE is set" if is_offline() else " ".join(f"{cause}".split())[:200]
        raise ValueError(
            f"no folder {str(hub_id)!r}, and as a {kind} of the hub it is not in the cache and {endpoint} cannot be "
            f"asked for it: {reason}"
        ) from None


def _page(hub_id: HubId, kind: str) -> str:
    return f"datasets/{hub_id.repo}" if kind == "dataset" else hub_id.repo


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE forbids to ask the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
