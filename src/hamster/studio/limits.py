"""Limits of the studio on what a page can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from hamster.serving.limits import ServerLimits


@dataclass(frozen=True)
class StudioLimits(ServerLimits):
    """Limits of the studio.

    Attributes:
        body_bytes: of an uploaded picture.
        connections: at a time: pages, each with one for its changes and some for its requests.
        video_bytes: of an uploaded video.
        export_bytes: of the examples that one archive may hold.
        json_bytes: of any other request.
        stroke_points: of one stroke, as a pointer records them.
        waypoints: of a path.
        uploads: pictures that are held; the oldest goes first.
        watchers: pages that are told of changes.
    """

    connections: int = 64
    video_bytes: int = 256 << 20
    export_bytes: int = 2 << 30
    json_bytes: int = 256 << 10
    stroke_points: int = 4096
    waypoints: int = 256
    uploads: int = 32
    watchers: int = 16
