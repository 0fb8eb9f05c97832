"""Pickles of other people's demonstrations, read without running anything that is in them."""

from __future__ import annotations

import io
import pickle  # only its opcode reader: every global is replaced below
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 256 << 20
_CODE = re.compile(r"[biuf][1248]")
_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


def load(file: Path, stubs: tuple[str, ...] = ()) -> Any:
    """The object in a file; as `loads`, and ValueError if the file is too large."""
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB")
    return loads(file.read_bytes(), file.name, stubs)


def loads(data: bytes, name: str, stubs: tuple[str, ...] = ()) -> Any:
    """The object in a pickle made of plain containers, numbers, text, numeric numpy arrays, and stubs.

    Args:
        data: the pickle.
        name: of where it comes from, for messages.
        stubs: dotted names of classes whose instances come back as bare objects with the pickled attributes. None of
            their code is looked for, let alone run.

    Returns:
        The object; arrays in it are stand-ins that `np.asarray` turns into arrays.

    Raises:
        ValueError: in one line, if it is damaged, or refers to anything else.
    """
    try:
        return _Reader(data, stubs).load()
    except _ForbiddenError as error:
        readable = ", ".join(("numeric arrays", *stubs))
        raise ValueError(f"{name} refers to {error}; only {readable} are read") from None
    except _BROKEN as error:
        raise ValueError(f"{name} is damaged: {type(error).__name__}") from None


class _ForbiddenError(Exception):
    """Apart from what damaged files raise."""


# The Python implementation: the C one lets a few bytes claim gigabytes for its memo.
class _Reader(pickle._Unpickler):
    def __init__(self, data: bytes, stubs: tuple[str, ...]) -> None:
        super().__init__(io.BytesIO(data))
        # Made anew for every file, so that no file can alter what the next one is read with.
        self._known = {**_numpy_stand_ins(), **{name: type(name, (), {}) for name in stubs}}

    def find_class(self, module: str, name: str) -> Any:
        dotted = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if dotted not in self._known:
            raise _ForbiddenError(dotted)
        return self._known[dotted]


def _numpy_stand_ins() -> Mapping[str, Any]:
    """What numpy's pickles call, reduced to numbers in a buffer: numpy's own versions trust their arguments."""

    class DType:
        def __init__(self, code: str, *_: object) -> None:
            if not _CODE.fullmatch(code):
                raise _ForbiddenError(f"an array of {code!r}")
            self.dtype = np.dtype(code)

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")

    class Array:
        values: NDArray[Any]

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            _version, shape, dtype, fortran, data = state
            self.values = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
            return np.array(self.values, dtype)

    class Subtype:
        pass

    def reconstruct(*_: object) -> Array:
        return Array()

    def scalar(dtype: DType, data: bytes) -> Any:
        return np.frombuffer(data, dtype.dtype)[0]

    def frombuffer(data: bytes, dtype: DType, shape: tuple[int, ...], order: str) -> Array:
        array = Array()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array

    return {
        "numpy.ndarray": Subtype,
        "numpy.dtype": DType,
        "numpy.core.multiarray._reconstruct": reconstruct,
        "numpy.core.multiarray.scalar": scalar,
        "numpy.core.numeric._frombuffer": frombuffer,
    }
