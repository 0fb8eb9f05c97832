"""Label sets of every kind, made through the label runner."""

import shutil
import tempfile
import threading
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


def differences(one: Path, other: Path):
    """The files that two folders do not have in common, byte by byte; "" if there are none, else with the evidence.

    Both folders are copied out of pytest's, which later runs remove; what else lives in the process is listed.
    """
    ours, theirs = content(one), content(other)
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if not names:
        return ""
    kept = Path(tempfile.mkdtemp(prefix="hamster-differences-"))
    for folder in (one, other):
        shutil.copytree(folder, kept / folder.name)
    threads = sorted((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())
    libraries = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    evidence = [*names, "", *(thread.name for thread in threading.enumerate()), "", *threads, "", *sorted(libraries)]
    (kept / "evidence.txt").write_text("\n".join(evidence) + "\n")
    return f"{', '.join(names)} differ; both folders, threads and libraries are kept in {kept}"
