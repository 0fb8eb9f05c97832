"""From a policy input to the tensors that the network reads: an image, and a sequence of word and bin tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hamster.geometry import Camera, inverse
from hamster.nano import tokens
from hamster.nano.processing import scaled_image
from hamster.policy.monolithic.bins import BINS, DIMENSIONS, Bins
from hamster.policy.policy_input import PolicyInput, RobotState, TensorBatch, as_float

STATE_TOKENS = DIMENSIONS + 4 + 1  # pose and opening; the previous position, and the command then; the command now
ACTION_SLOTS = STATE_TOKENS + 1 + DIMENSIONS  # and a separator, and the action
POSE, GOAL = 0, DIMENSIONS  # first dimension of either kind of bins
UNKNOWN = 2 * DIMENSIONS * BINS  # the token of what is not known


@dataclass(frozen=True, eq=False)
class PathSample(TensorBatch):
    """An image and an instruction with its path as the planner's answer: a sample of the co-training task.

    Attributes:
        pixels: (192, 192, 3) uint8.
        sequence: (T,) tokens of instruction and answer.
        labels: (T,) the answer's tokens at their own places, -100 elsewhere.
    """

    pixels: Tensor
    sequence: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class MonolithicInputs(TensorBatch):
    """One sample, or a batch with a leading dimension.

    Attributes:
        pixels: (192, 192, 3) uint8.
        sequence: (T,) tokens of the instruction, the robot's state, a separator, and room for the action.
        n_words: () how many of them are the instruction's.
        tool_position: (3,) in the world.
        tool_rotation: (3, 3) world from tool.
        uvw_from_world: (3, 4) projects onto the image, uv in [0, 1]; NaN for a camera that is not calibrated. For
            training only.
        path: another image, whose path is to be drawn; for co-training only.
    """

    pixels: Tensor
    sequence: Tensor
    n_words: Tensor
    tool_position: Tensor
    tool_rotation: Tensor
    uvw_from_world: Tensor
    path: PathSample | None = None


def make_inputs(
    policy_input: PolicyInput, camera: str, tokenizer: Tokenizer, poses: Bins, goals: Bins, length: int
) -> MonolithicInputs:
    """Return a sample.

    Args:
        policy_input: its path is ignored.
        camera: name of the view.
        tokenizer: of the instruction.
        poses: bins of the robot's state.
        goals: bins of actions.
        length: T of the sequence.

    Raises:
        ValueError: if there is no instruction, or it is too long.
    """
    words = tokenizer.encode(policy_input.instruction, add_special_tokens=False).ids
    if not 1 <= len(words) <= length - ACTION_SLOTS:
        at_most = length - ACTION_SLOTS
        needed = "an instruction" if not words else f"a shorter instruction, of at most {at_most} tokens"
        raise ValueError(f"the monolithic policy needs {needed}: words are its only input about the task")
    state = tokenizer.get_vocab_size() + state_tokens(policy_input.robot, poses, goals)
    sequence = torch.full((length,), tokens.PAD)
    sequence[: len(words) + STATE_TOKENS + 1] = torch.tensor([*words, *state.tolist(), tokens.ANS])
    view = policy_input.views[camera]
    tool = as_float(policy_input.robot.tool_pose_world)
    return MonolithicInputs(
        pixels=torch.from_numpy(scaled_image(view.rgb)),
        sequence=sequence,
        n_words=torch.tensor(len(words)),
        tool_position=tool[:3, 3],
        tool_rotation=tool[:3, :3],
        uvw_from_world=_uvw_from_world(view.camera),
    )


def state_tokens(robot: RobotState, poses: Bins, goals: Bins) -> Tensor:
    """Return the robot's state as bins (STATE_TOKENS,).

    They are pose and opening now; the position at the previous call, and the command then; the command in force.

    Args:
        robot: its state.
        poses: bins of the first part.
        goals: bins of the rest.
    """
    pose = as_float(robot.tool_pose_world)
    now = poses.encode(poses.values(pose[:3, 3], pose[:3, :3], torch.tensor(robot.opening)))
    previous = torch.full((4,), UNKNOWN)
    if robot.previous is not None:
        position = as_float(robot.previous.tool_pose_world[:3, 3])
        values = goals.values(position, torch.eye(3), torch.tensor(float(robot.previous.is_open)))
        previous = as_tokens(goals.encode(values), GOAL)[[0, 1, 2, 6]]
    command = goals.encode(torch.full((DIMENSIONS,), float(robot.is_open)))
    return torch.cat([as_tokens(now, POSE), previous, as_tokens(command, GOAL)[-1:]])


def as_tokens(bins: Tensor, first: int) -> Tensor:
    """Return the tokens (..., 7) of bins (..., 7): each dimension, from `first` on, has 256 of its own."""
    return bins + BINS * torch.arange(first, first + DIMENSIONS, device=bins.device)


def _uvw_from_world(camera: Camera | None) -> Tensor:
    if camera is None:
        return torch.full((3, 4), torch.nan)
    unit = camera.resized(1, 1)
    return as_float(unit.intrinsics @ inverse(unit.world_from_camera)[:3])
