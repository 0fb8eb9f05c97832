"""From a scene to the tensors that the network reads: an image, and a sentence of words and bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from hamster.geometry import Camera, inverse
from hamster.nano import tokens
from hamster.policy.actor import Tensors, as_float
from hamster.policy.monolithic.bins import BINS, DIMENSIONS, Bins
from hamster.policy.scene import Body, Scene

FELT = DIMENSIONS + 4 + 1  # pose and opening; from where it came, and the command then; the command now
SLOTS = FELT + 1 + DIMENSIONS  # and a mark, and the action
POSE, GOAL = 0, DIMENSIONS  # first dimension of either kind
NOTHING = 2 * DIMENSIONS * BINS  # the token of what is not known


@dataclass(frozen=True, eq=False)
class Inputs(Tensors):
    """One sample, or a batch with a leading dimension.

    Attributes:
        pixels: (192, 192, 3) uint8.
        sentence: (T,) tokens of the instruction, what the robot feels, a mark, and room for the action.
        words: () how many of them are the instruction's.
        tool_position: (3,) in the world. tool_rotation: (3, 3) world from tool.
        uvw_from_world: (3, 4) projects onto the image, uv in [0, 1]; NaN of a camera that is not calibrated. For
            training only.
    """

    pixels: Tensor
    sentence: Tensor
    words: Tensor
    tool_position: Tensor
    tool_rotation: Tensor
    uvw_from_world: Tensor


def make_inputs(scene: Scene, camera: str, tokenizer: Tokenizer, poses: Bins, goals: Bins, room: int) -> Inputs:
    """Assembles a sample; ValueError if nobody gave an instruction, or a very long one."""
    words = tokenizer.encode(scene.instruction, add_special_tokens=False).ids
    if not 1 <= len(words) <= room - SLOTS:
        what = "an instruction" if not words else f"a shorter instruction, of at most {room - SLOTS} tokens"
        raise ValueError(f"the monolithic policy needs {what}: words are all that it is told")
    felt = tokenizer.get_vocab_size() + body_tokens(scene.body, poses, goals)
    sentence = torch.full((room,), tokens.PAD)
    sentence[: len(words) + FELT + 1] = torch.tensor([*words, *felt.tolist(), tokens.ANS])
    side = tokens.PIXELS
    image = Image.fromarray(scene.views[camera].rgb).resize((side, side), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    tool = as_float(scene.body.tool_pose_world)
    camera_sees = _uvw_from_world(scene.views[camera].camera)
    return Inputs(pixels, sentence, torch.tensor(len(words)), tool[:3, 3], tool[:3, :3], camera_sees)


def _uvw_from_world(camera: Camera | None) -> Tensor:
    if camera is None:
        return torch.full((3, 4), torch.nan)
    unit = camera.resized(1, 1)
    return as_float(unit.intrinsics @ inverse(unit.world_from_camera)[:3])


def body_tokens(body: Body, poses: Bins, goals: Bins) -> Tensor:
    """(FELT,) the pose and opening now; where it was, and the command then; the command in force."""
    pose = as_float(body.tool_pose_world)
    now = poses.of(poses.values(pose[:3, 3], pose[:3, :3], torch.tensor(body.opening)))
    came = torch.full((4,), NOTHING)
    if body.previous_position is not None:
        before = as_float(body.previous_position)
        told = goals.of(goals.values(before, torch.eye(3), torch.tensor(float(body.was_open))))
        came = as_tokens(told, GOAL)[[0, 1, 2, 6]]
    command = goals.of(torch.full((DIMENSIONS,), float(body.is_open)))
    return torch.cat([as_tokens(now, POSE), came, as_tokens(command, GOAL)[-1:]])


def as_tokens(bins: Tensor, first: int) -> Tensor:
    """Bins (..., 7) -> tokens (..., 7): each dimension, from `first` on, has 256 of its own."""
    return bins + BINS * torch.arange(first, first + DIMENSIONS, device=bins.device)
