"""Load a planner by name: the model, the prompt it was trained with, and the calibration of its scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamster.extras import extra
from hamster.hub import HubId, fetch
from hamster.planner.registry import PLANNERS, make_planner
from hamster.registry import closest

if TYPE_CHECKING:
    from hamster.planner.base import Planner
    from hamster.planner.endpoint import EndpointBackend
    from hamster.planner.vlm import VlmPlanner

BUNDLED = Path(__file__).parent / "checkpoints"
ASSUMED_DIALECT = "hamster"  # of servers that do not say in which dialect their models answer


def load_planner(
    name_or_path: str | Path = "nano",
    *,
    device: str | None = None,
    dtype: str = "auto",
    dialect: str | None = None,
    abstains: bool | None = None,
    **options: Any,
) -> Planner:
    """Load a planner: a registered or bundled one, a checkpoint of transformers, or a model behind an endpoint.

    Args:
        name_or_path: a registered or bundled name, a folder, a hub id (OWNER/NAME or OWNER/NAME@REVISION), or
            http://HOST:PORT/v1#MODEL for anything that speaks OpenAI's protocol (without /v1 for HAMSTER_beta's
            server).
        device: of a local model, as in `load_model.load_model`.
        dtype: of a local model, likewise.
        dialect: of the answers, where it is not what the checkpoint's `hamster.json` or its family say. Behind an
            endpoint it is what the server states, as `hamster serve planner` does, else HAMSTER's own text.
        abstains: whether the model may say that what it is asked for is not in view; by default if it was trained to.
            With False no planner raises NotInViewError, also not the bundled one, which decides by itself.
        options: of `VlmPlanner`: samples, temperature, max_new_tokens, constrained, seed; of a registered planner, what
            its factory takes.

    Returns:
        A `VlmPlanner`, unless the name is that of a registered planner.

    Raises:
        ValueError: there is no such planner, or it cannot answer in that dialect; the message lists what there is.
        PlannerUnavailableError: the endpoint cannot be asked now.
    """
    name = str(name_or_path)
    if name in PLANNERS:
        given = {"dialect": dialect, "abstains": abstains, **options}
        given = {key: value for key, value in given.items() if value is not None}
        return make_planner(name, device, dtype, **given)
    return load_vlm_planner(name, device=device, dtype=dtype, dialect=dialect, abstains=abstains, **options)


def load_vlm_planner(
    name_or_path: str | Path = "nano",
    *,
    device: str | None = None,
    dtype: str = "auto",
    dialect: str | None = None,
    abstains: bool | None = None,
    **options: Any,
) -> VlmPlanner:
    """Load a planner that is a vision-language model; arguments as for `load_planner`.

    Raises:
        ValueError: as `load_planner`; also for a registered planner, which need not be such a model.
        PlannerUnavailableError: as `load_planner`.
    """
    name = str(name_or_path)
    if is_address(name):
        return from_endpoint(name, dialect, abstains, options)
    return from_checkpoint(resolve_checkpoint(name), device, dtype, dialect, abstains, options)


def from_checkpoint(
    name: str, device: str | None, dtype: str, dialect: str | None, abstains: bool | None, options: Mapping[str, Any]
) -> VlmPlanner:
    """Load a planner from a folder or a hub id.

    Args:
        name: of the folder, or the hub id.
        device, dtype, dialect, abstains: as for `load_planner`.
        options: of `VlmPlanner`.
    """
    from hamster.dialects import DIALECTS
    from hamster.planner.calibration import Calibration
    from hamster.planner.families import check_dialect, image_scaling
    from hamster.planner.prompts import PromptConfig, load_prompt_config
    from hamster.planner.vlm import VlmPlanner

    with extra("planner"):
        from hamster.planner.transformers_backend import TransformersBackend  # transformers takes seconds to import

    calibration = Calibration.load(Path(name))
    backend = TransformersBackend.load(name, device, dtype, refuse_above=calibration.refuse_above)
    prompt_config = load_prompt_config(name, backend.model_type)
    dialect = dialect and DIALECTS.canonical(dialect)
    if dialect is not None and dialect != prompt_config.dialect:
        check_dialect(backend.model_type, dialect)
        prompt_config = PromptConfig(dialect)
    defaults = {
        "max_new_tokens": backend.family.max_new_tokens,
        "image_scaling": image_scaling(backend.processor),
        "calibration": calibration,
        "may_refuse": abstains is not False,
    }
    return VlmPlanner(backend, prompt_config.with_abstention(abstains), **{**defaults, **options})


def from_endpoint(address: str, dialect: str | None, abstains: bool | None, options: Mapping[str, Any]) -> VlmPlanner:
    """Load a planner over a server.

    Args:
        address: http://HOST:PORT/v1#MODEL.
        dialect, abstains: as for `load_planner`.
        options: of `VlmPlanner`.
    """
    from hamster.dialects import DIALECTS
    from hamster.planner.prompts import PromptConfig
    from hamster.planner.vlm import VlmPlanner

    backend = connect(address)
    defaults: dict[str, Any] = {"may_refuse": abstains is not False}
    stated = backend.prompt_config
    dialect = dialect and DIALECTS.canonical(dialect)
    if stated is not None and dialect in (None, stated.dialect):
        prompt_config, defaults["calibration"] = stated, backend.calibration
    else:
        prompt_config = PromptConfig(dialect or ASSUMED_DIALECT)
    prompt_config = prompt_config.with_abstention(abstains)
    if DIALECTS[prompt_config.dialect].needs_size:
        defaults["image_scaling"] = lambda size: backend.scaled_size(size, prompt_config.dialect)
    return VlmPlanner(backend, prompt_config, **{**defaults, **options})


def connect(address: str) -> EndpointBackend:
    """Return the client of the server at http://HOST:PORT/v1#MODEL; NotInstalledError without the extra it needs."""
    with extra("endpoint"):
        from hamster.planner.endpoint import EndpointBackend
    return EndpointBackend.at(address)


def is_address(name_or_path: str | Path) -> bool:
    """Return whether a planner's name is the address of a server."""
    return str(name_or_path).lower().startswith(("http://", "https://"))


def resolve_checkpoint(name_or_path: str | Path) -> str:
    """Return the folder of a checkpoint, of a hub id fetched into the cache; ValueError as `load_planner`."""
    hub_id = HubId.parse(name_or_path)
    return str(find_planner(name_or_path) if hub_id is None else fetch(hub_id, "model"))


def find_planner(name_or_path: str | Path) -> Path:
    """Return the folder of a checkpoint; ValueError as `load_planner`."""
    if str(name_or_path) in PLANNERS:
        raise ValueError(
            f"the planner {str(name_or_path)!r} is registered code: it has no checkpoint, as is needed here"
        )
    for folder in (BUNDLED / str(name_or_path), Path(name_or_path)):
        if (folder / "config.json").is_file():
            return folder
    near = closest(str(name_or_path), planner_names())
    hint = f" (did you mean {near!r}?)" if near else ""
    raise ValueError(
        f"no planner {str(name_or_path)!r}{hint}; give one of {', '.join(planner_names())}, or a folder with a "
        "checkpoint, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL"
    )


def planner_names() -> list[str]:
    """Return the names of bundled and registered planners."""
    return list(dict.fromkeys([*bundled_planners(), *PLANNERS]))


def bundled_planners() -> list[str]:
    """Return the names of the checkpoints that ship with the package."""
    return sorted(folder.parent.name for folder in BUNDLED.glob("*/config.json")) or ["(none is bundled)"]
