"""Records of a scene, made by a sampler (in-domain or off-domain) and built into a MuJoCo model by `build`.

World frame: z up, table top at z = 0, the robot's base near the origin, facing +x. Metres, radians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hamster.geometry.keypose_motion import down_pose

Shape = Literal["box", "cylinder", "sphere", "capsule", "ellipsoid"]
Vec3 = tuple[float, float, float]
Rgba = tuple[float, float, float, float]


@dataclass(frozen=True)
class Surface:
    """The texture of the table, the floor or a part: a procedural pattern of two colours."""

    pattern: Literal[
        "plain",
        "checker",
        "gradient",
        "stripes",
        "noise",
        "wood",
        "dots",
        "waves",
        "patches",
        "speckle",
        "lattice",
        "plaid",
        "marble",
        "tiles",
        "print",
    ]
    rgb1: Vec3
    rgb2: Vec3
    seed: int = 0


@dataclass(frozen=True)
class Part:
    """A convex primitive in its object's frame; `size` are MuJoCo's half sizes (radius, half height for cylinders).

    `texture` names a mark (a letter or picture) that is laid on the part; `rgba` tints it. `print` is a pattern all
    over it instead of a plain colour.
    """

    shape: Shape
    size: Vec3
    pos: Vec3 = (0.0, 0.0, 0.0)
    rgba: Rgba = (0.5, 0.5, 0.5, 1.0)
    euler: Vec3 = (0.0, 0.0, 0.0)
    texture: str | None = None
    density: float = 400.0
    print: Surface | None = None


@dataclass(frozen=True)
class Thing:
    """An object on the table.

    Attributes:
        name: unique in its scene, "thing0" ….
        kind: its canonical noun ("cube", "bottle", "plate", "button", "tile" …).
        colour: its canonical colour word.
        mark: the letter or picture that it carries ("A", "star"), if any.
        size: full width (x), depth (y), height (z) of its bounding box at yaw 0.
        parts: primitives, in a frame whose origin is the centre of the object's foot on the table.
        xy: position of its foot on the table, metres.
        yaw: about world z, rad.
        movable: has a free joint; False for plates, tiles, button housings that are screwed to the table.
        graspable: the gripper can take it from above, across its y axis (at yaw) at height `grasp_height`.
        receives: something can be put on or into it; `rest_height` is height of the bottom of what is put there.
        topples: a push near its top tips it over.
        button: it has a cap on a sliding joint that can be pressed.
    """

    name: str
    kind: str
    colour: str
    size: Vec3
    parts: tuple[Part, ...]
    xy: tuple[float, float] = (0.0, 0.0)
    yaw: float = 0.0
    mark: str | None = None
    movable: bool = True
    graspable: bool = False
    grasp_height: float = 0.0
    receives: bool = False
    rest_height: float = 0.0
    topples: bool = False
    button: bool = False


@dataclass(frozen=True)
class Light:
    """A directional light; colours in [0, 1]. Where no light casts shadows, none are computed."""

    direction: Vec3
    diffuse: Vec3 = (0.6, 0.6, 0.6)
    ambient: Vec3 = (0.35, 0.35, 0.35)
    casts_shadow: bool = False


@dataclass(frozen=True)
class CameraSpec:
    """A fixed camera that looks from `eye` at `target`; `mount` = "tool" fixes it to the hand instead."""

    eye: Vec3
    target: Vec3
    fovy_deg: float = 45.0
    mount: Literal["world", "tool"] = "world"


@dataclass(frozen=True)
class Dynamics:
    """Scales on the nominal physics."""

    friction: float = 1.0
    mass: float = 1.0


@dataclass(frozen=True)
class Scene:
    """All that `build` needs. `arm` names one of `sim.arms.ARMS`; `start_tool` is the initial x, y, z, yaw of its tip.

    `scenery` is background in the world's frame: visible, never in an instruction, without contacts.
    """

    arm: str
    things: tuple[Thing, ...]
    cameras: dict[str, CameraSpec]
    table: Surface
    floor: Surface
    lights: tuple[Light, ...]
    start_tool: tuple[float, float, float, float]
    table_half_size: tuple[float, float] = (0.6, 0.7)
    dynamics: Dynamics = field(default_factory=Dynamics)
    arm_look: int = 0
    scenery: tuple[Part, ...] = ()

    def __hash__(self) -> int:
        return hash((self.arm, self.start_tool, len(self.things)))

    def thing(self, name: str) -> Thing:
        """Return the thing of that name; KeyError lists the names."""
        for thing in self.things:
            if thing.name == name:
                return thing
        raise KeyError(f"no thing {name!r}; there are {[t.name for t in self.things]}")


@dataclass(frozen=True)
class Keypose:
    """A tool pose to reach, and the gripper command to give there once it is reached.

    Attributes:
        position: of the tool's tip, world.
        yaw: about world z, of a tool that points straight down: the direction in which the fingers open.
        gripper_open: commanded at this pose and from then on.
        retreat: the task is done before this pose; a path does not include it.
    """

    position: Vec3
    yaw: float
    gripper_open: bool
    retreat: bool = False


@dataclass(frozen=True)
class Command:
    """A task in a scene, with its instruction.

    Attributes:
        family: "pick_place", "press", "knock", "stack" or "push".
        target: name of the thing that the gripper goes to.
        goal: name of the thing where it ends up, or None.
        instruction: in plain English.
        mentions: (start, end, names of the things that fit the phrase so far) for each word of each noun phrase. The
            last word of a landmark may come twice, first with the landmark, then with what it leads to.
        way: way of reference of `language.phrases.WAYS`, if it was chosen.
    """

    family: str
    target: str
    goal: str | None
    instruction: str
    mentions: tuple[tuple[int, int, tuple[str, ...]], ...] = ()
    way: str = ""


def keypose_pose(keypose: Keypose) -> NDArray[np.float64]:
    """Return tool_pose_world (4, 4) of a keypose."""
    return down_pose(keypose.position, keypose.yaw)
