"""An environment of your own, evaluated with confidence intervals, from Python and by name.

A ball lies on a table; the task is done when the tool touches it. There is no physics: the tool is where it is commanded
to be. Put your simulator, or a real robot, behind the same six members.
"""

import numpy as np

import hamster
from hamster.geometry import look_at

SIZE_PX = 128
RADIUS_M = 0.04
CAMERA = hamster.Camera(
    intrinsics=np.array([[140.0, 0, 64], [0, 140, 64], [0, 0, 1]]),
    world_from_camera=look_at([1.05, 0, 0.6], [0.45, 0, 0]),
    width=SIZE_PX,
    height=SIZE_PX,
)


class TouchEnv:
    """A ball on a table."""

    dt_s = 0.05
    instruction = "touch the red ball"

    def __init__(self, seed: int) -> None:
        self.ball = np.array([*np.random.default_rng(seed).uniform([0.35, -0.15], [0.55, 0.15]), RADIUS_M])
        self.tool = np.diag([1.0, -1.0, -1.0, 1.0])  # pointing down
        self.tool[:3, 3] = 0.45, 0.0, 0.25
        self.is_open = True

    def tool_pose_world(self) -> np.ndarray:
        """Return the tool's pose (4, 4)."""
        return self.tool.copy()

    def step(self, tool_pose_world: np.ndarray, gripper_open: bool) -> bool:
        """Command a pose for one period; return whether the task is done."""
        self.tool, self.is_open = np.array(tool_pose_world), gripper_open
        return bool(np.linalg.norm(self.tool[:3, 3] - self.ball) < RADIUS_M)

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the image (H, W, 3) and the depth (H, W) of a grey table with a red ball and the tool's tip."""
        columns, rows = np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX))
        rays = CAMERA.unproject(np.stack([columns, rows], -1), np.ones((SIZE_PX, SIZE_PX)))  # points 1 m in front
        origin = CAMERA.world_from_camera[:3, 3]
        ahead, to_ball = rays - origin, self.ball - origin
        nearest = ahead @ to_ball / (ahead**2).sum(-1)  # depth at which a ray passes the ball's centre
        miss_m2 = ((nearest[..., None] * ahead - to_ball) ** 2).sum(-1)
        is_ball = miss_m2 < RADIUS_M**2
        inside = np.sqrt((RADIUS_M**2 - miss_m2).clip(0) / (ahead**2).sum(-1))
        depth_m = np.where(is_ball, nearest - inside, -origin[2] / ahead[..., 2])  # elsewhere the rays meet the table
        rgb = np.full((SIZE_PX, SIZE_PX, 3), 150, np.uint8)
        rgb[is_ball] = (200, 40, 40)
        (tip,), _ = CAMERA.project(self.tool[None, :3, 3])
        rgb[np.hypot(columns - tip[0], rows - tip[1]) < 2] = (40, 40, 200)
        return rgb, depth_m.astype(np.float32)

    def front_image(self) -> np.ndarray:
        """Return what the planner draws on."""
        return self.render()[0]

    def observe(self) -> hamster.Observation:
        """Return what the policy gets."""
        rgb, depth_m = self.render()
        views = {"front": hamster.View(rgb, depth_m, CAMERA)}
        return hamster.Observation(views, self.tool_pose_world(), float(self.is_open), time_s=0.0)

    def expert_path(self) -> hamster.Path2D:
        """Return the right path, which only the baselines `oracle` and `shuffled` need."""
        px, _ = CAMERA.project(np.stack([self.tool[:3, 3], self.ball]))
        return hamster.Path2D(px / SIZE_PX, np.array([hamster.Gripper.OPEN, hamster.Gripper.CLOSED]))


@hamster.register_suite("touch_ball")
def touch_ball() -> hamster.Suite:
    """Return the suite that `hamster --import own_suite.py eval --suite touch_ball` evaluates."""
    return hamster.Suite.of_environment(TouchEnv, max_steps=100)


def main() -> None:
    """Evaluate the bundled policy with the right path, and with none."""
    result = hamster.evaluate(["oracle", "none"], "nano", env=TouchEnv, max_steps=100, episodes=3, workers=1)
    for row in result.rows:
        low, high = row.interval
        print(f"{row.condition:>7}: {row.success_rate:.0%} of {row.n_episodes} (95 % interval {low:.0%} to {high:.0%})")
    result.save("outputs/own_suite")
    print("wrote outputs/own_suite")


if __name__ == "__main__":
    main()
