"""A robot behind ROS 2 topics, for `hamster run robot --import ros2_robot.py --robot ros2`.

Not run by the tests: it needs rclpy, a running driver, and a controller that follows poses (MoveIt Servo, cartesian
impedance control). Set the topics and frames below. The driver must hold by itself when poses stop coming, as MoveIt
Servo does after 0.1 s: a process that has crashed cannot stop a robot.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

import hamster
from hamster.geometry import matrix_from_quaternion, pose, quaternion_from_matrix
from hamster.rollout.robots import RobotError, RobotObservation, RobotSpec, register_robot

CAMERA = "front"
TOPICS = {
    "rgb": (Image, f"/{CAMERA}/color/image_raw"),
    "depth": (Image, f"/{CAMERA}/aligned_depth_to_color/image_raw"),  # 16UC1, millimetres
    "info": (CameraInfo, f"/{CAMERA}/color/camera_info"),
    "tool": (PoseStamped, "/tool_pose"),  # the tool's tip in the frame WORLD
    "gripper": (Float64, "/gripper_opening"),  # 0 closed to 1 open
}
WORLD_FROM_CAMERA = np.eye(4)  # your calibration
WORLD = "base_link"


@register_robot("ros2")
class Ros2Robot:
    """Reads camera, tool and gripper from topics, and publishes target poses."""

    def connect(self) -> RobotSpec:
        """Subscribe, and wait for the service that stops the robot."""
        rclpy.init()
        self._node = rclpy.create_node("hamster")
        self._condition = threading.Condition()
        self._newest: dict[str, tuple[Any, float]] = {}  # message, and the time when it came
        for name, (kind, topic) in TOPICS.items():
            self._node.create_subscription(kind, topic, self._keeper(name), qos_profile_sensor_data)
        self._target = self._node.create_publisher(PoseStamped, "/target_pose", 1)
        self._gripper = self._node.create_publisher(Float64, "/target_gripper_opening", 1)
        self._halt = self._node.create_client(Trigger, "/halt")
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        threading.Thread(target=executor.spin, daemon=True).start()
        if not self._halt.wait_for_service(5.0):
            raise RobotError("no service /halt: without a stop nothing is moved")
        return RobotSpec((CAMERA,), control_hz=50.0)

    def _keeper(self, name: str) -> Any:
        def keep(message: Any) -> None:
            with self._condition:
                self._newest[name] = message, time.monotonic()
                self._condition.notify_all()

        return keep

    def observe(self) -> RobotObservation:
        """Wait for the next image; the age is that of the oldest message (its transport excluded)."""
        with self._condition:
            before = self._newest.get("rgb")
            if not self._condition.wait_for(
                lambda: len(self._newest) == len(TOPICS) and self._newest.get("rgb") is not before, timeout=5.0
            ):
                raise RobotError(
                    f"no message for 5 s on: {', '.join(sorted(set(TOPICS) - set(self._newest))) or 'rgb'}"
                )
            messages = {name: message for name, (message, _) in self._newest.items()}
            captured_s = min(came_s for name, (_, came_s) in self._newest.items() if name != "info")
        rgb = np.frombuffer(messages["rgb"].data, np.uint8).reshape(messages["rgb"].height, messages["rgb"].width, 3)
        depth_mm = np.frombuffer(messages["depth"].data, np.uint16).reshape(rgb.shape[:2])
        camera = hamster.Camera(np.reshape(messages["info"].k, (3, 3)), WORLD_FROM_CAMERA, rgb.shape[1], rgb.shape[0])
        view = hamster.View(rgb, (depth_mm / 1000).astype(np.float32), camera)
        p, q = messages["tool"].pose.position, messages["tool"].pose.orientation
        tool = pose((p.x, p.y, p.z), matrix_from_quaternion((q.w, q.x, q.y, q.z)))
        opening = float(messages["gripper"].data)
        return RobotObservation(hamster.Observation({CAMERA: view}, tool, opening, captured_s), captured_s)

    def command(self, tool_pose_world: np.ndarray, gripper_open: bool) -> None:
        """Publish a target pose."""
        message = PoseStamped()
        message.header.frame_id = WORLD
        message.header.stamp = self._node.get_clock().now().to_msg()
        target = message.pose
        target.position.x, target.position.y, target.position.z = map(float, tool_pose_world[:3, 3])
        w, x, y, z = map(float, quaternion_from_matrix(tool_pose_world[:3, :3]))
        target.orientation.w, target.orientation.x, target.orientation.y, target.orientation.z = w, x, y, z
        self._target.publish(message)
        self._gripper.publish(Float64(data=float(gripper_open)))

    def stop(self) -> None:
        """Call the service that stops the robot, and wait for its answer."""
        answered = threading.Event()
        future = self._halt.call_async(Trigger.Request())
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(0.2) or not future.result().success:
            raise RobotError("/halt has not confirmed the stop")

    def disconnect(self) -> None:
        """End the node."""
        if rclpy.ok():
            rclpy.shutdown()
