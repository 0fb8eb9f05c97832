import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.data import safe_pickle

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array(3.5),
    np.array([True, False]),
    np.arange(4, dtype=">i4"),
    np.zeros((0, 3), np.float32),
    np.arange(5, dtype=np.uint8),
]


@pytest.mark.parametrize("array", ARRAYS, ids=str)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_come_back_as_they_were(tmp_path, array, protocol):
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps({"array": array, "scalar": np.float32(2.5)}, protocol))
    found = safe_pickle.load(file)
    back = np.asarray(found["array"])
    assert np.array_equal(back, array) and back.shape == array.shape and back.dtype.kind == array.dtype.kind
    assert found["scalar"] == 2.5


def test_arrays_of_older_numpy_come_back(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.arange(3), 3).replace(b"numpy._core", b"numpy.core"))
    assert np.asarray(safe_pickle.load(tmp_path / "a.pkl")).tolist() == [0, 1, 2]


class Runs:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_not_run(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, Runs(tmp_path / "ran")], protocol))
    with pytest.raises(ValueError, match=r"refers to (posix|nt)\.mkdir; only numeric arrays") as caught:
        safe_pickle.load(tmp_path / "a.pkl")
    assert not (tmp_path / "ran").exists() and "\n" not in str(caught.value)
    pickle.loads((tmp_path / "a.pkl").read_bytes())  # the plain reader does run it
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [np.array([{}], object), np.array(["text"]), np.zeros(2, [("a", "f8")])], ids=str)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, value):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(ValueError, match="refers to an array of"):
        safe_pickle.load(tmp_path / "a.pkl")


def test_an_array_that_claims_more_than_it_has_is_damaged(tmp_path):
    claim = pickle.dumps(np.arange(7, dtype=np.uint8)).replace(b"K\x07\x85", b"K\x77\x85")
    (tmp_path / "a.pkl").write_bytes(claim)
    with pytest.raises(ValueError, match="damaged"):
        safe_pickle.load(tmp_path / "a.pkl")


def test_a_memo_of_gigabytes_costs_nothing(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04K\x01r\xff\xff\xff\x7f.")  # LONG_BINPUT 2**31 - 1
    assert safe_pickle.load(tmp_path / "a.pkl") == 1


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_a_value_error(tmp_path_factory, noise, at):
    file = tmp_path_factory.getbasetemp() / "noise.pkl"
    whole = pickle.dumps({"a": np.arange(3.0), "b": [1, "x", None]})
    file.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        safe_pickle.load(file)
    except ValueError as error:
        assert "noise.pkl" in str(error) and "\n" not in str(error)
