"""The loop on a robot: observe, plan, act, check, execute. Here the simulator stands in for the robot.

`hamster.rollout` is this loop with a record of everything. Write it yourself where your robot's driver wants to be in
charge. Three things must not be left out: the safety filter before every motion, an end where the planner refuses, and a
limit on time.
"""

import sys

import hamster
from hamster.evaluate.suites import find_suite
from hamster.rollout.executor import Executor

MAX_STEPS = 200


def main(family: str = "pick_place", seed: int = 7) -> None:
    """Run one episode, with the planner asked once."""
    planner, policy = hamster.load_planner("nano"), hamster.load_policy("nano")
    robot = find_suite("tabletop").make(family, seed)  # anything with the six members of `hamster.Environment`
    executor = Executor(robot, robot.observe())  # straight motions between keyposes, at the control rate
    safety_filter = hamster.SafetyFilter()  # limits of the workspace, of speed and of the gripper: set your robot's

    print(f"instruction: {robot.instruction}")
    try:
        plan = planner.plan(robot.front_image(), robot.instruction)
    except hamster.PlanError as refusal:
        print(f"no path, so no motion: {refusal}")
        return
    print(f"path with {len(plan.path)} waypoints, score {plan.path.score:.2f}")

    policy.reset()
    n_steps = 0
    while n_steps < MAX_STEPS:
        action = policy.act(robot.observe(), plan.path, robot.instruction)
        try:
            poses, opening = safety_filter.check(
                action.poses, action.gripper_open, action.step_s, executor.commanded_tool_pose_world
            )
        except hamster.UnsafeActionError as reason:
            print(f"the safety filter refuses the action, the robot stays where it is: {reason}")
            return
        for pose, is_open in zip(poses, opening > 0.5, strict=True):
            print(f"  move to {pose[:3, 3].round(3)}, gripper {'open' if is_open else 'closed'}")
            for is_done in executor.move(pose, bool(is_open), action.step_s):
                n_steps += 1
                if is_done:
                    print(f"done after {n_steps} control steps of {robot.dt_s} s")
                    return
    print(f"not done within {MAX_STEPS} control steps")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(seed) for seed in sys.argv[2:3]))
