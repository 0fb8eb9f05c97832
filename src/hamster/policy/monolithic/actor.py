"""The monolithic baseline: the planner's vision-language model, fine-tuned to predict the next keypose token by token.

In the manner of RT-2 and OpenVLA (arXiv 2406.09246): one token of 256 per dimension, one after the other. It is the
system that the paper compares with, so it gets what helps it: the off-domain planner's weights, proprioception and
history, soft targets, similar embeddings of neighbouring bins, and the planner's pointer.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from hamster.nano import tokens
from hamster.nano.decoder import Layer
from hamster.nano.modeling import HamsterNanoForConditionalGeneration
from hamster.nano.pointers import match
from hamster.nano.targets import answer_loss
from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.monolithic.backbone import open_backbone
from hamster.policy.monolithic.bins import BINS, DIMENSIONS, Bins
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.monolithic.decoding import TokenReader
from hamster.policy.monolithic.inputs import (
    ACTION_SLOTS,
    GOAL,
    STATE_TOKENS,
    UNKNOWN,
    MonolithicInputs,
    PathSample,
    as_tokens,
    make_inputs,
)
from hamster.policy.monolithic.path_task import PathHead, PathTask
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
        self.path_head = PathHead(model.words, model.answer) if config.co_training else None
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
        features = self.encode_image(inputs.pixels)
        logits, pointers = self.predict_bins(features, self._with_action(inputs, bins), inputs.n_words)
        distance = (torch.arange(BINS, device=bins.device) - bins[..., None]) / self.config.sigma_bins
        target_bins = (-0.5 * distance**2).softmax(-1)
        losses = -(target_bins * logits.log_softmax(-1)).sum(-1).mean(0)
        named = {
            "position": losses[:3].sum(),
            "rotation": losses[3:6].sum(),
            "gripper": losses[6],
            "pointing": self.pointer.pointing_loss(pointers, uv),
        }
        return named if inputs.path is None else named | {"path": self.path_loss(inputs.path)}

    def predict(self, inputs: MonolithicInputs, generator: torch.Generator) -> Prediction:
        """Return the most likely tokens, decoded one after the other; the score is their mean probability."""
        bins, probability = self.decode_bins(inputs)
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

    def decode_bins(self, inputs: MonolithicInputs) -> tuple[Tensor, Tensor]:
        """Return the most likely bin (B, 7) of each dimension, given those before it, and its probability (B, 7).

        The same as `predict_bins` for one dimension after the other, but what was read before is kept.
        """
        features, n_words = self.encode_image(inputs.pixels), inputs.n_words
        first = n_words + STATE_TOKENS  # the separator, whose state predicts the first dimension
        prefix = torch.arange(int(first.max()) + 1, device=n_words.device).expand(len(n_words), -1)
        image, image_layers = self.from_image(features) + self.patch.weight, self.config.backbone["image_layers"]
        reader = TokenReader(self._decoder_layers, image, image_layers, room=prefix.shape[1] + DIMENSIONS)
        embedded = self._embed(inputs.sequence[:, : prefix.shape[1]])
        tool = _tool_tokens(embedded, n_words)
        states = reader.read(embedded + self._place_embedding(prefix, n_words), prefix)
        state = states.gather(1, first[:, None, None].expand(-1, 1, states.shape[-1]))
        bins = torch.zeros(len(n_words), DIMENSIONS, dtype=torch.long, device=n_words.device)
        probability = torch.zeros_like(bins, dtype=torch.float)
        for i in range(DIMENSIONS):
            pointed, _ = self.pointer(self.norm(state), features, tool)
            logits = (pointed[:, 0] @ self.head[i].to(pointed.dtype).T).float()
            probability[:, i], bins[:, i] = logits.softmax(-1).max(-1)
            if i + 1 < DIMENSIONS:
                token = len(self.token.weight) + as_tokens(bins, GOAL)[:, i : i + 1]
                place = first[:, None] + 1 + i
                state = reader.read(self._embed(token) + self._place_embedding(place, n_words), place)
        return bins, probability

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return features (B, 256, C) of the patches of images (B, 192, 192, 3) uint8."""
        features: Tensor = self.tower(pixels.permute(0, 3, 1, 2) / 127.5 - 1)
        return features

    def path_loss(self, samples: PathSample) -> Tensor:
        """Return the planner's loss of paths drawn as answers: co-training keeps what it had learned of images."""
        assert self.path_head is not None
        features, ids = self.encode_image(samples.pixels), samples.sequence
        places = torch.arange(ids.shape[1], device=ids.device)
        text = self._embed(ids) + self.place(places) + self.path_head.location_content(ids, features, self.patch)
        states = self.norm(self._decode(features, text))
        pointer = self.pointer
        patches = match(pointer.query(states), features, pointer.key, pointer.patch)
        return answer_loss(self.path_head.logits(states, patches)[:, :-1], samples.labels[:, 1:])

    def open_co_training(self, folder: Path, cache: Path) -> PathTask:
        """Return the path task on a label set of images; see `Actor.open_co_training`."""
        return PathTask.open(folder, cache, self.tokenizer, self.config.text_tokens)

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
        embedded = self._embed(sequence)
        text = self._decode(features, embedded + self._place_embedding(places, n_words))
        at = _action_places(n_words)[..., None] - 1  # the state before a token predicts it
        states = self.norm(text.gather(1, at.expand(-1, -1, text.shape[-1])))
        states, pointers = self.pointer(states, features, _tool_tokens(embedded, n_words))
        return torch.einsum("bdw,dvw->bdv", states, self.head.to(states.dtype)).float(), pointers

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, read from the weights, so that a checkpoint needs nothing else."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_buffer(self.vocabulary.cpu().numpy().tobytes())
        return self._tokenizer

    @property
    def _decoder_layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.layers))

    def _embed(self, sequence: Tensor) -> Tensor:
        """Return the embeddings (B, T, D) of words and numbers."""
        return F.embedding(sequence, torch.cat([self.token.weight, self.action.weight]))

    def _place_embedding(self, places: Tensor, n_words: Tensor) -> Tensor:
        """Return the embeddings (B, T, D) of places (B, T) or (T,), and of what a place after the words is for."""
        embedded: Tensor = self.place(places) + self.slot((places - n_words[:, None] + 1).clamp(0, ACTION_SLOTS))
        return embedded

    def _decode(self, features: Tensor, text: Tensor) -> Tensor:
        """Return the states (B, T, D) after the last layer, of a sequence that reads an image; not normalised."""
        image, text = self.from_image(features) + self.patch.weight, text[:, None]
        future = torch.ones(text.shape[2], text.shape[2], dtype=torch.bool, device=text.device).triu(1)
        for i, layer in enumerate(self._decoder_layers):
            image, text = layer.blocks(image, text, future, i < self.config.backbone["image_layers"])
        return text[:, 0]

    def _with_action(self, inputs: MonolithicInputs, bins: Tensor) -> Tensor:
        """Return the sequence (B, T) with the action (B, 7) filled in."""
        places = _action_places(inputs.n_words)
        return inputs.sequence.scatter(1, places, len(self.token.weight) + as_tokens(bins, GOAL))

    def _take_backbone(self, model: HamsterNanoForConditionalGeneration) -> None:
        """Take the planner's layers, but for those that only draw paths."""
        self.tower, self.layers, self.norm = model.tower, model.layers, model.answer.norm
        words = model.eval().words  # without word dropout
        self.token, self.place, self.patch, self.from_image = words.token, words.position, words.patch, words.from_image
        if words.from_vector is not None:  # here all embeddings are fine-tuned, those from word vectors, too
            table = words.embed(torch.arange(model.config.vocab_size)).detach()
            self.token = nn.Embedding(table.shape[0], table.shape[1], padding_idx=tokens.PAD)
            self.token.weight.data.copy_(table)

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


def _tool_tokens(embedded: Tensor, n_words: Tensor) -> Tensor:
    """Return the tokens (B, 3, D) of the tool's position, which follow the words, of embeddings (B, T, D)."""
    places = n_words[:, None, None] + torch.arange(3, device=n_words.device)[:, None]
    return embedded.gather(1, places.expand(-1, -1, embedded.shape[-1]))


def _action_places(n_words: Tensor) -> Tensor:
    """Return the places (B, 7) of the action in the sequence."""
    return n_words[:, None] + STATE_TOKENS + 1 + torch.arange(DIMENSIONS, device=n_words.device)
