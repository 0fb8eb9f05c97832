"""The monolithic baseline: the planner's vision-language model, fine-tuned to say the next keypose token by token.

In the manner of RT-2 and OpenVLA (arXiv 2406.09246): one token of 256 per dimension, one after the other. It is the
system that the paper is measured against, so it is given what helps it: the off-domain planner's weights, what the
robot feels and remembers, soft targets, bins that look alike where they are near, and the planner's way to point.
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
from hamster.policy.monolithic.inputs import FELT, GOAL, NOTHING, SLOTS, Inputs, as_tokens, make_inputs
from hamster.policy.monolithic.pointer import Glance
from hamster.policy.scene import Scene


class MonolithicActor(Actor[MonolithicConfig, Inputs]):
    """Image, words and proprioception -> the next keypose: its position, and how far the tool turns."""

    vocabulary: Tensor

    def __init__(self, config: MonolithicConfig) -> None:
        super().__init__()
        self.config, model, vocabulary = open_backbone(config)
        self._take(model)
        width = model.config.hidden_size
        self.action = nn.Embedding(NOTHING + 1, width)
        self.slot = nn.Embedding(SLOTS + 1, width, padding_idx=0)
        self.head = nn.Parameter(torch.empty(DIMENSIONS, BINS, width))
        self.glance = Glance(model.answer, model.config.tower_channels[-1], width)
        self.poses, self.goals = Bins(), Bins()
        self.register_buffer("vocabulary", vocabulary)
        self._tokenizer: Tokenizer | None = None
        self._start()
        self._keep_on_cpu()
        self.register_load_state_dict_post_hook(_keep_on_cpu)  # type: ignore[no-untyped-call]

    def begin(self, tool_world: Tensor, goal_world: Tensor) -> None:
        """See `Actor.begin`: the ranges that the bins divide."""
        tool, goal = tool_world[:, :3, :3], goal_world[:, :3, :3]
        positions = torch.cat([tool_world, goal_world])[:, :3, 3]  # in the same bins: what stays is copied
        self.poses.fit(positions, torch.cat([tool, goal]))
        self.goals.fit(positions, (tool.transpose(1, 2) @ goal).repeat(2, 1, 1))
        self._keep_on_cpu()

    def prepare(self, scene: Scene) -> Inputs:
        """See `Actor.prepare`."""
        config, (poses, goals) = self.config, self._bins
        return make_inputs(scene, config.cameras[0], self.tokenizer, poses, goals, config.text_tokens)

    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropies: a Gaussian around the right bin of each dimension; where the goal is in the image."""
        with torch.autocast(inputs.words.device.type, enabled=False):  # geometry stays in float32
            turn = inputs.tool_rotation.transpose(1, 2) @ target.rotation[:, 0]
            position = inputs.tool_position + target.position[:, 0]
            right = self.goals.of(self.goals.values(position, turn, target.is_open[:, 0]))
            ahead = (inputs.uvw_from_world @ F.pad(position, (0, 1), value=1.0)[..., None])[..., 0]
            uv = torch.where(ahead[:, 2:] > 0, ahead[:, :2] / ahead[:, 2:], torch.nan)
        logits, pointers = self.say(self.look(inputs), self._with_action(inputs, right), inputs.words)
        away = (torch.arange(BINS, device=right.device) - right[..., None]) / self.config.sigma_bins
        wanted = (-0.5 * away**2).softmax(-1)
        each = -(wanted * logits.log_softmax(-1)).sum(-1).mean(0)
        pointing = self.glance.pointing_loss(pointers, uv)
        return {"position": each[:3].sum(), "rotation": each[3:6].sum(), "gripper": each[6], "pointing": pointing}

    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """The most likely token, one after the other; the score is their mean probability."""
        features = self.look(inputs)
        said = torch.zeros(len(inputs.words), DIMENSIONS, dtype=torch.long, device=inputs.words.device)
        p = torch.zeros_like(said, dtype=torch.float)
        for i in range(DIMENSIONS):
            logits, _ = self.say(features, self._with_action(inputs, said), inputs.words)
            p[:, i], said[:, i] = logits[:, i].softmax(-1).max(-1)
        with torch.autocast(said.device.type, enabled=False):
            position, turn, is_open = self.goals.pose(self.goals.middle(said))
            rotation = inputs.tool_rotation @ turn
        return Prediction(
            position=(position - inputs.tool_position)[:, None],
            rotation=rotation[:, None],
            is_open=is_open[:, None],
            done=torch.zeros_like(is_open),
            touches=torch.full_like(is_open[:, None], torch.nan),
            score=p.mean(-1),
        )

    def look(self, inputs: Inputs) -> Tensor:
        """Features (B, 256, C) of the image's patches."""
        seen: Tensor = self.tower(inputs.pixels.permute(0, 3, 1, 2) / 127.5 - 1)
        return seen

    def say(self, features: Tensor, sentence: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Given the ones before in the sentence (B, T), of each dimension the logits (B, 7, 256) of its bins, and those
        of the patches that it looks at (B, 7, 256)."""
        places = torch.arange(sentence.shape[1], device=sentence.device)
        slots = (places - words[:, None] + 1).clamp(0, SLOTS)
        table = torch.cat([self.token.weight, self.action.weight])
        said = F.embedding(sentence, table)
        image = self.from_image(features) + self.patch.weight
        text = (said + self.place.weight[: len(places)] + self.slot(slots))[:, None]
        future = torch.ones(len(places), len(places), dtype=torch.bool, device=sentence.device).triu(1)
        for i, layer in enumerate(self.layers):
            image, text = cast(Layer, layer).blocks(image, text, future, i < self.config.backbone["image_layers"])
        at = _action_at(words)[..., None] - 1  # the state before a token says it
        states = self.norm(text[:, 0].gather(1, at.expand(-1, -1, text.shape[-1])))
        felt = words[:, None, None] + torch.arange(3, device=words.device)[:, None]  # where the tool is
        states, pointers = self.glance(states, features, said.gather(1, felt.expand(-1, -1, said.shape[-1])))
        return torch.einsum("bdw,dvw->bdv", states, self.head.to(states.dtype)).float(), pointers

    @property
    def tokenizer(self) -> Tokenizer:
        """Read from the weights, so that a checkpoint needs nothing else."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_buffer(self.vocabulary.cpu().numpy().tobytes())
        return self._tokenizer

    def _with_action(self, inputs: Inputs, bins: Tensor) -> Tensor:
        """The sentence with the action (B, 7) said."""
        return inputs.sentence.scatter(1, _action_at(inputs.words), len(self.token.weight) + as_tokens(bins, GOAL))

    def _take(self, model: HamsterNanoForConditionalGeneration) -> None:
        """The backbone, without what only draws paths."""
        self.tower, self.layers, self.norm = model.tower, model.layers, model.answer.norm
        words = model.words
        self.token, self.place, self.patch, self.from_image = words.token, words.position, words.patch, words.from_image

    def _start(self) -> None:
        """Bins start as waves in a few directions: near ones are alike, and one attention head can carry them."""
        angles = math.pi * 2.0 ** torch.arange(8) * (torch.arange(BINS)[:, None] + 0.5) / BINS
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        directions = nn.init.orthogonal_(torch.empty(waves.shape[1], self.head.shape[-1]))
        with torch.no_grad():
            self.action.weight[:NOTHING] = (waves @ directions).repeat(NOTHING // BINS, 1)
            self.action.weight[NOTHING] = 0.0
            self.head.copy_((0.3 * waves @ directions).expand(DIMENSIONS, -1, -1))
            self.slot.weight.normal_(0, 0.3)[0] = 0.0

    def _keep_on_cpu(self) -> None:
        """Keep copies of what `prepare` reads: it runs on the CPU, also in processes that cannot use the GPU."""
        if not self.poses.low.is_meta:
            self._bins = copy.deepcopy(self.poses).cpu(), copy.deepcopy(self.goals).cpu()  # a tuple is no submodule
            self._tokenizer = self.tokenizer if len(self.vocabulary) else None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Makes room for the vocabulary, whose length no configuration tells."""
        if prefix + "vocabulary" in state_dict:
            self.vocabulary, self._tokenizer = torch.empty_like(state_dict[prefix + "vocabulary"]), None
        super()._load_from_state_dict(state_dict, prefix, *args)


def _keep_on_cpu(actor: MonolithicActor, _: object) -> None:
    actor._keep_on_cpu()


def _action_at(words: Tensor) -> Tensor:
    """(B, 7) places in the sentence."""
    return words[:, None] + FELT + 1 + torch.arange(DIMENSIONS, device=words.device)
