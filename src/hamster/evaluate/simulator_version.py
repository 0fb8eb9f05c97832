"""A warning where a bundled policy is evaluated in another release of MuJoCo than the one it was trained with."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.suites import SUITES, registered_name
from hamster.policy.load import bundled_policy
from hamster.provenance import versions

log = logging.getLogger("hamster.evaluate")


def warn_of_other_mujoco(configs: Iterable[EvalConfig]) -> None:
    """Log a line for each bundled policy that is evaluated in the built-in tabletop under another MuJoCo.

    Contacts are solved differently by each release, so that grasps, and success rates with them, are not comparable.
    """
    for name in dict.fromkeys(config.policy for config in configs if _is_simulated(config)):
        folder = bundled_policy(name)
        if folder is None:
            continue
        trained = json.loads((folder / "train_info.json").read_text()).get("versions", {}).get("mujoco")
        installed = versions().get("mujoco")
        if trained and installed and installed != trained:
            log.warning(
                "MuJoCo %s is installed, and the policy %s was trained and measured with %s: grasps, and success rates "
                "with them, differ between releases", installed, name, trained,
            )  # fmt: skip


def _is_simulated(config: EvalConfig) -> bool:
    has_objects = config.objects.suite is not None or config.objects.policy is not None
    return not has_objects and SUITES.is_builtin(registered_name(config.suite))
