"""The bundled planner: a small vision-language model whose location tokens point at the image's patches.

A causal decoder reads image tokens, the instruction and its own answer. The logit of a location token is the dot
product of the decoder's state with that patch's feature, and a location that is fed back carries the patch's feature,
so the model can copy from the image what its words refer to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.utils import ModelOutput

from hamster.nano import tokens
from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.decoder import Layer
from hamster.nano.pointers import Answer, Words
from hamster.nano.presence import Presence, answered
from hamster.nano.ranges import LayerRange, layer_range
from hamster.nano.targets import answer_loss
from hamster.nano.tower import Tower

NEVER = -1e4  # the logit of what is no answer token


@dataclass
class NanoOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """What a pass returns; `image_features` (B, 256, C) and `absent` (B,) must come back with the next token."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Any = None
    image_features: Tensor | None = None
    absent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """What the training form makes of B images with K instructions each.

    Attributes:
        logits: (B, K, T, 324) over `tokens.ANSWER`.
        pointers: (B, K, T, 256) what the last layer's states point at; early_pointers: those of the layer before;
            landmark_pointers: those of two layers before, if there are so many.
        early_states: (B, K, T, D) normed states before the last layer, which is what later tokens can read.
        features: (B, 256, C) of the patches.
    """

    logits: Tensor
    pointers: Tensor
    early_pointers: Tensor
    landmark_pointers: Tensor
    early_states: Tensor
    features: Tensor


class HamsterNanoPreTrainedModel(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """How weights start and what transformers may do with the model."""

    config_class = HamsterNanoConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    _supports_cache_class = True
    _no_split_modules = ["Layer"]  # noqa: RUF012  # the name and type that transformers reads

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
        if isinstance(module, Words | Answer):
            module.start()


class HamsterNanoForConditionalGeneration(HamsterNanoPreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Image and instruction in, a path in answer tokens out; one image per sequence, before the text."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__(config)
        self.tower = Tower(config.tower_channels, config.tower_blocks)
        self.words = Words(config)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.answer = Answer(config)
        self.presence = Presence(config) if config.presence_heads else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token table."""
        return self.words.token

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token table."""
        self.words.token = value

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        image_features: Tensor | None = None,
        absent: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> NanoOutput:
        """One pass over new tokens.

        Args:
            input_ids: (B, T) new tokens; a row holds 256 image tokens before any text, or continues one that did.
            pixel_values: (B, 3, 192, 192) in [-1, 1]; needed with the image tokens.
            attention_mask: (B, past + T) 0 where a key is padding.
            past_key_values: cache of the earlier tokens; then `image_features` (B, 256, C) are needed, too.
            image_features: as returned by the pass that saw the image. absent: (B,) likewise, log-odds that something
                that the instruction names is not in view.
            labels: (B, T) answer tokens at their own places, -100 elsewhere; gives `loss`.
            use_cache: return `past_key_values`.
            logits_to_keep: compute only the last so many logits (0: all).
        """
        if image_features is None:
            if pixel_values is None:
                raise ValueError("this model answers questions about an image, and there is none (no pixel_values)")
            image_features = self.tower(pixel_values.to(self.dtype))
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if attention_mask is None:
            attention_mask = torch.ones(len(input_ids), past + input_ids.shape[1], device=input_ids.device)
        states, early = self._decode(input_ids, image_features, attention_mask.bool(), past, past_key_values)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        said, _pointers = self.answer(states[:, keep], image_features)
        if self.presence is not None:
            if absent is None:
                words = (input_ids >= tokens.BYTES)[:, None]
                absent = self.presence(self.answer.norm(early)[:, None], words, image_features)[:, 0]
            said = answered(said, input_ids[:, keep] == tokens.ANS, absent[:, None])
        loss = None if labels is None else answer_loss(said[:, :-1], labels[:, keep][:, 1:])
        logits = F.pad(said, (tokens.ANS, self.config.vocab_size - tokens.BYTES), value=NEVER)
        return NanoOutput(loss, logits, past_key_values if use_cache else None, image_features, absent)

    def _decode(self, ids: Tensor, features: Tensor, mask: Tensor, past: int, cache: Any) -> tuple[Tensor, Tensor]:
        """States after the last layer, and before it."""
        is_image = ids == tokens.IMAGE
        new = ids.shape[1]
        places = mask.cumsum(1)[:, past:] - 1
        positions = (places - tokens.GRID**2).clamp(0, self.config.max_text_tokens - 1)
        x = self.words.text(ids, positions, features)
        if bool(is_image.any()):
            _check_image(is_image, past)
            patches = self.words.image(features).to(x.dtype)
            x = x.masked_scatter(is_image[..., None], patches)
        allowed = mask[:, None] & ~_future(past + new, ids.device)[past:]
        if past == 0:
            allowed = allowed | (is_image[:, None] & is_image[..., None])
        allowed = allowed | torch.eye(past + new, device=ids.device, dtype=torch.bool)[past:]  # padding sees itself
        early = x
        for i, layer in enumerate(self.layers):
            early = x
            after = cast(Layer, layer).step(x, allowed[:, None], cache)
            x = after if i < self.config.image_layers else torch.where(is_image[..., None], x, after)
        return x, early

    def read_blocks(self, pixel_values: Tensor, ids: Tensor) -> Reading:
        """The training form of `forward`: several instructions behind each image.

        Args:
            pixel_values: (B, 3, 192, 192) in [-1, 1].
            ids: (B, K, T) instruction and answer, padded on the right.
        """
        features, image, text = self.embed_blocks(pixel_values, ids)
        future, states = _future(ids.shape[2], ids.device), [text]
        for i, layer in enumerate(self.layers):
            image, text = cast(Layer, layer).blocks(image, text, future, i < self.config.image_layers)
            states.append(text)
        said, pointers = self.answer(text.flatten(1, 2), features)
        early, before = (self.answer.norm(states[max(0, len(states) - n)].flatten(1, 2)) for n in (2, 3))
        early_pointers, landmark_pointers = (self.answer.point(x, features).float() for x in (early, before))
        said, pointers, early_pointers, landmark_pointers, early = (
            x.reshape(*ids.shape, -1) for x in (said, pointers, early_pointers, landmark_pointers, early)
        )
        if self.presence is not None:
            absent = self.presence(early, ids >= tokens.BYTES, features)
            said = answered(said, ids == tokens.ANS, absent[..., None])
        return Reading(said, pointers, early_pointers, landmark_pointers, early, features)

    def read_presence(self, pixel_values: Tensor, ids: Tensor) -> Tensor:
        """The log-odds (B, K) that something is absent, as in `read_blocks`; all but `presence` stays as it is."""
        if self.presence is None:
            raise ValueError("this planner was built without presence heads")
        with torch.no_grad():
            features, image, early = self.embed_blocks(pixel_values, ids)
            future = _future(ids.shape[2], ids.device)
            for i, layer in enumerate(self.layers[:-1]):
                image, early = cast(Layer, layer).blocks(image, early, future, i < self.config.image_layers)
            early = self.answer.norm(early)
        log_odds: Tensor = self.presence(early, ids >= tokens.BYTES, features)
        return log_odds

    def ranges(self, pixel_values: Tensor, ids: Tensor) -> list[LayerRange]:
        """How far each layer's text states and attention are from running away; the arguments of `read_blocks`."""
        with torch.no_grad():
            _, image, text = self.embed_blocks(pixel_values, ids)
            future, found = _future(ids.shape[2], ids.device), list[LayerRange]()
            for i, layer in enumerate(self.layers):
                attention: list[Tensor] = []
                image, text = cast(Layer, layer).blocks(
                    image, text, future, i < self.config.image_layers, attention.append
                )
                found.append(layer_range(text, attention[0], ids != tokens.PAD))
        return found

    def embed_blocks(self, pixel_values: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the patches, image tokens and text (B, K, T, D) before the first layer."""
        features = self.tower(pixel_values)
        image = self.words.image(features)
        batch, count, length = ids.shape
        positions = torch.arange(length, device=ids.device).repeat(count)
        text = self.words.text(ids.flatten(1), positions, features).reshape(batch, count, length, -1)
        return features, image, text

    def _update_model_kwargs_for_generation(
        self, outputs: NanoOutput, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        model_kwargs = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)
        return {**model_kwargs, "image_features": outputs.image_features, "absent": outputs.absent}


def _future(length: int, device: torch.device) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def _check_image(is_image: Tensor, past: int) -> None:
    if past or bool((is_image.sum(1) != tokens.GRID**2).any()):
        raise ValueError(f"every sequence needs exactly one image of {tokens.GRID**2} tokens, before its text")
