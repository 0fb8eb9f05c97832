"""The state and the newest image, and whom to tell of changes: the newest only, so that a slow page skips the rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hamster.studio.state import State


class Board:
    """Holds what all pages show. All methods may be called from any thread.

    Args:
        state: at the start.
    """

    def __init__(self, state: State) -> None:
        self._lock = threading.RLock()
        self._state, self._image, self._image_number = state, b"", 0
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def image(self) -> bytes:
        """The newest image, as JPEG."""
        return self._image

    @property
    def n_watchers(self) -> int:
        """How many pages are told of changes."""
        return len(self._watchers)

    def update(self, **changes: Any) -> State:
        """Change fields of the state, and return it."""
        return self.change(lambda state: replace(state, **changes))

    def change(self, function: Callable[[State], State]) -> State:
        """Replace the state by what a function makes of it, with no other change between; what it raises is passed on.

        Args:
            function: from state to state; short, as others wait for it.
        """
        with self._lock:
            self._state = replace(function(self._state), number=self._state.number + 1)
            self._wake()
            return self._state

    def show(self, jpeg: bytes) -> None:
        """Replace the image."""
        with self._lock:
            self._image, self._image_number = jpeg, self._image_number + 1
            self._wake()

    async def changes(self) -> AsyncGenerator[State | bytes, None]:
        """Yield the present state and image, and from then on each that is new when the last one has been taken."""
        changed, seen_state, seen_image = asyncio.Event(), -1, 0
        changed.set()
        with self._lock:
            self._watchers[changed] = asyncio.get_running_loop()
        try:
            while True:
                await changed.wait()
                changed.clear()
                with self._lock:
                    state, image, number = self._state, self._image, self._image_number
                if state.number != seen_state:
                    seen_state = state.number
                    yield state
                if number != seen_image:
                    seen_image = number
                    yield image
        finally:
            with self._lock:
                del self._watchers[changed]

    def _wake(self) -> None:
        for changed, loop in self._watchers.items():
            with suppress(RuntimeError):  # its loop has just ended
                loop.call_soon_threadsafe(changed.set)
