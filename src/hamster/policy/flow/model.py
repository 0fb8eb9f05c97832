"""The flow-matching actor.

It encodes the scene, predicts an anchor by attention-weighted voting, then denoises residual poses with rectified flow.

In the spirit of 3D FlowMatch Actor (arXiv 2508.11002): rectified flow over poses, conditioned by attention with
relative 3D positions. New here: foveas beside or instead of a dense feature map; an anchor that tokens vote for, so
that the flow only has to model the last centimetres; and a context that is encoded once, whose keys and values are
cached over the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.flow.conditioners import FlowConditioner, build_conditioner
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.inputs import FlowInputs, make_inputs
from hamster.policy.flow.schedule import SCHEDULES
from hamster.policy.flow.token_pruning import density_sample, gather_tokens, scatter_tokens
from hamster.policy.flow.vision import CropEncoder, Encoded, ImageEncoder
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.layers import (
    DecoderBlock,
    EncoderBlock,
    RotaryEmbedding,
    Tokens,
    in_float32,
    matrix_from_six,
    mlp,
    rope_3d,
    six_from_matrix,
)
from hamster.policy.policy_input import PolicyInput

ACTION_DIM = 9  # position, 6D rotation
NOISE_SAMPLES_PER_ENCODING = 4  # encoding dominates the cost: reuse it for 4 noise draws
RESIDUAL_LIMIT = 3.0  # units of the flow: a larger error of the anchor is for the anchor to learn
MEAN_SHIFT_BANDWIDTH, MEAN_SHIFT_ITERATIONS = 0.5, 10  # in units of the flow, per pose
VOTE_UNIT_M = 0.1
AGREEMENT_M = 0.02  # votes no farther than this from a pose support it


@dataclass(frozen=True)
class SceneEncoding:
    """What the steps of the flow share, of N tokens.

    Attributes:
        intent: (B, width), the query token: what is next.
        anchor: (B, 3), the predicted position of the last pose, metres from the tool.
        votes: (B, N, 3) each token's prediction of it, and its weight: weights (B, N).
        gripper_logits: (B, K) > 0 means open.
        done_logit: (B,) > 0 means that the path has been followed to its end.
        keys_values: one pair per decoder layer.
        valid: (B, N) tokens that may be attended to.
    """

    intent: Tensor
    anchor: Tensor
    votes: Tensor
    weights: Tensor
    gripper_logits: Tensor
    done_logit: Tensor
    keys_values: list[tuple[Tensor, Tensor]]
    valid: Tensor


class FlowActor(Actor[FlowConfig, FlowInputs]):
    """Inputs to the distribution of the next poses, relative to the tool's position."""

    config_class = FlowConfig

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.planner: FrozenPlanner | None = None
        reads_states = "latent" in config.conditioners
        if reads_states or config.text_encoder == "planner":
            self.planner = FrozenPlanner(config.planner, config.planner_sizes, reads_states)
            sizes = self.planner.sizes
            word_width = sizes["hidden_size"] if config.text_encoder == "planner" else config.word_width
            config = replace(config, planner_sizes=sizes, word_width=word_width)
        self.config, self.schedule = config, SCHEDULES[config.schedule]
        width, heads = config.width, config.heads
        self.crop_encoder = CropEncoder(config) if config.crop_px else None
        self.image_encoder = ImageEncoder(config) if config.image_px else None
        self.conditioners = nn.ModuleDict({name: build_conditioner(name, config) for name in config.conditioners})
        self.proprioception = mlp(8, width, width)
        self.history = mlp(2, width, width)
        self.query = nn.Parameter(torch.randn(width) * 0.02)
        if config.n_obs_history > 1:
            self.history_order = nn.Parameter(torch.randn(config.n_obs_history, width) * 0.02)
        if config.max_instruction_tokens:
            self.word_embedding = nn.Linear(config.word_width, width)
            self.word_order = nn.Parameter(torch.randn(config.max_instruction_tokens, width) * 0.02)
        self.cross_attention = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.cross_attention_layers))
        self.encoder = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(width)
        self.weight_query, self.weight_key = nn.Linear(width, width), nn.Linear(width, width)
        self.vote_query, self.vote = nn.Linear(width, width), mlp(width, width, 3)
        self.gripper, self.done = nn.Linear(width, config.horizon), nn.Linear(width, 1)
        self.action_embedding = nn.Linear(ACTION_DIM, width)
        self.time_embedding = mlp(32, width, width)
        self.decoder = nn.ModuleList(DecoderBlock(width, heads) for _ in range(config.decoder_layers))
        if config.horizon > 1:
            self.pose_order = nn.Parameter(torch.randn(config.horizon, width) * 0.02)
            self.pose_attention = nn.ModuleList(EncoderBlock(width, heads) for _ in range(config.decoder_layers))
        self.velocity_norm, self.velocity_out = nn.LayerNorm(width), nn.Linear(width, ACTION_DIM)

    def preprocess(self, policy_input: PolicyInput) -> FlowInputs:
        """Return one sample; see `Actor.preprocess`."""
        return make_inputs(self.config, policy_input, self.planner)

    def compute_loss(self, inputs: FlowInputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return flow matching (or diffusion) of the residual poses, votes' distances, cross-entropies."""
        unfinished = 1 - target.done  # there is no next pose after the last one
        encoding, last = self.encode(inputs), target.position[:, -1]
        vote_error = (encoding.votes - last[:, None]).norm(dim=-1)
        anchor_error = (encoding.weights * vote_error).sum(-1) + (encoding.anchor - last).norm(dim=-1)
        action = self._residual_action(target, encoding)[:, None].expand(-1, NOISE_SAMPLES_PER_ENCODING, -1, -1)
        noise = torch.randn(action.shape, generator=generator).to(action.device)
        times = self.schedule.times((len(action), NOISE_SAMPLES_PER_ENCODING), generator).to(action.device)
        velocity = self.predict_velocity(self.schedule.add_noise(action, noise, times), times, encoding)
        flow_error = ((velocity - self.schedule.target(action, noise, times)) ** 2).mean((1, 2, 3))
        cross_entropy = nn.functional.binary_cross_entropy_with_logits
        return {
            "flow": (flow_error * unfinished).mean(),
            "vote": (anchor_error * unfinished).mean() * 10,
            "gripper": cross_entropy(encoding.gripper_logits, target.is_open) * 0.5,
            "done": cross_entropy(encoding.done_logit, target.done) * 0.5,
        }

    def predict(self, inputs: FlowInputs, generator: torch.Generator) -> Prediction:
        """Return the poses where samples are densest; the score is how much the votes agree with the last one."""
        encoding, config = self.encode(inputs), self.config
        shape = (len(encoding.anchor), config.samples, config.horizon, ACTION_DIM)
        noise = torch.randn(shape, generator=generator).to(encoding.anchor.device)
        action = mean_shift_mode(self.sample_actions(noise, encoding, generator))
        position = self._reference(encoding) + action[..., :3] * config.position_scale_m
        agrees = (encoding.votes - position[:, -1:]).norm(dim=-1) < AGREEMENT_M
        return Prediction(
            position=position,
            rotation=matrix_from_six(action[..., 3:]),
            is_open=encoding.gripper_logits.sigmoid(),
            done=encoding.done_logit.sigmoid(),
            contact_prob=torch.full_like(encoding.gripper_logits, torch.nan),
            score=(encoding.weights * agrees).sum(-1),
        )

    def encode(self, inputs: FlowInputs) -> SceneEncoding:
        """Return everything that does not depend on the noisy action; computed once per prediction."""
        prompt, crops, images = self.tokenize(inputs)
        visual = self._attend_to_prompt(crops + images, prompt)
        kept = prompt + visual.part(slice(len(crops)))  # never pruned
        context = self._self_attend(kept, visual.part(slice(len(crops), None)), n_prompt=len(prompt))
        x = self.norm(context.features)
        votes, weights = self._votes(x, context)
        rotary = self._rotary(context.positions)
        return SceneEncoding(
            intent=x[:, 0],
            anchor=(weights[..., None] * votes).sum(1),
            votes=votes,
            weights=weights,
            gripper_logits=self.gripper(x[:, 0]).float(),
            done_logit=self.done(x[:, 0]).float()[:, 0],
            keys_values=[block.attention.keys_values(x, rotary) for block in _decoder_blocks(self.decoder)],
            valid=context.valid,
        )

    def tokenize(self, inputs: FlowInputs) -> tuple[Tokens, Tokens, Tokens]:
        """Return the tokens of the prompt (query, robot, words, path), of the crops, and of the whole images.

        The query comes first. What there is none of has no tokens.
        """
        conditioners = cast(Sequence[FlowConditioner], list(self.conditioners.values()))
        prompt = self._robot_tokens(inputs)
        if self.config.max_instruction_tokens:
            prompt = prompt + self._word_tokens(inputs)
        for conditioner in conditioners:
            if (tokens := conditioner.tokens(inputs)) is not None:
                prompt = prompt + tokens
        crops = images = prompt.part(slice(0))
        if self.crop_encoder is not None:
            crop_features = [conditioner.crop_features(inputs) for conditioner in conditioners]
            crops = _visual_tokens(self.crop_encoder(inputs.crops), crop_features)
        if self.image_encoder is not None:
            image_features = [conditioner.image_features(inputs) for conditioner in conditioners]
            images = _visual_tokens(self.image_encoder(inputs.images), image_features)
        return _in_float32(prompt), _in_float32(crops), _in_float32(images)

    def predict_velocity(self, noisy: Tensor, time: Tensor, encoding: SceneEncoding) -> Tensor:
        """Return the schedule's target for noisy actions; for rectified flow, the velocity.

        Args:
            noisy: (B, S, K, 9) samples of K poses, relative to the reference.
            time: (B, S).
            encoding: of the scene.

        Returns:
            (B, S, K, 9).
        """
        batch, samples, horizon, _ = noisy.shape
        positions = self._reference(encoding)[:, None] + noisy[..., :3] * self.config.position_scale_m
        intent = encoding.intent[:, None]
        signal = (self.time_embedding(sinusoidal_embedding(time)) + intent).repeat_interleave(horizon, 1)
        x = in_float32(self.action_embedding, noisy) + intent[:, None]
        x = (x if horizon == 1 else x + self.pose_order).flatten(1, 2)
        rotary = self._rotary(positions.flatten(1, 2))
        pose_rotary = self._rotary(positions.flatten(0, 1)) if horizon > 1 else rotary
        for layer, block in enumerate(_decoder_blocks(self.decoder)):
            x = block(x, signal, rotary, encoding.keys_values[layer], encoding.valid)
            if horizon > 1:  # the poses of one sample attend to each other
                poses = x.view(batch * samples, horizon, -1)
                x = _encoder_blocks(self.pose_attention)[layer](poses, pose_rotary, poses, pose_rotary).view_as(x)
        return in_float32(self.velocity_out, in_float32(self.velocity_norm, x)).view_as(noisy)

    def sample_actions(self, noise: Tensor, encoding: SceneEncoding, generator: torch.Generator) -> Tensor:
        """Integrate noise to actions.

        Args:
            noise: (B, S, K, 9).
            encoding: of the scene.
            generator: of further noise, on the CPU; only DDPM draws from it.

        Returns:
            (B, S, K, 9).
        """

        def network(noisy: Tensor, time: Tensor) -> Tensor:
            return self.predict_velocity(noisy, time, encoding)

        return self.schedule.sample(noise, network, self.config.steps, generator)

    def _robot_tokens(self, inputs: FlowInputs) -> Tokens:
        """Return the query, the robot's state now, and one token per earlier call."""
        robot = inputs.robot
        state = self.proprioception(torch.cat([six_from_matrix(robot.tool_rotation), robot.gripper], -1))
        history = self.history(robot.previous_features)
        history = history + self.history_order if self.config.n_obs_history > 1 else history
        features = torch.cat([torch.stack([self.query.to(state.dtype).expand_as(state), state], 1), history], 1)
        at_tool = torch.zeros_like(robot.previous_positions[:, :1]).expand(-1, 2, -1)
        positions = torch.cat([at_tool, robot.previous_positions], 1)
        return Tokens(features, positions, torch.ones(positions.shape[:2], dtype=torch.bool, device=positions.device))

    def _word_tokens(self, inputs: FlowInputs) -> Tokens:
        """Return the instruction's words, positioned at the tool."""
        features = self.word_embedding(inputs.words) + self.word_order
        return Tokens(features, torch.zeros_like(features[..., :3]), inputs.words.abs().amax(-1) > 0)

    def _attend_to_prompt(self, visual: Tokens, prompt: Tokens) -> Tokens:
        """Let the visual tokens attend to the prompt's."""
        if not self.cross_attention:
            return visual
        rotary, prompt_rotary = self._rotary(visual.positions), self._rotary(prompt.positions)
        x = visual.features
        for block in _encoder_blocks(self.cross_attention):
            x = block(x, rotary, prompt.features, prompt_rotary, prompt.valid)
        return visual.with_features(x)

    def _self_attend(self, kept: Tokens, prunable: Tokens, n_prompt: int) -> Tokens:
        """Apply self-attention among all kept tokens and a part of the prunable ones; the rest stays as it is.

        Args:
            kept: the prompt's tokens, then others.
            prunable: tokens of which `token_keep_ratio` takes part.
            n_prompt: how many tokens the prompt has; deeper layers update only those.

        Returns:
            All tokens.
        """
        everything = kept + prunable
        count = round(self.config.token_keep_ratio * len(prunable))
        blocks, n_visual = _encoder_blocks(self.encoder), self.config.visual_self_attention_layers
        if count == len(prunable):
            rotary = self._rotary(everything.positions)
            return everything.with_features(
                self_attend(blocks, everything.features, rotary, everything.valid, n_prompt, n_visual)
            )
        index = density_sample(prunable.features, prunable.valid, count) + len(kept)
        index = torch.cat([torch.arange(len(kept), device=index.device).expand(len(index), -1), index], 1)
        x, positions, valid = (
            gather_tokens(part, index) for part in (everything.features, everything.positions, everything.valid)
        )
        x = self_attend(blocks, x, self._rotary(positions), valid, n_prompt, n_visual)
        return everything.with_features(scatter_tokens(everything.features, index, x))

    def _votes(self, x: Tensor, context: Tokens) -> tuple[Tensor, Tensor]:
        """Return each token's vote (B, N, 3) for the position of the last pose, and its weight (B, N)."""
        query = x[:, :1]
        logits = in_float32(self.weight_query, query) * in_float32(self.weight_key, x)
        weights = (logits.sum(-1) / x.shape[-1] ** 0.5).masked_fill(~context.valid, -torch.inf).softmax(-1)
        offset = in_float32(self.vote, x + in_float32(self.vote_query, query))
        return context.positions + offset * VOTE_UNIT_M, weights

    def _reference(self, encoding: SceneEncoding) -> Tensor:
        """Return positions (B, K, 3) on the straight line from the tool to the anchor, the last one at it."""
        horizon = self.config.horizon
        part = torch.arange(1, horizon + 1, device=encoding.anchor.device) / horizon
        return encoding.anchor[:, None] * part[:, None]

    def _residual_action(self, target: Target, encoding: SceneEncoding) -> Tensor:
        """Return a demonstration's poses (B, K, 9) relative to the reference: what the flow is to produce."""
        residual = (target.position - self._reference(encoding).detach()) / self.config.position_scale_m
        residual = residual * (RESIDUAL_LIMIT / residual.norm(dim=-1, keepdim=True).clamp(min=RESIDUAL_LIMIT))
        return torch.cat([residual, six_from_matrix(target.rotation)], -1)

    def _rotary(self, positions: Tensor) -> RotaryEmbedding:
        return rope_3d(positions, self.config.width // self.config.heads)


def self_attend(
    blocks: Iterable[EncoderBlock],
    x: Tensor,
    rotary: RotaryEmbedding,
    valid: Tensor,
    n_prompt: int,
    n_visual_layers: int,
) -> Tensor:
    """Apply self-attention to a context whose first tokens are the prompt's.

    Args:
        blocks: its layers.
        x: (B, N, width).
        rotary: of the tokens' positions.
        valid: (B, N).
        n_prompt: number of tokens of the prompt.
        n_visual_layers: layers that update all tokens; later ones update the prompt's only, which is much cheaper.

    Returns:
        (B, N, width).
    """
    for layer, block in enumerate(blocks):
        if layer < n_visual_layers:
            x = block(x, rotary, x, rotary, valid)
        else:
            prompt = block(x[:, :n_prompt], rotary.part(slice(n_prompt)), x, rotary, valid)
            x = torch.cat([prompt, x[:, n_prompt:]], 1)
    return x


def sinusoidal_embedding(time: Tensor) -> Tensor:
    """Return sines and cosines (..., 32) of times (...) in [0, 1]."""
    frequencies = torch.pi * 2.0 ** torch.linspace(-1, 5, 16, device=time.device)
    angles = time[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def mean_shift_mode(actions: Tensor) -> Tensor:
    """Return where S samples (B, S, K, 9) are densest, (B, K, 9), by mean shift (Comaniciu & Meer 2002).

    Unlike their mean it lies within one of several modes; unlike one sample it hardly moves when the samples do.
    """
    flat, scale = actions.flatten(2), -2 * MEAN_SHIFT_BANDWIDTH**2 * actions.shape[2]
    start = (torch.cdist(flat, flat) ** 2 / scale).exp().sum(-1).argmax(-1)
    x = flat[torch.arange(len(flat), device=flat.device), start][:, None]
    for _ in range(MEAN_SHIFT_ITERATIONS):
        x = (torch.cdist(x, flat) ** 2 / scale).softmax(-1) @ flat
    return x.view_as(actions[:, 0])


def _visual_tokens(encoded: Encoded, additions: Sequence[Tensor | None]) -> Tokens:
    """Return visual tokens (B, N, T, ...), with what conditioners add to their features, as one set per sample."""
    features, positions, valid = encoded
    for addition in additions:
        features = features if addition is None else features + addition
    return Tokens(features.flatten(1, 2), positions.flatten(1, 2), valid.flatten(1, 2))


def _in_float32(tokens: Tokens) -> Tokens:
    return tokens.with_features(tokens.features.float())


def _encoder_blocks(blocks: nn.ModuleList) -> list[EncoderBlock]:
    return cast(list[EncoderBlock], list(blocks))


def _decoder_blocks(blocks: nn.ModuleList) -> list[DecoderBlock]:
    return cast(list[DecoderBlock], list(blocks))
