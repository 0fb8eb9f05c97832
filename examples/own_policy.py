"""A policy type of your own, trained on demonstrations and evaluated.

The network predicts the next keypose from points of the path, lifted into 3D by the depth image, and the robot's state.
It gets no image, so it is small and learns in seconds; a real one adds an image encoder in `preprocess`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

import hamster
from hamster.policy.actor import Actor, ActorConfig, PolicyInput, Prediction, Target, TensorBatch
from hamster.policy.layers import matrix_from_six, mlp, six_from_matrix
from hamster.policy.path_prompt import POINT_FEATURES, sample_evenly
from hamster.policy.policy_input import PointBatch, Proprioception, proprioception_features
from hamster.policy.training.presets import TrainConfig
from hamster.policy.training.train import train_policy


@dataclass(frozen=True)
class PathMlpConfig(ActorConfig):
    """Fields of its own need defaults; cameras, action type and history come from `ActorConfig`."""

    type: ClassVar[str] = "path_mlp"

    n_points: int = 12
    width: int = 96


@dataclass(frozen=True, eq=False)
class PathMlpInputs(TensorBatch):
    """One sample: the robot's state, and points of the path relative to the tool."""

    robot: Proprioception
    path: PointBatch


@hamster.register_policy("path_mlp")
class PathMlp(Actor[PathMlpConfig, PathMlpInputs]):
    """A multilayer perceptron over the path's points."""

    config_class = PathMlpConfig

    def __init__(self, config: PathMlpConfig) -> None:
        super().__init__()
        self.config = config
        self.network = mlp(config.n_points * (3 + POINT_FEATURES) + 8, config.width, 3 + 6 + 2)

    def preprocess(self, policy_input: PolicyInput) -> PathMlpInputs:
        """Return one sample; runs on the CPU, the same in training and in service."""
        points = sample_evenly(policy_input.prompt, self.config.n_points)
        tool_m = policy_input.robot.tool_pose_world[:3, 3]
        return PathMlpInputs(proprioception_features(policy_input.robot, 1), PointBatch.of(points, tool_m))

    def forward(self, inputs: PathMlpInputs) -> tuple[Tensor, ...]:
        """Return positions (B, 3), rotations as six numbers (B, 6), logits of open (B,) and done (B,)."""
        points = torch.cat([inputs.path.positions, inputs.path.features], -1).flatten(1)
        state = torch.cat([six_from_matrix(inputs.robot.tool_rotation), inputs.robot.gripper], -1)
        output = self.network(torch.cat([points, state], -1)).float()
        return output[:, :3], output[:, 3:9], output[:, 9], output[:, 10]

    def compute_loss(self, inputs: PathMlpInputs, target: Target, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the losses by name; their sum is minimised."""
        position, six, is_open, done = self(inputs)
        return {
            "position": (position - target.position[:, 0]).abs().mean() * 10,
            "rotation": (six - six_from_matrix(target.rotation[:, 0])).abs().mean(),
            "gripper": nn.functional.binary_cross_entropy_with_logits(is_open, target.is_open[:, 0]),
            "done": nn.functional.binary_cross_entropy_with_logits(done, target.done),
        }

    def predict(self, inputs: PathMlpInputs, generator: torch.Generator) -> Prediction:
        """Return the next keypose of each sample."""
        position, six, is_open, done = self(inputs)
        return Prediction(
            position=position[:, None],
            rotation=matrix_from_six(six)[:, None],
            is_open=is_open.sigmoid()[:, None],
            done=done.sigmoid(),
            contact_prob=torch.full_like(is_open[:, None], torch.nan),  # not predicted
            score=torch.ones_like(done),
        )


def main(steps: int = 60, demonstrations: int = 6, episodes: int = 2) -> None:
    """Label demonstrations, train, evaluate with the expert's paths."""
    out = Path("outputs/own_policy")
    labels = hamster.label(f"tabletop:{demonstrations}", out / "labels", workers=1)
    print(f"{labels.n_labelled} demonstrations in {out / 'labels'}")
    config = TrainConfig(actor=PathMlpConfig(), steps=steps, warmup_steps=10, bf16=False, num_workers=0)
    train_policy(config, out / "labels", out / "policy")
    result = hamster.evaluate(["oracle", "none"], out / "policy", episodes=episodes, workers=1)
    for row in result.rows:
        print(f"{row.condition}: {row.success_rate:.0%} of {row.n_episodes} episodes")


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
