"""Writes LeRobotDatasets v2.1 and v3.0 as LeRobot does: parquet, videos of many episodes, tables of contents."""

import io
import json
import pickle
from fractions import Fraction

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from hamster.data.video_writer import VideoWriter
from hamster.geometry import Camera, look_at

FPS = 10
SIZE = (48, 32)
FRONT = "observation.images.front"
STATE = ["x", "y", "z", "qw", "qx", "qy", "qz", "gripper_opening"]


def camera(size=SIZE):
    return Camera([[40, 0, size[0] / 2], [0, 40, size[1] / 2], [0, 0, 1]], look_at([1, 0.1, 0.8], [0.4, 0, 0.1]), *size)


def tips(frames):
    return np.linspace([0.3, -0.1, 0.3], [0.45, 0.15, 0.05], frames)


def states(frames):
    down = np.tile([0.0, 1, 0, 0], (frames, 1))
    opening = np.where(np.arange(frames) < frames // 2, 1.0, 0.0)
    return np.c_[tips(frames), down, opening]


def picture(episode, frame, size=SIZE):
    """Red says which episode, green which frame; the lowest quarter is bluer: no image is of one colour."""
    rgb = np.full((size[1], size[0], 3), 30, np.uint8)
    rgb[..., 0], rgb[..., 1] = 40 + 40 * episode, 40 + 8 * frame
    rgb[-size[1] // 4 :, :, 2] = 200
    return rgb


def read_picture(rgb):
    red, green = np.median(rgb[..., 0]), np.median(rgb[..., 1])
    return round((red - 40) / 40), round((green - 40) / 8)


def png(rgb):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def write_dataset(folder, version="v3.0", lengths=(8, 6, 7), images="video", tasks=None, states=states, extra=None,
                  names=STATE, sidecar=True, key=FRONT, timestamps=None, shown=None, keys=None):  # fmt: skip
    """`extra(frames) -> {column: list}` adds columns; `tasks[e]` has an instruction per episode or per frame.

    `shown[e]` are the numbers of the frames in the video of episode e, each shown at its time; all of them by default.
    `keys` are the cameras, if it is not `key` alone; `shown` may then give such a list for each of them, by name.
    """
    keys = keys or (key,)
    tasks = tasks or [f"do thing {e % 2}" for e in range(len(lengths))]
    of_frame = [[t] * n if isinstance(t, str) else list(t) for t, n in zip(tasks, lengths, strict=True)]
    known = list(dict.fromkeys(t for each in of_frame for t in each))
    tables, start = [], 0
    for e, n in enumerate(lengths):
        columns = {
            "observation.state": pa.array(states(n).astype(np.float32).tolist(), pa.list_(pa.float32())),
            "timestamp": pa.array(timestamps(n) if timestamps else np.arange(n) / FPS, pa.float32()),
            "frame_index": pa.array(range(n)),
            "episode_index": pa.array([e] * n),
            "index": pa.array(range(start, start + n)),
            "task_index": pa.array([known.index(t) for t in of_frame[e]]),
        }
        if images == "parquet":
            cells = [{"bytes": png(picture(e, i)), "path": f"frame-{i:06d}.png"} for i in range(n)]
            for name in keys:
                columns[name] = pa.array(cells)
        columns |= {name: pa.array(values) for name, values in (extra(n) if extra else {}).items()}
        tables.append(pa.table(columns))
        start += n
    (folder / "meta").mkdir(parents=True)
    frames = {name: (shown.get(name) if isinstance(shown, dict) else shown) or [range(n) for n in lengths]
              for name in keys}  # fmt: skip
    write = _write_v30 if version == "v3.0" else _write_v21
    write(folder, tables, known, of_frame, frames if images == "video" else {})
    features = {
        "observation.state": {"dtype": "float32", "shape": [states(2).shape[1]], "names": names},
        **{name: {"dtype": "video" if images == "video" else "image", "shape": [SIZE[1], SIZE[0], 3],
                  "names": ["height", "width", "channels"]} for name in keys},
    }  # fmt: skip
    info = {"codebase_version": version, "fps": FPS, "features": features, "total_episodes": len(lengths)}
    (folder / "meta" / "info.json").write_text(json.dumps(info | {"robot_type": "test", "chunks_size": 1000}))
    if sidecar:
        write_sidecar(folder, key)
    return folder


def write_sidecar(folder, key=FRONT, **changes):
    entry = {"convention": "opencv", "width": SIZE[0], "height": SIZE[1], "intrinsics": camera().intrinsics.tolist(),
             "world_from_camera": camera().world_from_camera.tolist()}  # fmt: skip
    (folder / "meta" / "cameras.json").write_text(json.dumps({key: entry | changes}))


def _write_v21(folder, tables, known, of_frame, frames):
    lines = [{"task_index": i, "task": task} for i, task in enumerate(known)]
    (folder / "meta" / "tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    listed = [{"episode_index": e, "tasks": list(dict.fromkeys(of_frame[e])), "length": len(t)}
              for e, t in enumerate(tables)]  # fmt: skip
    (folder / "meta" / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in listed))
    for e, table in enumerate(tables):
        file = folder / "data" / "chunk-000" / f"episode_{e:06d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
        for key, shown in frames.items():
            film = {i: picture(e, i) for i in shown[e]}
            write_video(folder / "videos" / "chunk-000" / key / f"episode_{e:06d}.mp4", film)


def _write_v30(folder, tables, known, of_frame, frames):
    """Two episodes to a data file, all to one video."""
    pq.write_table(
        pa.table({"task_index": range(len(known)), "__index_level_0__": known}), folder / "meta/tasks.parquet"
    )
    rows, at = [], 0
    starts = {key: np.cumsum([0, *(max(each, default=-1) + 1 for each in shown)]) for key, shown in frames.items()}
    for e, table in enumerate(tables):
        row = {
            "episode_index": e, "tasks": list(dict.fromkeys(of_frame[e])), "length": len(table),
            "data/chunk_index": 0, "data/file_index": e // 2, "dataset_from_index": at,
            "dataset_to_index": at + len(table), "stats/observation.state/mean": [0.0] * 8,
        }  # fmt: skip
        for key, start in starts.items():
            row |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": 0}
            row |= {f"videos/{key}/from_timestamp": start[e] / FPS, f"videos/{key}/to_timestamp": start[e + 1] / FPS}
        rows.append(row)
        at += len(table)
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "meta/episodes/chunk-000/file-000.parquet")
    (folder / "data/chunk-000").mkdir(parents=True)
    for first in range(0, len(tables), 2):
        file = folder / "data/chunk-000" / f"file-{first // 2:03d}.parquet"
        with pq.ParquetWriter(file, tables[0].schema) as writer:
            for table in tables[first : first + 2]:
                writer.write_table(table)
    for key, shown in frames.items():
        film = {int(starts[key][e]) + i: picture(e, i) for e in range(len(tables)) for i in shown[e]}
        write_video(folder / "videos" / key / "chunk-000" / "file-000.mp4", film)


def write_video(file, film, fps=FPS):
    """A video whose frames are shown at number / fps: there may be gaps, at the start, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if sorted(film) == list(range(len(film))):
        with VideoWriter(file, fps) as writer:
            for number in sorted(film):
                writer.add(film[number])
        return
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in sorted(film):
            frame = av.VideoFrame.from_ndarray(film[number], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def keypoints(frames, size=SIZE, moving=False, decimals=9):
    """Columns as in InternVLA's episodes: pickled (11, 3) and (11, 2), the first point not on the gripper."""
    corners = np.random.default_rng(0).uniform(-0.05, 0.05, (10, 3))
    points = tips(frames)[:, None] + corners - corners.mean(0)
    points = np.concatenate([np.broadcast_to([-0.3, 0.0, 0.6], (frames, 1, 3)), points], 1)
    eye = camera(size)
    views = [eye] * frames
    if moving:
        shift = [np.eye(4) for _ in range(frames)]
        for t in range(frames):
            shift[t][:3, 3] = [0, 0.02 * t, 0.01 * t]
        views = [Camera(eye.intrinsics, s @ eye.world_from_camera, *size) for s in shift]
    seen_px = [views[t].project(points[t])[0].round(decimals) for t in range(frames)]
    return {
        "annotation.tcp_3d_trace": [pickle.dumps(points[t], 4) for t in range(frames)],
        "annotation.front.tcp_2d_trace": [pickle.dumps(px, 4) for px in seen_px],
    }
