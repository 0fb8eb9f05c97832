"""What one server bears."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Bounds on everything that a client can ask for.

    Attributes:
        body_bytes: of one request.
        image_bytes: of one encoded image.
        pixels: of one image, by its header.
        characters: of a chat's text; an instruction's limit is the planner's own.
        max_tokens: of one answer.
        samples: answers to one question.
        batch: questions that are answered together.
        gather_s: how long an idle model waits for others that are on their way.
        queue: requests at a time, those in work included; more are sent off with 429.
        connections: at a time.
        read_s: for a request to arrive, from its first byte to its last.
        write_s: for a client to take what was sent, before it is cut off.
        deadline_s: from a request's arrival to its answer.
        drain_s: for what is in work when the server is told to stop.
    """

    body_bytes: int = 24 << 20
    image_bytes: int = 16 << 20
    pixels: int = 16_000_000
    characters: int = 20_000
    max_tokens: int = 2048
    samples: int = 16
    batch: int = 8
    gather_s: float = 0.004
    queue: int = 128
    connections: int = 1024
    read_s: float = 15.0
    write_s: float = 10.0
    deadline_s: float = 30.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be > 0")
