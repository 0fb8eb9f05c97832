"""Limits of both servers on what clients can ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ServerLimits:
    """What both servers limit.

    Attributes:
        body_bytes: of one request.
        connections: at a time.
        deadline_s: from a request's arrival to its answer, waiting for others included.
        write_s: for a client to take what was sent, before it is cut off.
        drain_s: for requests in work when the server is told to stop.

    Raises:
        ValueError: if one is not > 0.
    """

    body_bytes: int = 24 << 20
    connections: int = 1024
    deadline_s: float = 30.0
    write_s: float = 10.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be > 0")


@dataclass(frozen=True)
class PlannerLimits(ServerLimits):
    """Limits of the planner's server.

    Attributes:
        image_bytes: of one encoded image.
        pixels: of one image, by its header.
        characters: of a chat's text; the limit on instructions is `hamster.data.instructions.MAX_INSTRUCTION_CHARS`.
        max_tokens: of one answer.
        samples: answers to one request.
        batch: requests that are answered together.
        gather_s: how long an idle model waits for others that are on their way.
        queue: requests at a time, those in work included; more are refused with 429.
        read_s: for a request to arrive, from its first byte to its last.
    """

    image_bytes: int = 16 << 20
    pixels: int = 16_000_000
    characters: int = 20_000
    max_tokens: int = 2048
    samples: int = 16
    batch: int = 8
    gather_s: float = 0.004
    queue: int = 128
    read_s: float = 15.0


@dataclass(frozen=True)
class PolicyLimits(ServerLimits):
    """Limits of the policy's server.

    Each connection has at most one observation in work, so `connections` also bounds the queue.

    Attributes:
        inference_s: for one observation once it is its turn, so that none starves the other clients.
        idle_s: without a whole message, before a client is disconnected.
    """

    body_bytes: int = 32 << 20
    connections: int = 8
    inference_s: float = 10.0
    idle_s: float = 600.0
