"""The ASGI application of the planner's server: its routes, and how errors become responses."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hamster.planner.families import ImageScaling
from hamster.planner.vlm import VlmPlanner
from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.chat_schema import ChatRequest
from hamster.serving.planner.engine import Engine
from hamster.serving.planner.errors import ServeError
from hamster.serving.planner.metrics import MeteredBackend, Metrics
from hamster.serving.planner.middleware import RequestMiddleware, error_response, internal_error
from hamster.serving.planner.planning import PlanRequest
from hamster.serving.planner.service import ModelHandle, Service

ROUTES_WITHOUT_KEY = frozenset({"/health"})
CODES = {404: "no_such_route", 405: "wrong_method"}


def create_app(
    model: ModelHandle, limits: PlannerLimits | None = None, api_key: str | None = None, threads: int = 1
) -> RequestMiddleware:
    """Create the ASGI application around a planner; it answers 503 until `Service.warm_up` is done.

    Args:
        model: what is served.
        limits: on what clients can ask for.
        api_key: what they must send, if any.
        threads: batches at a time: 1 for a model in this process.
    """
    limits, metrics = limits or PlannerLimits(), Metrics()
    service = Service(_metered(model, metrics), Engine(limits, metrics, threads))
    api = FastAPI(title="HAMSTER planner", docs_url=None, redoc_url=None)
    _add_routes(api, service, metrics)
    for kind in (ServeError, HTTPException):
        api.add_exception_handler(kind, lambda _, error: error_response(_counted(error, metrics)))
    api.add_exception_handler(Exception, lambda _, error: error_response(internal_error()))  # the middleware logs it
    routes = frozenset(getattr(route, "path", "") for route in api.routes)
    return RequestMiddleware(api, service, limits, metrics, api_key, ROUTES_WITHOUT_KEY, routes)


def _metered(model: ModelHandle, metrics: Metrics) -> ModelHandle:
    if model.backend is None:
        return model
    backend = MeteredBackend(model.backend, metrics)
    if isinstance(model.planner, VlmPlanner):
        model = replace(model, planner=replace(model.planner, backend=backend))
    return replace(model, backend=backend)


def _add_routes(api: FastAPI, service: Service, metrics: Metrics) -> None:
    async def health() -> Response:
        state, reason = service.engine.readiness()
        if not service.model.is_alive():
            state, reason = "model_unavailable", "the model's own server has ended"
        content = {"status": state, "reason": reason} if reason else {"status": state}
        return JSONResponse(content, 200 if state == "ready" else 503)

    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model_entry(service.model, created)]}

    async def model(name: str) -> dict[str, Any]:
        service.check_name(name)
        return _model_entry(service.model, created)

    created = int(time.time())
    api.get("/health")(health)
    api.get("/metrics")(show_metrics)
    api.get("/v1/models")(models)
    api.get("/v1/models/{name:path}")(model)
    api.post("/v1/chat/completions", openapi_extra=_body(ChatRequest.model_json_schema()))(service.chat)
    api.post("/chat/completions", openapi_extra=_body(ChatRequest.model_json_schema()))(service.beta_chat)
    api.post("/v1/plan", openapi_extra=_body(PlanRequest.model_json_schema()))(service.plan)


def _model_entry(model: ModelHandle, created: int) -> dict[str, Any]:
    """Return what clients need to prompt the model and to parse its answers; `hamster.planner.endpoint` reads it."""
    entry = {"id": model.name, "object": "model", "created": created, "owned_by": "hamster", "dialect": model.dialect}
    entry |= {name: model.identity[name] for name in ("weights", "revision") if name in model.identity}
    if model.upstream is not None:
        entry["chats"] = "vllm"
    if not isinstance(model.planner, VlmPlanner):
        return entry
    planner = model.planner
    entry |= {"prompt": planner.prompt_config.prompt, "abstains": planner.prompt_config.abstains}
    entry["structured_outputs"] = model.takes_regex
    entry["refusals"] = "optional" if planner.may_refuse else "off"
    calibration = asdict(planner.calibration)
    entry["calibration"] = {name: calibration[name] for name in ("a", "b", "c", "refuse_above")}
    if isinstance(planner.image_scaling, ImageScaling):
        entry["scaling"] = asdict(planner.image_scaling)
    return entry


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _counted(error: Exception, metrics: Metrics) -> ServeError:
    if isinstance(error, HTTPException):
        code = CODES.get(error.status_code, "invalid_request")
        error = ServeError(error.status_code, code, str(error.detail))
    assert isinstance(error, ServeError)
    metrics.errors.labels(error.code).inc()
    return error
