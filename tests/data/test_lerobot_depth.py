"""Depth of LeRobotDatasets, as LeRobot 0.6 and others store it."""

import json
import math

import av
import numpy as np
import pyarrow as pa
import pytest

from hamster.data.lerobot import LeRobot
from tests.data.depth_files import encoded, millimetres, scene_m
from tests.data.lerobot_files import FPS, FRONT, SIZE, write_dataset

KEY = f"{FRONT}_depth"


def declare(folder, key, dtype="image", shape=(SIZE[1], SIZE[0], 1), **info):
    file = folder / "meta" / "info.json"
    content = json.loads(file.read_text())
    content["features"][key] = {"dtype": dtype, "shape": list(shape), "names": None, "info": info}
    file.write_text(json.dumps(content))


def with_depth(tmp_path, values, kind="PNG", key=KEY, images="video", **info):
    """Two episodes of one depth image a row; `values` is one image or its file."""
    cell = {"bytes": values if isinstance(values, bytes) else encoded(values, kind), "path": None}
    folder = write_dataset(tmp_path / "set", lengths=(4, 3), images=images, extra=lambda n: {key: [cell] * n})
    declare(folder, key, **({"is_depth_map": True} | info))
    return LeRobot(folder)


def notes(source):
    return source[0].provenance.extra.get("notes", [])


@pytest.mark.parametrize(
    ("stored", "kind", "info"),
    [
        (millimetres(scene_m()), "PNG", {}),
        (millimetres(scene_m()), "PNG", {"depth_unit": "mm"}),
        (millimetres(scene_m()), "TIFF", {}),
        (scene_m(), "TIFF", {}),
        (scene_m(), "TIFF", {"depth_unit": "m"}),
        (scene_m() * 1000, "TIFF", {"depth_unit": "mm"}),
        (scene_m(), "TIFF", {"is_depth_map": False, "video.is_depth_map": True}),
    ],
)
def test_images_by_dtype_and_unit(tmp_path, stored, kind, info):
    source = with_depth(tmp_path, stored, kind, **info)
    views = source[1].observations[2].views
    assert set(views) == {"front"} and views["front"].depth_m.dtype == np.float32
    assert np.allclose(views["front"].depth_m, scene_m(), atol=0.00051)
    assert (views["front"].depth_m == 0).any() and views["front"].camera is not None and not notes(source)


def test_an_array_column(tmp_path):
    stored = millimetres(scene_m())
    column = pa.list_(pa.list_(pa.uint16()))
    folder = write_dataset(
        tmp_path / "set", lengths=(4, 3), extra=lambda n: {KEY: pa.array([stored.tolist()] * n, column)}
    )
    declare(folder, KEY, "uint16", stored.shape)
    assert np.array_equal(LeRobot(folder)[0].observations[3].views["front"].depth_m, (stored * 1e-3).astype(np.float32))


def test_an_unmarked_image_of_sixteen_bits(tmp_path):
    source = with_depth(tmp_path, millimetres(scene_m()), images="parquet", is_depth_map=False)
    assert np.allclose(source[0].observations[0].views["front"].depth_m, scene_m(), atol=0.00051)


def write_gray(file, images, codec, pix_fmt):
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        for values in images:
            frame = av.VideoFrame(*SIZE, pix_fmt)
            plane = np.zeros((SIZE[1], frame.planes[0].line_size // 2), "<u2")
            plane[:, : SIZE[0]] = values
            frame.planes[0].update(plane.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def with_depth_video(tmp_path, values, pix_fmt, **info):
    folder = write_dataset(tmp_path / "set", "v2.1", lengths=(4, 3))
    declare(folder, KEY, "video", is_depth_map=True, **info)
    for e, n in enumerate((4, 3)):
        file = folder / "videos" / "chunk-000" / KEY / f"episode_{e:06d}.mp4"
        write_gray(file, [values + i for i in range(n)], "ffv1", pix_fmt)
    return LeRobot(folder)


def test_lossless_video_of_millimetres(tmp_path):
    stored = millimetres(scene_m()) + 1
    source = with_depth_video(tmp_path, stored, "gray16le")
    for i in (0, 3):
        assert np.array_equal(
            source[0].observations[i].views["front"].depth_m, ((stored + i) * 1e-3).astype(np.float32)
        )


@pytest.mark.parametrize(("use_log", "near", "shift"), [(True, 0.01, 3.5), (False, 0.01, 3.5), (False, 0.0, 0.0)])
def test_video_in_lerobots_codes(tmp_path, use_log, near, shift):
    """The codes by LeRobot's formula, written out here; where nothing was measured it writes 0."""
    depth_m, far = scene_m(), 10.0
    if use_log:
        low, high = math.log(near + shift), math.log(far + shift)
        part = (np.log(depth_m + shift) - low) / (high - low)
    else:
        part = (depth_m - near) / (far - near)
    codes = np.rint(part * 4095).clip(0, 4095).astype(np.uint16)
    described = {"video.depth_min": near, "video.depth_max": far, "video.shift": shift, "video.use_log": use_log}
    read_m = with_depth_video(tmp_path, codes, "gray12le", **described)[0].observations[0].views["front"].depth_m
    assert np.array_equal(read_m == 0, depth_m == 0)
    assert np.abs(read_m - depth_m).max() < 0.0015  # half a code


@pytest.mark.parametrize(
    ("values", "kind", "info", "note"),
    [
        (np.full((32, 48), 90, np.uint8), "PNG", {}, "shades or colours, not metric depth"),
        (millimetres(scene_m()) // 1000, "PNG", {}, "no measurement at all"),
        (scene_m() * 1000, "TIFF", {}, "millimetres read as metres"),
        (scene_m(), "TIFF", {"depth_unit": "mm"}, "metres read as millimetres"),
        (scene_m(48, 48), "TIFF", {}, "another shape"),
        (scene_m(), "TIFF", {"depth_unit": "inch"}, "'m' and 'mm' are known"),
        (b"nothing", "", {}, "neither PNG nor TIFF"),
    ],
)
def test_what_is_no_metric_depth_is_left_out_with_the_reason(tmp_path, values, kind, info, note):
    source = with_depth(tmp_path, values, kind, **info)
    assert source[0].observations[0].views["front"].depth_m is None
    assert [text for text in notes(source) if note in text and text.startswith("depth of camera front is not used: ")]


def test_a_logarithm_of_zero_is_no_range(tmp_path):
    described = {"video.depth_min": 0, "video.depth_max": 10, "video.shift": 0, "video.use_log": True}
    source = with_depth_video(tmp_path, millimetres(scene_m()), "gray12le", **described)
    assert source[0].observations[0].views["front"].depth_m is None and "is no range" in notes(source)[0]


def test_depth_video_without_its_codes_is_left_out(tmp_path):
    source = with_depth_video(tmp_path, millimetres(scene_m()), "gray12le")
    assert source[0].observations[0].views["front"].depth_m is None
    assert "without LeRobot's quantisation" in notes(source)[0]


def test_the_sidecar_names_feature_and_unit(tmp_path):
    key = "observation.images.d405"
    source = with_depth(tmp_path, (scene_m() * 1e4).round().astype(np.uint16), key=key)
    assert source[0].observations[0].views["front"].depth_m is None
    assert "of which camera its name does not say" in notes(source)[0]
    file = source.folder / "meta" / "cameras.json"
    sidecar = json.loads(file.read_text())
    sidecar[FRONT] |= {"depth": key, "depth_unit_m": 1e-4}
    file.write_text(json.dumps(sidecar))
    assert np.allclose(LeRobot(source.folder)[0].observations[0].views["front"].depth_m, scene_m(), atol=0.00006)
    for wrong, reason in [({"depth": "nowhere"}, "'nowhere' is no feature"), ({"depth_unit_m": 0}, "metres per unit")]:
        file.write_text(json.dumps({FRONT: sidecar[FRONT] | wrong}))
        with pytest.raises(ValueError, match=reason):
            LeRobot(source.folder)
