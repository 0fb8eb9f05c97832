"""Writes demonstrations as LIBERO and robomimic do, of a scene whose projection is worked out here by hand.

A ball of 2 cm is at the tip of a hand that goes from right to left and points down. One camera stands in front of it,
one is on the hand. MuJoCo's cameras look along -z, with x to the right and y up.
"""

import json

import h5py
import numpy as np

SIZE = 64
STEPS = 8
FOVY = 50
TIP_IN_HAND = 0.1
# Stands 1 m in front (x) and 0.6 m up, looks back along -x and down by 30 degrees: right is +y.
EYE = np.array([1.0, 0.0, 0.6])
RIGHT, UP, BACK = np.array([0, 1.0, 0]), np.array([-0.5, 0, np.sqrt(0.75)]), np.array([np.sqrt(0.75), 0, 0.5])

MODEL = f"""<mujoco model="base">
  <compiler angle="radian"/>
  <asset><mesh name="m" file="m.stl"/></asset>
  <worldbody>
    <camera name="agentview" pos="{EYE[0]} {EYE[1]} {EYE[2]}" xyaxes="0 1 0 -0.5 0 {np.sqrt(0.75)}" fovy="{FOVY}"/>
    <camera name="birdview" mode="targetbody" target="robot0_base" pos="0 0 2"/>
    <body name="robot0_base" pos="-0.5 0 0">
      <body name="robot0_link1" pos="0 0 0.3">
        <joint name="robot0_joint1" axis="0 0 1"/>
        <body name="robot0_right_hand" pos="0 0 0.107" quat="0.924 0 0 -0.383">
          <camera name="robot0_eye_in_hand" pos="0.05 0 0" quat="0 0.707108 0.707108 0" fovy="75"/>
          <body name="gripper0_right_gripper" quat="0.707107 0 0 -0.707107">
            <body name="gripper0_eef" pos="0 0 {TIP_IN_HAND}"><site name="gripper0_grip_site"/></body>
            <body name="gripper0_leftfinger"><joint type="slide" axis="0 1 0"/></body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>"""


def tips(steps=STEPS):
    return np.linspace([0.0, -0.25, 0.3], [0.15, 0.25, 0.1], steps)


def seen_at(tip):
    """Pixel (u, v) in the upright image of the standing camera."""
    d = tip - EYE
    focal = SIZE / 2 / np.tan(np.radians(FOVY) / 2)
    return np.array([SIZE / 2 + focal * (d @ RIGHT) / -(d @ BACK), SIZE / 2 - focal * (d @ UP) / -(d @ BACK)])


def seen_from_hand():
    """Pixel (u, v) of the tip in the upright image of the camera on the hand, whatever the hand does.

    That camera sits 5 cm along the hand's x axis and is turned by 180 degrees about the axis (1, 1, 0) of the hand:
    its x is the hand's y, its y is the hand's x, and it looks along the hand's z.
    """
    focal = SIZE / 2 / np.tan(np.radians(75) / 2)
    return np.array([SIZE / 2, SIZE / 2 - focal * -0.05 / TIP_IN_HAND])


def picture(px):
    v, u = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    rgb = np.tile([30, 90, 60], (SIZE, SIZE, 1)) + (v[..., None] > SIZE / 2) * 40
    rgb[np.hypot(u - px[0], v - px[1]) < 2.5] = [250, 20, 20]
    return rgb.astype(np.uint8)


def write_libero(file, demos=("demo_0",), steps=STEPS, model=MODEL, attributes=None, convention="opengl"):
    problem = {"problem_name": "libero", "language_instruction": "move the ball"}
    with h5py.File(file, "w") as h5:
        data = h5.create_group("data")
        data.attrs["problem_info"] = json.dumps(problem)
        data.attrs["macros_image_convention"] = convention
        data.attrs["bddl_file_name"] = "libero/KITCHEN_SCENE1_move_the_ball_over.bddl"
        for name, value in (attributes or {}).items():
            if value is None:
                del data.attrs[name]
            else:
                data.attrs[name] = value
        for name in demos:
            demo = data.create_group(name)
            if model:
                demo.attrs["model_file"] = model
            flip = -1 if convention == "opengl" else 1
            obs = demo.create_group("obs")
            obs["agentview_rgb"] = np.stack([picture(seen_at(tip))[::flip] for tip in tips(steps)])
            obs["eye_in_hand_rgb"] = np.stack([picture(seen_from_hand())[::flip]] * steps)
            obs["ee_pos"] = tips(steps)
            obs["ee_ori"] = np.tile([np.pi, 0, 0], (steps, 1))  # the hand's z points down
            fingers = np.linspace(0.04, 0, steps)
            obs["gripper_states"] = np.stack([fingers, -fingers], -1)
            demo["actions"] = np.zeros((steps, 7))
    return file


def write_robomimic(file, steps=STEPS):
    environment = {"env_name": "PickPlaceCan", "env_kwargs": {"control_freq": 20}}
    with h5py.File(file, "w") as h5:
        data = h5.create_group("data")
        data.attrs["env_args"] = json.dumps(environment)
        demo = data.create_group("demo_3")
        demo.attrs["model_file"] = MODEL
        obs = demo.create_group("obs")
        obs["agentview_image"] = np.stack([picture(seen_at(tip)) for tip in tips(steps)])
        obs["robot0_eef_pos"] = tips(steps)
        obs["robot0_eef_quat"] = np.tile([1.0, 0, 0, 0], (steps, 1))  # half a turn about x, the scalar last
        obs["robot0_gripper_qpos"] = np.zeros((steps, 6))
        demo["actions"] = np.tile([0.0, 0, 0, 0, 0, 0, -1], (steps, 1))
    return file
