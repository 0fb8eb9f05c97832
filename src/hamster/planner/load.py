"""Puts a planner together: the model, the words in which it is asked, and what its scores mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamster.dialects import DIALECTS
from hamster.extras import extra
from hamster.planner.calibration import Calibration
from hamster.planner.families import check_pairing, scaling_of
from hamster.planner.prompts import Speech, speech_of
from hamster.planner.vlm import VlmPlanner

if TYPE_CHECKING:
    from hamster.planner.endpoint import EndpointBackend

ASSUMED = "hamster"  # of servers that do not say in which dialect their models answer


def from_checkpoint(
    name: str, device: str | None, dtype: str, dialect: str | None, abstains: bool | None, options: Mapping[str, Any]
) -> VlmPlanner:
    """A planner over a folder or a hub id; see `load_planner`."""
    from hamster.planner.transformers_backend import TransformersBackend

    backend = TransformersBackend.load(name, device, dtype)
    speech = speech_of(name, backend.model_type)
    if dialect is not None and dialect != speech.dialect:
        check_pairing(backend.model_type, dialect)
        speech = Speech(dialect)
    calibration = Calibration.load(Path(name))
    backend.refuse_above = calibration.refuse_above
    defaults = {"max_new_tokens": backend.family.max_new_tokens, "calibration": calibration}
    defaults["may_refuse"] = abstains is not False
    return VlmPlanner(
        backend, speech.abstaining(abstains), seen=scaling_of(backend.processor),
        **{**defaults, **options},
    )  # fmt: skip


def endpoint(address: str) -> EndpointBackend:
    """What asks the server at http://HOST:PORT/v1#MODEL; NotInstalledError without the extra that it needs."""
    with extra("endpoint"):
        from hamster.planner.endpoint import EndpointBackend
    return EndpointBackend.at(address)


def behind_endpoint(address: str, dialect: str | None, abstains: bool | None, options: Mapping[str, Any]) -> VlmPlanner:
    """A planner over http://HOST:PORT/v1#MODEL; see `load_planner`."""
    backend = endpoint(address)
    stated = backend.speech
    speech = stated if stated is not None and dialect in (None, stated.dialect) else Speech(dialect or ASSUMED)
    defaults: dict[str, Any] = {"may_refuse": abstains is not False}
    if speech is stated:
        defaults["calibration"] = backend.calibration
    speech = speech.abstaining(abstains)
    if DIALECTS[speech.dialect].needs_size:
        defaults["seen"] = lambda size: backend.seen(size, speech.dialect)
    return VlmPlanner(backend, speech, **{**defaults, **options})
