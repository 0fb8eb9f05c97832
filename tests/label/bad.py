"""A source whose items end their process, hang it, eat its memory or raise what nobody expects."""

import ctypes
import os
import sys
import time
from dataclasses import dataclass, field, replace

import numpy as np

from hamster.data import Inputs, Provenance
from tests.label.made import image


def _recurse():
    return _recurse()


def _loop():
    while True:
        pass


def _loop_in_c():
    return sum(range(1 << 62))


def _eat():
    kept = []
    while True:
        kept.append(np.ones(1 << 22, np.uint8))


def _raise(error):
    raise error


def _said(instruction, i):
    made = image(i)
    return replace(made, annotations=[replace(made.annotations[0], instruction=instruction)])


def _named(name, i):
    return replace(image(i), provenance=Provenance("test:", file=name))


BAD = {
    "segfault": lambda i: ctypes.string_at(0),
    "abort": lambda i: os.abort(),
    "orphan": lambda i: time.sleep(1000) if os.fork() == 0 else os._exit(5),
    "exit": lambda i: os._exit(3),
    "sys.exit": lambda i: sys.exit(4),
    "loop": lambda i: _loop(),
    "loop in C": lambda i: _loop_in_c(),
    "sleep": lambda i: time.sleep(1000),
    "eat": lambda i: _eat(),
    "recurse": lambda i: _recurse(),
    "memory": lambda i: _raise(MemoryError("8 TiB")),
    "key": lambda i: _raise(KeyError("observation.state")),
    "type": lambda i: _raise(TypeError("no")),
    "nothing": lambda i: None,
    "stop": lambda i: _raise(StopIteration()),
    "surrogate": lambda i: _said("take \ud83d it", i),
    "zero": lambda i: _said("take\0it", i),
    "file name": lambda i: _named("a\udcff.png", i),
    "nan": lambda i: replace(image(i), provenance=Provenance("test:", extra={"fps": float("nan")})),
}


@dataclass(frozen=True)
class Bad:
    """`n` images; those whose numbers `kinds` names do what it says."""

    n: int
    kinds: dict[int, str] = field(default_factory=dict)
    per_shard: int = 4
    uri: str = "test:bad"

    def __len__(self):
        return self.n

    def inputs(self, i):
        if self.kinds.get(i) == "look":
            os.abort()
        return Inputs(f"test:bad item {i}", (), f"{i} {self.kinds.get(i)}")

    def __getitem__(self, i):
        return BAD[self.kinds[i]](i) if i in self.kinds else image(i)
