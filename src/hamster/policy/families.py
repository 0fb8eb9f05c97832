"""The families of policies: a name, what it is configured by, and where its actor lives."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hamster.policy.actor import AnyActor
from hamster.policy.config import ActorConfig
from hamster.policy.flow.config import FlowConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.views.config import ViewsConfig

CONFIGS: dict[str, type[ActorConfig]] = {
    config.family: config for config in (FlowConfig, ViewsConfig, ImageConfig, MonolithicConfig)
}
_ACTORS = {
    "flow": ("hamster.policy.flow.actor", "FlowActor"),
    "views": ("hamster.policy.views.actor", "ViewsActor"),
    "image": ("hamster.policy.image.actor", "ImageActor"),
    "monolithic": ("hamster.policy.monolithic.actor", "MonolithicActor"),
}


def build(config: ActorConfig) -> AnyActor:
    """An untrained actor."""
    module, name = _ACTORS[config.family]
    actor: AnyActor = getattr(import_module(module), name)(config)
    return actor


def config_from_json(record: dict[str, Any], where: object) -> ActorConfig:
    """{"family", "actor": {…}} -> its configuration; ValueError names what is unknown."""
    family, values = record.get("family"), record.get("actor")
    if family not in CONFIGS:
        raise ValueError(f"unknown policy family {family!r} in {where}; there are: {', '.join(CONFIGS)}")
    config = CONFIGS[family]
    known = config.__dataclass_fields__
    if not isinstance(values, dict) or (unknown := sorted(set(values) - set(known))):
        raise ValueError(f"{where}: unknown fields {unknown}; {config.__name__} has {', '.join(known)}")
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return config(**lists)  # type: ignore[arg-type]  # checked by use: a wrong type fails when it is built
