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
from hamster.files import lock_folder, write_atomic
from hamster.stopped import RunStoppedError


def ablate(
    config: AblationConfig, progress: Progress | None = None, load_worker: LoadWorker | None = None
) -> dict[str, Any]:
    """Run the remaining evaluations and write the table.

    Complete cells are read, incomplete ones are continued. Cells that were measured by other code or with other weights
    are refused, unless `config.restart`, which measures them again.

    Args:
        config: the ablation.
        progress: wraps the stream of records; called with the records, how many are done already and the total.
        load_worker: loads the models, in each process once; `WorkerLoader` by default.

    Returns:
        The content of ablation.json.

    Raises:
        ValueError: if there is no such policy or condition, a cell's folder holds another run, or is another process's.
        RunStoppedError: if a planner's server did not respond; the next call continues.
    """
    with lock_folder(config.out):
        planned = cells(config)
        if todo := [cell.config for cell in planned if not is_complete(cell.config)]:
            infos = evaluate_all(todo, progress, load_worker)
            outages = [outage for info in infos for outage in info["unavailable"].values()]
            if outages:
                n = sum(outage["n"] for outage in outages)
                reason = next(iter(outages[0]["reasons"]))
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
