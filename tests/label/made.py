"""Sources that tests make, importable and so at home in other processes."""

import time
from dataclasses import dataclass

import numpy as np

from hamster.data import AnnotatedImage, Annotation, Conversation, ImageObject, Mention, Provenance, Unreadable, View
from hamster.path import Gripper, Path2D
from tests.data.rlbench_files import camera


def image(i, size=16):
    rgb = np.full((size, size, 3), i % 256, np.uint8)
    rgb[-1] = (i + 128) % 256  # an image of one colour shows nothing
    path = Path2D([[0.1, 0.2], [0.5, i / 1000]], [Gripper.UNKNOWN, Gripper.CLOSED], [0.5, 0.6])
    mentions = [Mention(0, 4, (0, 1)), Mention(5, 9, (1,))]
    annotation = Annotation(f"take thing {i}", path, "pick_place", mentions, 1, None)
    objects = [ImageObject("red", "cube"), ImageObject("blue", "cup")]
    mask = np.full((size, size), 255, np.uint8)
    return AnnotatedImage(
        View(rgb, None, camera(size)), [annotation], Provenance("test:", extra={"i": i}), objects, mask
    )


def talk(i):
    return Conversation(
        f"{i}.png", (("user", f"<image>\nwhere is {i}?"), ("assistant", "[(0.1, 0.2)]")), Provenance("t")
    )


@dataclass(frozen=True)
class Images:
    """Number `broken` cannot be read; each takes a moment."""

    n: int
    per_shard: int = 4
    broken: int = -1
    delay_s: float = 0.0
    uri: str = "test:images"

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        time.sleep(self.delay_s)
        return Unreadable(f"file {i}", "torn") if i == self.broken else image(i)


@dataclass(frozen=True)
class Listed:
    items: tuple
    per_shard: int = 4
    uri: str = "test:"

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        if isinstance(self.items[i], Exception):
            raise self.items[i]
        return self.items[i]
