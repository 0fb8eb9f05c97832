"""The bundled planner: a small vision-language model whose location tokens point at image patches.

A causal decoder reads image tokens, the instruction and its own answer. The logit of a location token is the dot
product of the decoder's state with the feature of that patch, and the input embedding of a location token contains that
feature, so the model can copy positions from the image (compare pointer networks, Vinyals et al., 2015,
arXiv 1506.03134).
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
from hamster.nano.height import WaypointHeight, at_waypoints, is_bin
from hamster.nano.pointers import Answer, Words
from hamster.nano.presence import Presence, with_refusal_odds
from hamster.nano.ranges import LayerRange, layer_range
from hamster.nano.targets import answer_loss
from hamster.nano.tower import Tower

MASKED_LOGIT = -1e4  # of tokens that are not answer tokens


@dataclass
class NanoOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """Output of a forward pass.

    Attributes:
        loss: mean soft cross-entropy, if labels were given.
        logits: (B, T, V).
        past_key_values: key-value cache, if requested.
        image_features: (B, 256, C) patch features; to be passed to the next pass.
        absent: (B,) log-odds that something the instruction names is not in view; to be passed to the next pass.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Any = None
    image_features: Tensor | None = None
    absent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class BlockOutput:
    """Output of the training form for B images with K instructions each.

    Attributes:
        logits: (B, K, T, 324) over `tokens.ANSWER`.
        pointers: (B, K, T, 256) logits over patches from the states after the last layer.
        early_pointers: (B, K, T, 256) the same from the states before the last layer.
        landmark_pointers: (B, K, T, 256) the same from one layer earlier still, if there are so many layers.
        early_states: (B, K, T, D) normalised states before the last layer, to which later tokens attend.
        features: (B, 256, C) patch features.
        states: (B, K, T, D) normalised states after the last layer.
    """

    logits: Tensor
    pointers: Tensor
    early_pointers: Tensor
    landmark_pointers: Tensor
    early_states: Tensor
    features: Tensor
    states: Tensor


class HamsterNanoPreTrainedModel(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """Weight initialisation, and what transformers needs to know about the model."""

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
    """A model that generates a path in answer tokens from an image and an instruction; one image before the text."""

    def __init__(self, config: HamsterNanoConfig) -> None:
        super().__init__(config)
        self.tower = Tower(config)
        self.words = Words(config)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.answer = Answer(config)
        self.presence = Presence(config) if config.presence_heads else None
        self.height = WaypointHeight(config) if config.height_size else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.words.token

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embeddings."""
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
        """Compute the logits of new tokens.

        Args:
            input_ids: (B, T) new tokens; a sequence starts with 256 image tokens before its text.
            pixel_values: (B, 3, 192, 192) in [-1, 1]; required in the pass with the image tokens.
            attention_mask: (B, past + T) 0 where a key is padding.
            past_key_values: cache of the earlier tokens; requires `image_features`, too.
            image_features: (B, 256, C) as returned by the pass with the image.
            absent: (B,) as returned by the pass with the image: log-odds that something is not in view.
            labels: (B, T) answer tokens at their own positions, -100 elsewhere; gives `loss`.
            use_cache: return `past_key_values`.
            logits_to_keep: number of last positions whose logits are computed (0: all), or their indices.

        Raises:
            ValueError: if there is no image, or not exactly one before each text.
        """
        if image_features is None:
            if pixel_values is None:
                raise ValueError("this model needs an image: pass pixel_values, or image_features of an earlier pass")
            image_features = self.tower(pixel_values.to(self.dtype))
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if attention_mask is None:
            attention_mask = torch.ones(len(input_ids), past + input_ids.shape[1], device=input_ids.device)
        states, early = self._decode(input_ids, image_features, attention_mask.bool(), past, past_key_values)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits, _pointers = self.answer(states[:, keep], image_features)
        if self.presence is not None:
            if absent is None:
                words = (input_ids >= tokens.BYTES)[:, None]
                absent = self.presence(self.answer.norm(early)[:, None], words, image_features)[:, 0]
            logits = with_refusal_odds(logits, input_ids[:, keep] == tokens.ANS, absent[:, None])
        loss = None if labels is None else answer_loss(logits[:, :-1], labels[:, keep][:, 1:])
        padded = F.pad(logits, (tokens.ANS, self.config.vocab_size - tokens.BYTES), value=MASKED_LOGIT)
        return NanoOutput(loss, padded, past_key_values if use_cache else None, image_features, absent)

    def _decode(self, ids: Tensor, features: Tensor, mask: Tensor, past: int, cache: Any) -> tuple[Tensor, Tensor]:
        """Return the states after the last layer, and before it."""
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

    def read_blocks(self, pixel_values: Tensor, ids: Tensor) -> BlockOutput:
        """Compute `forward` in its training form: several instructions per image.

        Args:
            pixel_values: (B, 3, 192, 192) in [-1, 1].
            ids: (B, K, T) instruction and answer, padded on the right.
        """
        features, image, text = self.embed_blocks(pixel_values, ids)
        future, states = _future(ids.shape[2], ids.device), [text]
        for i, layer in enumerate(self.layers):
            image, text = cast(Layer, layer).blocks(image, text, future, i < self.config.image_layers)
            states.append(text)
        logits, pointers = self.answer(text.flatten(1, 2), features)
        early, before = (self.answer.norm(states[max(0, len(states) - n)].flatten(1, 2)) for n in (2, 3))
        early_pointers, landmark_pointers = (self.answer.point(x, features).float() for x in (early, before))
        logits, pointers, early_pointers, landmark_pointers, early = (
            x.reshape(*ids.shape, -1) for x in (logits, pointers, early_pointers, landmark_pointers, early)
        )
        if self.presence is not None:
            absent = self.presence(early, ids >= tokens.BYTES, features)
            logits = with_refusal_odds(logits, ids == tokens.ANS, absent[..., None])
        return BlockOutput(logits, pointers, early_pointers, landmark_pointers, early, features, self.answer.norm(text))

    def read_presence(self, pixel_values: Tensor, ids: Tensor) -> Tensor:
        """Return log-odds (B, K) that something is not in view, with gradients for `presence` only.

        Args:
            pixel_values: (B, 3, 192, 192) in [-1, 1].
            ids: (B, K, T) instructions, padded on the right.

        Raises:
            ValueError: if the planner was built without presence heads.
        """
        if self.presence is None:
            raise ValueError("this planner was built without presence heads")
        with torch.no_grad():
            features, early = self.read_early(pixel_values, ids)
        log_odds: Tensor = self.presence(early, ids >= tokens.BYTES, features)
        return log_odds

    @torch.inference_mode()
    def waypoint_heights(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> list[Tensor]:
        """Return for each of B sequences the estimated heights (N,) in metres of its answer's N waypoints.

        Args:
            input_ids: (B, T) image tokens, instruction and answer.
            attention_mask: (B, T) 0 for padding.
            pixel_values: (B, 3, 192, 192) in [-1, 1].

        Raises:
            ValueError: if the planner was built without the module for height.
        """
        if self.height is None:
            raise ValueError("this planner was built without the module for height")
        features = self.tower(pixel_values.to(self.dtype))
        states, _early = self._decode(input_ids, features, attention_mask.bool(), 0, None)
        waypoints = at_waypoints(input_ids[:, None], self.answer.norm(states)[:, None], features)
        return list(self.height(*waypoints).split(is_bin(input_ids).sum(1).tolist()))

    def read_early(self, pixel_values: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return patch features (B, 256, C), and the text's normalised states (B, K, T, D) before the last layer.

        Args:
            pixel_values: (B, 3, 192, 192) in [-1, 1].
            ids: (B, K, T) instructions, padded on the right.
        """
        features, image, text = self.embed_blocks(pixel_values, ids)
        future = _future(ids.shape[2], ids.device)
        for i, layer in enumerate(self.layers[:-1]):
            image, text = cast(Layer, layer).blocks(image, text, future, i < self.config.image_layers)
        return features, self.answer.norm(text)

    def ranges(self, pixel_values: Tensor, ids: Tensor) -> list[LayerRange]:
        """Measure the scale of each layer's text states and attention, for monitoring.

        Args:
            pixel_values: (B, 3, 192, 192) in [-1, 1].
            ids: (B, K, T) instruction and answer, padded on the right.
        """
        with torch.no_grad():
            _, image, text = self.embed_blocks(pixel_values, ids)
            future, ranges = _future(ids.shape[2], ids.device), list[LayerRange]()
            for i, layer in enumerate(self.layers):
                attention: list[Tensor] = []
                image, text = cast(Layer, layer).blocks(
                    image, text, future, i < self.config.image_layers, attention.append
                )
                ranges.append(layer_range(text, attention[0], ids != tokens.PAD))
        return ranges

    def embed_blocks(self, pixel_values: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return patch features (B, 256, C), image tokens (B, 256, D) and text (B, K, T, D) before the first layer."""
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
    """Return a mask (length, length) that is True where a key comes after its query."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def _check_image(is_image: Tensor, past: int) -> None:
    if past or bool((is_image.sum(1) != tokens.GRID**2).any()):
        raise ValueError(f"every sequence needs exactly one image of {tokens.GRID**2} tokens, before its text")
