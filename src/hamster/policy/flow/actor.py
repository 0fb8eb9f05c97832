"""The flow-matching keypose actor: looks, points at an anchor, then lets a pose flow from noise to where it belongs.

In the spirit of 3D FlowMatch Actor (arXiv 2508.11002): rectified flow over one keypose, conditioned by attention with
relative 3D positions. New here: foveas instead of a dense feature map, and an anchor that tokens vote for, so that
the flow only has to model the last centimetres.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.flow.conditioners import CONDITIONERS, Conditioner, Tokens
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.eyes import Eyes
from hamster.policy.flow.inputs import Inputs, make_inputs
from hamster.policy.layers import Code, DecoderBlock, EncoderBlock, codes, mlp
from hamster.policy.rotation import matrix_from_six, six_from_matrix
from hamster.policy.scene import Scene

ACTION = 9  # position, 6D rotation
RENOISE = 4  # noisy actions per encoded sample: looking is dear, flowing is cheap
RESIDUAL_LIMIT = 3.0  # units of the flow: what the anchor misses by more than this is the anchor's to learn
VOTE_M = 0.1
NEAR_M = 0.02  # votes no farther than this from a pose speak for it


@dataclass(frozen=True)
class Encoded:
    """What the Euler steps share.

    Attributes:
        intent: (B, width), the query token: which keypose is next.
        anchor: (B, 3), metres from the tool, and the vote (B, N, 3) and weight (B, N) of each token.
        gripper_logit: (B,) > 0 means open; done_logit: (B,) > 0 means that the path has been followed to its end.
        keys_values: one pair per decoder layer.
        on: (B, N) tokens that may be looked at.
    """

    intent: Tensor
    anchor: Tensor
    votes: Tensor
    weights: Tensor
    gripper_logit: Tensor
    done_logit: Tensor
    keys_values: list[tuple[Tensor, Tensor]]
    on: Tensor


class FlowActor(Actor[FlowConfig, Inputs]):
    """Inputs -> the distribution of the next keypose, relative to the tool's position."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        width, heads = config.width, config.heads
        self.eyes = Eyes(config)
        self.conditioners = nn.ModuleDict({name: CONDITIONERS[name](config) for name in config.conditioners})
        self.proprioception = mlp(8, width, width)
        self.memory = mlp(2, width, width)
        self.query = nn.Parameter(torch.randn(width) * 0.02)
        self.encoder = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(width)
        self.point_query, self.point_key = nn.Linear(width, width), nn.Linear(width, width)
        self.vote_query, self.vote = nn.Linear(width, width), mlp(width, width, 3)
        self.gripper, self.done = nn.Linear(width, 1), nn.Linear(width, 1)
        self.action = nn.Linear(ACTION, width)
        self.time = mlp(32, width, width)
        self.decoder = nn.ModuleList(DecoderBlock(width, heads) for _ in range(config.decoder_layers))
        self.velocity_norm, self.velocity_out = nn.LayerNorm(width), nn.Linear(width, ACTION)

    def prepare(self, scene: Scene) -> Inputs:
        """See `Actor.prepare`."""
        return make_inputs(self.config, scene)

    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Flow matching of the residual pose, the votes' distances, cross-entropy of gripper and end."""
        going = 1 - target.done  # there is no next keypose after the last one
        position, rotation, is_open = target.position[:, 0], target.rotation[:, 0], target.is_open[:, 0]
        encoded = self.encode(inputs)
        miss = (encoded.votes - position[:, None]).norm(dim=-1)
        expected = (encoded.weights * miss).sum(-1) + (encoded.anchor - position).norm(dim=-1)
        residual = (position - encoded.anchor.detach()) / self.config.position_scale_m
        residual = residual * (RESIDUAL_LIMIT / residual.norm(dim=-1, keepdim=True).clamp(min=RESIDUAL_LIMIT))
        action = torch.cat([residual, six_from_matrix(rotation)], -1)[:, None].expand(-1, RENOISE, -1)
        noise = torch.randn(action.shape, generator=generator).to(action.device)
        times = torch.randn(action.shape[:2], generator=generator).mul(1.5).sigmoid().to(action.device)
        noisy = noise + times[..., None] * (action - noise)
        error = ((self.velocity(noisy, times, encoded) - (action - noise)) ** 2).mean((1, 2))
        cross_entropy = nn.functional.binary_cross_entropy_with_logits
        return {
            "flow": (error * going).mean(),
            "vote": (expected * going).mean() * 10,
            "gripper": cross_entropy(encoded.gripper_logit, is_open) * 0.5,
            "done": cross_entropy(encoded.done_logit, target.done) * 0.5,
        }

    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """The most central of some samples; the score is how much the votes agree with it."""
        encoded = self.encode(inputs)
        shape = (len(encoded.anchor), self.config.samples, ACTION)
        noise = torch.randn(shape, generator=generator).to(encoded.anchor.device)
        action = medoid(self.flow(noise, encoded)).float()
        position = encoded.anchor.float() + action[:, :3] * self.config.position_scale_m
        return Prediction(
            position=position[:, None],
            rotation=matrix_from_six(action[:, None, 3:]),
            is_open=encoded.gripper_logit.sigmoid()[:, None],
            done=encoded.done_logit.sigmoid(),
            score=(encoded.weights * ((encoded.votes - position[:, None]).norm(dim=-1) < NEAR_M)).sum(-1),
        )

    def encode(self, inputs: Inputs) -> Encoded:
        """Everything that does not depend on the noisy action; done once per action."""
        context, unseen = self.context(inputs)
        code = self._code(context.positions)
        x = self.encoder[0](context.features, code, context.on)
        for block in self.encoder[1:]:  # the many visual tokens talk to each other once; that is the dear part
            x = block(x, code, context.on, first=unseen)
        x = self.norm(x)
        votes, weights = self._votes(x, context)
        return Encoded(
            intent=x[:, 0],
            anchor=(weights[..., None] * votes).sum(1),
            votes=votes,
            weights=weights,
            gripper_logit=self.gripper(x[:, 0]).float()[:, 0],
            done_logit=self.done(x[:, 0]).float()[:, 0],
            keys_values=[block.keys_values(x, code) for block in self._decoders()],
            on=context.on,
        )

    def context(self, inputs: Inputs) -> tuple[Tokens, int]:
        """Query, tool, memory and what the conditioners add; then, from the number returned on, the visual tokens."""
        features, positions, on = self.eyes(inputs)
        extra = []
        for conditioner in cast(Iterable[Conditioner], self.conditioners.values()):
            told, tokens = conditioner.glimpse_features(inputs), conditioner.tokens(inputs)
            features = features if told is None else features + told[:, :, None]
            extra += [] if tokens is None else [tokens]
        context = self._body(inputs)
        for tokens in extra:
            context = context + tokens
        seen = Tokens(features.flatten(1, 2), positions.flatten(1, 2), on.flatten(1, 2))
        return context + seen, context.on.shape[1]

    def velocity(self, noisy: Tensor, time: Tensor, encoded: Encoded) -> Tensor:
        """Velocity (B, K, 9) of K noisy actions (B, K, 9) at times (B, K) in [0, 1]: from noise at 0 to data at 1."""
        place = encoded.anchor[:, None].float() + noisy[..., :3].float() * self.config.position_scale_m
        code = self._code(place)
        intent = encoded.intent[:, None]
        signal = self.time(time_embedding(time)) + intent
        x = self.action(noisy) + intent
        for block, keys_values in zip(self._decoders(), encoded.keys_values, strict=True):
            x = block(x, signal, code, keys_values, encoded.on)
        return torch.as_tensor(self.velocity_out(self.velocity_norm(x))).float()

    def flow(self, noise: Tensor, encoded: Encoded) -> Tensor:
        """Carries noise (B, K, 9) to actions (B, K, 9) in Euler steps."""
        x, steps = noise, self.config.euler_steps
        for step in range(steps):
            time = torch.full(x.shape[:2], step / steps, device=x.device)
            x = x + self.velocity(x, time, encoded) / steps
        return x

    def _decoders(self) -> Iterable[DecoderBlock]:
        return cast(Iterable[DecoderBlock], self.decoder)

    def _body(self, inputs: Inputs) -> Tokens:
        tool = self.proprioception(torch.cat([six_from_matrix(inputs.tool_rotation), inputs.gripper], -1))
        memory = self.memory(inputs.previous_features)
        features = torch.stack([self.query.to(tool.dtype).expand_as(tool), tool, memory], 1)
        here = torch.zeros_like(inputs.previous)
        at = torch.stack([here, here, inputs.previous], 1)
        return Tokens(features, at, torch.ones(at.shape[:2], dtype=torch.bool, device=at.device))

    def _votes(self, x: Tensor, context: Tokens) -> tuple[Tensor, Tensor]:
        """Where each token thinks the pose is (B, N, 3), and how much it counts (B, N)."""
        query = x[:, :1]
        logits = (self.point_query(query) * self.point_key(x)).sum(-1).float() / x.shape[-1] ** 0.5
        weights = logits.masked_fill(~context.on, -torch.inf).softmax(-1)
        return context.positions + self.vote(x + self.vote_query(query)).float() * VOTE_M, weights

    def _code(self, positions: Tensor) -> Code:
        with torch.autocast(positions.device.type, enabled=False):  # geometry stays in float32
            return codes(positions, self.config.width // self.config.heads)


def time_embedding(time: Tensor) -> Tensor:
    """(..., ) in [0, 1] -> (..., 32) sines and cosines."""
    frequencies = torch.pi * 2.0 ** torch.linspace(-1, 5, 16, device=time.device)
    angles = time[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def medoid(actions: Tensor) -> Tensor:
    """Of K samples (B, K, 9) the one (B, 9) that is nearest to all others: unlike their mean, an action that exists."""
    distance = torch.cdist(actions, actions).sum(-1)
    return actions[torch.arange(len(actions), device=actions.device), distance.argmin(-1)]
