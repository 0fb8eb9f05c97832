"""Many policies, conditions and cameras on the same scenes, in one table."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.evaluate.ablation.plan import AblationConfig, cells, is_complete
from hamster.evaluate.ablation.report import markdown, picture
from hamster.evaluate.ablation.table import tabulate
from hamster.evaluate.outages import AGAIN
from hamster.evaluate.pool import LoadWorker
from hamster.evaluate.run import Progress, evaluate_all
from hamster.evaluate.worker import load_worker as load_real_worker
from hamster.files import lock_folder, write_atomic
from hamster.stopped import RunStoppedError


def ablate(
    config: AblationConfig, progress: Progress | None = None, load_worker: LoadWorker = load_real_worker
) -> dict[str, Any]:
    """Runs what is not done yet and writes the table.

    Cells that are complete are read. One that is not goes on. What was measured by other code, or of other weights, is
    refused, unless `config.restart` has it measured anew.

    Returns:
        The content of ablation.json.

    Raises:
        ValueError: if there is no such policy or condition, a cell's folder holds another run, or is another process's.
        RunStoppedError: if a planner's server could not be asked; the next call goes on.
    """
    with lock_folder(config.out):
        planned = cells(config)
        if todo := [cell.config for cell in planned if not is_complete(cell.config)]:
            infos = evaluate_all(todo, progress, load_worker)
            outages = [info["unavailable"] for info in infos if info["unavailable"]]
            if outages:
                n = sum(each["n"] for found in outages for each in found.values())
                reason = next(reason for each in outages[0].values() for reason in each["reasons"])
                raise RunStoppedError(f"{n} episodes could not be measured ({reason}); {AGAIN}")
        table = tabulate(config, planned)
        write_atomic(config.out / "ablation.json", json.dumps(table, indent=2) + "\n")
        write_atomic(config.out / "ablation.md", markdown(table))
        write_atomic(config.out / "ablation.png", _png(picture(table)))
    return table


def _png(rgb: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()
