"""Load a policy by the name of a bundled checkpoint, from a folder, or from a server."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hamster.extras import extra
from hamster.hub import HubId, fetch
from hamster.policy.registry import POLICY_TYPES, is_ready, make_policy, ready_policies
from hamster.registry import closest

if TYPE_CHECKING:
    from hamster.policy.actor_policy import ActorPolicy
    from hamster.policy.base import Policy

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
    if is_ready(name := str(name_or_path)):
        raise ValueError(f"the policy {name!r} is registered code: it has no checkpoint, as is needed here")
    if is_served(name):
        raise ValueError(f"the policy at {name} has no checkpoint on this machine, as is needed here")
    folder = bundled_policy(str(name_or_path)) or Path(name_or_path)
    if not (folder / "config.json").is_file():
        if name in POLICY_TYPES:
            raise ValueError(
                f"{name!r} is a policy type: train one (hamster train policy --config {name}) and name its folder"
            )
        listed = ", ".join(policy_names()) or "none"
        near = closest(name, policy_names())
        hint = f" (did you mean {near!r}?)" if near else ""
        raise ValueError(
            f"no policy {name!r}{hint}: neither bundled or registered ({listed}) nor a folder with config.json, "
            "nor a hub id, nor ws://HOST:PORT of `hamster serve policy`"
        )
    return folder


def is_served(name: str) -> bool:
    """Return whether it is the address of a policy's server, ws://HOST:PORT."""
    return name.startswith("ws://")


def policy_names() -> list[str]:
    """Return the names of bundled policies, and of registered ones that need no checkpoint."""
    return [*bundled_policies(), *ready_policies()]


def load_policy(name_or_path: str | Path = DEFAULT, *, device: str | None = None, dtype: str = "auto") -> Policy:
    """Load a policy: a registered or bundled one, one that `hamster train policy` wrote, or one from hub or server.

    Args:
        name_or_path: a registered or bundled name, a checkpoint's folder, or OWNER/NAME or OWNER/NAME@REVISION on the
            hub, or ws://HOST:PORT of `hamster serve policy`, which chooses device and dtype itself.
        device: where its network computes; by default on a GPU where there is one, as planners do.
        dtype: in which it computes: "auto" is that of the weights, float32; or "float32", "bfloat16", "float16".

    Returns:
        An `ActorPolicy`, unless the name is that of a registered policy; a `ServedPolicy` for an address.

    Raises:
        ValueError: if there is no such policy or device, or the checkpoint is damaged; one line that says which.
        NotInstalledError: without the extra `policy`, or, for an address, `serve`.
        PolicyUnavailableError: if no server answers at an address.
    """
    if is_served(str(name_or_path)):
        with extra("serve"):
            from hamster.policy.served import ServedPolicy

            return ServedPolicy(str(name_or_path))
    if is_ready(name := str(name_or_path)):
        return make_policy(name, device, dtype)
    return load_actor_policy(name_or_path, device=device, dtype=dtype)


def load_actor_policy(
    name_or_path: str | Path = DEFAULT, *, device: str | None = None, dtype: str = "auto"
) -> ActorPolicy:
    """Load a policy from a checkpoint; arguments and errors as for `load_policy`."""
    folder = find_policy(name_or_path)
    with extra("policy"):
        from hamster.devices import check_dtype, choose_device
        from hamster.policy.actor_policy import ActorPolicy
        from hamster.policy.checkpoint import load

        torch_device = choose_device(device)
        return ActorPolicy(load(folder).to(torch_device), dtype=check_dtype(dtype))
