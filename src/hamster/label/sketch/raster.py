"""Reads a drawing from its pixels: which colours are ink, one arrow per colour, in the order of the colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.arrow import Arrow, find_arrow
from hamster.label.sketch.clean import without_ink
from hamster.label.sketch.gradient import CLEAR, direction
from hamster.label.sketch.ink import Ink, find_inks
from hamster.label.sketch.steps import Step
from hamster.label.sketch.thin import Mask

Image = NDArray[np.uint8]
SIDE_PX = 640  # all lengths in pixels are meant for pictures of this longer side
_LEAST = 0.1  # of an ink's rank
_BRIGHT = 150  # the strongest channel of those colours
_TURNS = 3  # that a colour says by convention
_CHANGED = 36  # in a channel, beyond what JPEG does


@dataclass(frozen=True, eq=False)
class Reading:
    """What a drawing says.

    Attributes:
        steps: in order.
        clean: (H, W, 3) the picture without the drawing.
        score: how sure that is, 0 to 1.
    """

    steps: Sequence[Step]
    clean: Image
    score: float


@dataclass(frozen=True, eq=False)
class _Layer:
    ink: Ink
    arrow: Arrow
    rank: float


def read_raster(rgb: Image, clean: Image | None = None, siblings: Sequence[Image] = ()) -> Reading | str:
    """What is drawn on a picture (H, W, 3), or why nothing can be told.

    Args:
        rgb: with the drawing on it.
        clean: the same without.
        siblings: with other drawings on it.
    """
    small = _scaled(rgb)
    same = [s for s in siblings if s.shape == rgb.shape]
    behind = None if clean is None else _scaled(clean)
    others = [] if clean is not None else [_scaled(sibling) for sibling in same]
    changed = _changed(small, others if behind is None else [behind])
    layers = _layers(small, find_inks(small, behind, changed, others), changed)
    if not layers:
        return "no arrow in one vivid colour stands out from the picture"
    steps = [_step(layer.arrow, small.shape) for layer in layers]
    if clean is None:
        inks = [(layer.ink.mask, layer.ink.colour) for layer in layers]
        clean = without_ink(rgb, inks, same)
    return Reading(steps, clean, min(float(np.mean([layer.rank for layer in layers])) / 0.5, 1.0))


def _scaled(rgb: Image) -> Image:
    scale = SIDE_PX / max(rgb.shape[:2])
    size = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=how))


def _changed(small: Image, others: Sequence[Image]) -> Mask | None:
    """Where a picture differs from any of the others; None where that says nothing."""
    if not others:
        return None
    changed = np.zeros(small.shape[:2], bool)
    for other in others:
        changed |= cv2.absdiff(small, other).max(-1) > _CHANGED
    return changed if changed.sum() > 100 else None


def _layers(small: Image, inks: Sequence[Ink], changed: Mask | None) -> list[_Layer]:
    """The inks with an arrow each, in the order in which they are to be followed."""
    nothing = np.zeros(small.shape[:2], bool)
    found = [layer for layer in (_layer(ink, nothing, changed) for ink in inks) if layer is not None]
    whole = [layer for layer in found if layer.ink.kind != "colour"]
    candidates = sorted((layer for layer in found if layer.ink.kind == "colour"), key=lambda layer: -layer.rank)
    graded = [layer for layer in (_graded(small, each) for each in whole) if layer is not None]
    if graded:
        return graded[:1]
    kept: list[_Layer] = []
    for layer in candidates:
        if layer.rank > _enough(layer, kept, changed is not None) and not _overlaps(layer, kept):
            kept.append(layer)
    drawn = np.any([nothing, *(layer.ink.mask for layer in kept)], 0)
    for layer in whole:
        if layer.ink.kind == "different" and drawn[layer.ink.mask].mean() < 0.5:
            return [layer]  # in black, in white, or in a colour that the picture has, too
    # Once more, now that it is known what lies over what.
    others = [np.any([nothing, *(o.ink.mask for o in kept if o is not layer)], 0) for layer in kept]
    again = [_layer(layer.ink, other, changed) for layer, other in zip(kept, others, strict=True)]
    return sorted((c for c in again if c is not None), key=lambda layer: turn(layer.ink.colour))


def _enough(layer: _Layer, kept: Sequence[_Layer], sure: bool) -> float:
    """The rank that one more ink needs: a colour of the convention less than any other, and no colour twice."""
    best = kept[0].rank if kept else 0.0
    if turn(layer.ink.colour) >= _TURNS:
        return max(_LEAST, 0.6 * best)
    if turn(layer.ink.colour) in [turn(other.ink.colour) for other in kept]:
        return float("inf")
    return max(_LEAST / 2, 0.1 * best) if sure else max(_LEAST, 0.4 * best)


def _layer(ink: Ink, other: Mask, changed: Mask | None) -> _Layer | None:
    arrow = find_arrow(ink.mask, other)
    if arrow is None:
        return None
    rank = ink.score * arrow.share * (0.2 + 0.8 * arrow.head) * (1.0 if turn(ink.colour) < _TURNS else 0.6)
    if changed is not None:
        around = cv2.dilate(ink.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        rank *= min(float(changed[around].mean()) / 0.4, 1.0)
    return _Layer(ink, arrow, rank)


def _graded(small: Image, layer: _Layer) -> _Layer | None:
    """A layer whose colour changes along its line, turned the way that the colour says; None if there is none."""
    way = direction(small, layer.arrow.px)
    if abs(way) < CLEAR or layer.arrow.share < 0.7:
        return None
    turned = layer.arrow.px[::-1] if way < 0 and layer.arrow.head < 0.5 else layer.arrow.px
    return replace(layer, arrow=replace(layer.arrow, px=turned), rank=max(layer.rank, abs(way) * layer.arrow.share))


def _overlaps(layer: _Layer, kept: Sequence[_Layer]) -> bool:
    near = [cv2.dilate(other.ink.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for other in kept]
    return any(float(mask[layer.ink.mask].mean()) > 0.3 for mask in near)


def turn(colour: NDArray[np.float32]) -> int:
    """Whose turn a colour (3,) is: green first, then blue, then pink, then the rest by hue from red on."""
    hue = float(cv2.cvtColor(colour.reshape(1, 1, 3) / 255, cv2.COLOR_RGB2HSV)[0, 0, 0])
    order = [(80, 170), (190, 260), (290, 350)]
    for turn, (low, high) in enumerate(order):
        if low <= hue < high and colour.max() >= _BRIGHT:
            return turn
    return _TURNS + int((hue + 10) % 360)


def _step(arrow: Arrow, shape: tuple[int, ...]) -> Step:
    px = arrow.px
    grasps = releases = False
    for circle in arrow.circles:
        reach = circle.reach(px[[0, -1]])
        if reach.min() > circle.near(arrow.width_px):
            continue
        if reach[0] <= reach[1]:
            grasps = True
            if reach[0] > 0.75:  # A tail that stops at the line means what is inside: halfway to the centre.
                px = np.concatenate([[(px[0] + [circle.x, circle.y]) / 2], px])
        else:
            releases = True
    size = np.array([shape[1], shape[0]])
    return Step(np.clip((_smooth(px) + 0.5) / size, 0, 1), grasps, releases)


def _smooth(px: NDArray[np.float64]) -> NDArray[np.float64]:
    """A moving average over five points that leaves the ends where they are."""
    if len(px) < 7:
        return px
    padded = np.concatenate([np.repeat(px[:1], 2, 0), px, np.repeat(px[-1:], 2, 0)])
    out = np.stack([np.convolve(column, np.ones(5) / 5, "valid") for column in padded.T], -1)
    out[[0, -1]] = px[[0, -1]]
    return np.asarray(out)
