"""Untrusted pickles, read by an interpreter of our own that knows only the opcodes of inert data.

Nothing in a pickle is imported, called or looked up, and Python's own unpicklers, which trust their input, are not
involved: the few functions that numpy's pickles name are replaced by checked conversions of raw bytes. Steps, bytes,
depth and sharing are bounded, so a file of a few bytes can cost neither hours nor gigabytes.
"""

from __future__ import annotations

import codecs
import math
import pickletools  # only its table of names
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 256 << 20  # of a file
MAX_STEPS = 4_000_000  # opcodes
MAX_DEPTH = 100  # containers inside one another
MAX_EXPANDED_BYTES = 512 << 20  # of everything, where what is shared counts as often as it is referred to
MAX_INTEGER_BYTES = 32
MAX_DIMENSIONS = 32
DTYPES = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))

_OPCODES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_CODES = {name: code for code, name in _OPCODES.items()}
_ORDERS = ("<", ">", "|", "=")
_NUMBERS = (type(None), bool, int, float)
_MODULES = {"numpy._core": "numpy.core", "__builtin__": "builtins", "copy_reg": "copyreg"}  # of other versions
_FUNCTIONS = frozenset(
    (
        "numpy.ndarray",
        "numpy.dtype",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy.core.numeric._frombuffer",
        "_codecs.encode",  # bytes in protocols 0 to 2 …
        "builtins.bytes",  # … and those of length 0
        "copyreg._reconstructor",  # records in protocols 0 and 1
        "builtins.object",
    )
)


def load(file: Path, records: tuple[str, ...] = ()) -> Any:
    """Return the object in a file; as `loads`, and ValueError if the file is too large."""
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB")
    return loads(file.read_bytes(), file.name, records)


def loads(data: bytes, name: str, records: tuple[str, ...] = ()) -> Any:
    """Return the object in a pickle made of plain containers, numbers, text, bytes, numeric arrays and records.

    Args:
        data: the pickle, of any protocol.
        name: of where it comes from, for messages.
        records: dotted names of classes whose instances come back as `SimpleNamespace`s of the pickled attributes.

    Raises:
        ValueError: in one line, if it is damaged, too large, or holds anything else.
    """
    try:
        return _Interpreter(data, frozenset(records)).run()
    except _ForbiddenError as error:
        readable = ", ".join(("numeric arrays", *records))
        raise ValueError(f"{name} refers to {error}; only {readable} are read") from None
    except _RefusedError as error:
        raise ValueError(f"{name} {error}") from None


class _RefusedError(Exception):
    """The rest of a sentence that begins with the name of the pickle."""


class _ForbiddenError(_RefusedError):
    """A class, a function or a kind of array that is not read."""


@dataclass(frozen=True)
class _Global:
    """A reference to a class or a function, by name."""

    name: str


@dataclass(eq=False)
class _Unfinished:
    """An array or a dtype that the next BUILD completes; `memo` is where it is remembered until then."""

    dtype: np.dtype[Any] | None
    memo: list[int] = field(default_factory=list)


class _Interpreter:
    """Runs one pickle."""

    def __init__(self, data: bytes, records: frozenset[str]) -> None:
        self._data, self._at, self._records = data, 0, records
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []  # the stacks below each MARK
        self._memo: dict[int, Any] = {}
        self._bytes_left = 2 * MAX_BYTES  # that may be copied or looked at

    def run(self) -> Any:
        """Return the pickled object."""
        handlers = {_CODES[name]: handler for name, handler in self._handlers().items()}
        stop = _CODES["STOP"]
        for _ in range(MAX_STEPS):
            start = self._at
            code = self._take(1)[0]
            if code == stop:
                if len(self._stack) != 1 or self._marked:
                    raise _damaged("it does not end with one object")
                _measure(value := self._stack[0], {})
                return value
            if code not in handlers:
                raise _RefusedError(f"uses {_named(code)} at byte {start}, which plain data does not need")
            try:
                handlers[code]()
            except (IndexError, ValueError):  # an empty stack, undecodable text, a number that is none
                raise _damaged(f"{_named(code)} at byte {start} has no valid argument") from None
        raise _RefusedError(f"has more than {MAX_STEPS:,} steps")

    def _handlers(self) -> Mapping[str, Callable[[], None]]:
        """Return what each opcode does."""
        push = self._push
        return {
            "PROTO": self._protocol,
            "FRAME": self._frame,
            "MARK": self._mark,
            "NONE": lambda: push(None),
            "NEWTRUE": lambda: push(True),
            "NEWFALSE": lambda: push(False),
            "INT": self._int_line,
            "LONG": lambda: push(_integer(self._line().rstrip(b"L"))),
            "BININT": lambda: push(self._number("<i")),
            "BININT1": lambda: push(self._number("<B")),
            "BININT2": lambda: push(self._number("<H")),
            "LONG1": lambda: push(self._long(self._number("<B"))),
            "LONG4": lambda: push(self._long(self._number("<i"))),
            "FLOAT": lambda: push(_float(self._line())),
            "BINFLOAT": lambda: push(self._number(">d")),
            "STRING": self._string_line,
            "BINSTRING": lambda: push(self._take(self._number("<i")).decode("latin-1")),
            "SHORT_BINSTRING": lambda: push(self._take(self._number("<B")).decode("latin-1")),
            "SHORT_BINBYTES": lambda: push(self._take(self._number("<B"))),
            "BINBYTES": lambda: push(self._take(self._number("<I"))),
            "BINBYTES8": lambda: push(self._take(self._number("<Q"))),
            "BYTEARRAY8": lambda: push(self._take(self._number("<Q"))),
            "UNICODE": lambda: push(self._line().decode("raw-unicode-escape")),
            "SHORT_BINUNICODE": lambda: push(self._take(self._number("<B")).decode()),
            "BINUNICODE": lambda: push(self._take(self._number("<I")).decode()),
            "BINUNICODE8": lambda: push(self._take(self._number("<Q")).decode()),
            "EMPTY_LIST": lambda: push([]),
            "LIST": lambda: push(self._since_mark()),
            "APPEND": lambda: self._append([self._pop()]),
            "APPENDS": lambda: self._append(self._since_mark()),
            "EMPTY_TUPLE": lambda: push(()),
            "TUPLE": lambda: push(tuple(self._since_mark())),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "EMPTY_DICT": lambda: push({}),
            "DICT": self._dict,
            "SETITEM": lambda: self._set_items([self._pop(), self._pop()][::-1]),
            "SETITEMS": lambda: self._set_items(self._since_mark()),
            "PUT": lambda: self._remember(_integer(self._line())),
            "BINPUT": lambda: self._remember(self._number("<B")),
            "LONG_BINPUT": lambda: self._remember(self._number("<I")),
            "MEMOIZE": lambda: self._remember(len(self._memo)),
            "GET": lambda: push(self._recall(_integer(self._line()))),
            "BINGET": lambda: push(self._recall(self._number("<B"))),
            "LONG_BINGET": lambda: push(self._recall(self._number("<I"))),
            "GLOBAL": lambda: push(self._global(self._line().decode(), self._line().decode())),
            "STACK_GLOBAL": self._stack_global,
            "REDUCE": self._reduce,
            "NEWOBJ": self._new_object,
            "BUILD": self._build,
        }

    # The input.

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._at:
            raise _damaged("it is cut off, or claims more than there is")
        self._at += size
        return self._data[self._at - size : self._at]

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise _damaged("it is cut off within a line")
        return self._take(end + 1 - self._at)[:-1]

    def _long(self, size: int) -> int:
        if size > MAX_INTEGER_BYTES:
            raise _RefusedError(f"holds an integer of {size:,} bytes; at most {MAX_INTEGER_BYTES} are read")
        return int.from_bytes(self._take(size), "little", signed=True)

    def _int_line(self) -> None:
        line = self._line()
        self._push(line == b"01" if line in (b"00", b"01") else _integer(line))

    def _string_line(self) -> None:
        """Push a quoted and escaped text of Python 2, as bytes: numpy expects them to survive latin-1."""
        line = self._line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError
        self._push(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))

    def _protocol(self) -> None:
        if (protocol := self._number("<B")) > 5:
            raise _RefusedError(f"has pickle protocol {protocol}; 0 to 5 are read")

    def _frame(self) -> None:
        """Check a frame's length, a hint for readers of streams: no frame is longer than the data left."""
        if self._number("<Q") > len(self._data) - self._at:
            raise _damaged("it is cut off, or claims more than there is")

    # The stack and the memo.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        return self._stack.pop()

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _remember(self, index: int) -> None:
        value = self._memo[index] = self._stack[-1]
        if isinstance(value, _Unfinished):
            value.memo.append(index)

    def _recall(self, index: int) -> Any:
        if index not in self._memo:
            raise _damaged(f"it recalls object {index}, which it has not stored")
        return self._memo[index]

    # Containers.

    def _tuple(self, size: int) -> None:
        if len(self._stack) < size:
            raise IndexError
        self._stack[-size:] = [tuple(self._stack[-size:])]

    def _append(self, items: list[Any]) -> None:
        if type(target := self._stack[-1]) is not list:
            raise ValueError
        target.extend(items)

    def _dict(self) -> None:
        items = self._since_mark()
        self._push({})
        self._set_items(items)

    def _set_items(self, items: list[Any]) -> None:
        if len(items) % 2 or type(target := self._stack[-1]) is not dict:
            raise ValueError
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    # Names, and what is made with them.

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError
        self._push(self._global(module, name))

    def _global(self, module: str, name: str) -> _Global:
        for other, usual in _MODULES.items():
            if module == other or module.startswith(f"{other}."):
                module = usual + module[len(other) :]
        dotted = f"{module}.{name}"
        if dotted not in _FUNCTIONS and dotted not in self._records:
            raise _ForbiddenError("".join(c if c.isprintable() else "?" for c in dotted[:100]))
        return _Global(dotted)

    def _new_object(self) -> None:
        arguments, kind = self._pop(), self._pop()
        if not isinstance(kind, _Global) or kind.name not in self._records or type(arguments) is not tuple or arguments:
            raise ValueError
        self._push(SimpleNamespace())

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise ValueError
        match function.name, arguments:
            case "numpy.dtype", (str(code), *_):
                if code not in DTYPES:
                    raise _ForbiddenError(f"an array of {code[:40]!r}")
                self._push(_Unfinished(np.dtype(code)))
            case "numpy.core.multiarray._reconstruct", (_Global("numpy.ndarray"), *_):
                self._push(_Unfinished(None))
            case "numpy.core.multiarray.scalar", (np.dtype() as dtype, raw):
                self._push(self._array(raw, dtype, (), "C")[()])
            case "numpy.core.numeric._frombuffer", (raw, np.dtype() as dtype, shape, str(order)) if order in ("C", "F"):
                self._push(self._array(raw, dtype, shape, order))
            case "numpy.core.numeric._frombuffer", (raw, np.dtype() as dtype, shape, str("K"), tuple(axes)):
                if not all(type(axis) is int for axis in axes):
                    raise ValueError
                self._push(self._array(raw, dtype, shape, "C").transpose(axes))
            case "_codecs.encode", (str(text), str(codec)) if codec in ("latin1", "latin-1"):
                self._charge(len(text))
                self._push(text.encode("latin-1"))
            case "builtins.bytes", ():
                self._push(b"")
            case "copyreg._reconstructor", (_Global(name), _Global("builtins.object"), None) if name in self._records:
                self._push(SimpleNamespace())
            case _:
                raise ValueError

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, SimpleNamespace):
            self._set_attributes(target, state)
            return
        match target, state:
            case _Unfinished(dtype=np.dtype() as dtype), (int(), str(order), None, None, None, *_) if order in _ORDERS:
                done: Any = dtype.newbyteorder(">" if order == ">" else "<")
            case _Unfinished(dtype=None), (int(), shape, np.dtype() as dtype, int(fortran), raw):
                done = self._array(raw, dtype, shape, "F" if fortran else "C")
            case _:
                raise ValueError
        self._stack[-1] = done
        self._memo.update(dict.fromkeys(target.memo, done))

    def _set_attributes(self, record: SimpleNamespace, state: Any) -> None:
        """Fill a record; no name in it is one that Python or numpy look up by themselves."""
        if type(state) is not dict:
            raise ValueError
        for name in state:
            if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
                raise _ForbiddenError(f"an attribute {str(name)[:40]!r}")
        self._charge(128 * len(state))  # it may be shared
        vars(record).update(state)

    def _array(self, raw: Any, dtype: np.dtype[Any], shape: Any, order: str) -> NDArray[Any]:
        """Return a read-only array over raw bytes, which are as many as shape and dtype say."""
        if not isinstance(raw, str | bytes) or not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
            raise ValueError
        if not all(type(side) is int and 0 <= side <= MAX_BYTES for side in shape):
            raise ValueError
        if math.prod(max(side, 1) for side in shape) > MAX_BYTES or math.prod(shape) * dtype.itemsize != len(raw):
            raise _damaged(f"it has an array of {shape} {dtype} in {len(raw):,} bytes")
        self._charge(len(raw))
        content = raw.encode("latin-1") if isinstance(raw, str) else raw
        if dtype.kind == "b" and content.translate(None, b"\0\1"):
            raise _damaged("it has truth values other than 0 and 1")
        return np.ndarray(shape, dtype, content, order="F" if order == "F" else "C")

    def _charge(self, size: int) -> None:
        """Count bytes that are gone through once more, as often as a pickle likes."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise _RefusedError(f"unpacks to more than {2 * MAX_BYTES >> 20} MiB")


def _measure(item: Any, measured: dict[int, tuple[int, int]], depth: int = 1) -> tuple[int, int]:
    """Return the bytes of an object, with every reference followed, and how many containers are inside one another.

    Args:
        item: at this `depth`.
        measured: the results for containers so far, by their identity: each is gone through once.

    Raises:
        _RefusedError: if the object is too large, too deep (one that contains itself is), or holds anything unfinished.
    """
    kind = type(item)
    if kind in _NUMBERS:
        return 8, 0
    if kind in (str, bytes):
        return 64 + len(item), 0
    if kind is np.ndarray:
        return 128 + item.nbytes, 0
    if kind not in (list, tuple, dict, SimpleNamespace):
        if isinstance(item, np.generic | np.dtype):
            return 64, 0
        raise _RefusedError("holds an array, a class or a function without its data")
    if id(item) not in measured and depth <= MAX_DEPTH:
        size, height = 64, 1
        fields = vars(item) if kind is SimpleNamespace else item
        for part in fields if kind in (list, tuple) else (*fields, *fields.values()):
            part_size, part_height = _measure(part, measured, depth + 1)
            size, height = size + part_size, max(height, part_height + 1)
        measured[id(item)] = size, height
    size, height = measured.get(id(item), (0, 1))
    if depth + height - 1 > MAX_DEPTH:
        raise _RefusedError(f"has more than {MAX_DEPTH} objects inside one another")
    if size > MAX_EXPANDED_BYTES:
        raise _RefusedError(f"unpacks to more than {MAX_EXPANDED_BYTES >> 20} MiB")
    return size, height


def _key(key: Any) -> Any:
    """Return a key of a dict, which is one that cannot be made to collide with many others."""
    if (
        key is None
        or isinstance(key, str | bytes | float | np.generic)
        or (type(key) in (int, bool) and abs(key) < 2**64)
    ):
        return key
    raise _RefusedError(f"has a key of type {type(key).__name__} in a dictionary; text and numbers are read")


def _integer(line: bytes) -> int:
    if len(line) > 3 * MAX_INTEGER_BYTES:
        raise ValueError
    return int(line)


def _float(line: bytes) -> float:
    if len(line) > 100:
        raise ValueError
    return float(line)


def _named(code: int) -> str:
    return f"the opcode {_OPCODES[code]}" if code in _OPCODES else f"the unknown opcode 0x{code:02x}"


def _damaged(why: str) -> _RefusedError:
    return _RefusedError(f"is damaged: {why}")
