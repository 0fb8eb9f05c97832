"""Training batches: several instructions per image, a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.nano import tokens
from hamster.nano.height import is_bin
from hamster.planner.nano_training import augment
from hamster.planner.nano_training.augment import Augmentation
from hamster.planner.nano_training.corpus import MOST_OBJECTS, Corpus
from hamster.planner.nano_training.facts import Facts

PATCH_PX = tokens.PIXELS // tokens.GRID
NUDGE = 1.0  # bins: largest offset of a point before its patch token is chosen
ABSENT_SHARE = 0.3  # of an image's instructions that name something absent, where there are any
SHORT = 0.85  # share of instructions that count as short, and of batches that hold only short ones


@dataclass(frozen=True, eq=False)
class Batch:
    """The data of one step: B images with K instructions each and at most O objects.

    Attributes:
        pixel_values: (B, 3, 192, 192) in [-1, 1].
        ids: (B, K, T) instruction and answer.
        labels: (B, K, T) the answer's tokens at their own positions, -100 elsewhere.
        height_m: (B, K, T) height of the waypoints in metres at their bin tokens, NaN elsewhere and where unknown.
        coverage: (B, O, 256) share of each patch that each object covers.
        object_words: (B, O, 2) tokens of each object's colour and kind, 0 where unknown.
        roles: (B, K, 2) indices of the target object and the goal object, -1 where there is none.
        mention: (M,) indices into B * K * T of the tokens that mention objects.
        means: (M, 256) distribution over patches of what each of these tokens mentions.
        landmark: (L,) indices into B * K * T of the last words of landmark phrases.
        landmark_means: (L, 256) distribution over patches of the landmark itself.
        facts: texts without images.
    """

    pixel_values: Tensor
    ids: Tensor
    labels: Tensor
    height_m: Tensor
    coverage: Tensor
    object_words: Tensor
    roles: Tensor
    mention: Tensor
    means: Tensor
    landmark: Tensor
    landmark_means: Tensor
    facts: Facts | None = None


def sample(
    corpus: Corpus, shares: Sequence[Share], step: int, batch: int, per_image: int, seed: int,
    augmentation: Augmentation, device: str, rank: int = 0, processes: int = 1,
) -> Batch:  # fmt: skip
    """Draw the batch of a step; it depends on the seed, the step and the rank only.

    Args:
        corpus: all images and annotations.
        shares: the images of each label set, with weights.
        step: number of the training step.
        batch: number of images, of all processes together.
        per_image: number of instructions per image.
        seed: of the training.
        augmentation: strengths of the image augmentations.
        device: of the tensors.
        rank: index of this process.
        processes: number of processes.
    """
    rng = np.random.default_rng([seed, step, rank])
    index = _order(shares, step, batch, seed)[rank::processes]
    flip = rng.random(len(index)) < augmentation.flip
    # A batch is padded to its longest instruction, so short and long instructions come in separate batches. Short
    # batches are as frequent as short instructions, so that every instruction is drawn equally often.
    limit = np.quantile(corpus.length, SHORT)
    in_length_class = corpus.length <= limit if rng.random() < SHORT else corpus.length > limit
    chosen = [_choose(corpus, int(i), per_image, in_length_class, rng) for i in index]
    flip = np.array([f and corpus.mirrors[c].all() for f, c in zip(flip, chosen, strict=True)])
    return assemble(corpus, index, np.stack(chosen), flip, augmentation, rng, device)


@dataclass(frozen=True, eq=False)
class Share:
    """Indices (N,) of a label set's images, each drawn `weight` times per epoch; below 1, another part every epoch."""

    images: NDArray[np.int64]
    weight: float = 1.0

    @property
    def per_epoch(self) -> int:
        """Return the number of images per epoch from this set."""
        return max(1, round(self.weight * len(self.images)))


def _order(shares: Sequence[Share], step: int, batch: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of a step's images; every image is drawn as often per epoch as its weight says."""
    total = sum(share.per_epoch for share in shares)
    places = step * batch + np.arange(batch)
    epochs = {int(e): np.random.default_rng([seed, int(e), 1]).permutation(total) for e in set(places // total)}
    return np.array([_image(shares, int(p // total), epochs[int(p // total)][p % total]) for p in places])


def _image(shares: Sequence[Share], epoch: int, place: int) -> int:
    for share in shares:
        if place < share.per_epoch:
            return int(share.images[(epoch * share.per_epoch + place) % len(share.images)])
        place -= share.per_epoch
    raise IndexError(place)


def _choose(
    corpus: Corpus, image: int, per_image: int, in_length_class: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose `per_image` annotations of an image, those with a path first."""
    pool = np.arange(corpus.first[image], corpus.first[image + 1])
    absent, possible = (pool[corpus.count[pool] == 0], pool[corpus.count[pool] > 0])
    n = int(ABSENT_SHARE * per_image + rng.random()) if len(absent) else 0
    counts = ((possible, per_image - n), (absent, n)) if len(possible) else ((absent, per_image),)
    return np.concatenate([_draw(part, n, in_length_class, rng) for part, n in counts if n])


def _draw(
    pool: NDArray[np.int64], n: int, in_length_class: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw n annotations of a pool, of the length class if it has any, with repeats only if there are too few."""
    preferred = pool[in_length_class[pool]]
    pool = preferred if len(preferred) else pool
    return rng.choice(pool, n, replace=len(pool) < n)


def assemble(
    corpus: Corpus,
    index: NDArray[np.int64],
    chosen: NDArray[np.int64],
    flip: NDArray[np.bool_],
    augmentation: Augmentation,
    rng: np.random.Generator,
    device: str,
) -> Batch:
    """Assemble a batch of given images and annotations.

    Args:
        corpus: all images and annotations.
        index: (B,) indices of images.
        chosen: (B, K) indices of their annotations.
        flip: (B,) whether image and instructions are mirrored.
        augmentation: strengths of the image augmentations.
        rng: random generator.
        device: of the tensors.
    """
    uv = corpus.uv[chosen].astype(np.float64)
    real = np.arange(tokens.MAX_WAYPOINTS) < corpus.count[chosen][..., None]
    uv[..., 0] = np.where(flip[:, None, None], 1 - uv[..., 0], uv[..., 0])
    low = np.where(real[..., None], uv, 1).min((1, 2))
    high = np.where(real[..., None], uv, 0).max((1, 2))
    scale, shift = augment.frame(low, high, augmentation, rng)
    uv = ((uv - shift[:, None, None]) / scale[:, None, None]).clip(0, 1)
    pixels, masks = _pixels(corpus, index, flip, scale, shift, uv[:, 0, 0], augmentation, rng, device)
    nudge = rng.uniform(-NUDGE, NUDGE, (chosen.size, tokens.MAX_WAYPOINTS, 2)).astype(np.float32)
    ids, labels = _text(corpus, chosen, flip, uv.astype(np.float32), nudge)
    height_m = _height_m(corpus, chosen, ids)
    coverage = _coverage(masks, _n_objects(corpus, index, chosen))
    mentions = [_mentions(corpus, chosen, ids.shape[-1], coverage, of_landmarks) for of_landmarks in (False, True)]
    object_words = torch.from_numpy(corpus.object_words[index, : coverage.shape[1]]).to(device)
    roles = torch.from_numpy(np.stack([corpus.target[chosen], corpus.goal[chosen]], -1)).to(device)
    ids, labels, height_m = (tensor.to(device) for tensor in (ids, labels, height_m))
    return Batch(pixels, ids, labels, height_m, coverage, object_words, roles, *mentions[0], *mentions[1])


def _pixels(
    corpus: Corpus,
    index: NDArray[np.int64],
    flip: NDArray[np.bool_],
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
    tip: NDArray[np.float64],
    augmentation: Augmentation,
    rng: np.random.Generator,
    device: str,
) -> tuple[Tensor, Tensor]:
    images, masks = corpus.images(index)
    images[flip], masks[flip] = images[flip, :, ::-1].copy(), masks[flip, :, ::-1].copy()
    rgb = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    segmentation = torch.from_numpy(masks).to(device)
    if not ((scale == 1).all() and (shift == 0).all()):
        frames = (torch.from_numpy(a.astype(np.float32)).to(device) for a in (scale, shift))
        rgb, segmentation = augment.cut(rgb, segmentation, *frames)
    if augmentation != augment.NONE:
        rgb = augment.cut_out(augment.colours(rgb, augmentation, rng), segmentation, tip, augmentation, rng)
    return rgb * 2 - 1, segmentation


def _text(
    corpus: Corpus,
    chosen: NDArray[np.int64],
    flip: NDArray[np.bool_],
    uv: NDArray[np.float32],
    nudge: NDArray[np.float32],
) -> tuple[Tensor, Tensor]:
    flat = chosen.ravel()
    instruction_ids = np.where(np.repeat(flip, chosen.shape[1])[:, None], corpus.mirrored[flat], corpus.ids[flat])
    slots, used = tokens.answer_tokens(uv.reshape(-1, *uv.shape[2:]), corpus.event[flat], corpus.count[flat], nudge)
    words = np.concatenate([instruction_ids.astype(np.int64), slots], 1)
    known = np.arange(corpus.ids.shape[1]) < corpus.length[flat][:, None]
    ids, length = tokens.pack(words, np.concatenate([known, used], 1))
    place = np.arange(ids.shape[1])
    labels = np.where((place >= corpus.length[flat][:, None]) & (place < length[:, None]), ids, -100)
    shape = (*chosen.shape, ids.shape[1])
    return torch.from_numpy(ids.reshape(shape)), torch.from_numpy(labels.reshape(shape))


def _height_m(corpus: Corpus, chosen: NDArray[np.int64], ids: Tensor) -> Tensor:
    """Return the waypoints' height (B, K, T) at their bin tokens; a crop of the image does not change it."""
    at_bin = is_bin(ids)
    waypoint = (at_bin.cumsum(-1) - 1).clamp(0, tokens.MAX_WAYPOINTS - 1)
    return torch.from_numpy(corpus.height_m[chosen]).gather(-1, waypoint).masked_fill(~at_bin, torch.nan)


def _n_objects(corpus: Corpus, index: NDArray[np.int64], chosen: NDArray[np.int64]) -> int:
    """Return how many objects are described, mentioned or to be dealt with, also those that no one word names."""
    described = np.flatnonzero((corpus.object_words[index] > 0).any((0, 2))).max(initial=-1)
    mentioned = int(np.bitwise_or.reduce(corpus.means[chosen], axis=None)).bit_length() - 1
    return int(max(0, described, mentioned, corpus.target[chosen].max(), corpus.goal[chosen].max())) + 1


def _coverage(masks: Tensor, objects: int) -> Tensor:
    """Return (B, O, 256), the share of each patch that each object covers, from masks (B, 192, 192)."""
    patches = masks.reshape(-1, tokens.GRID, PATCH_PX, tokens.GRID, PATCH_PX)
    patches = patches.permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)
    which = torch.arange(objects, device=masks.device, dtype=torch.uint8)
    covered: Tensor = (patches[:, None] == which[:, None, None]).float().mean(-1)
    return covered


def _mentions(
    corpus: Corpus, chosen: NDArray[np.int64], length: int, coverage: Tensor, of_landmarks: bool
) -> tuple[Tensor, Tensor]:
    """Return indices (M,) of tokens that mention something visible, and its patches (M, 256); objects count equally."""
    flat = chosen.ravel()
    row, slot = np.nonzero((corpus.mention[flat] >= 0) & (corpus.landmark[flat] == of_landmarks))
    token = row * length + corpus.mention[flat[row], slot]
    bits = corpus.means[flat[row], slot][:, None] >> np.arange(MOST_OBJECTS, dtype=np.uint32) & 1
    members = torch.from_numpy(bits[:, : coverage.shape[1]].astype(np.float32)).to(coverage.device)
    share = coverage / coverage.sum(-1, keepdim=True).clamp(min=1e-6)
    image = torch.from_numpy(row // chosen.shape[1]).to(coverage.device)
    means = torch.einsum("mo,mop->mp", members, share[image])
    is_visible = means.sum(-1) > 0
    means = means[is_visible] / means[is_visible].sum(-1, keepdim=True)
    return torch.from_numpy(token).to(coverage.device)[is_visible], means
