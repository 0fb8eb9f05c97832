"""Tasks in groups that workers take one by one; a group stays with one worker as long as none is idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class TaskGroups(Generic[T]):
    """Hands out tasks, those of a group to the same worker, which may keep what they have in common.

    Args:
        groups: read as they are needed.
    """

    def __init__(self, groups: Iterable[Iterable[T]]) -> None:
        self._groups: Iterator[deque[T]] = filter(None, map(deque, groups))
        self._queues: dict[Hashable, deque[T]] = {}
        self._given_back: deque[deque[T]] = deque()

    def take(self, worker: Hashable) -> T | None:
        """Return a task: of the worker's group, else of the next one, else of the longest queue; None if none is left.

        Args:
            worker: who asks; any name.
        """
        queue = self._queues.setdefault(worker, deque())
        if not queue:
            queue.extend(self._given_back.popleft() if self._given_back else next(self._groups, ()))
        if queue:
            return queue.popleft()
        longest = max(self._queues.values(), key=len)
        return longest.pop() if longest else None

    def give_back(self, worker: Hashable, task: T) -> None:
        """Take back the task that a worker has not finished, and the rest of its group: it has ended."""
        self._given_back.append(deque([task, *self._queues.pop(worker, ())]))


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return the items in groups of the same key, in the order of each group's first item."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
