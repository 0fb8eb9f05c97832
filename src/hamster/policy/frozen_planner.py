"""A planner inside a policy: its word embeddings and last states as inputs, never its paths.

It is part of the policy's checkpoint as bytes, so that a checkpoint needs nothing else and is not changed by training.
It computes on the CPU, where `Actor.preprocess` runs, wherever the policy's own weights are.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from tokenizers import Tokenizer
from torch import Tensor, nn

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration
from hamster.nano.decoder import Layer
from hamster.nano.processing import scaled_image
from hamster.policy.planner_folder import planner_folder, planner_sizes
from hamster.weights import build_for, load_weights, read_tensors

TOKEN_TABLE = "words.token.weight"  # noqa: S105  # the name of a tensor
CACHED_IMAGES = 4096  # of 64 KiB each


@dataclass(frozen=True, eq=False)
class PlannerStates:
    """What a planner makes of an image and an instruction of N tokens, before it draws a path.

    Attributes:
        words: (N, D) last states of the instruction's tokens.
        pointers: (N, 256) probability of each patch, row by row, to be what a token points at.
        patches: (256, D) last states of the image tokens.
    """

    words: NDArray[np.float32]
    pointers: NDArray[np.float32]
    patches: NDArray[np.float32]


class FrozenPlanner(nn.Module):
    """A nano planner's weights and tokenizer, as bytes.

    Args:
        planner: a bundled planner's name or the folder of a nano checkpoint.
        sizes: of `HamsterNanoConfig`; if there are any, the bytes are empty until a policy's checkpoint is loaded.
        whole: keep all weights, for `states`; else the embeddings of words only.

    Raises:
        ValueError: if there is no such planner, or it is of another architecture.
    """

    weights: Tensor
    vocabulary: Tensor

    def __init__(self, planner: str, sizes: dict[str, Any], whole: bool) -> None:
        super().__init__()
        self.sizes, self.whole = dict(sizes), whole
        weights = vocabulary = torch.zeros(0, dtype=torch.uint8)
        if not sizes:
            folder = planner_folder(planner)
            self.sizes = planner_sizes(folder)
            tensors = read_tensors(folder / "model.safetensors")
            if not whole:
                with torch.random.fork_rng([]):  # the policy's own weights do not depend on what is read here
                    tensors = {TOKEN_TABLE: _embeddings(_load(self.sizes, tensors, folder / "model.safetensors"))}
            weights = _as_bytes(save(tensors))
            vocabulary = _as_bytes((folder / "tokenizer.json").read_bytes())
        self.register_buffer("weights", weights)
        self.register_buffer("vocabulary", vocabulary)
        self._features: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()
        self._open()
        self.register_load_state_dict_post_hook(_reopen)  # type: ignore[no-untyped-call]

    def word_embeddings(self, instruction: str, max_tokens: int) -> NDArray[np.float32]:
        """Return the embeddings (max_tokens, D) of the instruction's tokens; rows beyond the last are zero."""
        embeddings = np.zeros((max_tokens, self.sizes["hidden_size"]), np.float32)
        ids = self._ids(instruction)[:max_tokens]
        embeddings[: len(ids)] = self._opened[1][ids]
        return embeddings

    @torch.inference_mode()
    def states(self, rgb: NDArray[np.uint8], instruction: str, max_tokens: int) -> PlannerStates:
        """Return what the planner makes of an image and an instruction.

        Args:
            rgb: (H, W, 3) uint8.
            instruction: at least one word.
            max_tokens: tokens beyond are dropped.

        Raises:
            ValueError: if there is no instruction.
        """
        ids = torch.tensor([self._ids(instruction)[:max_tokens]])
        if not ids.numel():
            raise ValueError("this policy needs an instruction: the planner inside it reads one")
        model = cast(HamsterNanoForConditionalGeneration, self._opened[2])
        features = torch.from_numpy(self._image_features(rgb).astype(np.float32))[None]
        image = model.words.image(features)
        text = model.words.text(ids, torch.arange(ids.shape[1]), features)[:, None]
        future = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
        for i, layer in enumerate(model.layers):
            image, text = cast(Layer, layer).blocks(image, text, future, i < model.config.image_layers)
        words = model.answer.norm(text[:, 0])
        pointers = model.answer.point(words, features).float().softmax(-1)
        patches = torch.nn.functional.rms_norm(image, image.shape[-1:])
        return PlannerStates(words[0].numpy(), pointers[0].numpy(), patches[0].numpy())

    def _image_features(self, rgb: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features (256, C) of an image's patches; kept, for frames come again in training.

        They are rounded to half precision also when they are new, so that nothing depends on what is kept.
        """
        key = hashlib.blake2b(np.ascontiguousarray(rgb).tobytes(), digest_size=16).digest()
        features = self._features.pop(key, None)
        if features is None:
            pixels = torch.from_numpy(scaled_image(rgb)).permute(2, 0, 1)[None] / 127.5 - 1
            model = cast(HamsterNanoForConditionalGeneration, self._opened[2])
            features = cast(NDArray[np.float16], model.tower(pixels)[0].numpy().astype(np.float16))
        self._features[key] = features  # last, as the most recently used
        if len(self._features) > CACHED_IMAGES:
            self._features.popitem(last=False)
        return features

    def _ids(self, instruction: str) -> list[int]:
        ids: list[int] = self._opened[0].encode(instruction, add_special_tokens=False).ids
        return ids

    def _open(self) -> None:
        """Read the bytes; a tuple, so that what is read is no submodule of the policy."""
        self._features.clear()
        if not len(self.weights) or self.weights.is_meta:
            return
        where = "the planner inside this policy"
        try:
            tensors = load(_bytes_of(self.weights))
            tokenizer = Tokenizer.from_buffer(_bytes_of(self.vocabulary))
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{where} is damaged: {error}") from None
        model = _load(self.sizes, tensors, where) if self.whole else None
        table = tensors.get(TOKEN_TABLE) if model is None else _embeddings(model)
        if table is None or tuple(table.shape) != (self.sizes.get("vocab_size"), self.sizes.get("hidden_size")):
            raise ValueError(f"{where} does not fit its sizes in config.json")
        self._opened = tokenizer, table.float().numpy(), model

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the bytes, whose number is not in the configuration."""
        for name in ("weights", "vocabulary"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _reopen(planner: FrozenPlanner, _: object) -> None:
    planner._open()


def _load(sizes: dict[str, Any], tensors: dict[str, Tensor], where: object) -> HamsterNanoForConditionalGeneration:
    model = build_for(partial(_build, sizes), tensors, where)
    load_weights(model, tensors, where)
    model.eval().requires_grad_(False)
    return model


def _build(sizes: dict[str, Any]) -> HamsterNanoForConditionalGeneration:
    return HamsterNanoForConditionalGeneration(HamsterNanoConfig(**sizes))


def _embeddings(model: HamsterNanoForConditionalGeneration) -> Tensor:
    """Return the embeddings (V, D) of all tokens, those from word vectors, too."""
    return model.words.embed(torch.arange(model.config.vocab_size))


def _as_bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _bytes_of(tensor: Tensor) -> bytes:
    return bytes(tensor.cpu().numpy().tobytes())
