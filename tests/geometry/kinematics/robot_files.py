"""Small robots, as URDF and as MJCF."""

import numpy as np

A, B = 0.3, 0.2  # lengths of the planar arm's links, metres

TWO_LINKS = f"""<robot name="planar">
  <link name="base"><visual><geometry><mesh filename="package://nowhere/base.stl"/></geometry></visual></link>
  <link name="upper"/><link name="fore"/><link name="tip"/>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
    <limit lower="-2.5" upper="2.5" effort="1" velocity="1"/></joint>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="fore"/><origin xyz="{A} 0 0"/>
    <axis xyz="0 0 1"/><limit lower="0.1" upper="2.6" effort="1" velocity="1"/></joint>
  <joint name="end" type="fixed"><parent link="fore"/><child link="tip"/><origin xyz="{B} 0 0"/></joint>
</robot>"""

# Six hinges of which MJCF says some by defaults, in degrees, with a site that is turned, and a finger beside the chain.
SIX_JOINTS = """<mujoco>
  <compiler angle="degree" meshdir="none"/>
  <default><joint axis="0 1 0" range="-120 120"/><default class="roll"><joint axis="0 0 1" range="-170 170"/></default>
    <geom type="mesh" mesh="lost"/></default>
  <asset><mesh name="lost" file="lost.stl"/></asset>
  <worldbody><light pos="0 0 2"/><geom name="floor" type="plane" size="1 1 1"/>
    <body name="base" pos="0.1 0 0.05" euler="0 0 90"><geom mesh="lost"/>
      <body name="b1" pos="0 0 0.2"><joint name="j1" class="roll"/>
        <body name="b2"><joint name="j2"/>
          <body name="b3" pos="0 0 0.35"><joint name="j3"/>
            <body name="b4" pos="0 0 0.1"><joint name="j4" class="roll"/>
              <body name="b5" pos="0 0 0.25"><joint name="j5"/>
                <body name="b6" pos="0 0 0.05"><joint name="j6" class="roll"/>
                  <site name="tip" pos="0 0.02 0.1" euler="0 30 0"/>
                  <body name="finger"><joint name="slide" type="slide" range="0 0.04"/></body>
                </body></body></body></body></body></body></body>
  </worldbody>
  <actuator><position joint="j1"/></actuator>
</mujoco>"""


def write(folder, text=SIX_JOINTS, name="robot.xml"):
    file = folder / name
    file.write_text(text)
    return file


def planar_tip(q):
    """Return the position (2,) of the planar arm's tip in closed form."""
    return np.array([A * np.cos(q[0]) + B * np.cos(q[0] + q[1]), A * np.sin(q[0]) + B * np.sin(q[0] + q[1])])
