"""Label sets of every kind, made through the label runner."""

from pathlib import Path

import numpy as np
from PIL import Image

from hamster.data import Conversation, Provenance
from hamster.data.rlbench import RLBench
from hamster.label import write
from tests.data.rlbench_files import write_episode
from tests.label.made import Images, Listed


def episodes(tmp_path, lengths=(6, 4), cameras=("front", "wrist"), phrases=("reach it",)):
    for number, steps in enumerate(lengths):
        write_episode(tmp_path / "in" / f"episode{number}", steps=steps, cameras=cameras, phrases=list(phrases))
    write([RLBench(tmp_path / "in")], tmp_path / "labels")
    return tmp_path / "labels"


def images(tmp_path, n=5):
    write([Images(n)], tmp_path / "labels")
    return tmp_path / "labels"


def conversations(tmp_path):
    file = tmp_path / "cup.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(file)
    turns = (("user", "<image>\nwhere is it?"), ("assistant", "[(0.1, 0.2)]"), ("user", "sure?"), ("assistant", "yes"))
    gone = Conversation(str(tmp_path / "gone.png"), turns, Provenance("t"))
    plain = Conversation("", (("user", "hello"), ("assistant", "hi")), Provenance("t"))
    write([Listed((Conversation(str(file), turns, Provenance("t")), gone, plain))], tmp_path / "labels")
    return tmp_path / "labels"


def content(folder: Path):
    """Every file and its bytes."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
