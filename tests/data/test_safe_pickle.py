import os
import pickle
import pickletools
import re
import struct
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.data import safe_pickle
from hamster.data.rlbench import _RECORDS
from hamster.data.safe_pickle import DTYPES, MAX_DEPTH, loads
from tests.data.real import real_data
from tests.data.rlbench_files import rlbench_classes

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(9)[::2],
    np.array(3.5),
    np.array([True, False]),
    np.arange(4, dtype=">i4"),
    np.zeros((0, 3), np.float32),
    *(np.ones(3, dtype) for dtype in sorted(DTYPES)),
]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("array", ARRAYS, ids=str)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back_as_they_were(tmp_path, array, protocol):
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps({"array": array, "again": array, "scalar": np.float32(2.5)}, protocol))
    found = safe_pickle.load(file)
    for back in (found["array"], found["again"]):
        assert np.array_equal(back, array) and back.shape == array.shape and back.dtype == array.dtype
    assert found["scalar"] == 2.5 and found["scalar"].dtype == np.float32


@pytest.mark.parametrize("protocol", PROTOCOLS[:5])
def test_arrays_of_older_numpy_come_back(protocol):
    new = pickle.dumps(np.arange(3), protocol)
    old = re.sub(rb"(\x8c.)?numpy\._core", lambda m: b"\x8c\x15numpy.core" if m[1] else b"numpy.core", new)
    if protocol == 4:
        old = old[:3] + struct.pack("<Q", len(old) - 11) + old[11:]  # the length of its frame
    assert old != new and loads(old, "a").tolist() == [0, 1, 2]


def test_text_and_arrays_of_python_2_come_back():
    dtype = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt" + dtype
    text = b"I00\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?'\ntb"
    assert loads(b"(l" + b"S'caf\\xe9'\na" + array + text + b"a.", "a") == ["café", np.array([1.0])]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**255), 2**255 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
keys = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary()
inert = st.recursive(
    scalars,
    lambda part: (
        st.lists(part, max_size=4) | st.lists(part, max_size=4).map(tuple) | st.dictionaries(keys, part, max_size=4)
    ),
    max_leaves=20,
)


@given(inert, st.sampled_from(PROTOCOLS))
def test_inert_data_comes_back_as_it_was(value, protocol):
    for data in (value, [value, value]):
        assert repr(loads(pickle.dumps(data, protocol), "a")) == repr(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_of_known_classes_become_namespaces(protocol):
    with rlbench_classes() as (Demo, classes):
        demo, observation = Demo(), classes.Observation()
        observation.gripper_pose, observation.misc = np.arange(7.0), {}
        demo._observations = [observation, observation]
        data = pickle.dumps(demo, protocol)
    found = loads(data, "a", _RECORDS)
    assert type(found) is SimpleNamespace and found._observations[0] is found._observations[1]
    assert found._observations[0].gripper_pose.tolist() == list(range(7)) and found._observations[0].misc == {}
    with pytest.raises(ValueError, match=r"a refers to rlbench\.demo\.Demo; only numeric arrays are read"):
        loads(data, "a")


class Runs:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_refused_and_not_run(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, Runs(tmp_path / "ran")], protocol))
    with pytest.raises(ValueError, match=r"refers to (posix|nt)\.mkdir; only numeric arrays") as caught:
        safe_pickle.load(tmp_path / "a.pkl")
    assert not (tmp_path / "ran").exists() and "\n" not in str(caught.value)
    pickle.loads((tmp_path / "a.pkl").read_bytes())  # the plain reader does run it
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [np.array([{}], object), np.array(["text"]), np.zeros(2, [("a", "f8")])], ids=str)
def test_arrays_of_anything_but_numbers_are_refused(value):
    with pytest.raises(ValueError, match="refers to an array of"):
        loads(pickle.dumps(value), "a")


def reference(module, name):
    return b"c%s\n%s\n" % (module.encode(), name.encode())


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


RECORD = reference("rlbench.demo", "Demo") + b")\x81"
ENCODE = reference("_codecs", "encode")
DTYPE = reference("numpy", "dtype") + b"(" + text("f8") + b"I0\nI1\ntR(I3\n" + text("<") + b"NNNI-1\nI-1\nI0\ntb"
NDARRAY = reference("numpy.core.multiarray", "_reconstruct") + b"(" + reference("numpy", "ndarray") + b"(I0\ntC\x01btR"


def array(shape, dtype, raw, fortran=b"\x89"):
    return NDARRAY + b"(K\x01" + shape + dtype + fortran + b"B" + struct.pack("<I", len(raw)) + raw + b"tb"


def shared(levels, wide):
    """A list in a list in a list, each of which holds the one below several times."""
    return b"]q\x00" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * (wide - 1) + b"eq" + bytes([i + 1])
                                for i in range(levels))  # fmt: skip


ATTACKS = {
    "memory by address": (
        RECORD + b"}" + text("__array_interface__") + b"}" + text("data") + b"I1234\n\x89\x86ssb.",
        "refers to an attribute '__array_interface__'",
    ),
    "a class of one's own": (RECORD + b"}" + text("__class__") + b"NsbN.", "refers to an attribute '__class__'"),
    "state that is no dict": (RECORD + b"K\x01b.", "BUILD at byte .* has no valid argument"),
    "state with slots": (RECORD + b"N}" + text("a") + b"K\x01s\x86b.", "BUILD at byte .* has no valid argument"),
    "attributes of a dtype": (DTYPE + b"}" + text("a") + b"K\x01sb.", "BUILD"),
    "attributes of an array": (array(b"K\x00\x85", DTYPE, b"") + b"}b.", "BUILD"),
    "attributes of a class": (reference("rlbench.demo", "Demo") + b"}b.", "BUILD"),
    "a call of a record": (reference("rlbench.demo", "Demo") + b")R.", "REDUCE"),
    "a call of a number": (b"K\x01)R.", "REDUCE"),
    "an attribute of a function": (
        b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
        r"refers to numpy\.ndarray\.__init__",
    ),
    "a name of several lines": (
        b"\x80\x04\x8c\x02a\n\x8c\x02\r\x1b\x93.",
        r"refers to a\?\.\?\?; only numeric arrays",
    ),
    "a long integer": (b"\x8b\xff\xff\xff\x7f" + b"\xff" * 99, "an integer of 2,147,483,647 bytes; at most 32"),
    "a negative length": (b"\x8b\xff\xff\xff\xff.", "cut off, or claims more"),
    "an integer of many digits": (b"L" + b"9" * 100_000 + b"L\n.", "LONG at byte 0 has no valid argument"),
    "a float of many digits": (b"F" + b"9" * 100_000 + b"\n.", "FLOAT"),
    "deep tuples": (b")" + b"\x85" * 200_000 + b".", f"more than {MAX_DEPTH} objects inside one another"),
    "deep lists": (b"]" * 200_000 + b"a" * 199_999 + b".", f"more than {MAX_DEPTH} objects inside one another"),
    "open marks": (b"(" * 200_000 + b"N.", "does not end with one object"),
    "a list in itself": (b"]q\x00h\x00a.", "inside one another"),
    "a dict in itself": (b"}q\x00" + text("a") + b"h\x00s.", "inside one another"),
    "a record in itself": (RECORD + b"q\x00}" + text("a") + b"h\x00sb.", "inside one another"),
    "an array in its own state": (NDARRAY + b"q\x00h\x00\x85.", "does not end with one object"),
    "an unfinished array": (NDARRAY + b".", "without its data"),
    "an unfinished array in a list": (b"]" + NDARRAY + b"a.", "without its data"),
    "a bare class": (reference("numpy", "ndarray") + b".", "without its data"),
    "ten billion shared objects": (b"(" + shared(10, 10) + b"l.", "unpacks to more than 512 MiB"),
    "an exponential tower": (b"(" + shared(90, 9) + b"l.", "unpacks to more than 512 MiB"),
    "a long text a thousand times": (
        b"](" + text("x" * 600_000) + b"q\x00" + b"h\x00" * 999 + b"e.",
        "unpacks to more than 512 MiB",
    ),
    "a large array a thousand times": (
        b"](" + array(b"J" + struct.pack("<i", 75_000) + b"\x85", DTYPE, bytes(600_000))
        + b"q\x00" + b"h\x00" * 999 + b"e.",
        "unpacks to more than 512 MiB",
    ),
    "attributes that are shared": (
        b"](}q\x00(" + b"".join(text(f"a{i}") + b"N" for i in range(9999)) + b"u" + (RECORD + b"h\x00b") * 500 + b"e.",
        "unpacks to more than",
    ),
    "an encoding that is repeated": (
        b"](" + ENCODE + text("x" * 600_000) + text("latin1") + b"\x86q\x02R" + (ENCODE + b"h\x02R") * 1000 + b"e.",
        "unpacks to more than",
    ),
    "another codec": (ENCODE + text("a") + text("zip") + b"\x86R.", "REDUCE"),
    "a frame beyond the end": (b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.", "cut off, or claims more"),
    "bytes beyond the end": (b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"N.", "cut off, or claims more"),
    "text beyond the end": (b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"N.", "cut off, or claims more"),
    "a line without an end": (b"Vabc", "cut off within a line"),
    "text that is none": (b"\x8c\x02\xff\xfe.", "SHORT_BINUNICODE at byte 0 has no valid argument"),
    "half a surrogate pair": (b"\x8c\x03\xed\xa0\x80.", "SHORT_BINUNICODE"),
    "extension code 1": (b"\x82\x01.", "uses the opcode EXT1 at byte 0, which plain data does not need"),
    "extension code 2": (b"\x83\x01\x01.", "uses the opcode EXT2"),
    "extension code 4": (b"\x84\x01\x01\x01\x01.", "uses the opcode EXT4"),
    "a persistent id in a line": (b"Pabc\n.", "uses the opcode PERSID"),
    "a persistent id": (b"K\x01Q.", "uses the opcode BINPERSID"),
    "a buffer elsewhere": (b"\x80\x05\x97.", "uses the opcode NEXT_BUFFER"),
    "a read-only buffer": (b"\x80\x05N\x98.", "uses the opcode READONLY_BUFFER"),
    "an instance": (b"(ios\nsystem\n.", "uses the opcode INST"),
    "an object": (b"(" + reference("rlbench.demo", "Demo") + b"o.", "uses the opcode OBJ"),
    "keyword arguments": (b"N)}\x92.", "uses the opcode NEWOBJ_EX"),
    "an opcode of nobody": (b"\xff.", "uses the unknown opcode 0xff"),
    "a newer protocol": (b"\x80\x06N.", "has pickle protocol 6; 0 to 5 are read"),
    "a key that is a list": (b"}]Ns.", "has a key of type list"),
    "a key that is a tuple": (b"}K\x01\x85Ns.", "has a key of type tuple"),
    "a key that collides": (b"}\x8a\x20" + b"\x01" * 32 + b"Ns.", "has a key of type int"),
    "an append to a tuple": (b")Na.", "APPEND"),
    "an append without a list": (b"Na.", "APPEND"),
    "an item of a list": (b"]NNs.", "SETITEM"),
    "a key without a value": (b"}(Nu.", "SETITEMS"),
    "no mark": (b"t.", "TUPLE at byte 0 has no valid argument"),
    "an empty stack": (b"\x85.", "TUPLE1"),
    "an object that was not stored": (b"h\x07.", "recalls object 7, which it has not stored"),
    "more than one object": (b"NN.", "does not end with one object"),
    "nothing": (b"", "cut off"),
    "no end": (b"N", "cut off"),
    "an array that claims more": (array(b"K\x09\x85", DTYPE, bytes(8)), r"an array of \(9,\) float64 in 8 bytes"),
    "an array that overflows": (
        array(b"\x8a\x08" + struct.pack("<q", 2**62) + b"K\x04\x86", DTYPE, b""),
        "BUILD at byte .* has no valid argument",
    ),
    "an array of no volume": (
        array(b"K\x00J" + struct.pack("<i", 2**27) + b"J" + struct.pack("<i", 2**27) + b"\x87", DTYPE, b""),
        "is damaged",
    ),
    "an array of negative sides": (array(b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", DTYPE, bytes(8)), "BUILD"),
    "an array of many dimensions": (array(b"(" + b"K\x01" * 70 + b"t", DTYPE, bytes(8)), "BUILD"),
    "a shape of truth values": (array(b"\x88\x85", DTYPE, bytes(8)), "BUILD"),
    "raw data that is a list": (NDARRAY + b"(K\x01K\x01\x85" + DTYPE + b"\x89]tb.", "BUILD"),
    "an array that is built twice": (array(b"K\x00\x85", DTYPE, b"") + b"(K\x01)" + DTYPE + b"\x89C\x00tb.", "BUILD"),
    "axes in an order of their own": (
        reference("numpy.core.numeric", "_frombuffer") + b"(C\x08abcdefgh" + DTYPE + b"K\x01K\x01\x86" + text("K")
        + b"K\x00K\x00\x86tR.",
        "REDUCE",
    ),
    "truth values of 7": (pickle.dumps(np.array([True])).replace(b"C\x01\x01", b"C\x01\x07"), "truth values"),
    "an array of objects": (DTYPE.replace(b"f8", b"O8") + b".", "refers to an array of 'O8'"),
    "a dtype in parts": (DTYPE.replace(b"NNN", b"N))") + b".", "BUILD"),
    "a scalar that claims more": (
        reference("numpy.core.multiarray", "scalar") + DTYPE + b"C\x04abcd\x86R.",
        r"an array of \(\) float64 in 4 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("attack", "reason"), ATTACKS.values(), ids=ATTACKS)
def test_attacks_are_refused_in_one_line(attack, reason):
    began = time.process_time()
    with pytest.raises(ValueError, match=rf"^from afar [^\n]*{reason}") as refused:
        loads(attack, "from afar", _RECORDS)
    assert len(str(refused.value)) < 400 and "\n" not in str(refused.value)
    assert time.process_time() - began < 20


def test_a_memo_of_gigabytes_costs_nothing():
    assert loads(b"\x80\x04K\x01r\xff\xff\xff\x7f.", "a") == 1  # LONG_BINPUT 2**31 - 1


def test_a_large_pickle_of_tiny_objects_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_STEPS", 1000)
    with pytest.raises(ValueError, match="a has more than 1,000 steps"):
        loads(b"(" + b"}" * 2000 + b"t.", "a")


def test_a_large_file_is_not_even_opened(tmp_path, monkeypatch):
    (tmp_path / "a.pkl").write_bytes(bytes(2000))
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"a\.pkl is larger than 0 MiB"):
        safe_pickle.load(tmp_path / "a.pkl")


def test_no_unpickler_of_python_is_involved():
    """Not even imported: what is not there cannot be reached."""
    code = "import sys; from hamster.data import safe_pickle; print(sorted(m for m in vars(safe_pickle)))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'pickletools'" in names and "'pickle'" not in names and "'_pickle'" not in names


WHOLE = pickle.dumps({"a": np.arange(3.0), "b": [1, "x", None, b"y"], "c": (1.5, {"d": np.float32(2)})}, 4)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_a_value_error(noise, at):
    check_damaged(WHOLE[:at] + noise + WHOLE[at + len(noise) :])


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_a_value_error_or_a_value(changes):
    damaged = bytearray(WHOLE)
    for at, byte in changes:
        damaged[at] = byte
    check_damaged(bytes(damaged))


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=4), max_size=60).map(b"".join))
def test_any_sequence_of_opcodes_is_a_value_error_or_a_value(data):
    check_damaged(DTYPE + NDARRAY + RECORD + data)


def check_damaged(data):
    try:
        np.asarray(loads(data, "noise", _RECORDS), object)
    except ValueError as error:
        assert re.match("noise |setting an array", str(error)) and "\n" not in str(error)


def test_real_demonstrations_are_read_as_python_reads_them():
    file = real_data("a-libero-obs") / "sample_libero_spatial_observation.pkl"
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of numpy's older names
        expected = pickle.loads(file.read_bytes())
    found = safe_pickle.load(file)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)
