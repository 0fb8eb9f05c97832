"""Whatever strangers send, they get a typed error, and others get their answer meanwhile."""

import contextlib
import json
import os
import socket
import struct
import time
import zlib

import numpy as np
import pytest

from tests.planner.serve.fakes import (
    HTTP,
    IMPATIENT,
    QUICK,
    chat,
    chat_body,
    code,
    data_uri,
    everything,
    metric,
    plan,
    plan_body,
    png,
    raw,
    serving,
)  # fmt: skip

BIG = 200 << 20


@pytest.fixture(scope="module")
def url():
    with serving() as (url, _, _):
        yield url
        assert metric(url, 'hamster_errors_total{code="internal"}') == 0


@pytest.fixture(autouse=True)
def others_are_served(url):
    """Before, while and after."""
    yield
    began = time.perf_counter()
    assert plan(url).status_code == 200 and time.perf_counter() - began < 5


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it is huge."""

    def chunk(kind, data):  # fmt: skip
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("image", "status", "expected"), [
    ("http://127.0.0.1:1/a.png", 400, "image_by_address"), ("https://example.org/a.png", 400, "image_by_address"),
    ("file:///etc/passwd", 400, "image_by_address"), (" FTP://x/y", 400, "image_by_address"),
    ("data:image/svg+xml;utf8,<svg/>", 400, "unsupported_image"),
    ("data:image/png;base64,@@@", 400, "unsupported_image"),
    ("", 400, "unsupported_image"), ("data:image/png;base64,", 400, "unsupported_image"),
    (data_uri(b"GIF89a" + bytes(99), "gif"), 400, "unsupported_image"), (data_uri(png()[:-30]), 400, "damaged_image"),
    (data_uri(png(kind="GIF"), "png"), 400, "unsupported_image"),
    (data_uri(png(kind="TIFF")), 400, "unsupported_image"),
    (data_uri(bomb(5000, 5000)), 413, "image_too_large"),
    (data_uri(bomb(2**31 - 1, 2**31 - 1)), 413, "image_too_large"),
    (data_uri(bomb(16001, 1000)), 413, "image_too_large"), (data_uri(bytes(17 << 20)), 413, "image_too_large"),
])  # fmt: skip
def test_images_are_bytes_of_bounded_size(url, image, status, expected):
    for response in (plan(url, image=image), chat(url, image=image or "data:,")):
        assert response.status_code == status and code(response) == expected


def test_a_png_of_sixteen_million_pixels_is_still_read(url):
    assert plan(url, image=data_uri(png(4000, 4000))).status_code == 200


@pytest.mark.parametrize(
    ("instruction", "field"), [("", "instruction"), (" \n", "instruction"), ("x" * 2001, "instruction")]
)
def test_instructions_have_a_length(url, instruction, field):
    response = plan(url, instruction)
    assert response.status_code == 400 and response.json()["error"]["param"] == field


@pytest.mark.parametrize(("body", "kind"), [
    (b"", "application/json"), (b"\xff\xfe{}", "application/json"), (b"{", "application/json"),
    (b"[]", "application/json"),
    (b"null", "application/json"), (b'{"a":1}' * 9, "application/json"), (b"[" * 100_000, "application/json"),
    (b'{"image": "\xc3\x28", "instruction": "a"}', "application/json"), (b'{"instruction": NaN}', "application/json"),
    (b'{"image": "\\ud800", "instruction": "\\udfff"}', "application/json"), (b"1e999999", "application/json"),

       (b'{"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}', "application/json"),
    (b"nothing", "multipart/form-data"), (b"nothing", "multipart/form-data; boundary=x"), (b"--x\r\n", "text/plain"),
    (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nno file\r\n--x--', "multipart/form-data; boundary=x"),
    (b"--x\r\n" * 5000, "multipart/form-data; boundary=x"), (b"\x00" * 999, "application/octet-stream"),
])  # fmt: skip
@pytest.mark.parametrize("route", ["/v1/plan", "/v1/chat/completions", "/chat/completions"])
def test_what_is_no_request_is_a_typed_error(url, route, body, kind):
    response = HTTP.post(url + route, content=body, headers={"content-type": kind})
    assert response.status_code == 400 and code(response)


def test_texts_may_hold_anything(url):
    for text in ("\0", "💥 {x} {{", "<image><|im_end|>", "a\ud800".encode("utf-8", "replace").decode()):
        assert chat(url, text).status_code == 200 and plan(url, "pick " + text).status_code == 200


@pytest.mark.parametrize("sent", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01" + bytes(200), b"A" * 70_000])
def test_what_is_no_http_is_a_typed_error(url, sent):
    with raw(url) as connection:
        connection.sendall(sent)
        answer = everything(connection)
    assert (
        answer.startswith(b"HTTP/1.1 400")
        and json.loads(answer.split(b"\r\n\r\n")[1])["error"]["code"] == "malformed_http"
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_200_mb_is_not_kept(url, chunked):
    before = metric(url, "process_resident_memory_bytes")
    half_a_mb = bytes(1 << 19)
    headers = {} if chunked else {"content-length": str(BIG)}
    answer = HTTP.post(url + "/v1/plan", content=(half_a_mb for _ in range(BIG >> 19)), headers=headers, timeout=60)
    assert answer.status_code == 413 and code(answer) == "body_too_large"
    assert metric(url, "process_resident_memory_bytes") - before < 80 << 20  # the client's process, too


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("sent", [b"POST /v1/plan HT", HEAD % 999 + b"{"])
def test_one_byte_at_a_time_is_cut_off(sent):
    with serving(limits=IMPATIENT) as (url, _, _), raw(url) as connection:
        connection.sendall(sent)
        said = b""
        with contextlib.suppress(OSError):
            for _ in range(200):
                connection.sendall(b"x")
                time.sleep(0.1)
            raise AssertionError("still open")
        said = everything(connection)
        assert b"{" not in sent or not said or b"slow_request" in said
        assert plan(url).status_code == 200


def test_who_stops_reading_is_cut_off():
    with serving(limits=IMPATIENT) as (url, _, _), raw(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps(plan_body("much")).encode()  # 9 MB are said to it
        connection.sendall((HEAD % len(body)).replace(b"/v1/chat/completions", b"/v1/plan") + body)
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                connection.sendall(b"\n")
                time.sleep(0.1)
            raise AssertionError("still open")
        assert plan(url).status_code == 200


def test_damaged_chunks_in_a_body_are_an_error(url):
    with raw(url) as connection:
        connection.sendall(
            b"POST /v1/plan HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nZZ\r\n"
        )
        assert b"malformed_http" in everything(connection)


def test_web_pages_are_turned_away(url):
    response = HTTP.post(url + "/v1/plan", json=plan_body(), headers={"origin": "http://evil.example"})
    assert response.status_code == 403 and code(response) == "web_page"


def test_a_key_is_asked_for_everywhere_but_at_health():
    with serving(api_key="s3cret") as (url, _, _):
        for sent in (
            {},
            {"authorization": "Bearer s3cre"},
            {"authorization": "s3cret"},
            {"authorization": "Bearer \xff".encode("latin1")},
        ):
            for path in ("/v1/models", "/metrics", "/nonsense"):
                response = HTTP.get(url + path, headers=sent)
                assert response.status_code == 401 and code(response) == "unauthorized"
                assert response.headers["www-authenticate"] == "Bearer"
        assert HTTP.get(url + "/health").status_code == 200
        assert HTTP.get(url + "/v1/models", headers={"authorization": "Bearer s3cret"}).status_code == 200


def test_our_own_failure_says_nothing_of_the_inside():
    with serving() as (url, _, _):
        for response in (plan(url, "trouble"), chat(url, "trouble"), chat(url, "trouble", stream=True)):
            assert response.status_code == 500 and code(response) == "internal"
            assert "secrets" not in response.text and "line" not in response.text
        assert plan(url).status_code == 200


def test_others_do_not_wait_for_the_slow(url):
    slow = [raw(url) for _ in range(64)]
    for connection in slow:
        connection.sendall(b"POST /v1/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + bytes(1000))
    began = time.perf_counter()
    assert all(plan(url).status_code == 200 for _ in range(5)) and time.perf_counter() - began < QUICK.read_s / 2
    for connection in slow:
        connection.close()


def fuzzed(rng: np.random.Generator) -> tuple[str, bytes, dict]:
    """A request that was fine until a few bytes of it were changed, cut or doubled."""
    route = ["/v1/plan", "/v1/chat/completions", "/chat/completions"][rng.integers(3)]
    body = bytearray(json.dumps(plan_body() if route == "/v1/plan" else chat_body()).encode())
    for _ in range(rng.integers(1, 8)):
        at = int(rng.integers(len(body)))
        kind = rng.integers(4)
        if kind == 0:
            body[at] = int(rng.integers(256))
        elif kind == 1:
            del body[at : at + int(rng.integers(1, 40))]
        elif kind == 2:
            body[at:at] = rng.integers(0, 256, int(rng.integers(1, 20)), np.uint8).tobytes()
        else:
            body[at:at] = [b"null", b"-1", b"[[", b'"', b"1e400", b"\\u0000", b"{}"][rng.integers(7)]
        if not body:
            break
    return (
        route,
        bytes(body),
        {"content-type": ["application/json", "multipart/form-data; boundary=x"][rng.integers(9) // 8]},
    )


def test_fuzzed_requests(url):
    """10,000 of them with HAMSTER_LOAD=1."""
    count = 10_000 if os.environ.get("HAMSTER_LOAD") else 100
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(count):
        route, body, headers = fuzzed(rng)
        response = HTTP.post(url + route, content=body, headers=headers)
        seen.add(response.status_code)
        assert response.status_code < 500, (response.text, body)
        assert response.status_code == 200 or code(response)
    assert {200, 400} <= seen


def test_fuzzed_images(url):
    rng = np.random.default_rng(1)
    files = [png(64, 48, kind=kind) for kind in ("PNG", "JPEG", "WEBP")]
    for i in range(30):
        data = bytearray(files[i % 3])
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        response = HTTP.post(
            url + "/v1/plan", json=plan_body(image=data_uri(bytes(data[: rng.integers(1, len(data) + 1)])))
        )
        refused = ("damaged_image", "unsupported_image", "image_too_large")
        assert response.status_code == 200 or code(response) in refused
