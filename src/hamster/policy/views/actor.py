"""The virtual-view actor: renders the scene's points, predicts the keypose on heat maps, and zooms in.

In the spirit of RVT-2 (arXiv 2406.08545): heat maps on orthographic views of a cube, coarse to fine. New here: the cube
is centred on the tool, so the policy is translation-equivariant; a stage passes a summary on to the next; the path is
drawn as a layer of its own, which nothing occludes; waypoints are read exactly and finer than a pixel.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.layers import mlp, six_from_matrix
from hamster.policy.path_prompt import POINT_FEATURES
from hamster.policy.policy_input import PointBatch, PolicyInput
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.cube import cell_to_local, to_view_axes
from hamster.policy.views.decode import Planes, best_cells, refine
from hamster.policy.views.heads import HEADS, RotationHead
from hamster.policy.views.heatmap import agreement, cross_entropy
from hamster.policy.views.inputs import ViewsInputs, make_inputs
from hamster.policy.views.network import InputSizes, StageInput, StageNetwork, StageOutput
from hamster.policy.views.pictures import MAX_LOCAL, PICTURE_CHANNELS, layer_channels, layers, picture

ROBOT_FEATURES = 6 + 2 + 3 + 2 + 3  # tool's rotation, gripper, previous position and its features, the cube's centre


class ViewsActor(Actor[ViewsConfig, ViewsInputs]):
    """Inputs to the next keypose, relative to the tool's position."""

    config_class = ViewsConfig

    def __init__(self, config: ViewsConfig) -> None:
        super().__init__()
        self.planner: FrozenPlanner | None = None
        if config.text_encoder == "planner":
            self.planner = FrozenPlanner(config.planner, config.planner_sizes, whole=False)
            sizes = self.planner.sizes
            config = replace(config, planner_sizes=sizes, word_width=sizes["hidden_size"])
        self.config = config
        input_sizes = InputSizes(PICTURE_CHANNELS, layer_channels(config), ROBOT_FEATURES, POINT_FEATURES + 6)
        self.stages = nn.ModuleList(
            StageNetwork(config, input_sizes) for _ in range(1 if config.shared else config.stages)
        )
        n_features = 2 * len(config.virtual_views) * config.head_width + config.width
        self.rotation: RotationHead = HEADS[config.rotation](n_features, 2 * config.head_width)
        self.gripper = mlp(n_features, config.head_width, 1)
        self.contact = mlp(n_features, config.head_width, 1)
        self.done = nn.Linear(config.width, 1)

    def preprocess(self, policy_input: PolicyInput) -> ViewsInputs:
        """Return one sample; see `Actor.preprocess`."""
        return make_inputs(self.config, policy_input, self.planner)

    def compute_loss(self, inputs: ViewsInputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return cross-entropies of heat maps, rotation, gripper, contact and end.

        Each stage's cube is around the true position (teacher forcing), with some jitter.
        """
        unfinished = 1 - target.done  # there is no next keypose after the last one
        position, rotation, is_open = target.position[:, 0], target.rotation[:, 0], target.is_open[:, 0]
        centre, previous, losses = torch.zeros_like(position), self._no_summary(inputs), dict[str, Tensor]()
        for stage in range(self.config.stages):
            half_m = self._half_m(stage)
            output = self._run_stage(stage, inputs, centre, previous)
            local = ((position - centre) / half_m).clamp(-1, 1)
            with torch.autocast(local.device.type, enabled=False):
                heat = cross_entropy(output.heat, local, self.config.virtual_views, self.config.sigma_px)
            losses[f"heat{stage}"] = (heat * unfinished).mean()
            if stage == 0:
                done_logit = self.done(output.summary).float()[:, 0]
            jitter = (2 * torch.rand(position.shape, generator=generator) - 1).to(position.device)
            centre, previous = position + jitter * self.config.jitter * half_m, output.summary
        features = self._point_features(output, local)
        binary = nn.functional.binary_cross_entropy_with_logits
        gripper = binary(self.gripper(features).float()[:, 0], is_open, reduction="none")
        losses["rotation"] = (self.rotation.compute_loss(features, rotation, generator) * unfinished).mean()
        is_known = unfinished * ~target.contact[:, 0].isnan()
        contact_logit = self.contact(features).float()[:, 0]
        contact = binary(contact_logit, target.contact[:, 0].nan_to_num(), reduction="none") * is_known
        losses |= {"gripper": (gripper * unfinished).mean() * 0.5, "contact": contact.mean() * 0.2}
        return losses | {"done": binary(done_logit, target.done) * 0.5}

    def predict(self, inputs: ViewsInputs, generator: torch.Generator) -> Prediction:
        """Return the keypose that the heat maps agree on; the score is how much of their mass lies there."""
        centre, previous = torch.zeros_like(inputs.robot.previous_positions[:, 0]), self._no_summary(inputs)
        score = torch.ones_like(centre[:, 0])
        for stage in range(self.config.stages):
            with self._precision(stage, centre.device.type):
                output = self._run_stage(stage, inputs, centre, previous)
            if stage == 0:
                done = self.done(output.summary).float()[:, 0].sigmoid()
            local = self._waypoint(output.heat)
            score = score * agreement(output.heat, local, self.config.virtual_views, 3 * self.config.sigma_px)
            centre, previous = centre + local * self._half_m(stage), output.summary
        features = self._point_features(output, local)
        return Prediction(
            position=centre[:, None],
            rotation=self.rotation(features)[:, None],
            is_open=self.gripper(features).float().sigmoid(),
            done=done,
            contact_prob=self.contact(features).float().sigmoid(),
            score=score,
        )

    def _precision(self, stage: int, device: str) -> AbstractContextManager[object]:
        """Return a context of float32 for all stages but the last, whatever the caller runs in.

        They choose the cube of the next stage, and where a heat map is broad, rounding would choose another.
        """
        return torch.autocast(device, enabled=False) if stage + 1 < self.config.stages else nullcontext()

    def _half_m(self, stage: int) -> float:
        """Return half the side of a stage's cube, metres."""
        return self.config.half_m / self.config.zoom**stage

    def _no_summary(self, inputs: ViewsInputs) -> Tensor:
        return inputs.points.new_zeros(len(inputs.points), self.config.width)

    def _run_stage(self, stage: int, inputs: ViewsInputs, centre: Tensor, previous: Tensor) -> StageOutput:
        half_m, scale_m, robot = self._half_m(stage), self.config.half_m, inputs.robot
        state = [
            six_from_matrix(robot.tool_rotation),
            robot.gripper,
            robot.previous_positions[:, 0] / scale_m,
            robot.previous_features[:, 0],
            centre / scale_m,
        ]
        stage_input = StageInput(
            picture=picture(self.config, inputs, centre, half_m),
            layers=layers(self.config, inputs, centre, half_m),
            robot=torch.cat(state, -1),
            previous=previous,
            waypoints=self._waypoints(inputs, centre, half_m),
            words=inputs.words,
        )
        output: StageOutput = self.stages[stage % len(self.stages)](stage_input)
        return output

    def _waypoints(self, inputs: ViewsInputs, centre: Tensor, half_m: float) -> PointBatch | None:
        """Return the waypoints, with their positions in the cube and relative to the tool among their features."""
        if "tokens" not in inputs.path_points:
            return None
        points = inputs.path_points["tokens"]
        local = ((points.positions - centre[:, None]) / half_m).clamp(-MAX_LOCAL, MAX_LOCAL)
        features = torch.cat([points.features, local, points.positions / self.config.half_m], -1)
        return PointBatch(points.positions, features, points.valid)

    def _waypoint(self, heat: Tensor) -> Tensor:
        """Return the position (B, 3), in the cube's coordinates, that heat maps (B, V, S, S) agree on."""
        with torch.autocast(heat.device.type, enabled=False):
            planes = Planes.of(heat.flatten(2).log_softmax(-1).view_as(heat), self.config.virtual_views)
            cells, _ = best_cells(planes)
            return cell_to_local(refine(planes, cells[:, 0]), heat.shape[-1])

    def _point_features(self, output: StageOutput, local: Tensor) -> Tensor:
        """Return (B, …) the features of each view at the projected point, their maximum, and the summary."""
        at = to_view_axes(local, self.config.virtual_views)[..., :2]  # (B, V, 2)
        maps = output.features.flatten(0, 1).float()
        sampled = nn.functional.grid_sample(maps, at.reshape(-1, 1, 1, 2), padding_mode="border", align_corners=False)
        at_point, maximum = (features.reshape(len(local), -1) for features in (sampled, maps.amax((2, 3))))
        return torch.cat([at_point, maximum, output.summary.float()], -1)
