"""What a LeRobot checkpoint of this policy holds beside LeRobot's files: copies of what only this machine has.

    config.json                          LeRobot's, of type hamster
    policy_preprocessor.json, policy_postprocessor.json
    planner/, policy/                    checkpoints of HAMSTER, where they were folders or bundled
    calibration/meta/cameras.json        where there was one

Hub ids, addresses and registered names stay names.
"""

from __future__ import annotations

import copy
import logging
import shutil
from pathlib import Path

from hamster.data.lerobot.sidecar import FILE as CAMERAS
from hamster.hub import HubId, model_files
from hamster.planner.load import find_planner, is_address
from hamster.planner.registry import PLANNERS
from hamster.policy import find_policy
from hamster.policy.registry import is_ready
from lerobot_policy_hamster.configuration_hamster import HamsterConfig

PLANNER, POLICY, CALIBRATION = "./planner", "./policy", "./calibration"
"""Values in the configuration that mean a folder of the checkpoint itself."""
_log = logging.getLogger(__name__)


def resolved(config: HamsterConfig, folder: Path) -> HamsterConfig:
    """Return a configuration with the checkpoint's own folders in place of their names.

    Args:
        config: as stored in a checkpoint.
        folder: of the checkpoint.
    """
    config = copy.copy(config)
    for field, name in (("planner", PLANNER), ("policy", POLICY), ("calibration", CALIBRATION)):
        if getattr(config, field) == name:
            setattr(config, field, str(folder / name))
    if config.planner is not None and is_address(config.planner):
        _log.warning("the planner of this checkpoint is a server: images are sent to %s", config.planner)
    return config


def stored(config: HamsterConfig, folder: Path) -> HamsterConfig:
    """Copy what only this machine has into a checkpoint, and return the configuration that names the copies.

    Args:
        config: of the policy.
        folder: of the checkpoint.

    Raises:
        ValueError: if there is no such planner or policy.
    """
    config = copy.copy(config)
    config.device = None  # chosen where it is loaded
    if config.planner is not None and not _stays_a_name(config.planner):
        _copy(find_planner(config.planner), folder / PLANNER)
        config.planner = PLANNER
    if not (is_ready(config.policy) or HubId.parse(config.policy)):
        _copy(find_policy(config.policy), folder / POLICY)
        config.policy = POLICY
    if config.calibration is not None:
        (folder / CALIBRATION / CAMERAS).parent.mkdir(parents=True, exist_ok=True)
        _copy_file(Path(config.calibration) / CAMERAS, folder / CALIBRATION / CAMERAS)
        config.calibration = CALIBRATION
    return config


def _stays_a_name(planner: str) -> bool:
    return planner in PLANNERS or is_address(planner) or HubId.parse(planner) is not None


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in model_files(source):
        _copy_file(file, target / file.name)


def _copy_file(source: Path, target: Path) -> None:
    if not (target.exists() and source.samefile(target)):
        shutil.copyfile(source, target)
