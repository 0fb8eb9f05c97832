"""The routes, and what becomes of errors."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hamster.planner.families import Scaling
from hamster.planner.vlm import VlmPlanner
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.engine import Engine
from hamster.serving.planner.errors import ServeError
from hamster.serving.planner.limits import Limits
from hamster.serving.planner.metrics import Metered, Metrics
from hamster.serving.planner.middleware import Gate, error_response, internal
from hamster.serving.planner.planning import PlanRequest
from hamster.serving.planner.service import Served, Service

OPEN_ROUTES = frozenset({"/health"})
CODES = {404: "no_such_route", 405: "wrong_method"}


def create_app(served: Served, limits: Limits | None = None, api_key: str | None = None, threads: int = 1) -> Gate:
    """The ASGI application around a planner; it says 503 until `warm_up` is done.

    Args:
        served: the model.
        limits: on what clients can ask for.
        api_key: what they must send, if any.
        threads: questions that are asked at a time: 1 for a model in this process.
    """
    metrics = Metrics()
    service = Service(_metered(served, metrics), Engine(limits or Limits(), metrics, threads))
    api = FastAPI(title="HAMSTER planner", docs_url=None, redoc_url=None)
    _route(api, service, metrics)
    for kind in (ServeError, HTTPException):
        api.add_exception_handler(kind, lambda _, error: error_response(_noted(error, metrics)))
    api.add_exception_handler(Exception, lambda _, error: error_response(internal()))  # the gate logs it
    routes = frozenset(getattr(route, "path", "") for route in api.routes)
    return Gate(api, service, limits or Limits(), metrics, api_key, OPEN_ROUTES, routes)


def _metered(served: Served, metrics: Metrics) -> Served:
    backend = Metered(served.backend, metrics)
    if isinstance(served.planner, VlmPlanner):
        served = replace(served, planner=replace(served.planner, backend=backend))
    return replace(served, backend=backend)


def _route(api: FastAPI, service: Service, metrics: Metrics) -> None:
    async def health() -> Response:
        state, reason = service.engine.readiness()
        if not service.served.is_alive():
            state, reason = "model_lost", "the model's own server has ended"
        content = {"status": state, "reason": reason} if reason else {"status": state}
        return JSONResponse(content, 200 if state == "ready" else 503)

    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(service, began)]}

    async def model(name: str) -> dict[str, Any]:
        service.check_name(name)
        return _model(service, began)

    began = int(time.time())
    api.get("/health")(health)
    api.get("/metrics")(show_metrics)
    api.get("/v1/models")(models)
    api.get("/v1/models/{name:path}")(model)
    api.post("/v1/chat/completions", openapi_extra=_body(ChatRequest.model_json_schema()))(service.chat)
    api.post("/chat/completions", openapi_extra=_body(ChatRequest.model_json_schema()))(service.beta_chat)
    api.post("/v1/plan", openapi_extra=_body(PlanRequest.model_json_schema()))(service.plan)


def _model(service: Service, began: int) -> dict[str, Any]:
    """What clients need to ask the model as it was taught: `hamster.planner.endpoint` reads it."""
    served = service.served
    entry = {"id": served.name, "object": "model", "created": began, "owned_by": "hamster", "dialect": served.dialect}
    entry |= {name: served.identity[name] for name in ("weights", "revision") if name in served.identity}
    if served.upstream is not None:
        entry["chats"] = "vllm"
    if not isinstance(served.planner, VlmPlanner):
        return entry
    speech, seen = served.planner.speech, served.planner.seen
    entry |= {"prompt": speech.prompt, "abstains": speech.abstains, "structured_outputs": served.takes_regex}
    entry["refusals"] = "optional" if served.planner.may_refuse else "off"
    calibration = asdict(served.planner.calibration)
    entry["calibration"] = {name: calibration[name] for name in ("a", "b", "c", "refuse_above")}
    if isinstance(seen, Scaling):
        entry["scaling"] = asdict(seen)
    return entry


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _noted(error: Exception, metrics: Metrics) -> ServeError:
    if isinstance(error, HTTPException):
        code = CODES.get(error.status_code, "invalid_request")
        error = ServeError(error.status_code, code, str(error.detail))
    assert isinstance(error, ServeError)
    metrics.errors.labels(error.code).inc()
    return error
