"""The flow-matching actor: looks, points at an anchor, then lets poses flow from noise to where they belong.

In the spirit of 3D FlowMatch Actor (arXiv 2508.11002): rectified flow over poses, conditioned by attention with
relative 3D positions. New here: foveas beside or instead of a dense feature map; an anchor that tokens vote for, so
that the flow only has to model the last centimetres; and a context that is encoded once, whose keys and values are
cached over the steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.flow.conditioners import CONDITIONERS, Conditioner
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.encoding import brief, coded, thinned_mix
from hamster.policy.flow.eyes import Eyes
from hamster.policy.flow.images import ImageTokens
from hamster.policy.flow.inputs import Inputs, make_inputs
from hamster.policy.flow.schedule import SCHEDULES
from hamster.policy.layers import Code, DecoderBlock, EncoderBlock, Tokens, exact, mlp
from hamster.policy.rotation import matrix_from_six, six_from_matrix
from hamster.policy.scene import Scene

ACTION = 9  # position, 6D rotation
RENOISE = 4  # noisy actions per encoded sample: looking is dear, flowing is cheap
RESIDUAL_LIMIT = 3.0  # units of the flow: what the anchor misses by more than this is the anchor's to learn
CROWD, SHIFTS = 0.5, 10  # units of the flow, for each pose; iterations
VOTE_M = 0.1
NEAR_M = 0.02  # votes no farther than this from a pose speak for it


@dataclass(frozen=True)
class Encoded:
    """What the steps share.

    Attributes:
        intent: (B, width), the query token: what is next.
        anchor: (B, 3), where it leads, metres from the tool, and the vote (B, N, 3) and weight (B, N) of each token.
        gripper_logits: (B, K) > 0 means open; done_logit: (B,) > 0 means that the path has been followed to its end.
        keys_values: one pair per decoder layer.
        on: (B, N) tokens that may be looked at.
    """

    intent: Tensor
    anchor: Tensor
    votes: Tensor
    weights: Tensor
    gripper_logits: Tensor
    done_logit: Tensor
    keys_values: list[tuple[Tensor, Tensor]]
    on: Tensor


class FlowActor(Actor[FlowConfig, Inputs]):
    """Inputs -> the distribution of the next poses, relative to the tool's position."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, SCHEDULES[config.schedule]
        width, heads = config.width, config.heads
        self.eyes = Eyes(config) if config.glimpse_px else None
        self.images = ImageTokens(config) if config.image_px else None
        self.conditioners = nn.ModuleDict({name: CONDITIONERS[name](config) for name in config.conditioners})
        self.proprioception = mlp(8, width, width)
        self.memory = mlp(2, width, width)
        self.query = nn.Parameter(torch.randn(width) * 0.02)
        if config.history > 1:
            self.age = nn.Parameter(torch.randn(config.history, width) * 0.02)
        if config.words:
            self.words = nn.Linear(config.word_width, width)
            self.word_place = nn.Parameter(torch.randn(config.words, width) * 0.02)
        self.briefing = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.briefing_layers))
        self.encoder = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(width)
        self.point_query, self.point_key = nn.Linear(width, width), nn.Linear(width, width)
        self.vote_query, self.vote = nn.Linear(width, width), mlp(width, width, 3)
        self.gripper, self.done = nn.Linear(width, config.horizon), nn.Linear(width, 1)
        self.action = nn.Linear(ACTION, width)
        self.time = mlp(32, width, width)
        self.decoder = nn.ModuleList(DecoderBlock(width, heads) for _ in range(config.decoder_layers))
        if config.horizon > 1:
            self.order = nn.Parameter(torch.randn(config.horizon, width) * 0.02)
            self.together = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.decoder_layers))
        self.velocity_norm, self.velocity_out = nn.LayerNorm(width), nn.Linear(width, ACTION)

    def prepare(self, scene: Scene) -> Inputs:
        """See `Actor.prepare`."""
        return make_inputs(self.config, scene)

    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Flow matching (or diffusion) of the residual poses, votes' distances, cross-entropy of gripper and end."""
        going = 1 - target.done  # there is no next pose after the last one
        encoded, last = self.encode(inputs), target.position[:, -1]
        miss = (encoded.votes - last[:, None]).norm(dim=-1)
        expected = (encoded.weights * miss).sum(-1) + (encoded.anchor - last).norm(dim=-1)
        action = self._action(target, encoded)[:, None].expand(-1, RENOISE, -1, -1)
        noise = torch.randn(action.shape, generator=generator).to(action.device)
        times = self.schedule.times((len(action), RENOISE), generator).to(action.device)
        said = self.velocity(self.schedule.noisy(action, noise, times), times, encoded)
        error = ((said - self.schedule.wanted(action, noise, times)) ** 2).mean((1, 2, 3))
        cross_entropy = nn.functional.binary_cross_entropy_with_logits
        return {
            "flow": (error * going).mean(),
            "vote": (expected * going).mean() * 10,
            "gripper": cross_entropy(encoded.gripper_logits, target.is_open) * 0.5,
            "done": cross_entropy(encoded.done_logit, target.done) * 0.5,
        }

    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """Where some samples are densest; the score is how much the votes agree with its end."""
        encoded, config = self.encode(inputs), self.config
        shape = (len(encoded.anchor), config.samples, config.horizon, ACTION)
        noise = torch.randn(shape, generator=generator).to(encoded.anchor.device)
        action = crowded(self.flow(noise, encoded, generator))
        position = self._reference(encoded) + action[..., :3] * config.position_scale_m
        near = (encoded.votes - position[:, -1:]).norm(dim=-1) < NEAR_M
        return Prediction(
            position=position,
            rotation=matrix_from_six(action[..., 3:]),
            is_open=encoded.gripper_logits.sigmoid(),
            done=encoded.done_logit.sigmoid(),
            touches=torch.full_like(encoded.gripper_logits, torch.nan),
            score=(encoded.weights * near).sum(-1),
        )

    def encode(self, inputs: Inputs) -> Encoded:
        """Everything that does not depend on the noisy action; done once per action."""
        context, told, first = self.context(inputs)
        code = self._code(context.positions)
        x = brief(_encoders(self.briefing), context.features, code, context.on, told)
        config, blocks = self.config, _encoders(self.encoder)
        x = self.norm(thinned_mix(blocks, x, context, told, config.visual_layers, first, config.keep))
        votes, weights = self._votes(x, context)
        return Encoded(
            intent=x[:, 0],
            anchor=(weights[..., None] * votes).sum(1),
            votes=votes,
            weights=weights,
            gripper_logits=self.gripper(x[:, 0]).float(),
            done_logit=self.done(x[:, 0]).float()[:, 0],
            keys_values=[block.keys_values(x, code) for block in self._decoders()],
            on=context.on,
        )

    def context(self, inputs: Inputs) -> tuple[Tokens, int, int]:
        """All tokens: query, body, words, path; then, from the one number on, glimpses; from the other on, images."""
        conditioners = cast(Iterable[Conditioner], self.conditioners.values())
        context = self._body(inputs)
        if self.config.words:
            context = context + self._words(inputs)
        for conditioner in conditioners:
            tokens = conditioner.tokens(inputs)
            context = context if tokens is None else context + tokens
        told = context.on.shape[1]
        if self.eyes is not None:
            context = context + _seen(self.eyes(inputs), [each.glimpse_features(inputs) for each in conditioners])
        first = context.on.shape[1]
        if self.images is not None:
            context = context + _seen(self.images(inputs), [each.image_features(inputs) for each in conditioners])
        return Tokens(context.features.float(), context.positions, context.on), told, first

    def velocity(self, noisy: Tensor, time: Tensor, encoded: Encoded) -> Tensor:
        """What the schedule wants to know of noisy actions (B, S, K, 9) at times (B, S): for the flow, the velocity."""
        batch, samples, horizon, _ = noisy.shape
        place = self._reference(encoded)[:, None] + noisy[..., :3] * self.config.position_scale_m
        intent = encoded.intent[:, None]
        signal = (self.time(time_embedding(time)) + intent).repeat_interleave(horizon, 1)
        x = exact(self.action, noisy) + intent[:, None]
        x = (x if horizon == 1 else x + self.order).flatten(1, 2)
        code, each_code = self._code(place.flatten(1, 2)), self._code(place.flatten(0, 1))
        for layer, (block, keys_values) in enumerate(zip(self._decoders(), encoded.keys_values, strict=True)):
            x = block(x, signal, code, keys_values, encoded.on)
            if horizon > 1:  # the poses of one sample look at each other
                each = x.view(batch * samples, horizon, -1)
                x = _encoders(self.together)[layer](each, each_code, each, each_code).view_as(x)
        return exact(self.velocity_out, exact(self.velocity_norm, x)).view_as(noisy)

    def flow(self, noise: Tensor, encoded: Encoded, generator: torch.Generator) -> Tensor:
        """Carries noise (B, S, K, 9) to actions; only DDPM draws from the generator."""

        def network(noisy: Tensor, time: Tensor) -> Tensor:
            return self.velocity(noisy, time, encoded)

        return self.schedule.sample(noise, network, self.config.steps, generator)

    def _action(self, target: Target, encoded: Encoded) -> Tensor:
        """(B, K, 9): what is to flow to a demonstration's poses from where the anchor leads."""
        residual = (target.position - self._reference(encoded).detach()) / self.config.position_scale_m
        residual = residual * (RESIDUAL_LIMIT / residual.norm(dim=-1, keepdim=True).clamp(min=RESIDUAL_LIMIT))
        return torch.cat([residual, six_from_matrix(target.rotation)], -1)

    def _reference(self, encoded: Encoded) -> Tensor:
        """(B, K, 3): poses on the straight line from the tool to the anchor, the last one on it."""
        horizon = self.config.horizon
        part = torch.arange(1, horizon + 1, device=encoded.anchor.device) / horizon
        return encoded.anchor[:, None] * part[:, None]

    def _body(self, inputs: Inputs) -> Tokens:
        tool = self.proprioception(torch.cat([six_from_matrix(inputs.tool_rotation), inputs.gripper], -1))
        memory = self.memory(inputs.previous_features)
        memory = memory + self.age if self.config.history > 1 else memory
        features = torch.cat([torch.stack([self.query.to(tool.dtype).expand_as(tool), tool], 1), memory], 1)
        at = torch.cat([torch.zeros_like(inputs.previous[:, :1]).expand(-1, 2, -1), inputs.previous], 1)
        return Tokens(features, at, torch.ones(at.shape[:2], dtype=torch.bool, device=at.device))

    def _words(self, inputs: Inputs) -> Tokens:
        """The instruction, where the tool is."""
        features = self.words(inputs.words) + self.word_place
        return Tokens(features, torch.zeros_like(features[..., :3]), inputs.words.abs().amax(-1) > 0)

    def _votes(self, x: Tensor, context: Tokens) -> tuple[Tensor, Tensor]:
        """Where each token thinks the last pose is (B, N, 3), and how much it counts (B, N)."""
        query = x[:, :1]
        logits = (exact(self.point_query, query) * exact(self.point_key, x)).sum(-1) / x.shape[-1] ** 0.5
        weights = logits.masked_fill(~context.on, -torch.inf).softmax(-1)
        return context.positions + exact(self.vote, x + exact(self.vote_query, query)) * VOTE_M, weights

    def _decoders(self) -> Iterable[DecoderBlock]:
        return cast(Iterable[DecoderBlock], self.decoder)

    def _code(self, positions: Tensor) -> Code:
        return coded(positions, self.config.width // self.config.heads)


def time_embedding(time: Tensor) -> Tensor:
    """(..., ) in [0, 1] -> (..., 32) sines and cosines."""
    frequencies = torch.pi * 2.0 ** torch.linspace(-1, 5, 16, device=time.device)
    angles = time[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def crowded(actions: Tensor) -> Tensor:
    """Where S samples (B, S, K, 9) are densest: (B, K, 9), by mean shift (Comaniciu & Meer 2002).

    Unlike their mean it lies within one of several ways to go; unlike picking one sample it hardly moves when they do.
    """
    flat, reach = actions.flatten(2), -2 * CROWD**2 * actions.shape[2]
    start = (torch.cdist(flat, flat) ** 2 / reach).exp().sum(-1).argmax(-1)
    x = flat[torch.arange(len(flat), device=flat.device), start][:, None]
    for _ in range(SHIFTS):
        x = (torch.cdist(x, flat) ** 2 / reach).softmax(-1) @ flat
    return x.view_as(actions[:, 0])


def _seen(tokens: tuple[Tensor, Tensor, Tensor], told: list[Tensor | None]) -> Tokens:
    """Visual tokens (B, N, T, …) and what conditioners add to their features, in one row."""
    features, positions, on = tokens
    for more in told:
        features = features if more is None else features + more
    return Tokens(features.flatten(1, 2), positions.flatten(1, 2), on.flatten(1, 2))


def _encoders(blocks: nn.ModuleList) -> list[EncoderBlock]:
    return cast(list[EncoderBlock], list(blocks))
