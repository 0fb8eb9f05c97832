"""Translate errors of OpenAI's client: the server is unavailable, the request is wrong, or there is no path."""

from __future__ import annotations

import contextlib
from typing import Any

import openai

from hamster.path import PlanError
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.proxies import proxy_of

MAX_REASON_CHARS = 300
RETRYABLE = frozenset({408, 409, 423, 425, 429})  # and all of 500 and above
ABOUT_THE_REQUEST = frozenset({400, 413, 415, 422})
TOO_LONG = ("context length", "context_length", "too long", "too many tokens", "too many words", "too large")


def translate_error(url: str, error: openai.APIError, timeout_s: float, has_answered: bool) -> Exception:
    """Return the exception to raise for an error of OpenAI's client.

    Args:
        url: of the API, for the message.
        error: as the client raised it.
        timeout_s: after which it gave up, for the message.
        has_answered: whether the server has answered a request before. Until then, a refusal is about the
            configuration; from then on it is about one request, and a model that is missing was unloaded.

    Returns:
        A `PlannerUnavailableError`, a `PlannerConfigurationError` or a `PlanError`; one line each.
    """
    if isinstance(error, openai.APITimeoutError):
        return PlannerUnavailableError(f"{url} did not answer within {timeout_s:g} s{_through(url)}", is_timeout=True)
    if isinstance(error, openai.APIConnectionError):
        return PlannerUnavailableError(f"{url} cannot be reached{_through(url)}: {line(error.__cause__ or error)}")
    if not isinstance(error, openai.APIStatusError):
        return not_openai_reply(url)
    status, body = error.status_code, error.body if isinstance(error.body, dict) else {}
    reason = f"{url} says {status}{_through(url)}: {line(_message(error, body))}"
    if status in RETRYABLE or status >= 500 or (status == 404 and has_answered):
        return PlannerUnavailableError(reason, _retry_after_s(error))
    if status in ABOUT_THE_REQUEST and (has_answered or _is_about_the_request(status, body, reason)):
        return PlanError(reason)
    return PlannerConfigurationError(reason)


def not_openai_reply(url: str) -> PlannerUnavailableError:
    """Return the error for a reply that is not of OpenAI's protocol, a proxy's page for example."""
    return PlannerUnavailableError(f"{url} gave no answer{_through(url)}: is it an API of OpenAI's kind?")


def line(text: object) -> str:
    """Return the text as one line that is not too long."""
    return " ".join(str(text).split())[:MAX_REASON_CHARS] or type(text).__name__


def _is_about_the_request(status: int, body: dict[str, Any], reason: str) -> bool:
    """Return whether another request could succeed; the type is that of our own server."""
    return status == 413 or body.get("type") == "plan_error" or any(words in reason.lower() for words in TOO_LONG)


def _message(error: openai.APIStatusError, body: dict[str, Any]) -> object:
    return body.get("message") or body.get("detail") or error.response.reason_phrase or "nothing more"


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    with contextlib.suppress(ValueError):  # it may be a date
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    return None


def _through(url: str) -> str:
    """Name the proxy that the request took, if any: the fault may be the proxy's."""
    proxy = proxy_of(url)
    return "" if proxy is None else f" through the proxy of {proxy} (NO_PROXY lists what is asked without one)"
