"""Instructions of demonstrations, from the fields in which robomimic, LIBERO and related formats store them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hamster.data.hdf5.files import record, text
from hamster.data.text import instruction_from_name

_SCENE = re.compile(r"^[A-Z_]+SCENE\d+_")
_BDDL = re.compile(r"\(:language\s+([^()]+)\)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def instruction(data: Any, demo: Any, file: Path) -> str:
    """Return the instruction from the most trusted field: LIBERO's, RoboCasa's, BDDL's, the environment's, a name.

    Args:
        data: the HDF5 group with the demonstrations.
        demo: the group of one of them.
        file: whose name may be an instruction, too.
    """
    environment = record(data, "env_args")
    bddl_name = text(data, "bddl_file_name") or str((environment.get("env_kwargs") or {}).get("bddl_file_name") or "")
    bddl = _BDDL.search(text(data, "bddl_file_content"))
    candidates = (
        record(data, "problem_info").get("language_instruction"),
        record(demo, "ep_meta").get("lang"),
        bddl and bddl[1],
        _from_name(bddl_name),
        "" if _is_libero(file) else _CAMEL.sub(" ", str(environment.get("env_name") or "")).lower(),
        _from_name(file.name),
    )
    for words in candidates:
        if isinstance(words, list):  # LIBERO wrote some letter by letter
            words = "".join(str(word) for word in words)
        if isinstance(words, str) and words.strip(' "\n'):
            return words.strip(' "\n')
    return ""


def _from_name(name: str) -> str:
    """Return "turn on the stove" for KITCHEN_SCENE3_turn_on_the_stove_demo.hdf5."""
    stem = Path(name).stem.removesuffix("_demo")
    return instruction_from_name(_SCENE.sub("", stem))


def _is_libero(file: Path) -> bool:
    return file.stem.endswith("_demo")
