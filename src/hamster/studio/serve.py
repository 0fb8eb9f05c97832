"""Open a studio, and serve it until a signal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from hamster.evaluate.suites import SUITES, find_suite
from hamster.files import lock_folder
from hamster.serving.log import configure_logging
from hamster.serving.sockets import bind_socket, socket_url
from hamster.studio.app import create_app
from hamster.studio.examples import Examples
from hamster.studio.limits import StudioLimits
from hamster.studio.models import Models
from hamster.studio.pictures import open_pictures
from hamster.studio.security import new_token
from hamster.studio.session import Session

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """uvicorn's server, for which Ctrl-C is a way to end; the second one ends it at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.should_exit, self.force_exit = True, self.should_exit


@dataclass(frozen=True)
class StudioOptions:
    """What a studio shows, and with which models.

    Attributes:
        env: a suite, "images:DIR" or "video:FILE".
        planners: names; "oracle" is the simulated expert.
        policy: name, checkpoint folder or hub id.
        dialect: of planners that do not name it.
        seed: of the first scene.
        out: folder of the kept examples.
        computed: `device` and `dtype` of the models.
    """

    env: str = "tabletop"
    planners: Sequence[str] = ("nano", "oracle")
    policy: str = "nano"
    dialect: str | None = None
    seed: int = 0
    out: Path = Path("outputs/studio")
    computed: Mapping[str, Any] = field(default_factory=dict)


def serve_studio(options: StudioOptions, port: int = 8020, limits: StudioLimits | None = None) -> None:
    """Serve on this machine alone until Ctrl-C or SIGTERM; the first line on standard output is the link.

    Args:
        options: of the studio.
        port: 0 for a free one.
        limits: on what a page can ask for.

    Raises:
        ValueError: if there is no such suite, folder or video, or another studio keeps its examples in that folder.
        OSError: if the port is taken.
    """
    limits = limits or StudioLimits()
    configure_logging()
    pictures = open_pictures(options.env)
    if pictures is None:
        find_suite(options.env)
    suites = [] if pictures is not None else list(dict.fromkeys([options.env, *SUITES]))
    with bind_socket(HOST, port) as listener, lock_folder(options.out):
        models = Models(options.planners, options.policy, options.dialect, options.computed)
        session = Session(models, Examples(options.out), suites, pictures, limits)
        token = new_token()
        listener.listen()  # so that the link can be opened as soon as it is printed
        session.start("" if pictures is not None else options.env, seed=options.seed)
        print(f"{socket_url(listener)}/?token={token}", flush=True)  # noqa: T201
        config = uvicorn.Config(
            create_app(session, token),
            ws="websockets-sansio",
            ws_max_size=1 << 10,  # pages have nothing to say there
            lifespan="off",
            log_level="error",
            access_log=False,
            limit_concurrency=limits.connections,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        try:
            asyncio.run(_Server(config).serve([listener]))
        finally:
            has_ended = session.close()
    if not has_ended:  # a thread that still loads or computes would be waited for
        os._exit(0)
