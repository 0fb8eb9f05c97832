"""Small label sets of every kind for fine-tuning, through the label runner."""

from pathlib import Path

import numpy as np
from PIL import Image

from hamster.data import AnnotatedImage, Annotation, Conversation, Provenance, View
from hamster.label import write
from hamster.path import Gripper, Path2D
from tests.label.made import Listed
from tests.planner.drawn import Scene


def annotated(i, side=64, each=2, absent=0):
    """A drawn scene with some instructions."""
    rng = np.random.default_rng(i)
    scene, found = Scene(rng, side), []
    while len(found) < each:
        if (a := scene.annotation()) is not None:
            path = Path2D.from_json(a["path"])
            found.append(
                Annotation(a["instruction"], Path2D(path.uv[[0, -1]], [Gripper.CLOSED, Gripper.OPEN]), a["task"])
            )
    missing = [f"pick up the zebra {n}" for n in range(absent)]
    origin = Provenance("drawn", f"scene {i}", licence="CC0-1.0")
    return AnnotatedImage(View(scene.render()[0], None, None), found, origin, absent=missing)


def paths(out: Path, n=10, **more) -> Path:
    """A label set of `n` drawn scenes."""
    write([Listed(tuple(annotated(i, **more) for i in range(n)))], out)
    return out


def talks(out: Path, n=6, bare=True) -> Path:
    """A label set of conversations about a picture of 30 x 20, and one without a picture."""
    file = out.with_suffix(".png")
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(file)
    turns = (("user", "<image>\nwhere is it?"), ("assistant", "[(0.1, 0.2)]"), ("user", "sure?"), ("assistant", "yes"))
    said = [Conversation(str(file), turns, Provenance("talk")) for _ in range(n)]
    alone = [Conversation("", (("user", "hello"), ("assistant", "hi")), Provenance("talk"))] if bare else []
    write([Listed((*said, *alone))], out)
    return out
