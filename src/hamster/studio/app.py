"""The HTTP side of a session: its routes, and the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from hamster.data.instructions import MAX_INSTRUCTION_CHARS
from hamster.path import Path2D
from hamster.serving.errors import INTERNAL
from hamster.serving.log import log
from hamster.studio.errors import StudioError, invalid
from hamster.studio.security import UPLOAD, UPLOAD_VIDEO, Guard
from hamster.studio.session import Session
from hamster.studio.state import PictureKind, State

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
Relative = Annotated[float, Field(ge=-1, le=2, allow_inf_nan=False)]
"""A coordinate relative to the image; a pointer may leave it a little."""
Words = Annotated[str, Field(max_length=MAX_INSTRUCTION_CHARS)]
Name = Annotated[str, Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanBody(_Body):
    """What a planner is asked."""

    planner: Name
    instruction: Words
    may_refuse: bool = True
    alternatives: bool = False


class ChoiceBody(_Body):
    """Which of the planner's answers becomes the path."""

    index: int


class StrokeBody(_Body):
    """A stroke as a pointer recorded it, and the version of the path that the page shows."""

    uv: list[tuple[Relative, Relative]] = Field(min_length=2)
    version: int


class PathBody(_Body):
    """A path as `Path2D.to_json` writes it, or null, and the version of the path that it replaces."""

    path: dict[str, Any] | None
    version: int


class RunBody(_Body):
    """What the robot is to do along the path."""

    instruction: Words = ""
    replan_with: Name = ""


class CompareBody(_Body):
    """What is compared."""

    planner: Name = ""
    instruction: Words = ""


class SceneBody(_Body):
    """Which scene to make."""

    suite: Name
    family: Name = ""
    seed: int = Field(ge=0, lt=1 << 53)


class PictureBody(_Body):
    """Which picture to show."""

    kind: PictureKind
    index: int = 0


class MoveBody(_Body):
    """Where to put a thing."""

    name: Name
    uv: tuple[Relative, Relative]


class KeepBody(_Body):
    """What the path carries out, in words."""

    instruction: Words


class FineTuneBody(_Body):
    """Which planner to fine-tune, and for how long."""

    planner: Name
    steps: int = Field(ge=1, le=10_000)


def create_app(session: Session, token: str) -> Guard:
    """Create the ASGI application of a session, for browsers that know the token."""
    api = FastAPI(title="HAMSTER studio", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(api)
    _add_page(api)
    _add_watching(api, session)
    _add_scenes(api, session)
    _add_paths(api, session)
    _add_teaching(api, session)
    return Guard(api, token, session.limits)


def _add_errors(api: FastAPI) -> None:
    def refused(_: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            error = invalid(_first_flaw(error))
        elif isinstance(error, HTTPException):
            error = StudioError(error.status_code, "no_such_route", str(error.detail))
        assert isinstance(error, StudioError)
        return JSONResponse(error.to_json(), error.status)

    def failed(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return JSONResponse(StudioError(500, *INTERNAL).to_json(), 500)

    for kind in (StudioError, RequestValidationError, HTTPException):
        api.add_exception_handler(kind, refused)
    api.add_exception_handler(Exception, failed)


def _first_flaw(error: RequestValidationError) -> str:
    """Return the first thing that is wrong with a request, without what was sent."""
    flaw = error.errors()[0]
    place = ".".join(str(part) for part in flaw["loc"] if part != "body")
    return f"{place}: {flaw['msg']}" if place else str(flaw["msg"])


def _add_page(api: FastAPI) -> None:
    """Serve the files of the page: exactly those that there are now, by name."""
    page = {
        file.name: (file.read_bytes(), MEDIA_TYPES[suffix])
        for file in (files("hamster.studio") / "static").iterdir()
        if (suffix := f".{file.name.rpartition('.')[2]}") in MEDIA_TYPES
    }

    async def index() -> Response:
        content, media_type = page["index.html"]
        return Response(content, media_type=media_type)

    async def static(name: str) -> Response:
        if name not in page:
            raise StudioError(404, "no_such_file", "the page has no such file")
        content, media_type = page[name]
        return Response(content, media_type=media_type)

    api.get("/")(index)
    api.get("/static/{name}")(static)


def _add_watching(api: FastAPI, session: Session) -> None:
    async def state() -> Response:
        return Response(_json(session.board.state), media_type="application/json")

    async def image() -> Response:
        return Response(session.board.image, media_type="image/jpeg")

    async def watch(socket: WebSocket) -> None:
        """Send each state as text and each image as bytes, the newest only; whatever the page sends is ignored."""
        if session.board.n_watchers >= session.limits.watchers:
            await socket.close(1013)
            return
        await socket.accept()
        sending = asyncio.ensure_future(_send_changes(socket, session))
        try:
            while True:
                await socket.receive()
        except (WebSocketDisconnect, RuntimeError):  # the latter once it has been disconnected
            pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    api.get("/api/state")(state)
    api.get("/api/image")(image)
    api.websocket("/api/watch")(watch)


async def _send_changes(socket: WebSocket, session: Session) -> None:
    async with aclosing(session.board.changes()) as changes:
        async for change in changes:
            if isinstance(change, bytes):
                await socket.send_bytes(change)
            else:
                await socket.send_text(_json(change))


def _json(state: State) -> str:
    return json.dumps(state.to_json(), allow_nan=False, separators=(",", ":"))


def _add_scenes(api: FastAPI, session: Session) -> None:
    async def scene(body: SceneBody) -> Response:
        return await _done(session.new_scene, body.suite, body.family, body.seed)

    async def reset() -> Response:
        return await _done(session.reset)

    async def picture(body: PictureBody) -> Response:
        return await _done(session.show_picture, body.kind, body.index)

    async def move(body: MoveBody) -> Response:
        return await _done(session.move, body.name, body.uv)

    async def upload(request: Request) -> Response:
        return await _done(session.upload, await request.body(), _file_name(request))

    async def upload_video(request: Request) -> Response:
        file, is_stored = await run_in_threadpool(session.new_video_file), False
        try:
            with file.open("xb") as stream:
                async for part in request.stream():
                    await run_in_threadpool(stream.write, part)
            is_stored = True
        except OSError as error:
            raise StudioError(507, "not_stored", f"the video could not be stored: {error.strerror}") from None
        finally:
            if not is_stored:  # the page may have gone meanwhile
                file.unlink(missing_ok=True)
        return await _done(session.show_video, file, _file_name(request))

    api.post("/api/scene")(scene)
    api.post("/api/reset")(reset)
    api.post("/api/picture")(picture)
    api.post("/api/move")(move)
    api.post(UPLOAD)(upload)
    api.post(UPLOAD_VIDEO)(upload_video)


def _file_name(request: Request) -> str:
    return unquote(request.headers.get("x-file-name", ""), errors="replace")


def _add_paths(api: FastAPI, session: Session) -> None:
    async def plan(body: PlanBody) -> Response:
        return await _done(session.plan, body.planner, body.instruction, body.may_refuse, body.alternatives)

    async def choose(body: ChoiceBody) -> Response:
        return await _path_changed(session.choose, body.index)

    async def stroke(body: StrokeBody) -> Response:
        if len(body.uv) > session.limits.stroke_points:
            raise invalid(f"a stroke has at most {session.limits.stroke_points} points")
        return await _path_changed(session.draw, body.uv, body.version)

    async def path(body: PathBody) -> Response:
        return await _path_changed(session.edit, None if body.path is None else _path(body.path), body.version)

    async def run(body: RunBody) -> Response:
        return await _done(session.run, body.instruction, body.replan_with)

    async def compare(body: CompareBody) -> Response:
        return await _done(session.compare, body.planner, body.instruction)

    async def comparison(index: int) -> Response:
        return Response(session.comparison_image(index), media_type="image/jpeg")

    async def stop() -> Response:
        session.stop()  # at once: not in line for a thread
        return Response(status_code=204)

    api.post("/api/plan")(plan)
    api.post("/api/choose")(choose)
    api.post("/api/stroke")(stroke)
    api.put("/api/path")(path)
    api.post("/api/run")(run)
    api.post("/api/compare")(compare)
    api.get("/api/comparison/{index}")(comparison)
    api.post("/api/stop")(stop)


def _add_teaching(api: FastAPI, session: Session) -> None:
    async def keep(body: KeepBody) -> Response:
        return await _done(session.keep, body.instruction)

    async def export() -> Response:
        headers = {"content-disposition": 'attachment; filename="hamster-examples.zip"'}
        parts = await run_in_threadpool(session.export)
        return StreamingResponse(parts, media_type="application/zip", headers=headers)

    async def fine_tune(body: FineTuneBody) -> Response:
        return await _done(session.fine_tune, body.planner, body.steps)

    async def go_on() -> Response:
        return await _done(session.continue_fine_tuning)

    async def cancel() -> Response:
        return await _done(session.cancel_fine_tuning)

    api.post("/api/keep")(keep)
    api.get("/api/export")(export)
    api.post("/api/fine-tune")(fine_tune)
    api.post("/api/fine-tune/continue")(go_on)
    api.post("/api/fine-tune/cancel")(cancel)


def _path(record: dict[str, Any]) -> Path2D:
    try:
        return Path2D.from_json(record)
    except (ValueError, OverflowError) as error:
        raise invalid(str(error)) from None


async def _done(command: Callable[..., object], *args: object) -> Response:
    """Carry out a command in a thread; what follows from it is told to all who watch."""
    await run_in_threadpool(command, *args)
    return Response(status_code=204)


async def _path_changed(command: Callable[..., int], *args: object) -> Response:
    """Change the path; the response says which version the page has then made, so that it can go on from there."""
    return JSONResponse({"path_version": await run_in_threadpool(command, *args)})
