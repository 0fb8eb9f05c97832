"""The label set on disk: shards, and a manifest that is written when all of them are whole.

One folder holds one run, either of annotated images (for planners) or of labelled episodes (for policies). Nothing in
it is a pickle. The same call again goes on after the last whole shard, and does nothing once the manifest is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from hamster.data import AnnotatedImage, Episode, Unreadable
from hamster.label import annotated, episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.storage import Journal, json_bytes, read_checked, sha256, write_atomic
from hamster.path.simplify import EPSILON
from hamster.provenance import run_info

FORMAT = "hamster-labels/1"
IMAGES_PER_SHARD = 64
Item = AnnotatedImage | Episode | Unreadable


def write(
    items: Iterable[Item] | Callable[[int], Iterable[Item]],
    out: Path,
    *,
    source: str = "",
    seed: int | None = None,
    camera: str | None = None,
    epsilon: float = EPSILON,
    on_item: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Writes everything in `items` as a label set into the folder `out`, and returns its manifest.

    An item that cannot be read or labelled is counted and reported in the manifest with the reason, and is no reason
    to stop.

    Args:
        items: of one kind. A function is called with the number of items that are done already; anything else is
            iterated, and what is done is thrown away.
        out: made if need be; what a run of the same source, seed, camera and epsilon left there is gone on with.
        camera: of whose images the paths of episodes are, default the first one.
        epsilon: of the simplification of episodes' paths.
        on_item: called after each item with the number of items done.

    Raises:
        ValueError: if `out` holds another run, items are of both kinds, or not one could be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = {"format": FORMAT, "source": source, "seed": seed, "camera": camera, "epsilon": epsilon}
    journal = Journal.open(out, run)
    if (out / "manifest.json").is_file() and (manifest := read_manifest(out))["shards"] == _shards(journal):
        return manifest
    writer = _Writer(out, journal, camera, epsilon)
    done = sum(entry["items"] for entry in journal.entries)
    for number, item in enumerate(items(done) if callable(items) else islice(items, done, None), done + 1):
        writer.add(item)
        on_item(number)
    writer.flush()
    manifest = _manifest(run, journal, writer)
    write_atomic(out / "manifest.json", json_bytes(manifest, indent=1))
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a label set; ValueError if there is none."""
    file = folder / "manifest.json"
    if not file.is_file():
        raise ValueError(f"no label set in {folder}: manifest.json is missing; make one with `hamster label`")
    manifest: dict[str, Any] = json.loads(file.read_text())
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{file} has format {manifest.get('format')!r}; only {FORMAT!r} is read")
    return manifest


def read_annotated(folder: Path) -> Iterator[AnnotatedImage]:
    """The images of a label set of that kind, in order; ValueError if it is of another kind or damaged."""
    for shard in _of_kind(folder, "annotated"):
        yield from annotated.unpack(*_contents(folder, shard, ".npz", ".jsonl"))


def read_episodes(folder: Path) -> Iterator[LabelledEpisode]:
    """The episodes of a label set of that kind, in order; ValueError if it is of another kind or damaged."""
    for shard in _of_kind(folder, "episodes"):
        yield episodes.unpack(*_contents(folder, shard, ".npz", ".json"))


class _Writer:
    """Collects images into shards, writes each episode as one, and counts."""

    def __init__(self, out: Path, journal: Journal, camera: str | None, epsilon: float) -> None:
        self.out, self.journal, self.camera, self.epsilon = out, journal, camera, epsilon
        kinds = {entry["kind"] for entry in journal.entries}
        self.kind: str | None = kinds.pop() if kinds else None
        self._images: list[AnnotatedImage] = []
        self.items = 0  # since the last shard
        self.unreadable: list[dict[str, Any]] = []  # since the last shard

    def add(self, item: Item) -> None:
        self.items += 1
        if isinstance(item, Unreadable):
            self._leave_out(item.file, item.reason)
        elif isinstance(item, Episode):
            self._set_kind("episodes")
            self._add_episode(item)
        else:
            self._set_kind("annotated")
            self._add_image(item)

    def flush(self) -> None:
        """Writes the images that wait for their shard to be full."""
        if self._images:
            images, self._images = self._images, []
            number = len(self.journal.entries)
            counts = {"images": len(images), "annotations": sum(len(image.annotations) for image in images)}
            self._write(annotated.pack(images, f"shard-{number:05d}"), counts, len(images))

    def _add_image(self, image: AnnotatedImage) -> None:
        if self._images and image.view.rgb.shape != self._images[0].view.rgb.shape:
            self.items -= 1
            self.flush()  # a shard has one size of images
            self.items = 1
        self._images.append(image)
        if len(self._images) == IMAGES_PER_SHARD:
            self.flush()

    def _add_episode(self, episode: Episode) -> None:
        stem = f"ep-{len(self.journal.entries):05d}"
        try:
            labelled = episodes.label_episode(episode, self.camera, self.epsilon)
            files = episodes.pack(labelled, stem)
        except (ValueError, OSError) as error:
            self._leave_out(episode.provenance.file or episode.provenance.source, str(error))
            return
        self._write(files, {"episodes": 1, "frames": len(labelled.labels)}, 1)

    def _write(self, files: Mapping[str, bytes], counts: Mapping[str, int], n: int) -> None:
        for name, data in files.items():
            (self.out / name).parent.mkdir(exist_ok=True)
            write_atomic(self.out / name, data)
        first, *also = [{"file": name, "sha256": sha256(data)} for name, data in files.items()]
        shard = {**first, "n": n, "also": also}
        entry = {"shard": shard, "kind": self.kind, "items": self.items, "counts": dict(counts)}
        self.journal.add({**entry, "unreadable": self.unreadable})
        self.items, self.unreadable = 0, []

    def _leave_out(self, file: str, reason: str) -> None:
        self.unreadable.append({"file": file, "reason": reason})

    def _set_kind(self, kind: str) -> None:
        if self.kind not in (None, kind):
            raise ValueError(f"a label set holds {self.kind} or {kind}, not both")
        self.kind = kind


def _manifest(run: Mapping[str, Any], journal: Journal, last: _Writer) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for entry in journal.entries:
        counts.update(entry["counts"])
    unreadable = [*(u for entry in journal.entries for u in entry["unreadable"]), *last.unreadable]
    if not journal.entries:
        why = f"; the first one: {unreadable[0]['file']}: {unreadable[0]['reason']}" if unreadable else ""
        raise ValueError(f"nothing in {run['source'] or 'the source'} could be labelled{why}")
    items = sum(entry["items"] for entry in journal.entries) + last.items
    info = run_info(run["seed"])
    return {
        **run,
        "kind": last.kind,
        "counts": {"items": items, **counts, "unreadable": len(unreadable)},
        "unreadable": unreadable,
        "command": info["command"],
        "versions": info["versions"],
        "commit": info["git_commit"],
        "run": info,
        "shards": _shards(journal),
    }


def _shards(journal: Journal) -> list[dict[str, Any]]:
    return [entry["shard"] for entry in journal.entries]


def _of_kind(folder: Path, kind: str) -> list[dict[str, Any]]:
    manifest = read_manifest(folder)
    if manifest["kind"] != kind:
        raise ValueError(f"{folder} holds labels of kind {manifest['kind']!r}, not {kind!r}")
    shards: list[dict[str, Any]] = manifest["shards"]
    return shards


def _contents(folder: Path, shard: Mapping[str, Any], *suffixes: str) -> list[bytes]:
    """The content of a shard's files with these suffixes, in that order."""
    files = {Path(f["file"]).suffix: f for f in (shard, *shard["also"])}
    return [read_checked(folder / files[suffix]["file"], files[suffix]["sha256"]) for suffix in suffixes]
