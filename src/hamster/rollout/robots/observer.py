"""Read a robot's observations in a thread of its own, at the rate at which they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hamster.rollout.robots.base import Robot, RobotObservation, RobotSpec
from hamster.rollout.safety_checks import Array, UnsafeActionError, is_rigid, numbers

MOVED_M = 0.01
"""Motion of the tool after which the image of a working camera is not the same, bit for bit."""
LogEvent = Callable[..., None]


class ObservationChecker:
    """Finds what is wrong with observations, one after the other.

    A camera counts as frozen if its image has stayed the same, bit for bit, while the tool moved by `MOVED_M`: the
    images of a robot at rest may be equal.

    Args:
        spec: of the robot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._captured_s = -np.inf
        self._images: dict[str, tuple[NDArray[np.uint8], Array]] = {}  # and the tip when each was new

    def fault(self, reading: RobotObservation) -> str | None:
        """Return what is wrong with an observation, which must not be used then; None if nothing is."""
        fault = self._fault_of_numbers(reading) or self._fault_of_images(reading)
        if fault is None:
            self._captured_s = reading.captured_s
        return fault

    def _fault_of_numbers(self, reading: RobotObservation) -> str | None:
        if not isinstance(reading, RobotObservation):
            return f"observe() returned a {type(reading).__name__} instead of a RobotObservation"
        if not np.isfinite(reading.captured_s):
            return "captured_s is not finite"
        if reading.captured_s <= self._captured_s:
            return f"captured_s has not advanced ({reading.captured_s - self._captured_s:+.3f} s): an old observation"
        try:
            pose = numbers(reading.observation.tool_pose_world, "tool pose")  # type: ignore[arg-type]
            if not is_rigid(pose):
                return "the measured tool pose is not a finite, rigid (4, 4) pose"
            if reading.observation.gripper is not None and not np.isfinite(reading.observation.gripper):
                return "the gripper's opening is not finite"
            if reading.joint_positions is None and self._spec.joint_names:  # else their limits would go unchecked
                return f"the positions of {len(self._spec.joint_names)} joints are missing"
            if reading.joint_positions is not None:
                joints = numbers(reading.joint_positions, "joint positions")
                if joints.shape != (len(self._spec.joint_names),) or not np.isfinite(joints).all():
                    return f"joint positions are not {len(self._spec.joint_names)} finite numbers"
        except UnsafeActionError as error:
            return str(error)
        return None

    def _fault_of_images(self, reading: RobotObservation) -> str | None:
        tip = np.asarray(reading.observation.tool_pose_world)[:3, 3]
        for name in self._spec.cameras:
            view = reading.observation.views.get(name)
            if view is None:
                return f"the camera {name!r} has no image"
            if view.rgb.dtype != np.uint8 or view.rgb.ndim != 3 or view.rgb.shape[2] != 3:
                return f"the image of {name!r} is {view.rgb.shape} {view.rgb.dtype}, not (H, W, 3) uint8"
            if view.depth_m is not None and view.depth_m.shape != view.rgb.shape[:2]:
                return f"the depth of {name!r} is {view.depth_m.shape}, its image {view.rgb.shape[:2]}"
            before = self._images.get(name)
            if before is None or not np.array_equal(before[0], view.rgb):
                self._images[name] = view.rgb, tip
            elif (moved_m := float(np.linalg.norm(tip - before[1]))) > MOVED_M:
                return f"the camera {name!r} is frozen: the same image while the tool moved by {moved_m:.3f} m"
        return None


@dataclass
class Observer:
    """Keeps the newest sound observation of a robot; a thread reads them as they come.

    Attributes:
        robot: connected.
        spec: its capabilities.
        log: called with the name of an event and its details.
        newest: the newest observation without a fault; None before the first.
        error: what `observe` raised, after which nothing more is read.
        n_sound, n_faulty: how many there were.
    """

    robot: Robot
    spec: RobotSpec
    log: LogEvent
    newest: RobotObservation | None = None
    error: Exception | None = None
    n_sound: int = 0
    n_faulty: int = 0
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._checker = ObservationChecker(self.spec)
        self._last_fault = ""

    def start(self) -> None:
        """Start reading. The thread is a daemon: an `observe` that never returns keeps no process alive."""
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def close(self) -> None:
        """End reading after the present observation."""
        self._closed.set()

    def read_once(self) -> None:
        """Read one observation and keep it if it is sound."""
        reading = self.robot.observe()
        fault = self._checker.fault(reading)
        if fault is None:
            self.newest, self.n_sound = reading, self.n_sound + 1
        else:
            self.n_faulty += 1
        if (fault or "") != self._last_fault:  # a camera that stays frozen is one event
            self.log("observation_refused" if fault else "observations_sound_again", reason=fault or self._last_fault)
        self._last_fault = fault or ""

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self.read_once()
            except Exception as error:  # whatever a driver raises; the loop stops the robot for it
                if not self._closed.is_set():
                    self.error = error
                    self.log("observe_failed", reason=f"{type(error).__name__}: {error}")
                return
