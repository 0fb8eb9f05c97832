"""The configuration that LeRobot knows as the policy type `hamster`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from lerobot.configs import PreTrainedConfig
from lerobot.utils.constants import ACTION, OBS_STATE

STATE_DIM = ACTION_DIM = 8
"""x, y, z, qw, qx, qy, qz of the tool in the world, metres, and the gripper, 0 closed to 1 open."""


@PreTrainedConfig.register_subclass("hamster")
@dataclass
class HamsterConfig(PreTrainedConfig):
    """Which planner and policy to run, and how their inputs are called.

    Attributes:
        planner: as of `hamster.load_planner`: a bundled or registered name, a folder, a hub id, or a server's address;
            None for the condition without a path.
        policy: as of `hamster.load_policy`.
        planner_camera: the camera whose image the planner draws on.
        replan_every: keyposes between two calls of the planner; 0 plans once, on an episode's first observation.
        calibration: folder with `meta/cameras.json`, for cameras that the observation has no calibration of.
        depth_unit_m: metres that one unit of depth in the observation stands for: 1, or 0.001 for the millimetres of
            LeRobot's depth cameras.
        dtype: in which the networks compute: "auto", "float32", "bfloat16" or "float16".
    """

    planner: str | None = "nano"
    policy: str = "flow-nano"
    planner_camera: str = "front"
    replan_every: int = 0
    calibration: str | None = None
    depth_unit_m: float = 1.0
    dtype: str = "auto"

    def validate_features(self) -> None:
        """Check that state and action are tool poses; ValueError, with the way out, if they are not."""
        for features, key, dim in (
            (self.input_features, OBS_STATE, STATE_DIM),
            (self.output_features, ACTION, ACTION_DIM),
        ):
            if not features:
                continue
            shape = tuple(features[key].shape) if key in features else None
            if shape != (dim,):
                raise ValueError(
                    f"the policy hamster needs {key} of shape ({dim},): x, y, z, qw, qx, qy, qz of the tool and the "
                    f"gripper; here it is {shape or 'missing'} (--env.type=hamster has it, so have our LeRobot exports)"
                )

    @property
    def observation_delta_indices(self) -> None:
        """None: one observation at a time."""
        return None

    @property
    def action_delta_indices(self) -> None:
        """None: it is not trained on LeRobot's batches."""
        return None

    @property
    def reward_delta_indices(self) -> None:
        """None: rewards are not used."""
        return None

    def get_optimizer_preset(self) -> NoReturn:
        """Raise NotImplementedError with the command that trains it."""
        raise NotImplementedError(NOT_TRAINED_HERE)

    def get_scheduler_preset(self) -> NoReturn:
        """Raise NotImplementedError with the command that trains it."""
        raise NotImplementedError(NOT_TRAINED_HERE)


NOT_TRAINED_HERE = (
    "lerobot-train does not train the policy hamster: hamster train policy and hamster train planner do, on label sets "
    "that hamster label lerobot:DIR makes of LeRobot datasets"
)
