"""Start both servers as a robot lab would, ask them over the network, and stop them.

The planner is asked by plain HTTP, the policy through `hamster_client`, which a robot's computer installs alone.
"""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hamster_client import PolicyClient

from hamster.evaluate.suites import find_suite

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "table.png"


@contextmanager
def server(*arguments: str) -> Iterator[str]:
    """Run `hamster serve …` on a free port; yield HOST:PORT once it listens, stop it at the end."""
    command = [sys.executable, "-m", "hamster", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stdout if line.startswith("serving"))
        yield re.search(r"://([\d.]+:\d+)", line)[1]
    finally:
        process.terminate()  # what is being answered is answered first
        process.wait(30)


def ask_planner(address: str, instruction: str) -> dict:
    """Return the answer of /v1/plan: paths with waypoints, gripper states and scores."""
    boundary = "boundary"
    body = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="instruction"\r\n\r\n{instruction}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="table.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + IMAGE.read_bytes()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    request = urllib.request.Request(
        f"http://{address}/v1/plan", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def ask_policy(address: str, path: dict) -> np.ndarray:
    """Return the next actions (K, 8): x y z, quaternion w x y z, gripper; in the world frame."""
    env = find_suite("tabletop").make("pick_place", 5)
    seen = env.observe()
    view = seen.views["front"]
    observation = {
        "views": {
            "front": {
                "rgb": view.rgb,
                "depth_m": view.depth_m,
                "intrinsics": view.camera.intrinsics,
                "world_from_camera": view.camera.world_from_camera,
            }
        },
        "tool_pose_world": seen.tool_pose_world,
        "gripper": seen.gripper,
        "prompt": env.instruction,
        "path": path,
        "reset": True,
    }
    host, port = address.split(":")
    with PolicyClient(host, int(port)) as client:
        return client.infer(observation)["actions"]


def main() -> None:
    """Ask the planner for a path and the policy for actions along it."""
    with server("planner") as address:
        answer = ask_planner(address, "put the red cube on the blue plate")
        print(json.dumps(answer)[:200])
    with server("policy", "--policy", "nano") as address:
        path = {"uv": [[0.5, 0.6], [0.4, 0.5]], "gripper": ["closed", "open"]}
        print(ask_policy(address, path).round(3))


if __name__ == "__main__":
    main()
