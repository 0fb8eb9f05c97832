"""What differs between vision-language models: the one table of how each is asked, what it sees, and what it can mean.

A dialect that counts in what a model does not see is read without a complaint and points anywhere, so every pairing of
a model with a dialect goes through `check_pairing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from hamster.dialects import DIALECTS, Frame, ScaledSize, Size, parse, render, smart_resize
from hamster.path import Path2D, PlanError

if TYPE_CHECKING:
    from torch import Tensor

Resize: TypeAlias = Literal["scaled by 28", "scaled by 32", "squeezed", "cropped", "tiled", "nano"]
"""What a family's processor does to an image.

- scaled by N: its sides become multiples of N, its proportions stay, within limits that each checkpoint states.
- squeezed: it becomes a square, its proportions are lost.
- cropped: a square is cut out of its middle. `prepared` squeezes it before, so that nothing is cut away.
- tiled: it is cut into squares, after scaling, which are shown beside a small whole.
- nano: squeezed, into 16 x 16 patches.
"""
_FRAMES: Mapping[Resize, frozenset[Frame]] = {
    "scaled by 28": frozenset({"relative", "image's pixels", "scaled image's pixels"}),
    "scaled by 32": frozenset({"relative", "image's pixels"}),
    "squeezed": frozenset({"relative"}),
    "cropped": frozenset({"relative"}),
    "tiled": frozenset({"relative"}),
    "nano": frozenset({"patches"}),
}
_LANGUAGE = r".*\.(?:language_model|text_model)\.layers\.[0-9]+\..*(?:_proj|in_proj_qkv|in_proj_z)"
_VISION = (
    r".*\.(?:visual|vision_model|vision_tower|multi_modal_projector|connector)\..*"
    r"(?:proj|qkv|fc[12]|linear|linear_[12]|mlp\.[02])"
)


def _answer_grammar(prompt_length: int, refuse_above: float) -> list[Any]:
    from hamster.nano.grammar import AnswerGrammar

    return [AnswerGrammar(prompt_length, refuse_above=refuse_above)]


def _certainty(said: list[int], logits: Tensor) -> float:
    from hamster.nano.certainty import certainty

    return certainty(said, logits)


@dataclass(frozen=True)
class Family:
    """All checkpoints of one model type.

    Attributes:
        dialect: in which they answer as published.
        resize: what their processor does to an image.
        max_new_tokens: after which an answer is cut off.
        constraints: from the prompt's length in tokens, and the probability of "not in view" above which that is the
            answer, to transformers' logits processors, where a grammar over text will not do; None for those that take
            regular expressions.
        certainty: from an answer's tokens and the logits (N, V) that each was chosen from to how sure the model is;
            None where the tokens' probabilities say it.
        ends_in_text: whether the mark that ends an answer is a part of its text.
        lora_language, lora_vision: regular expressions of the modules to adapt, for PEFT's `target_modules`.
    """

    dialect: str = "hamster"
    resize: Resize = "squeezed"
    max_new_tokens: int = 256
    constraints: Callable[[int, float], list[Any]] | None = None
    certainty: Callable[[list[int], Tensor], float] | None = None
    ends_in_text: bool = False
    lora_language: str = _LANGUAGE
    lora_vision: str = _VISION

    @property
    def frames(self) -> frozenset[Frame]:
        """In what the coordinates of a dialect may count, so that the model sees what it counts in."""
        return _FRAMES[self.resize]


FAMILIES: Mapping[str, Family] = {
    "hamster_nano": Family(
        "nano", "nano", 32, _answer_grammar, _certainty, ends_in_text=True, lora_language="", lora_vision=""
    ),
    # Qwen2-VL was taught thousandths, in a form of its own; it sees what Qwen2.5-VL sees.
    "qwen2_vl": Family("hamster-1000", "scaled by 28"),
    "qwen2_5_vl": Family("qwen2.5-vl", "scaled by 28"),
    "qwen3_vl": Family("qwen3-vl", "scaled by 32"),
    "qwen3_5": Family("qwen3-vl", "scaled by 32"),
    "smolvlm": Family(resize="tiled"),
    "idefics3": Family(resize="tiled"),
    "paligemma": Family("paligemma", "squeezed"),
    "llava": Family(resize="cropped"),
    "llava_next": Family(resize="tiled"),
    "llava_onevision": Family(resize="tiled"),
    "gemma3": Family(resize="squeezed"),
    "internvl": Family("hamster-1000", "tiled"),
}
"""By transformers' model type."""


def family_of(model_type: str) -> Family:
    """The family of a model type; one that is not in the table is asked and answers in HAMSTER's own text."""
    return FAMILIES.get(model_type, Family())


def check_pairing(model_type: str, dialect: str, taught: bool = False) -> None:
    """Whether models of this type can answer in this dialect.

    Args:
        model_type: of transformers.
        dialect: of `hamster.dialects`.
        taught: whether the model is, or was, fine-tuned on this dialect; as published, it must not be asked in one
            that would read its own answers as other places.

    Raises:
        ValueError: if not; names the dialects that go with it.
    """
    if dialect in (allowed := dialects_of(model_type, taught)):
        return
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}; {model_type} goes with {', '.join(allowed)}")
    family, frame = family_of(model_type), DIALECTS[dialect].frame
    if frame in family.frames:
        why = f"reads {family.dialect}, which {model_type} answers in as published, as other places"
    else:
        counts = "in relative coordinates" if frame == "relative" else f"in the {frame}"
        why = f"counts {counts}, which {model_type} cannot mean: its image is {family.resize}"
    raise ValueError(f"{dialect} {why}; {model_type} goes with {', '.join(allowed)}")


def dialects_of(model_type: str, taught: bool = False) -> list[str]:
    """All that `check_pairing` lets pass."""
    family = family_of(model_type)
    seen = [name for name, dialect in DIALECTS.items() if dialect.frame in family.frames]
    return [name for name in seen if taught or not _misreads(name, family.dialect)]


@dataclass(frozen=True)
class Scaling:
    """How a model's processor scales images: from a size to that which the model sees, for dialects that count pixels.

    Attributes:
        factor: what both sides become multiples of.
        min_pixels, max_pixels: between which the area stays.

    Raises:
        ValueError: for limits that no processor has.
    """

    factor: int
    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not (self.factor >= 1 and 1 <= self.min_pixels <= self.max_pixels):
            raise ValueError("need factor >= 1 and 1 <= min_pixels <= max_pixels")

    def __call__(self, size: Size) -> Size:
        """The size that the model sees; ValueError for an image that is too narrow for it."""
        return ScaledSize(*smart_resize(size, self.factor, self.min_pixels, self.max_pixels))


def scaling_of(processor: Any) -> Callable[[Size], Size]:
    """From an image's size to its size as the model sees it: a `Scaling` for those that keep proportions."""
    images = processor.image_processor
    merge = getattr(images, "merge_size", None)
    if merge is None:
        return _as_it_is
    limits = dict(images.size)
    return Scaling(images.patch_size * merge, limits["shortest_edge"], limits["longest_edge"])


def crops(processor: Any) -> bool:
    """Whether a processor would cut an image's sides away, so that it must be `prepared`."""
    return bool(getattr(processor.image_processor, "do_center_crop", False))


def prepared(image: Image.Image, processor: Any) -> Image.Image:
    """The image for a processor that would cut its sides away: squeezed, as relative coordinates do not mind."""
    if not crops(processor):
        return image
    crop = dict(processor.image_processor.crop_size)
    return image.resize((crop["width"], crop["height"]), Image.Resampling.BICUBIC)


def _as_it_is(size: Size) -> Size:
    return size


@cache
def _misreads(dialect: str, native: str) -> bool:
    """Whether it takes an answer in the native dialect for a path through other places."""
    path, size = Path2D(np.array([[0.2, 0.1], [0.05, 0.15]]), np.full(2, -1, np.int8)), ScaledSize(640, 480)
    try:
        read = parse(render(path, native, size), dialect, size)
    except PlanError:
        return False
    return bool(abs(read.uv - path.uv).max() > 0.01)
