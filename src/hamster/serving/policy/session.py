"""One client's episode: bytes in, bytes out, in the worker's thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from hamster_client.errors import RequestError
from hamster_client.wire import unpack

from hamster.data import HALF_OPEN
from hamster.geometry import quaternion_from_matrix
from hamster.path import Path2D
from hamster.path.redundant_close import drop_redundant_close
from hamster.policy.base import ActionChunk, Policy, PolicyError
from hamster.serving.policy.request import Request, read_request

COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper")


class Session:
    """One client's episode; the path that it stated last stands until another one comes.

    A policy puts a path into the world with the observation that the path first comes with, so a client that repeats
    the same path with every observation still means the same one.

    Args:
        policy: this client's own; it is reset before its first observation.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._has_begun = self._has_stated = False
        self._stated: Path2D | None = None  # as the client stated it
        self._path: Path2D | None = None  # as the policy gets it

    def answer(self, data: bytes) -> dict[str, Any]:
        """Return the actions for an observation, both as messages.

        Raises:
            RequestError: if the message is refused; the episode goes on as if it had not come, unless it says `reset`.
        """
        request = read_request(unpack(data))
        if request.reset or not self._has_begun:
            self._begin()
        if request.observation is None:
            return {"reset": True}
        started = time.perf_counter()
        actions = _actions(self._act(request))
        return actions | {"policy_timing": {"infer_ms": (time.perf_counter() - started) * 1e3}}

    def _begin(self) -> None:
        self._stated = self._path = None
        self._has_stated = False
        self._policy.reset()
        self._has_begun = True

    def _act(self, request: Request) -> ActionChunk:
        assert request.observation is not None
        stated, path = self._standing(request)
        try:
            chunk = self._policy.act(request.observation, path, request.instruction)
        except PolicyError as error:
            raise RequestError("not_finite", str(error)) from None
        except ValueError as error:
            raise RequestError("invalid", str(error)) from None
        self._stated, self._path, self._has_stated = stated, path, True
        return chunk

    def _standing(self, request: Request) -> tuple[Path2D | None, Path2D | None]:
        if not (request.states_path or self._has_stated):
            raise RequestError("no_path", "an episode's first observation must say its path, or that it is None")
        if not request.states_path or (self._has_stated and request.path == self._stated):
            return self._stated, self._path
        path, gripper = request.path, request.observation.gripper if request.observation else None
        is_open = gripper is not None and gripper > HALF_OPEN
        return path, drop_redundant_close(path) if path is not None and is_open else path


def _actions(chunk: ActionChunk) -> dict[str, Any]:
    """Return "actions" (K, 8) in `COLUMNS`, "poses" (K, 4, 4), both in the world; and maybe "touches" (K,); no NaN."""
    poses = np.asarray(chunk.poses, np.float64)
    gripper = np.asarray(chunk.gripper_open, np.float64)
    numbers = gripper if chunk.contact_prob is None else np.concatenate([gripper, chunk.contact_prob])
    if not (np.isfinite(poses).all() and np.isfinite(numbers).all()):
        raise RequestError("not_finite", "the policy's motion for this observation is not finite")
    actions = np.concatenate([poses[:, :3, 3], quaternion_from_matrix(poses[:, :3, :3]), gripper[:, None]], -1)
    touches = {} if chunk.contact_prob is None else {"touches": np.asarray(chunk.contact_prob, np.float64)}
    return {"actions": actions, "poses": poses, "step_s": chunk.step_s, **touches}
