"""openpi's encoding of arrays, and what must not come out of it."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hamster_client.errors import RequestError
from hamster_client.wire import DTYPES, MAX_ARRAYS, MAX_ITEMS, pack, unpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

FUZZ = int(os.environ.get("HAMSTER_FUZZ", "200"))


def array(dtype="<f4", shape=(2,), data=bytes(8)):
    return msgpack.packb({b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": shape})


def refusal(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as error:
        unpack(data)
    return error.value


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))))
def test_arrays_survive(sent):
    got = unpack(pack({"a": sent}))["a"]
    np.testing.assert_array_equal(got, sent)
    assert got.dtype == sent.dtype and got.shape == sent.shape


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays(dtype, (1,))))
def test_scalars_survive(sent):
    np.testing.assert_array_equal(unpack(pack([sent[0]]))[0], sent[0])


def test_it_is_openpis_encoding():
    theirs = pytest.importorskip("openpi_client.msgpack_numpy", reason="openpi-client is not installed")
    message = {
        "a": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "b": [np.float32(0.5), "x", None],
        "c": {"d": np.eye(2)},
    }
    assert pack(message) == theirs.packb(message)
    np.testing.assert_equal(unpack(theirs.packb(message)), theirs.unpackb(pack(message)))


def test_other_byte_orders_and_strides_are_sent_in_ours():
    sent = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    np.testing.assert_array_equal(unpack(pack(sent)), sent)


@pytest.mark.parametrize(
    "value",
    [np.array([object()]), np.array(["x"]), np.zeros(2, "f4,i4"), np.zeros(2, complex), np.array(["2020"], "M8[s]")],
)
def test_only_numbers_are_sent(value):
    with pytest.raises(ValueError, match="cannot hold"):
        pack(value)


def test_only_what_msgpack_knows_is_sent():
    with pytest.raises(TypeError, match="cannot hold a set"):
        pack({"x": {1}})


@pytest.mark.parametrize(
    "dtype", ["O", "|O", "V8", "<U2", "f4,i4", "(1000,)f4", ">f4", "float32", "M8[s]", b"<f4", 3, None]
)
def test_only_plain_numbers_are_received(dtype):
    assert refusal(array(dtype)).type == "malformed"


@pytest.mark.parametrize("shape", [(3,), (-1,), (2**40, 2**40), (1,) * 9 + (2,), 2, None, (2.0,), (True, 2), "x", ()])
def test_data_must_fill_the_shape(shape):
    assert refusal(array(shape=shape)).type == "malformed"


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trap"),)

    for data in (pickle.dumps(Trap()), array("|O", (1,), pickle.dumps(Trap())), pack({"x": pickle.dumps(Trap())})):
        with suppress(RequestError):
            unpack(data)
    assert not (tmp_path / "trap").exists()


BOMBS = {
    "header of 4 GB": b"\xc6\xff\xff\xff\xff",
    "list of 4 billion": b"\xdd\xff\xff\xff\xff",
    "map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "text of 4 GB": b"\xdb\xff\xff\xff\xff",
    "extension of 4 GB": b"\xc9\xff\xff\xff\xff\x05",
    "deep lists": b"\x91" * 100_000,
    "deep maps": b"\x81\xa1a" * 100_000,
    "many empty lists": b"\xdc\xff\xff" + b"\x90" * 0xFFFF,
    "lists in lists": msgpack.packb([[[0] * 4000] * 30] * 30),
    "long list": msgpack.packb([0] * 1_000_000),
    "many arrays": msgpack.packb([{b"__ndarray__": True, b"data": b"", b"dtype": "|u1", b"shape": [0]}] * 65),
    "an extension": msgpack.packb(msgpack.ExtType(5, b"x")),
    "keys that are numbers": b"\x81\x01\x02",
    "unhashable keys": b"\x81\x90\x02",
    "two messages": b"\x01\x02",
    "nothing": b"",
    "no utf-8": b"\xa2\xff\xff",
    "a scalar too large": msgpack.packb({b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}),
    "a scalar of text": msgpack.packb({b"__npgeneric__": True, b"data": "9" * 99, b"dtype": "<f8"}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_cheaply(name):
    tracemalloc.start()
    try:
        assert refusal(BOMBS[name]).type in ("malformed", "oversized")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_the_budget_is_for_the_whole_message():
    assert len(unpack(msgpack.packb([0] * (MAX_ITEMS - 1)))) == MAX_ITEMS - 1
    assert refusal(msgpack.packb([[0] * (MAX_ITEMS // 2)] * 2)).type == "oversized"
    assert len(unpack(pack([np.zeros(1)] * MAX_ARRAYS))) == MAX_ARRAYS


@given(st.binary(max_size=200))
@settings(max_examples=FUZZ)
def test_random_bytes_are_a_message_or_refused(data):
    with suppress(RequestError):
        unpack(data)


@given(st.integers(0, 500), st.integers(0, 255))
@settings(max_examples=FUZZ)
def test_damaged_messages_are_a_message_or_refused(place, byte):
    whole = bytearray(pack({"a": np.arange(20.0), "b": [np.float32(1), "text", {"c": np.zeros((2, 2), np.uint8)}]}))
    place %= len(whole)
    whole[place] = byte
    for data in (bytes(whole), bytes(whole[:place])):
        with suppress(RequestError):
            unpack(data)


def test_errors_survive_the_wire():
    error = RequestError.from_text(RequestError("busy", "two\nlines").to_text())
    assert (error.type, error.message) == ("busy", "two lines")
    for text in ("Traceback …", "[1]", '{"error": 3}', "[" * 100_000):
        assert RequestError.from_text(text).type == "internal"
