"""Families of vision-language models.

How each is prompted, what its processor does to an image, and which dialects it can answer in.

A dialect that counts in coordinates that a model does not see parses but yields wrong places, so every pairing of a
model with a dialect goes through `check_dialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from hamster.dialects import DIALECTS, Frame, ScaledSize, Size, parse, render, smart_resize
from hamster.identity import plugin_digest
from hamster.path import Path2D, PlanError
from hamster.registry import Registry, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

ResizeMode: TypeAlias = Literal["multiple_of_28", "multiple_of_32", "stretch", "center_crop", "tiles", "patches"]
"""What a family's processor does to an image.

- multiple_of_N: its sides become multiples of N, its proportions stay, within limits that each checkpoint states.
- stretch: it becomes a square, its proportions are lost.
- center_crop: a square is cut out of its middle; `without_center_crop` stretches the image before that.
- tiles: after scaling it is cut into squares, which are shown beside a small version of the whole.
- patches: stretched, into 16 x 16 patches, which the answers count in (the nano planner).
"""
_RESIZE_IN_WORDS: Mapping[ResizeMode, str] = {
    "multiple_of_28": "scaled to multiples of 28",
    "multiple_of_32": "scaled to multiples of 32",
    "stretch": "stretched to a square",
    "center_crop": "cropped to a square",
    "tiles": "cut into tiles",
    "patches": "stretched into 16 x 16 patches",
}
_FRAMES: Mapping[ResizeMode, frozenset[Frame]] = {
    "multiple_of_28": frozenset({"relative", "image's pixels", "scaled image's pixels"}),
    "multiple_of_32": frozenset({"relative", "image's pixels"}),
    "stretch": frozenset({"relative"}),
    "center_crop": frozenset({"relative"}),
    "tiles": frozenset({"relative"}),
    "patches": frozenset({"patches"}),
}
_LANGUAGE = r".*\.(?:language_model|text_model)\.layers\.[0-9]+\..*(?:_proj|in_proj_qkv|in_proj_z)"
_VISION = (
    r".*\.(?:visual|vision_model|vision_tower|multi_modal_projector|connector)\..*"
    r"(?:proj|qkv|fc[12]|linear|linear_[12]|mlp\.[02])"
)


def _answer_grammar(prompt_length: int, refuse_above: float) -> list[Any]:
    from hamster.nano.grammar import AnswerGrammar

    return [AnswerGrammar(prompt_length, refuse_above=refuse_above)]


def _confidence(ids: list[int], logits: Tensor) -> float:
    from hamster.nano.confidence import confidence

    return confidence(ids, logits)


def _waypoint_heights(model: Any, ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> list[Tensor]:
    if model.height is None:  # a checkpoint from before there was such a module
        return [ids.new_zeros(0)] * len(ids)
    heights_m: list[Tensor] = model.waypoint_heights(ids, attention_mask, pixel_values)
    return heights_m


@dataclass(frozen=True)
class Family:
    """What all checkpoints of one model type have in common.

    Attributes:
        dialect: in which they answer as published.
        resize: what their processor does to an image.
        max_new_tokens: after which an answer is cut off.
        logits_processors: for families whose answers no regular expression over text describes, else None: from the
            prompt's length in tokens, and the probability of "not in view" above which that is the answer, to
            transformers' logits processors.
        confidence: from an answer's token ids (N,) and the logits (N, V) that each was chosen from to the model's own
            estimate that the answer is right; None where the tokens' probabilities are the estimate.
        waypoint_heights: from the model, the ids (B, T) of prompts with answers, their attention mask and the pixel
            values (B, 3, H, W) to the estimated heights (N,) in metres of each answer's N waypoints; None where a model
            estimates none.
        ends_in_text: whether the token that ends an answer is a part of its text.
        prompt: what its checkpoints are asked, with a place for `{instruction}`; "" for the dialect's default prompt.
        lora_language, lora_vision: regular expressions of the modules to adapt, for PEFT's `target_modules`.
    """

    dialect: str = "hamster"
    resize: ResizeMode = "stretch"
    max_new_tokens: int = 256
    logits_processors: Callable[[int, float], list[Any]] | None = None
    confidence: Callable[[list[int], Tensor], float] | None = None
    waypoint_heights: Callable[[Any, Tensor, Tensor, Tensor], list[Tensor]] | None = None
    ends_in_text: bool = False
    prompt: str = ""
    lora_language: str = _LANGUAGE
    lora_vision: str = _VISION

    @property
    def frames(self) -> frozenset[Frame]:
        """The frames of coordinates that the model can see, and so answer in."""
        return _FRAMES[self.resize]


def _family(value: Any) -> Family:
    if not isinstance(value, Family):
        raise TypeError("it is no hamster.planner.families.Family")
    if value.resize not in _FRAMES:
        raise ValueError(f"resize is {value.resize!r}; there are: {', '.join(_FRAMES)}")
    if value.dialect not in DIALECTS:
        raise unknown_name("dialect", value.dialect, DIALECTS)
    if DIALECTS[value.dialect].frame not in value.frames:
        frames = " or ".join(sorted(value.frames))
        raise ValueError(f"{value.dialect} does not count in what such a model sees, which is {frames}")
    return value


FAMILIES: Registry[Family] = Registry(
    "VLM family",
    "hamster.vlm_families",
    {
        "hamster_nano": Family(
            "nano-tokens",
            "patches",
            32,
            _answer_grammar,
            _confidence,
            _waypoint_heights,
            ends_in_text=True,
            lora_language="",
            lora_vision="",
        ),
        # Qwen2-VL was taught thousandths, in a form of its own; it sees what Qwen2.5-VL sees.
        "qwen2_vl": Family("hamster-1000", "multiple_of_28"),
        "qwen2_5_vl": Family("qwen2.5-vl", "multiple_of_28"),
        "qwen3_vl": Family("qwen3-vl", "multiple_of_32"),
        "qwen3_5": Family("qwen3-vl", "multiple_of_32"),
        "smolvlm": Family(resize="tiles"),
        "idefics3": Family(resize="tiles"),
        "paligemma": Family("paligemma", "stretch"),
        "llava": Family(resize="center_crop"),
        "llava_next": Family(resize="tiles"),
        "llava_onevision": Family(resize="tiles"),
        "gemma3": Family(resize="stretch"),
        "internvl": Family("hamster-1000", "tiles"),
    },
    _family,
)
"""By transformers' model type. `register_vlm_family("my_type", Family(…))` adds one."""
register_vlm_family = FAMILIES.register
"""Register the family of a model type of transformers; called as `Registry.register`."""


def family_of(model_type: str) -> Family:
    """Return the family of a model type of transformers.

    Raises:
        ValueError: if it is not registered: what its processor does to images would be a guess, and so would all paths.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"{unknown_name('VLM family', model_type, FAMILIES.names())} To add it, state in which dialect it answers "
            f'and what its processor does to an image: hamster.register_vlm_family("{model_type}", '
            "hamster.planner.families.Family(dialect=…, resize=…))"
        )
    return FAMILIES.get(model_type)


def family_identity(model_type: str) -> dict[str, Any]:
    """Return what tells a registered family from another one of that name; {} of built-in and unknown ones."""
    if model_type not in FAMILIES or FAMILIES.is_builtin(model_type):
        return {}
    family = FAMILIES.get(model_type)
    code = [
        function
        for function in (family.logits_processors, family.confidence, family.waypoint_heights)
        if function is not None
    ]
    facts = {name: value for name, value in vars(family).items() if value not in code}
    return {"family": {**facts, "code": plugin_digest(*code)}}


def check_dialect(model_type: str, dialect: str, is_trained: bool = False) -> None:
    """Check that models of this type can answer in this dialect.

    Args:
        model_type: of transformers.
        dialect: of `hamster.dialects`.
        is_trained: whether the model is, or was, fine-tuned on this dialect; as published, it must not be used with one
            that would parse its own answers as other places.

    Raises:
        ValueError: if not; names the dialects that go with it.
    """
    dialect = DIALECTS.canonical(dialect)
    if dialect in (allowed := dialects_of(model_type, is_trained)):
        return
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}; {model_type} goes with {', '.join(allowed)}")
    family, frame = family_of(model_type), DIALECTS[dialect].frame
    if frame in family.frames:
        reason = f"reads {family.dialect}, which {model_type} answers in as published, as other places"
    else:
        counts = "in relative coordinates" if frame == "relative" else f"in the {frame}"
        resized = _RESIZE_IN_WORDS[family.resize]
        reason = f"counts {counts}, which {model_type} does not see: its image is {resized}"
    raise ValueError(f"{dialect} {reason}; {model_type} goes with {', '.join(allowed)}")


def dialects_of(model_type: str, is_trained: bool = False) -> list[str]:
    """Return the names of all dialects that `check_dialect` accepts."""
    family = family_of(model_type)
    visible = [name for name, dialect in DIALECTS.items() if dialect.frame in family.frames]
    return [name for name in visible if is_trained or not _misreads(name, family.dialect)]


@dataclass(frozen=True)
class ImageScaling:
    """How a processor scales images: from a size to the size that the model sees, for dialects that count pixels.

    Attributes:
        factor: both sides become multiples of it.
        min_pixels, max_pixels: between which the area stays.

    Raises:
        ValueError: for limits that no processor has.

    >>> ImageScaling(28, 3136, 1_003_520)((640, 480))
    ScaledSize(width=644, height=476)
    """

    factor: int
    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not (self.factor >= 1 and 1 <= self.min_pixels <= self.max_pixels):
            raise ValueError("need factor >= 1 and 1 <= min_pixels <= max_pixels")

    def __call__(self, size: Size) -> Size:
        """Return the size that the model sees; ValueError for an image that is too narrow for it."""
        return ScaledSize(*smart_resize(size, self.factor, self.min_pixels, self.max_pixels))


def image_scaling(processor: Any) -> Callable[[Size], Size]:
    """Return the map from an image's size to the size the model sees: an `ImageScaling` if proportions are kept."""
    image_processor = processor.image_processor
    merge_size = getattr(image_processor, "merge_size", None)
    if merge_size is None:
        return unscaled
    limits = dict(image_processor.size)
    return ImageScaling(image_processor.patch_size * merge_size, limits["shortest_edge"], limits["longest_edge"])


def unscaled(size: Size) -> Size:
    """Return the size as it is: for dialects of relative coordinates the scaled size does not matter."""
    return size


def does_center_crop(processor: Any) -> bool:
    """Return whether a processor would cut an image's sides away."""
    return bool(getattr(processor.image_processor, "do_center_crop", False))


def without_center_crop(image: Image.Image, processor: Any) -> Image.Image:
    """Return the image stretched to the crop's size if the processor crops; relative coordinates stay what they are."""
    if not does_center_crop(processor):
        return image
    crop = dict(processor.image_processor.crop_size)
    return image.resize((crop["width"], crop["height"]), Image.Resampling.BICUBIC)


@cache
def _misreads(dialect: str, native: str) -> bool:
    """Return whether a dialect parses an answer in the native dialect as a path through other places."""
    path, size = Path2D(np.array([[0.2, 0.1], [0.05, 0.15]]), np.full(2, -1, np.int8)), ScaledSize(640, 480)
    try:
        parsed = parse(render(path, native, size), dialect, size)
    except PlanError:
        return False
    return bool(abs(parsed.uv - path.uv).max() > 0.01)
