"""The virtual-view actor: renders the points it sees, says on each picture where to go, and looks again from nearer.

In the spirit of RVT-2 (arXiv 2406.08545): heat maps on orthographic views of a cube, coarse to fine. New here: the cube
is centred on the tool, so the policy is translation-equivariant; a look passes what it understood on to the next; the
path is drawn as a layer of its own, which nothing hides; waypoints are read exactly and finer than a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from hamster.policy.actor import Actor, Prediction, Target
from hamster.policy.conditioning import FEATURES
from hamster.policy.layers import mlp
from hamster.policy.rotation import six_from_matrix
from hamster.policy.scene import Scene
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.cube import cell_to_local, seen
from hamster.policy.views.decode import Planes, best_cells, refine
from hamster.policy.views.heads import HEADS, RotationHead
from hamster.policy.views.heatmap import agreement, cross_entropy
from hamster.policy.views.inputs import Inputs, make_inputs
from hamster.policy.views.network import Channels, Look, Seen, Told
from hamster.policy.views.pictures import FAR, PICTURE, layer_channels, layers, picture

BODY = 6 + 2 + 3 + 2 + 3  # tool's rotation, gripper, where the tool was, what it knew then, the cube's centre


class ViewsActor(Actor[ViewsConfig, Inputs]):
    """Inputs -> the next keypose, relative to the tool's position."""

    def __init__(self, config: ViewsConfig) -> None:
        super().__init__()
        self.config = config
        channels = Channels(PICTURE, layer_channels(config), BODY, FEATURES + 6)
        self.looks = nn.ModuleList(Look(config, channels) for _ in range(1 if config.shared else config.stages))
        inside = 2 * len(config.views) * config.head_width + config.width
        self.rotation: RotationHead = HEADS[config.rotation](inside, 2 * config.head_width)
        self.gripper = mlp(inside, config.head_width, 1)
        self.touches = mlp(inside, config.head_width, 1)
        self.done = nn.Linear(config.width, 1)

    def prepare(self, scene: Scene) -> Inputs:
        """See `Actor.prepare`."""
        return make_inputs(self.config, scene)

    def losses(self, inputs: Inputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropies of heat maps, rotation, gripper and end. Each look is told the truth of the one before."""
        going = 1 - target.done  # there is no next keypose after the last one
        position, rotation, is_open = target.position[:, 0], target.rotation[:, 0], target.is_open[:, 0]
        centre, before, losses = torch.zeros_like(position), self._nothing(inputs), {}
        for stage, half_m in enumerate(self._halves()):
            found = self._look(stage, inputs, centre, before)
            local = ((position - centre) / half_m).clamp(-1, 1)
            with torch.autocast(local.device.type, enabled=False):
                heat = cross_entropy(found.heat, local, self.config.views, self.config.sigma_px)
            losses[f"heat{stage}"] = (heat * going).mean()
            if stage == 0:
                done = self.done(found.summary).float()[:, 0]
            shift = (2 * torch.rand(position.shape, generator=generator) - 1).to(position.device)
            centre, before = position + shift * self.config.jitter * half_m, found.summary
        features = self._features(found, local)
        cross = nn.functional.binary_cross_entropy_with_logits
        gripper = cross(self.gripper(features).float()[:, 0], is_open, reduction="none")
        losses["rotation"] = (self.rotation.losses(features, rotation, generator) * going).mean()
        known = going * ~target.touches[:, 0].isnan()
        touched = target.touches[:, 0].nan_to_num()
        touches = cross(self.touches(features).float()[:, 0], touched, reduction="none") * known
        losses |= {"gripper": (gripper * going).mean() * 0.5, "touches": touches.mean() * 0.2}
        return losses | {"done": cross(done, target.done) * 0.5}

    def predict(self, inputs: Inputs, generator: torch.Generator) -> Prediction:
        """The keypose that the heat maps agree on; the score is how much of them lies where they do."""
        centre, before = torch.zeros_like(inputs.previous), self._nothing(inputs)
        score = torch.ones_like(centre[:, 0])
        for stage, half_m in enumerate(self._halves()):
            with self._precise(stage, centre.device.type):
                found = self._look(stage, inputs, centre, before)
            if stage == 0:
                done = self.done(found.summary).float()[:, 0].sigmoid()
            local = self._waypoint(found.heat)
            score = score * agreement(found.heat, local, self.config.views, 3 * self.config.sigma_px)
            centre, before = centre + local * half_m, found.summary
        features = self._features(found, local)
        return Prediction(
            position=centre[:, None],
            rotation=self.rotation(features)[:, None],
            is_open=self.gripper(features).float().sigmoid(),
            done=done,
            touches=self.touches(features).float().sigmoid(),
            score=score,
        )

    def _precise(self, stage: int, device: str) -> AbstractContextManager[object]:
        """float32 for all looks but the last, whatever the caller runs in: they choose the cube of the next one, and
        where a heat map is broad, rounding would choose another."""
        return torch.autocast(device, enabled=False) if stage + 1 < self.config.stages else nullcontext()

    def _halves(self) -> Iterator[float]:
        """Half the side of each look's cube, metres."""
        return (self.config.half_m / self.config.zoom**stage for stage in range(self.config.stages))

    def _nothing(self, inputs: Inputs) -> Tensor:
        return inputs.previous.new_zeros(len(inputs.previous), self.config.width)

    def _look(self, stage: int, inputs: Inputs, centre: Tensor, before: Tensor) -> Seen:
        half_m = self.config.half_m / self.config.zoom**stage
        near = ((inputs.waypoints - centre[:, None]) / half_m).clamp(-FAR, FAR)
        far = self.config.half_m
        felt = [six_from_matrix(inputs.tool_rotation), inputs.gripper, inputs.previous / far, inputs.previous_features]
        told = Told(
            picture=picture(self.config, inputs, centre, half_m),
            layers=layers(self.config, inputs, centre, half_m),
            body=torch.cat([*felt, centre / far], -1),
            before=before,
            waypoints=torch.cat([inputs.waypoint_features, near, inputs.waypoints / far], -1),
            waypoint_on=inputs.waypoint_on,
            words=inputs.words,
        )
        found: Seen = self.looks[stage % len(self.looks)](told)
        return found

    def _waypoint(self, heat: Tensor) -> Tensor:
        """(B, 3) local."""
        with torch.autocast(heat.device.type, enabled=False):
            planes = Planes.of(heat.flatten(2).log_softmax(-1).view_as(heat), self.config.views)
            cells, _ = best_cells(planes)
            return cell_to_local(refine(planes, cells[:, 0]), heat.shape[-1])

    def _features(self, found: Seen, local: Tensor) -> Tensor:
        """(B, …) of each view at the projected point and its strongest, and the summary."""
        at = seen(local, self.config.views)[..., :2]  # (B, V, 2)
        maps = found.features.flatten(0, 1).float()
        here = nn.functional.grid_sample(maps, at.reshape(-1, 1, 1, 2), padding_mode="border", align_corners=False)
        here, most = (f.reshape(len(local), -1) for f in (here, maps.amax((2, 3))))
        return torch.cat([here, most, found.summary.float()], -1)
