"""The conditioner `latent`: a planner's last states in place of its path.

It answers whether the path helps, or what the planner knows: the same policy gets the same planner's knowledge, but by
another interface. Each word comes with the point in 3D that the planner's pointer is at, as a path's waypoints do; and
the two places that words point at most sharply get a fovea, as a path's key waypoints do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.geometry import Camera
from hamster.nano.tokens import GRID
from hamster.policy.flow.config import PATCH_PX, FlowConfig
from hamster.policy.flow.pixels import crop_pixels
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.path_prompt import PathPoints, surface_depth
from hamster.policy.policy_input import PointBatch, PolicyInput, TensorBatch, as_float, calibrated

Array = NDArray[np.float64]
MAX_TOKENS = 32  # of an instruction
N_PEAKS = 2  # what is taken, and where it goes
APART_PATCHES = 2  # a second peak is farther from the first, in rows or columns


@dataclass(frozen=True, eq=False)
class Latent:
    """What a planner makes of an image and an instruction, lifted into 3D.

    Attributes:
        words: MAX_TOKENS points: what each token of the instruction points at; features are its last state (D) and
            the probability of that patch.
        peaks: N_PEAKS points: where tokens point most sharply; features are those of the token.
        patches: (256, D) last states of the image's patches.
    """

    words: PathPoints
    peaks: PathPoints
    patches: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LatentInputs(TensorBatch):
    """A planner's last states, see `Latent`.

    Attributes:
        words: the instruction's tokens, each where it points, with its last state.
        peaks: where the planner's pointer is, with the state of the token that points there.
        patches: (256, D) last states of the image's patches.
        crop_patch: (G, T) int64, the patch that each token of a crop lies in.
    """

    words: PointBatch
    peaks: PointBatch
    patches: Tensor
    crop_patch: Tensor

    @classmethod
    def of(cls, latent: Latent, camera: Camera, tool: Array, config: FlowConfig) -> LatentInputs:
        """Return them relative to a tool at (3,) in the world."""
        pixels = crop_pixels(camera, np.concatenate([tool[None], latent.peaks.positions_world]), config)
        middle = slice(PATCH_PX // 2, None, PATCH_PX)
        rows, columns = pixels.rows[:, middle], pixels.columns[:, :, middle]
        return cls(
            words=PointBatch.of(latent.words, tool),
            peaks=PointBatch.of(latent.peaks, tool),
            patches=as_float(latent.patches),
            crop_patch=torch.from_numpy(patch_of_px(rows, columns, camera)).flatten(1),
        )


def read_planner(planner: FrozenPlanner, policy_input: PolicyInput, camera_name: str) -> Latent:
    """Return what a planner makes of a camera's image and the instruction.

    Raises:
        ValueError: if there is no instruction, or the view has no depth or calibration.
    """
    view = policy_input.views[camera_name]
    depth_m, camera = calibrated(view, camera_name)
    rgb = view.rgb if policy_input.unaugmented_rgb is None else policy_input.unaugmented_rgb
    states = planner.states(rgb, policy_input.instruction, MAX_TOKENS)
    uv, sharpness = pointed_uv(states.pointers)
    features = np.concatenate([states.words, sharpness[:, None]], -1).astype(np.float64)
    positions = camera.unproject(uv * camera.size_px, surface_depth(uv, depth_m))
    peaks, n_words = peak_tokens(states.pointers), len(uv)
    return Latent(
        words=PathPoints(_padded(positions), _padded(features), np.arange(MAX_TOKENS) < n_words),
        peaks=PathPoints(positions[peaks], features[peaks], np.ones(N_PEAKS, bool)),
        patches=states.patches,
    )


def pointed_uv(pointers: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return where tokens point, finer than a patch, and how sharply.

    Args:
        pointers: (N, 256) probabilities of the patches, row by row.

    Returns:
        uv (N, 2): the mean over the most likely patch and its neighbours; and the probability (N,) of that patch.
    """
    best = pointers.argmax(-1)
    near = _apart(best) <= 1
    weights = pointers * near
    centres = (np.stack([np.arange(GRID**2) % GRID, np.arange(GRID**2) // GRID], -1) + 0.5) / GRID
    uv = weights @ centres / weights.sum(-1, keepdims=True)
    return uv.astype(np.float64), pointers.max(-1).astype(np.float64)


def peak_tokens(pointers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the tokens (N_PEAKS,) that point most sharply, each at another place; the first again if there is none.

    Args:
        pointers: (N, 256) probabilities of the patches.
    """
    best, sharpness = pointers.argmax(-1), pointers.max(-1)
    peaks = [int(sharpness.argmax())]
    while len(peaks) < N_PEAKS:
        taken = (_apart(best)[:, best[peaks]] <= APART_PATCHES).any(-1)
        peaks.append(peaks[0] if taken.all() else int(np.where(taken, -1.0, sharpness).argmax()))
    return np.array(peaks)


def patch_of_px(rows: NDArray[np.int64], columns: NDArray[np.int64], camera: Camera) -> NDArray[np.int64]:
    """Return the patch, of 256 row by row, that pixels in rows and columns (broadcast) lie in."""
    return (rows * GRID // camera.height) * GRID + columns * GRID // camera.width


def _apart(patch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distance (N, 256), in rows or columns, from patches (N,) to all patches."""
    every = np.arange(GRID**2)
    row = np.abs(patch[:, None] // GRID - every // GRID)
    return np.asarray(np.maximum(row, np.abs(patch[:, None] % GRID - every % GRID)))


def _padded(x: Array) -> Array:
    return np.pad(x, ((0, MAX_TOKENS - len(x)), (0, 0)))
