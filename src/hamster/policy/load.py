"""Load a policy by the name of a bundled checkpoint, or from a folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.hub import HubId, fetch

if TYPE_CHECKING:
    from hamster.policy.actor_policy import ActorPolicy

DEFAULT = "flow-nano"
ALIASES = {"nano": DEFAULT}


def bundled_policies() -> dict[str, Path]:
    """Return the folders of the checkpoints that ship with the package, by name."""
    root = Path(str(files("hamster.policy"))) / "checkpoints"
    return {file.parent.name: file.parent for file in sorted(root.glob("*/config.json"))}


def bundled_policy(name: str) -> Path | None:
    """Return the folder of the bundled policy of that name or former name; None if there is none."""
    return bundled_policies().get(ALIASES.get(name, name))


def find_policy(name_or_path: str | Path) -> Path:
    """Return the folder of a checkpoint, of a hub id fetched into the cache; ValueError if there is none."""
    if (hub_id := HubId.parse(name_or_path)) is not None:
        return fetch(hub_id, "model")
    folder = bundled_policy(str(name_or_path)) or Path(name_or_path)
    if not (folder / "config.json").is_file():
        listed = ", ".join(bundled_policies()) or "none"
        raise ValueError(
            f"no policy {str(name_or_path)!r}: neither bundled ({listed}) nor a folder with config.json, nor a hub id"
        )
    return folder


def load_policy(name_or_path: str | Path = DEFAULT, *, device: str | None = None, dtype: str = "auto") -> ActorPolicy:
    """Load a policy: a bundled one, one from a folder that `hamster train policy` wrote, or one from the hub.

    Args:
        name_or_path: of the checkpoint; OWNER/NAME or OWNER/NAME@REVISION on the hub.
        device: where its network computes; by default on a GPU where there is one, as planners do.
        dtype: in which it computes: "auto" is that of the weights, float32; or "float32", "bfloat16", "float16".

    Raises:
        ValueError: if there is no such checkpoint or device, or the checkpoint is damaged; one line that says which.
    """
    from hamster.devices import check_dtype, choose_device
    from hamster.policy.actor_policy import ActorPolicy
    from hamster.policy.checkpoint import load

    folder, torch_device = find_policy(name_or_path), choose_device(device)
    return ActorPolicy(load(folder).to(torch_device), dtype=check_dtype(dtype))
