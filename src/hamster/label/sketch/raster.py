"""Read a drawing from its pixels: which colours are ink, one arrow per colour, in the order of digits or colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hamster.label.sketch.arrow import Arrow, find_arrow
from hamster.label.sketch.clean import without_ink
from hamster.label.sketch.digits import numbered
from hamster.label.sketch.gradient import CLEAR, direction
from hamster.label.sketch.ink import Ink, find_inks
from hamster.label.sketch.quality import flaw
from hamster.label.sketch.skeletonize import Mask
from hamster.label.sketch.steps import Step
from hamster.path.path import arc_length

Image = NDArray[np.uint8]
Order = Literal["heads", "gradient", "colours", "numbers"]
SIDE_PX = 640  # all lengths in pixels are meant for pictures of this longer side
OTHER_SIDE_PX = 512  # at which a poor picture is read once more
WINDOWS_PX = (51, 101)  # of the median that looks past strokes: the narrower tells more, the wider is for bold ones
_BOLD = 0.18  # width of a line, in windows, from which on the head may hide what is behind it
_CERTAIN = 0.5  # the rank from which on nothing but unexplained ink lowers the score
_SAME = 25.0  # RGB distance of two readings of one ink at most
_NEARLY, _LONGER = 0.85, 1.15  # how clear and how long an arrow is, of which another one is but a part
_CIRCLED = 1.5  # what an arrow out of a circle counts for, next to one without
_FLOOR = 0.15  # of the score: of its least certain step, less the ink that neither arrow nor circle explains
_POOR_FLOOR = 0.45  # of the score, in a poor picture
_AGREES = 0.06  # of the image's sides
_LEAST, _LEAST_SURE = 0.2, 0.06  # of an ink's rank: alone, and where other pictures show what changed
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
        order: what said where the drawing starts and goes on.
    """

    steps: Sequence[Step]
    clean: Image
    score: float
    order: Order


@dataclass(frozen=True, eq=False)
class _Layer:
    ink: Ink
    arrow: Arrow
    rank: float
    graded: bool = False


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The steps of a drawing, its inks (the mask and the colour (3,) of each), and the width of its thinnest line.

    The width is in pixels of the picture as it came, before it was scaled.
    """

    steps: Sequence[Step]
    score: float
    order: Order
    inks: Sequence[tuple[Mask, NDArray[np.float32]]]
    width_px: float


def read_raster(rgb: Image, clean: Image | None = None, siblings: Sequence[Image] = ()) -> Reading | str:
    """Return what is drawn on a picture (H, W, 3), or why nothing can be told.

    A poor picture (see `quality`) is read twice, at two scales: what both do not say is no label.

    Args:
        rgb: with the drawing on it.
        clean: the same without.
        siblings: with other drawings on it.
    """
    same = [s for s in siblings if s.shape == rgb.shape]
    drawn = _drawn(rgb, clean, same, SIDE_PX)
    if isinstance(drawn, str):
        return drawn
    if clean is None and (why := flaw(rgb, drawn.width_px)):
        if drawn.score < _POOR_FLOOR:
            return f"{why}, in which an arrow is sure to {drawn.score:.3f} of 1; less than {_POOR_FLOOR:g} is no label"
        again = _drawn(rgb, None, same, OTHER_SIDE_PX)
        if isinstance(again, str) or not _agree(drawn.steps, again.steps):
            return f"{why}, in which the drawing reads differently at another scale"
        drawn = replace(drawn, score=min(drawn.score, again.score))
    if clean is None:
        clean = without_ink(rgb, drawn.inks, same)
    return Reading(drawn.steps, clean, drawn.score, drawn.order)


def _agree(steps: Sequence[Step], others: Sequence[Step]) -> bool:
    """Return whether two readings have the same steps: as many, with the same tails and tips."""
    if len(steps) != len(others):
        return False
    apart = [np.linalg.norm(a.uv[[0, -1]] - b.uv[[0, -1]], axis=1).max() for a, b in zip(steps, others, strict=True)]
    return bool(max(apart) < _AGREES)


def _drawn(rgb: Image, clean: Image | None, same: Sequence[Image], side_px: int) -> _Drawn | str:
    """Return the steps that are seen in a picture scaled to a longer side, or why there are none."""
    small = _scaled(rgb, side_px)
    behind = None if clean is None else _scaled(clean, side_px)
    others = [] if clean is not None else [_scaled(sibling, side_px) for sibling in same]
    changed = _changed(small, others if behind is None else [behind])
    layers: list[_Layer] = []
    for window_px in WINDOWS_PX:
        layers = _layers(small, find_inks(small, behind, changed, others, window_px), changed) or layers
        bold = any(layer.arrow.width_px > _BOLD * window_px for layer in layers)
        if behind is not None or (_score(layers) >= _FLOOR and not bold):
            break
    if not layers:
        return "no arrow in one vivid colour stands out from the picture"
    if (score := _score(layers)) < _FLOOR:
        return f"an arrow that is hardly one: sure to {score:.3f} of 1, and less than {_FLOOR:g} is no label"
    inks = [(layer.ink.mask, layer.ink.colour) for layer in layers]
    order: Order = "colours" if len(layers) > 1 else "gradient" if layers[0].graded else "heads"
    written = numbered(small, [layer.arrow for layer in layers], [mask for mask, _ in inks])
    if written is not None:
        turns, digits = written
        order, layers = "numbers", [layers[i] for i in turns]
        inks.append((digits, np.median(small[digits], 0).astype(np.float32)))
    steps = [_step(layer.arrow, small.shape, not layer.graded) for layer in layers]
    width_px = min(layer.arrow.width_px for layer in layers) * max(rgb.shape[:2]) / side_px
    return _Drawn(steps, score, order, inks, width_px)


def _score(layers: Sequence[_Layer]) -> float:
    """Return how sure the least certain of the steps is, less its unexplained ink; 0 if there is none."""
    return min((min(layer.rank / _CERTAIN, 1.0) * layer.arrow.share for layer in layers), default=0.0)


def _scaled(rgb: Image, side_px: int) -> Image:
    scale = side_px / max(rgb.shape[:2])
    size = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=interpolation))


def _changed(small: Image, others: Sequence[Image]) -> Mask | None:
    """Return where a picture differs from any of the others; None where that says nothing."""
    if not others:
        return None
    changed = np.zeros(small.shape[:2], bool)
    for other in others:
        changed |= cv2.absdiff(small, other).max(-1) > _CHANGED
    return changed if changed.sum() > 100 else None


def _layers(small: Image, inks: Sequence[Ink], changed: Mask | None) -> list[_Layer]:
    """Return the inks with an arrow each, in the order in which they are to be followed."""
    nothing = np.zeros(small.shape[:2], bool)
    whole = [layer for ink in inks if ink.kind != "colour" and (layer := _layer(ink, nothing, changed)) is not None]
    graded = [layer for layer in (_graded(small, different) for different in whole) if layer is not None]
    if graded:
        return graded[:1]
    kept: list[_Layer] = []
    waiting = [ink for ink in inks if ink.kind == "colour"]
    candidates = [layer for ink in waiting if (layer := _layer(ink, nothing, changed)) is not None]
    while (clearest := _clearest(candidates, kept, changed is not None)) is not None:
        kept.append(clearest)
        candidates = [_beside(layer, clearest, changed) for layer in candidates if not _same(layer.ink, clearest.ink)]
    drawn = np.any([nothing, *(layer.ink.mask for layer in kept)], 0)
    for layer in whole:
        if layer.ink.kind == "different" and drawn[layer.ink.mask].mean() < 0.5:
            return [layer]  # in black, in white, or in a colour that the picture has, too
    # Once more, now that it is known what lies over what.
    others = [np.any([nothing, *(o.ink.mask for o in kept if o is not layer)], 0) for layer in kept]
    again = [_layer(layer.ink, other, changed) for layer, other in zip(kept, others, strict=True)]
    better = [b if b is not None and b.rank >= a.rank / 2 else a for a, b in zip(kept, again, strict=True)]
    return sorted(better, key=lambda layer: turn(layer.ink.colour))


def _clearest(candidates: Sequence[_Layer], kept: Sequence[_Layer], sure: bool) -> _Layer | None:
    """Return the layer to go on with, given those that were found; None if there is none."""
    enough = [layer for layer in candidates if layer.rank > _enough(layer, kept, sure)]
    clearest = max(enough, key=_clear, default=None)
    whole = [layer for layer in enough if clearest is not None and _is_part(clearest, layer)]
    return max(whole, key=lambda layer: arc_length(layer.arrow.px)[-1], default=clearest)


def _is_part(layer: _Layer, other: _Layer) -> bool:
    """Return whether a layer's arrow is part of an arrow in another, nearly as clear layer of the same ink."""
    if np.linalg.norm(layer.ink.colour - other.ink.colour) > _SAME or _clear(other) < _NEARLY * _clear(layer):
        return False
    if other.arrow.share < _NEARLY * layer.arrow.share:
        return False
    longer = arc_length(other.arrow.px)[-1] > _LONGER * arc_length(layer.arrow.px)[-1]
    apart = np.linalg.norm(layer.arrow.px[:, None] - other.arrow.px[None], axis=-1).min(1)
    return bool(longer and (apart < 2 * layer.arrow.width_px + 3).mean() > 0.9)


def _clear(layer: _Layer) -> float:
    """Return the rank; of two readings of one ink, the one that sees its circle counts for more."""
    return layer.rank * (_CIRCLED if layer.arrow.circled else 1)


def _beside(layer: _Layer, one: _Layer, changed: Mask | None) -> _Layer:
    """Return the layer once more, if now that another one is known more of it can be seen."""
    near = cv2.dilate(layer.ink.mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    if not (near & one.ink.mask).any():
        return layer
    again = _layer(layer.ink, one.ink.mask, changed)
    return layer if again is None or again.rank < layer.rank else again


def _same(ink: Ink, other: Ink) -> bool:
    """Return whether two inks are one: of the same turn, or in the same place."""
    near = cv2.dilate(other.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return turn(ink.colour) == turn(other.colour) or float(near[ink.mask].mean()) > 0.3


def _enough(layer: _Layer, kept: Sequence[_Layer], sure: bool) -> float:
    """Return the rank that one more ink needs: less, if all are colours of the convention, and of the same pen."""
    least = _LEAST_SURE if sure else _LEAST
    if not kept:
        return least
    alike = _alike(layer.arrow.width_px, kept[0].arrow.width_px)
    if max(turn(layer.ink.colour), turn(kept[0].ink.colour)) >= _TURNS:
        return max(least, (0.5 if alike else 0.8) * kept[0].rank)
    return max(least / 2, (0.1 if sure else 0.25 if alike else 0.5) * kept[0].rank)


def _alike(a_px: float, b_px: float) -> bool:
    """Return whether lines of two widths may be of one pen."""
    return abs(a_px - b_px) < 1 + 0.25 * max(a_px, b_px)


def _layer(ink: Ink, other: Mask, changed: Mask | None) -> _Layer | None:
    arrow = find_arrow(ink.mask, other)
    if arrow is None:
        return None
    clear = (0.1 + 0.9 * arrow.head) ** 1.5  # how much each counts was chosen on arrows drawn over photographs
    rank = ink.score * arrow.share**2 * clear * (1.0 if turn(ink.colour) < _TURNS else 0.6)
    if changed is not None:
        around = cv2.dilate(ink.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        rank *= min(float(changed[around].mean()) / 0.4, 1.0)
    return _Layer(ink, arrow, rank)


def _graded(small: Image, layer: _Layer) -> _Layer | None:
    """Return a layer whose colour changes along its line, directed by that colour; None if there is none."""
    way = direction(small, layer.arrow.px)
    if abs(way) < CLEAR or layer.arrow.share < 0.7:
        return None
    turned = layer.arrow.px[::-1] if way < 0 and layer.arrow.head < 0.5 else layer.arrow.px
    rank = max(layer.rank, abs(way) * layer.arrow.share)
    return replace(layer, arrow=replace(layer.arrow, px=turned), rank=rank, graded=True)


def turn(colour: NDArray[np.float32]) -> int:
    """Return the rank of a colour (3,): green first, then blue, then pink, then the rest by hue from red on."""
    hue = float(cv2.cvtColor(colour.reshape(1, 1, 3) / 255, cv2.COLOR_RGB2HSV)[0, 0, 0])
    order = [(80, 170, 0.6), (190, 260, 0.6), (290, 350, 1.0)]
    for turn, (low, high, palest) in enumerate(order):
        if low <= hue < high and colour.max() >= _BRIGHT and colour.min() < palest * colour.max():
            return turn
    return _TURNS + int((hue + 10) % 360)


def _step(arrow: Arrow, shape: tuple[int, ...], headed: bool) -> Step:
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
    return Step(np.clip((_smooth(px) + 0.5) / size, 0, 1), grasps, releases, headed)


def _smooth(px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a moving average over five points that leaves the ends where they are."""
    if len(px) < 7:
        return px
    padded = np.concatenate([np.repeat(px[:1], 2, 0), px, np.repeat(px[-1:], 2, 0)])
    out = np.stack([np.convolve(column, np.ones(5) / 5, "valid") for column in padded.T], -1)
    out[[0, -1]] = px[[0, -1]]
    return np.asarray(out)
