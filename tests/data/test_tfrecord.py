import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.data.rlds.example import parse
from hamster.data.rlds.tfrecord import masked_crc, offsets, read
from tests.data.rlds_files import example, field, record, varint


def written(tmp_path, *records):
    file = tmp_path / "a.tfrecord"
    file.write_bytes(b"".join(record(data) for data in records))
    return file


def test_checksums_are_those_of_the_standard_masked():
    crc = 0xE3069283  # of "123456789", as RFC 3720 and everybody else has it
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) % 2**32 + 0xA282EAD8) % 2**32


def test_records_are_found_without_reading_them_and_read_alone(tmp_path):
    file = written(tmp_path, b"one", b"", b"three" * 1000)
    found = list(offsets(file))
    assert found == [0, 19, 35]
    assert [read(file, offset) for offset in found] == [b"one", b"", b"three" * 1000]


@pytest.mark.parametrize("cut", [1, 11, 12, 17])
def test_a_cut_off_file_keeps_what_is_before(tmp_path, cut):
    file = written(tmp_path, b"whole", b"cut")
    file.write_bytes(file.read_bytes()[: 21 + cut])
    first, last = offsets(file)
    assert read(file, first) == b"whole"
    with pytest.raises(ValueError, match=r"cut off in the .*byte 21"):
        read(file, last)


def test_a_flipped_bit_is_noticed_and_costs_one_record(tmp_path):
    file = written(tmp_path, b"whole", b"damaged", b"whole again")
    data = bytearray(file.read_bytes())
    data[21 + 12 + 3] ^= 4
    file.write_bytes(data)
    first, second, third = offsets(file)
    assert read(file, first) == b"whole" and read(file, third) == b"whole again"
    with pytest.raises(ValueError, match="byte 21 does not match its checksum"):
        read(file, second)


def test_a_length_that_lies_is_not_believed(tmp_path):
    file = written(tmp_path, b"whole")
    lie = struct.pack("<Q", 2**62)
    file.write_bytes(file.read_bytes() + lie + struct.pack("<I", masked_crc(lie)) + b"x" * 40)
    with pytest.raises(ValueError, match="more than 1024 MiB"):
        read(file, list(offsets(file))[-1])
    file.write_bytes(lie + b"\0" * 40)
    with pytest.raises(ValueError, match="length of the record"):
        read(file, 0)


def test_all_three_kinds_of_values():
    numbers = [0, 1, 127, 128, 300, -1, 2**63 - 1, -(2**63)]
    found = parse(example({"a/b": [b"x", b"", b"yz"], "f": np.array([0.5, -2.0]), "n": np.array(numbers)}))
    assert [bytes(value) for value in found["a/b"]] == [b"x", b"", b"yz"]
    assert found["f"].tolist() == [0.5, -2.0] and found["n"].tolist() == numbers


def test_lists_that_are_not_packed_and_fields_that_nobody_knows():
    floats = b"".join(b"\x0d" + struct.pack("<f", value) for value in (1.5, 2.5))
    integers = b"".join(b"\x08" + varint(value) for value in (7, -7))
    entries = field(1, field(1, b"f") + field(2, field(2, floats))) + field(
        1, field(1, b"n") + field(2, field(3, integers))
    )
    found = parse(field(9, b"unknown") + b"\x50\x01" + field(1, entries))
    assert found["f"].tolist() == [1.5, 2.5] and found["n"].tolist() == [7, -7]


def test_a_feature_without_values():
    assert len(parse(field(1, field(1, field(1, b"empty") + field(2, b""))))["empty"]) == 0


@given(st.binary(max_size=60))
def test_noise_is_refused_in_one_line_or_read(data):
    try:
        parse(data)
    except ValueError as error:
        assert "\n" not in str(error)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_so_is_a_damaged_message(at, byte):
    data = bytearray(example({"a": [b"text"] * 3, "f": np.linspace(0, 1, 9), "n": np.arange(100, 140)}))
    data[at % len(data)] = byte
    try:
        parse(bytes(data))
    except ValueError as error:
        assert "\n" not in str(error)
