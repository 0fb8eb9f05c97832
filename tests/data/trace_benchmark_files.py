"""Small Parquet files in the schemas of the published trace benchmarks."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIZE_PX = (64, 48)
TRACE_PX = [[8, 8], [16.5, 20], [32, 24], [48, 40]]
INTRINSICS = [[40.0, 0, 32.0], [0, 40.0, 24.0], [0, 0, 1]]


def png(size_px=SIZE_PX, mode="RGB", colour="teal") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size_px, colour).save(buffer, "PNG")
    return buffer.getvalue()


def vabench_row(**changes):
    image = {"bytes": png(), "path": "0.png"}
    row = {"problem": "<image>put the cup on the plate", "images": [image]}
    return row | {"answer": json.dumps({"trajectory": TRACE_PX})} | changes


def sharerobot_row(**changes):
    return {"problem": "open the drawer", "image": {"bytes": png(), "path": None}, "answer": TRACE_PX} | changes


def metric_trajectory(trace_px=TRACE_PX, depth_m=(1.0, 1.5, 2.0, 0.5)):
    """The points in metres that `INTRINSICS` project to these pixels."""
    (fx, _, cx), (_, fy, cy), _ = INTRINSICS
    return [[(x - cx) / fx * z, (y - cy) / fy * z, z] for (x, y), z in zip(trace_px, depth_m, strict=True)]


def tracespatial_row(**changes):
    image = {"bytes": png(), "path": "image.png"}
    row = {"id": 7, "prompt": "move the pillow to the stool", "trajectory": metric_trajectory(), "image": image}
    return row | {"intrinsics": np.eye(3).tolist(), "gt_depth_intrinsics": INTRINSICS} | changes


def write(file: Path, rows) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file
