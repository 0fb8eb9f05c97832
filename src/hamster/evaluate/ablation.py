"""Many policies, arms and cameras on the same scenes, in one table."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.evaluate.ablation_plan import AblationConfig, cells, conditions, is_complete, is_same
from hamster.evaluate.ablation_report import markdown, picture
from hamster.evaluate.ablation_table import tabulate
from hamster.evaluate.bench import open_bench as open_real_bench
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.pool import OpenBench
from hamster.evaluate.run import Progress, evaluate_all
from hamster.files import write_atomic
from hamster.provenance import git_commit


def ablate(
    config: AblationConfig, progress: Progress | None = None, open_bench: OpenBench = open_real_bench
) -> dict[str, Any]:
    """Runs what is not done yet and writes the table.

    Cells that are complete are read, whichever commit they were made by; the table says by which. One that is not goes
    on, or begins anew if another commit began it.

    Returns:
        The content of ablation.json.

    Raises:
        ValueError: if there is no such policy or arm, or a cell's folder holds another run.
    """
    planned = cells(config)
    todo = [replace(c.config, restart=_is_of_another_commit(c.config)) for c in planned if not is_complete(c.config)]
    if todo:
        evaluate_all(todo, progress, open_bench)
    table = tabulate(config, planned)
    write_atomic(config.out / "ablation.json", json.dumps(table, indent=2) + "\n")
    write_atomic(config.out / "ablation.md", markdown(table))
    write_atomic(config.out / "ablation.png", _png(picture(table)))
    return table


def _is_of_another_commit(config: EvalConfig) -> bool:
    """Whether its episodes would be as wanted, were they made by today's code."""
    return is_same(config) and conditions(config.out).get("git_commit") != git_commit()


def _png(rgb: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()
