"""A policy behind `hamster serve policy`, which computes on another machine or in another process."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from hamster_client import ConnectionLostError, PolicyClient, RequestError, StaleActionError

from hamster.data import Observation, View
from hamster.path import Path2D
from hamster.policy.base import ActionChunk, PolicyError, PolicyUnavailableError
from hamster.policy.load import is_served

API_KEY_VARIABLE = "HAMSTER_API_KEY"
DEFAULT_PORT = 8000
MAX_POSES = 1024


class ServedPolicy:
    """Sends observations to a server, and returns its actions; the episode's state is kept there, per connection.

    Args:
        address: ws://HOST:PORT of `hamster serve policy`.
        api_key: by default that in the environment variable HAMSTER_API_KEY, if any.
        timeout_s: for one answer.

    Raises:
        ValueError: if the address is none, the server refuses the connection, or it is another kind of server.
        PolicyUnavailableError: if no server answers there.
    """

    def __init__(self, address: str, api_key: str | None = None, timeout_s: float = 30.0) -> None:
        host, port = _parsed(address)
        self.address, self.timeout_s = address, timeout_s
        self._client = PolicyClient(
            host, port, api_key=api_key or os.environ.get(API_KEY_VARIABLE) or None, max_age_s=timeout_s,
            timeout_s=timeout_s,
        )  # fmt: skip
        self._is_new, self._is_lost = True, False
        try:
            self.metadata: dict[str, Any] = self._client.get_server_metadata()
        except RequestError as error:
            raise ValueError(f"{address} refuses the connection: {error}") from None
        except (ConnectionLostError, TimeoutError) as error:
            raise PolicyUnavailableError(str(error)) from None
        if self.metadata.get("server") != "hamster-vla":
            raise ValueError(f"{address} is no `hamster serve policy`: its metadata name no server hamster-vla")

    @property
    def cameras(self) -> tuple[str, ...] | None:
        """The views that the policy uses, by name; None if the server does not say."""
        names = self.metadata.get("cameras")
        if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
            return None
        return tuple(names)

    @property
    def identity(self) -> dict[str, Any]:
        """What the server says of its policy: name and SHA-256 of the weights, None where it does not say."""
        return {name: self.metadata.get(name) for name in ("policy", "weights_sha256")}

    def close(self) -> None:
        """End the connection, and with it the episode on the server."""
        self._client.close()
        self._is_lost = not self._is_new

    def reset(self) -> None:
        """Forget the episode, here and, with the next observation, on the server."""
        self._is_new, self._is_lost = True, False

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> ActionChunk:
        """Return the server's actions; see `Policy.act`.

        Raises:
            PolicyError: if the policy's output was not finite.
            ValueError: if the server refuses the observation, or its answer is no motion.
            PolicyUnavailableError: if there is no answer in time, or the server has gone, and the episode with it.
        """
        if self._is_lost:
            raise PolicyUnavailableError(f"{self.address}: the connection and so the episode were lost; reset first")
        message = _message(observation, path, instruction) | ({"reset": True} if self._is_new else {})
        try:
            answer = self._client.infer(message)
        except RequestError as error:
            raise (PolicyError if error.type == "not_finite" else ValueError)(f"{self.address}: {error}") from None
        except (ConnectionLostError, StaleActionError, TimeoutError) as error:
            self._is_lost = True
            raise PolicyUnavailableError(f"{self.address}: {error}") from None
        self._is_new = False
        return _chunk(answer, self.address)


def _parsed(address: str) -> tuple[str, int]:
    try:
        url = urlsplit(address)
        host, port = url.hostname, DEFAULT_PORT if url.port is None else url.port
    except ValueError:
        host, port = None, 0
    if not (is_served(address) and host and port and url.path in ("", "/") and "@" not in url.netloc):
        raise ValueError(f"a served policy's address is ws://HOST:PORT, not {address!r}")
    return host, port


def _message(observation: Observation, path: Path2D | None, instruction: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "views": {name: _view(view) for name, view in observation.views.items()},
        "prompt": instruction,
        "path": None if path is None else _stated(path),
        "time_s": float(observation.time_s),
    }
    if observation.tool_pose_world is not None:
        message["tool_pose_world"] = np.asarray(observation.tool_pose_world, np.float64)
    if observation.gripper is not None:
        message["gripper"] = float(observation.gripper)
    return message


def _view(view: View) -> dict[str, Any]:
    fields: dict[str, Any] = {"rgb": np.ascontiguousarray(view.rgb)}
    if view.depth_m is not None:
        fields["depth_m"] = np.ascontiguousarray(view.depth_m, np.float32)
    if view.camera is not None:
        fields["intrinsics"] = np.asarray(view.camera.intrinsics, np.float64)
        fields["world_from_camera"] = np.asarray(view.camera.world_from_camera, np.float64)
    return fields


def _stated(path: Path2D) -> dict[str, Any]:
    stated = {"uv": path.uv, "gripper": path.gripper, "depth_m": path.depth_m, "height_m": path.height_m}
    known = {name: np.asarray(values) for name, values in stated.items() if values is not None}
    return known | ({} if path.score is None else {"score": float(path.score)})


def _chunk(answer: dict[str, Any], address: str) -> ActionChunk:
    """Return the actions of an answer; ValueError for anything that is no motion of rigid poses."""
    poses, step_s, touches = answer.get("poses"), answer.get("step_s"), answer.get("touches")
    actions = answer.get("actions")
    n = len(poses) if isinstance(poses, np.ndarray) and poses.ndim else 0
    is_motion = (
        0 < n <= MAX_POSES
        and _is_finite(poses, (n, 4, 4))
        and _is_finite(actions, (n, 8))
        and (step_s is None or (isinstance(step_s, float) and 0 < step_s < 60))
        and (touches is None or _is_finite(touches, (n,)))
    )
    if not is_motion:
        raise ValueError(f"{address}: the answer holds no motion: finite poses (K, 4, 4) and actions (K, 8), step_s")
    return ActionChunk(np.array(poses, np.float64), np.asarray(actions)[:, 7] > 0.5, step_s, touches)


def _is_finite(values: Any, shape: tuple[int, ...]) -> bool:
    is_array = isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.shape == shape
    return is_array and bool(np.isfinite(values).all())
