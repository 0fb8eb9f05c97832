"""Forward and inverse kinematics of a robot arm from its URDF or MJCF file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.kinematics.robot_file import load_mujoco, read_tree
from hamster.geometry.transforms import matrix_from_quaternion, quaternion_from_matrix
from hamster.geometry.transforms import pose as rigid
from hamster.registry import closest

if TYPE_CHECKING:
    import mujoco

Array = NDArray[np.float64]
_TIP = "hamster/tool"  # the name of the site that marks the tool's tip; a file's own names hardly look like that
REACHED_M, REACHED_RAD = 1e-3, 1e-2
ITERATIONS = 60
LEVER_M = 0.1  # by which a rotation error of 1 rad counts like a distance: about the length of a hand
POSITION_FIRST_M = 1e-3  # the lever for arms that cannot reach the orientation: the tip has to be in place


@dataclass(frozen=True)
class Joint:
    """A hinge or slide between the robot's base and its tool.

    Attributes:
        lower, upper: limits, radians (hinge) or metres (slide); infinite where the file states none.
    """

    name: str
    is_slide: bool
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class IkSolution:
    """Joint positions that bring the tool near a target.

    Attributes:
        positions: (n,) radians or metres, within the limits.
        position_error_m, rotation_error_rad: what remains between the tool and the target.
    """

    positions: Array
    position_error_m: float
    rotation_error_rad: float

    @property
    def reached(self) -> bool:
        """True if the tool is within 1 mm and 0.01 rad of the target."""
        return self.position_error_m <= REACHED_M and self.rotation_error_rad <= REACHED_RAD


class Kinematics:
    """Forward and inverse kinematics of one tool of a robot.

    The tool's pose is given in the frame of the model's world, which in a URDF is the root link. Joints that do not lie
    between the base and the tool (fingers, another arm) rest at zero.

    Attributes:
        joints: the n joints from the base to the tool, in that order.
        lower, upper: (n,) their limits, radians or metres; infinite where there is none.

    Example:
        arm = Kinematics("so101.urdf", tool="gripper_frame_link")
        world_from_tool = arm.forward(np.zeros(5))
        solution = arm.inverse(world_from_tool)
    """

    def __init__(self, file: Path | str, tool: str = "", body_from_tool: ArrayLike | None = None) -> None:
        """Read a robot's file.

        Args:
            file: URDF or MJCF. Meshes are not read and may be missing.
            tool: name of the body, link or site that the tool's tip is fixed to.
            body_from_tool: (4, 4) or offset (3,), metres, from that body or site to the tip.

        Raises:
            ValueError: in one line, if the file is damaged, has no such body, or its tool does not move.
            NotInstalledError: without MuJoCo (extra `sim`).
        """
        mujoco = load_mujoco()
        self.file = Path(file)
        self.tool = tool
        spec = read_tree(self.file)
        _add_tip(spec, tool, _offset(body_from_tool), self.file.name)
        model = _compiled(spec, self.file.name)
        self.joints = _chain(model, self.file.name, tool)
        self._mujoco, self._model, self._data = mujoco, model, mujoco.MjData(model)
        self._site = int(model.site(_TIP).id)
        entries = [model.joint(joint.name) for joint in self.joints]
        self._qpos = np.array([int(entry.qposadr[0]) for entry in entries])
        self._dofs = np.array([int(entry.dofadr[0]) for entry in entries])
        self.lower = np.array([joint.lower for joint in self.joints])
        self.upper = np.array([joint.upper for joint in self.joints])
        limited = [(j.lower, j.upper) if np.isfinite(j.upper - j.lower) else (0.0, 0.0) for j in self.joints]
        self._middle = np.mean(limited, axis=1)

    @staticmethod
    def frames_of(file: Path | str) -> tuple[str, ...]:
        """Return the names of the bodies, links and sites in a file, to which a tool may be fixed."""
        return tuple(_frames(read_tree(Path(file))))

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The n joints from the base to the tool, in that order."""
        return tuple(joint.name for joint in self.joints)

    def sha256(self) -> str:
        """Return the digest of the file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def forward(self, positions: ArrayLike) -> Array:
        """Return tool poses world_from_tool (..., 4, 4) at joint positions (..., n), NaN where these are not finite.

        Raises:
            ValueError: if there are not n positions.
        """
        q = np.asarray(positions, np.float64)
        if q.ndim == 0 or q.shape[-1] != len(self.joints):
            names = ", ".join(self.joint_names)
            raise ValueError(f"need the positions of {len(self.joints)} joints ({names}), got shape {q.shape}")
        rows = q.reshape(-1, q.shape[-1])
        out = np.full((len(rows), 4, 4), np.nan)
        for i in np.flatnonzero(np.isfinite(rows).all(1)):
            self._move_to(rows[i])
            out[i] = rigid(self._data.site_xpos[self._site], self._data.site_xmat[self._site].reshape(3, 3))
        return out.reshape(*q.shape[:-1], 4, 4)

    def inverse(
        self, world_from_tool: ArrayLike, start: ArrayLike | None = None, restarts: int = 24, seed: int = 0
    ) -> IkSolution:
        """Return the joint positions within limits whose tool is nearest to a target, position first.

        Damped least squares from `start`; where that ends in front of a limit, from random positions, too.

        Args:
            world_from_tool: target (4, 4).
            start: (n,) positions, those of the robot now for a short way; the middle of the limits if None.
            restarts: random starts, at most.
            seed: of these.

        Raises:
            ValueError: if the target is no finite (4, 4), or `start` has not n finite positions.
        """
        target = np.asarray(world_from_tool, np.float64)
        first = self._middle if start is None else np.asarray(start, np.float64)
        if target.shape != (4, 4) or not np.isfinite(target).all():
            raise ValueError(f"a target is a finite (4, 4) pose, got shape {target.shape}")
        if first.shape != self._middle.shape or not np.isfinite(first).all():
            raise ValueError(f"start needs {len(self.joints)} finite joint positions, got shape {first.shape}")
        rng = np.random.default_rng(seed)
        low, high = np.maximum(self.lower, -np.pi), np.minimum(self.upper, np.pi)
        goal = _Target(target, quaternion_from_matrix(target[:3, :3]))
        best = self._solution(goal, np.clip(first, self.lower, self.upper))
        for _ in range(restarts):
            if best.reached:
                break
            other = self._solution(goal, rng.uniform(low, high))
            if _rank(other) < _rank(best):
                best = other
        return best

    def _solution(self, target: _Target, start: Array) -> IkSolution:
        q = self._minimise(target, start, LEVER_M)
        shift, turn = np.split(self._residual(q, target, 1.0), 2)
        if np.linalg.norm(shift) > REACHED_M or np.linalg.norm(turn) > REACHED_RAD:
            q = self._minimise(target, q, POSITION_FIRST_M)
            shift, turn = np.split(self._residual(q, target, 1.0), 2)
        return IkSolution(q, float(np.linalg.norm(shift)), float(np.linalg.norm(turn)))

    def _minimise(self, target: _Target, start: Array, lever_m: float) -> Array:
        from mujoco import minimize  # which importing MuJoCo leaves out

        def residual(columns: Array) -> Array:
            return np.stack([self._residual(q, target, lever_m) for q in columns.T], -1)

        def jacobian(q: Array, r: Array) -> Array:
            del r
            return self._jacobian(q.ravel(), target, lever_m)

        bounds = [np.maximum(self.lower, -1e6), np.minimum(self.upper, 1e6)]
        q, _ = minimize.least_squares(
            start, residual, bounds, jacobian, max_iter=ITERATIONS, verbose=minimize.Verbosity.SILENT
        )
        return np.asarray(q, np.float64).ravel()

    def _move_to(self, q: Array) -> None:
        self._data.qpos[self._qpos] = q
        self._mujoco.mj_kinematics(self._model, self._data)

    def _residual(self, q: Array, target: _Target, lever_m: float) -> Array:
        """Return (6,): the way from the target to the tool, metres, and the rotation vector, times a lever."""
        self._move_to(q)
        turn = np.zeros(3)
        self._mujoco.mju_subQuat(turn, target.quaternion, self._quaternion())
        return np.concatenate([self._data.site_xpos[self._site] - target.pose[:3, 3], lever_m * turn])

    def _jacobian(self, q: Array, target: _Target, lever_m: float) -> Array:
        """Return the derivative (6, n) of the residual."""
        self._move_to(q)
        self._mujoco.mj_comPos(self._model, self._data)
        move, spin = np.zeros((2, 3, self._model.nv))
        self._mujoco.mj_jacSite(self._model, self._data, move, spin, self._site)
        by_tool = np.zeros((3, 3))
        self._mujoco.mjd_subQuat(target.quaternion, self._quaternion(), None, by_tool)
        turn = lever_m * by_tool.T @ target.pose[:3, :3].T @ spin[:, self._dofs]
        return np.concatenate([move[:, self._dofs], turn])

    def _quaternion(self) -> Array:
        out = np.zeros(4)
        self._mujoco.mju_mat2Quat(out, self._data.site_xmat[self._site])
        return out


@dataclass(frozen=True, eq=False)
class _Target:
    """A pose (4, 4) and its quaternion."""

    pose: Array
    quaternion: Array


def _rank(solution: IkSolution) -> tuple[float, float]:
    """Return a key by which better solutions come first: distances below the tolerance count alike."""
    return max(solution.position_error_m, REACHED_M), solution.rotation_error_rad


def _offset(body_from_tool: ArrayLike | None) -> Array:
    out = np.eye(4)
    if body_from_tool is None:
        return out
    given = np.asarray(body_from_tool, np.float64)
    if given.shape == (3,):
        out[:3, 3] = given
    elif given.shape == (4, 4):
        out = given
    if given.shape not in ((3,), (4, 4)) or not np.isfinite(out).all():
        raise ValueError(f"body_from_tool is a finite offset (3,) or pose (4, 4), got shape {given.shape}")
    if not np.allclose(out[:3, :3] @ out[:3, :3].T, np.eye(3), atol=1e-3):
        raise ValueError("body_from_tool must be rigid: a rotation without scale or reflection")
    return out


def _frames(spec: mujoco.MjSpec) -> dict[str, Any]:
    """Return bodies and sites by name; where both have one, the body counts."""
    return {frame.name: frame for frame in (*spec.sites, *spec.bodies) if frame.name}


def _add_tip(spec: mujoco.MjSpec, tool: str, body_from_tool: Array, file: str) -> None:
    """Add the site of the tool's tip to a body, or to the body of a site, by name."""
    frames = _frames(spec)
    if tool not in frames:
        near = closest(tool, list(frames)) if tool else None
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(reversed(frames))}"
        raise ValueError(f"{file}: no body or site {tool!r} for the tool's tip; {hint:.300}")
    body, pose = frames[tool], body_from_tool
    if isinstance(body, load_mujoco().MjsSite):
        site = _compiled(spec, file).site(tool)  # whichever way its pose is written, and with its defaults
        body, pose = body.parent, rigid(site.pos, matrix_from_quaternion(site.quat)) @ body_from_tool
    body.add_site(name=_TIP, pos=pose[:3, 3].tolist(), quat=quaternion_from_matrix(pose[:3, :3]).tolist())


def _compiled(spec: mujoco.MjSpec, file: str) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as error:
        raise ValueError(f"{file}: {' '.join(str(error).split())[:300]}") from None


def _chain(model: mujoco.MjModel, file: str, tool: str) -> tuple[Joint, ...]:
    """Return the joints from the base to the tool."""
    joint_types = load_mujoco().mjtJoint
    body, joints = int(model.site(_TIP).bodyid[0]), list[Joint]()
    while body:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        for i in reversed(range(first, first + count)):
            kind = int(model.jnt_type[i])
            if kind == joint_types.mjJNT_FREE:
                continue  # a base that is placed, not driven
            if kind == joint_types.mjJNT_BALL:
                raise ValueError(f"{file}: a ball joint lies before {tool!r}; only hinges and slides are read")
            if not model.joint(i).name:
                raise ValueError(f"{file}: a joint before {tool!r} has no name")
            low, high = model.jnt_range[i].tolist() if model.jnt_limited[i] else (-np.inf, np.inf)
            joints.append(Joint(model.joint(i).name, kind == joint_types.mjJNT_SLIDE, low, high))
        body = int(model.body_parentid[body])
    if not joints:
        raise ValueError(f"{file}: no joint lies between the base and {tool!r}, which cannot move")
    return tuple(reversed(joints))
