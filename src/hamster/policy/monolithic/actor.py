"""The monolithic baseline: the planner's vision-language model, fine-tuned to predict the next keypose token by token.

In the manner of RT-2 and OpenVLA (arXiv 2406.09246): one token of 256 per dimension, one after the other. It is the
system that the paper compares with, so it gets what helps it: the off-domain planner's weights, proprioception and
history, soft targets, similar embeddings of neighbouring bins, and the planner's pointer.
"""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from hamster.nano.decoder import Layer
from hamster.nano.modeling import HamsterNanoForConditionalGeneration
from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.monolithic.backbone import open_backbone
from hamster.policy.monolithic.bins import BINS, DIMENSIONS, Bins
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.monolithic.inputs import (
    ACTION_SLOTS,
    GOAL,
    STATE_TOKENS,
    UNKNOWN,
    MonolithicInputs,
    as_tokens,
    make_inputs,
)
from hamster.policy.monolithic.pointer import ImagePointer
from hamster.policy.policy_input import PolicyInput


class MonolithicActor(Actor[MonolithicConfig, MonolithicInputs]):
    """Image, words and proprioception to the next keypose: its position, and the tool's rotation from now."""

    config_class = MonolithicConfig
    vocabulary: Tensor

    def __init__(self, config: MonolithicConfig) -> None:
        super().__init__()
        self.config, model, vocabulary = open_backbone(config)
        self._take_backbone(model)
        width = model.config.hidden_size
        self.action = nn.Embedding(UNKNOWN + 1, width)
        self.slot = nn.Embedding(ACTION_SLOTS + 1, width, padding_idx=0)
        self.head = nn.Parameter(torch.empty(DIMENSIONS, BINS, width))
        self.pointer = ImagePointer(model.answer, model.config.tower_channels[-1], width)
        self.poses, self.goals = Bins(), Bins()
        self.register_buffer("vocabulary", vocabulary)
        self._tokenizer: Tokenizer | None = None
        self._init_weights()
        self._keep_on_cpu()
        self.register_load_state_dict_post_hook(_keep_on_cpu)  # type: ignore[no-untyped-call]

    def fit_normalization(self, tool_world: Tensor, goal_world: Tensor) -> None:
        """Fit the ranges that the bins divide; see `Actor.fit_normalization`."""
        tool, goal = tool_world[:, :3, :3], goal_world[:, :3, :3]
        positions = torch.cat([tool_world, goal_world])[:, :3, 3]  # in the same bins: an unchanged position is copied
        self.poses.fit(positions, torch.cat([tool, goal]))
        self.goals.fit(positions, (tool.transpose(1, 2) @ goal).repeat(2, 1, 1))
        self._keep_on_cpu()

    def preprocess(self, policy_input: PolicyInput) -> MonolithicInputs:
        """Return one sample; see `Actor.preprocess`."""
        config, (poses, goals) = self.config, self._bins
        return make_inputs(policy_input, config.cameras[0], self.tokenizer, poses, goals, config.text_tokens)

    def compute_loss(self, inputs: MonolithicInputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return cross-entropies: a Gaussian around the right bin of each dimension; the goal's place in the image."""
        with torch.autocast(inputs.sequence.device.type, enabled=False):  # geometry stays in float32
            turn = inputs.tool_rotation.transpose(1, 2) @ target.rotation[:, 0]
            position = inputs.tool_position + target.position[:, 0]
            bins = self.goals.encode(self.goals.values(position, turn, target.is_open[:, 0]))
            uvw = (inputs.uvw_from_world @ F.pad(position, (0, 1), value=1.0)[..., None])[..., 0]
            uv = torch.where(uvw[:, 2:] > 0, uvw[:, :2] / uvw[:, 2:], torch.nan)
        features = self.encode_image(inputs)
        logits, pointers = self.predict_bins(features, self._with_action(inputs, bins), inputs.n_words)
        distance = (torch.arange(BINS, device=bins.device) - bins[..., None]) / self.config.sigma_bins
        target_bins = (-0.5 * distance**2).softmax(-1)
        losses = -(target_bins * logits.log_softmax(-1)).sum(-1).mean(0)
        return {
            "position": losses[:3].sum(),
            "rotation": losses[3:6].sum(),
            "gripper": losses[6],
            "pointing": self.pointer.pointing_loss(pointers, uv),
        }

    def predict(self, inputs: MonolithicInputs, generator: torch.Generator) -> Prediction:
        """Return the most likely tokens, decoded one after the other; the score is their mean probability."""
        features = self.encode_image(inputs)
        bins = torch.zeros(len(inputs.n_words), DIMENSIONS, dtype=torch.long, device=inputs.n_words.device)
        probability = torch.zeros_like(bins, dtype=torch.float)
        for i in range(DIMENSIONS):
            logits, _ = self.predict_bins(features, self._with_action(inputs, bins), inputs.n_words)
            probability[:, i], bins[:, i] = logits[:, i].softmax(-1).max(-1)
        with torch.autocast(bins.device.type, enabled=False):
            position, turn, is_open = self.goals.pose(self.goals.decode(bins))
            rotation = inputs.tool_rotation @ turn
        return Prediction(
            position=(position - inputs.tool_position)[:, None],
            rotation=rotation[:, None],
            is_open=is_open[:, None],
            done=torch.zeros_like(is_open),
            contact_prob=torch.full_like(is_open[:, None], torch.nan),
            score=probability.mean(-1),
        )

    def encode_image(self, inputs: MonolithicInputs) -> Tensor:
        """Return features (B, 256, C) of the image's patches."""
        features: Tensor = self.tower(inputs.pixels.permute(0, 3, 1, 2) / 127.5 - 1)
        return features

    def predict_bins(self, features: Tensor, sequence: Tensor, n_words: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the bin of each dimension from the tokens before it (teacher forcing).

        Args:
            features: (B, 256, C) of the image.
            sequence: (B, T) tokens.
            n_words: (B,) how many of them are the instruction's.

        Returns:
            Logits (B, 7, 256) of the bins, and of the patches pointed at (B, 7, 256).
        """
        places = torch.arange(sequence.shape[1], device=sequence.device)
        slots = (places - n_words[:, None] + 1).clamp(0, ACTION_SLOTS)
        embedded = F.embedding(sequence, torch.cat([self.token.weight, self.action.weight]))
        image = self.from_image(features) + self.patch.weight
        text = (embedded + self.place.weight[: len(places)] + self.slot(slots))[:, None]
        future = torch.ones(len(places), len(places), dtype=torch.bool, device=sequence.device).triu(1)
        for i, layer in enumerate(self.layers):
            image, text = cast(Layer, layer).blocks(image, text, future, i < self.config.backbone["image_layers"])
        at = _action_places(n_words)[..., None] - 1  # the state before a token predicts it
        states = self.norm(text[:, 0].gather(1, at.expand(-1, -1, text.shape[-1])))
        tool_places = n_words[:, None, None] + torch.arange(3, device=n_words.device)[:, None]
        tool = embedded.gather(1, tool_places.expand(-1, -1, embedded.shape[-1]))
        states, pointers = self.pointer(states, features, tool)
        return torch.einsum("bdw,dvw->bdv", states, self.head.to(states.dtype)).float(), pointers

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, read from the weights, so that a checkpoint needs nothing else."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_buffer(self.vocabulary.cpu().numpy().tobytes())
        return self._tokenizer

    def _with_action(self, inputs: MonolithicInputs, bins: Tensor) -> Tensor:
        """Return the sequence (B, T) with the action (B, 7) filled in."""
        places = _action_places(inputs.n_words)
        return inputs.sequence.scatter(1, places, len(self.token.weight) + as_tokens(bins, GOAL))

    def _take_backbone(self, model: HamsterNanoForConditionalGeneration) -> None:
        """Take the planner's layers, but for those that only draw paths."""
        self.tower, self.layers, self.norm = model.tower, model.layers, model.answer.norm
        words = model.words
        self.token, self.place, self.patch, self.from_image = words.token, words.position, words.patch, words.from_image

    def _init_weights(self) -> None:
        """Initialise bins as waves in a few directions: near ones are similar, and one attention head can copy them."""
        angles = math.pi * 2.0 ** torch.arange(8) * (torch.arange(BINS)[:, None] + 0.5) / BINS
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        directions = nn.init.orthogonal_(torch.empty(waves.shape[1], self.head.shape[-1]))
        with torch.no_grad():
            self.action.weight[:UNKNOWN] = (waves @ directions).repeat(UNKNOWN // BINS, 1)
            self.action.weight[UNKNOWN] = 0.0
            self.head.copy_((0.3 * waves @ directions).expand(DIMENSIONS, -1, -1))
            self.slot.weight.normal_(0, 0.3)[0] = 0.0

    def _keep_on_cpu(self) -> None:
        """Keep copies of what `preprocess` reads: it runs on the CPU, also in processes that cannot use the GPU."""
        if not self.poses.low.is_meta:
            self._bins = copy.deepcopy(self.poses).cpu(), copy.deepcopy(self.goals).cpu()  # a tuple is no submodule
            self._tokenizer = self.tokenizer if len(self.vocabulary) else None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the vocabulary, whose length is not in the configuration."""
        if prefix + "vocabulary" in state_dict:
            self.vocabulary, self._tokenizer = torch.empty_like(state_dict[prefix + "vocabulary"]), None
        super()._load_from_state_dict(state_dict, prefix, *args)


def _keep_on_cpu(actor: MonolithicActor, _: object) -> None:
    actor._keep_on_cpu()


def _action_places(n_words: Tensor) -> Tensor:
    """Return the places (B, 7) of the action in the sequence."""
    return n_words[:, None] + STATE_TOKENS + 1 + torch.arange(DIMENSIONS, device=n_words.device)
