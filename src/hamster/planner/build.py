"""Puts a planner together: the model, the words in which it is asked, and what its scores mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as File
from typing import Any

from hamster.extras import extra
from hamster.path.dialects import DIALECTS
from hamster.planner.calibration import Calibration
from hamster.planner.families import check_pairing, scaling_of
from hamster.planner.speech import Speech, prompt_of, speech_of
from hamster.planner.vlm import VlmPlanner


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
    calibration = Calibration.load(File(name))
    backend.refuse_above = calibration.refuse_above
    defaults = {"max_new_tokens": backend.family.max_new_tokens, "calibration": calibration}
    return VlmPlanner(
        backend, _allowed(speech, abstains), seen=scaling_of(backend.processor),
        **{**defaults, **options},
    )  # fmt: skip


def behind_endpoint(address: str, dialect: str | None, abstains: bool | None, options: Mapping[str, Any]) -> VlmPlanner:
    """A planner over http://HOST:PORT/v1#MODEL; see `load_planner`."""
    with extra("endpoint"):
        from hamster.planner.endpoint import EndpointBackend
    speech, backend = _allowed(Speech(dialect or "hamster"), abstains), EndpointBackend.at(address)
    seen = {"seen": lambda size: backend.seen(size, speech.dialect)} if DIALECTS[speech.dialect].needs_size else {}
    return VlmPlanner(backend, speech, **{**seen, **options})


def _allowed(speech: Speech, abstains: bool | None) -> Speech:
    """Whoever was not taught when to refuse is told how."""
    if abstains is None or abstains == speech.abstains:
        return speech
    prompt = prompt_of(speech.dialect, abstains) if speech.prompt == prompt_of(speech.dialect) else speech.prompt
    return replace(speech, prompt=prompt, abstains=abstains)
