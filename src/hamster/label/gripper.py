"""Gripper events from signals that are noisy, lag behind, and stop half-way on a held object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.path import Gripper

HYSTERESIS = 0.15  # of the full opening: more than sensor noise, less than closing on anything but the widest thing
CLOSED = 0.3  # of the full opening: a gripper that never is farther open is closed
STILL = 0.05  # fingers that moved by less have not moved


def gripper_events(opening: ArrayLike, hysteresis: float = HYSTERESIS) -> list[tuple[int, Gripper]]:
    """Return (frame, new state) wherever the opening (T,), 0 closed to 1 open, turns.

    It turns when it has moved by more than `hysteresis` from the extreme that it reached in the state before; a fixed
    threshold would miss a gripper that closes on something wide. A signal of 0 and 1 alone is a command, or a state
    that was thresholded already: its event is at the first frame of the new value. A measured one began to move
    before that shows: its event is at the frame from which it moved.
    """
    signal = np.asarray(opening, np.float64)
    binary = bool(np.isin(signal, (0.0, 1.0)).all())
    events: list[tuple[int, Gripper]] = []
    state, low, high = Gripper.UNKNOWN, np.inf, -np.inf
    for frame, value in enumerate(signal.tolist()):
        low, high = min(low, value), max(high, value)
        if state is not Gripper.CLOSED and value < high - hysteresis:
            state, low = Gripper.CLOSED, value
        elif state is not Gripper.OPEN and value > low + hysteresis:
            state, high = Gripper.OPEN, value
        else:
            continue
        events.append((frame if binary else _onset(signal.tolist(), frame), state))
    return events


def commanded_events(commanded_open: ArrayLike, opening: ArrayLike) -> list[tuple[int, Gripper]]:
    """Return (frame, new state) for each change of a command (T,) bool, at the frame where the fingers (T,) obey it.

    That is the last frame, not after the change, at which they had not yet moved. A recorded command may come early or
    late, in the middle of a motion for instance; where the fingers start to move the tool is where it is meant to be.
    """
    command, signal = np.asarray(commanded_open, bool), np.asarray(opening, np.float64)
    events: list[tuple[int, Gripper]] = []
    since = 0
    for frame in (np.flatnonzero(command[1:] != command[:-1]) + 1).tolist():
        stretch = signal[since : frame + 1]
        moved = stretch - stretch.min() if command[frame] else stretch.max() - stretch
        at = since + int(np.flatnonzero(moved <= STILL)[-1])
        events.append((at, Gripper.OPEN if command[frame] else Gripper.CLOSED))
        since = at + 1
    return events


def is_open(events: Sequence[tuple[int, Gripper]], opening: ArrayLike) -> NDArray[np.bool_]:
    """Return (T,) the commanded state at each frame: events as above, and the opening (T,) where there are none."""
    signal = np.asarray(opening, np.float64)
    state = np.full(len(signal), events[0][1] is Gripper.CLOSED if events else bool(signal[0] > 0.5))
    for frame, new in events:
        state[frame:] = new is Gripper.OPEN
    return state


def with_start(events: Sequence[tuple[int, Gripper]], opening: ArrayLike) -> list[tuple[int, Gripper]]:
    """Return the events, after a (-1, CLOSED) if the gripper, with the opening (T,), is closed to begin with.

    One that stays half open all the time may hold something, or may not: nothing is known of it.
    """
    if not events and np.max(np.asarray(opening, np.float64)) > CLOSED:
        return []
    if is_open(events, opening)[0] or (events and events[0][0] == 0):
        return list(events)
    return [(-1, Gripper.CLOSED), *events]


def _onset(signal: list[float], frame: int) -> int:
    """Return the last frame before the monotone stretch that ends at this one."""
    rising = signal[frame] > signal[frame - 1]
    while frame > 0 and signal[frame] != signal[frame - 1] and (signal[frame] > signal[frame - 1]) == rising:
        frame -= 1
    return frame
