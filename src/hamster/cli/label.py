"""`hamster label`: paths from demonstrations, videos, drawings and generators, as a label set on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from hamster.cli.names import SOURCES
from hamster.cli.push_to_hub import Repo, push_to_hub
from hamster.cli.robot_options import RobotOptions


@dataclass(frozen=True)
class Label:
    """Write a label set: images with paths, and every frame of every episode with its path to the end."""

    sources: Annotated[Positional[tuple[str, ...]], SOURCES]
    """One or more sources, SCHEME:ARGUMENT."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the label set. The same command continues an interrupted run. If a source has changed, only new and
    changed items are labelled."""
    seed: int = 0
    """Random seed of generated sources; readers do not use it."""
    engine: Literal["local", "ray", "inline"] = "local"
    """How items are processed: local processes, a Ray cluster, or inline in this process (for debugging: a faulty item
    may end it). The labels do not depend on it."""
    workers: int | None = None
    """Number of processes; if not given, one per core. The labels do not depend on it."""
    format: Literal["hamster", "lerobot", "trl", "llava"] = "hamster"
    """Also export the label set to this format, into a folder of that name in `out`; `hamster train` reads hamster."""
    camera: str | None = None
    """Camera to label, by name or its last words; if not given, the one that shows most of the motion."""
    epsilon: float = 0.05
    """Tolerance of the path simplification (RDP), as a fraction of the image size."""
    video: Literal["auto", "hands", "tracking"] = "auto"
    """How the tool tip is found in videos without recorded robot poses."""
    robot_options: RobotOptions = field(default_factory=RobotOptions)
    strict: bool = False
    """Stop at the first item that cannot be read, instead of counting it as failed and continuing."""
    item_timeout: float = 300.0
    """Time limit per item in seconds, after which it counts as failed; 0 is no limit."""
    item_memory: float | None = None
    """Memory limit per item in GiB, above which it counts as failed; if not given, half of this machine's; 0 is no
    limit."""
    retry_failed: bool = False
    """Process items again that failed in an earlier run."""
    push_to_hub: Repo = None

    def run(self) -> None:
        """Write the labels and print the counts as one line of JSON."""
        import json

        from hamster.data.registry import open_source
        from hamster.hub_upload import check_repo
        from hamster.label import label
        from hamster.label.label_run import summary
        from hamster.label.upload import dataset_upload
        from hamster.terminal import show_next, working

        if self.push_to_hub is not None:
            check_repo(self.push_to_hub)
        if self.format != "hamster":
            from hamster.label.export import export, writer

            writer(self.format)  # fails before the work if its extra is missing
        sources = [self.robot_options.wrap(open_source(uri, self.seed)) for uri in self.sources]
        result = label(
            sources, self.out, seed=self.seed, engine=self.engine, workers=self.workers, camera=self.camera,
            epsilon=self.epsilon, video=self.video, strict=self.strict, item_timeout_s=self.item_timeout,
            item_memory_gib=self.item_memory, retry_failed=self.retry_failed,
        )  # fmt: skip
        if self.format != "hamster":
            with working(f"writing {self.out / self.format} …"):
                export(self.out, self.out / self.format, self.format)
        print(json.dumps(summary(result.manifest)))  # noqa: T201  # for scripts
        show_next(f"hamster data show {self.out}", f"hamster train planner --data {self.out}")
        if self.push_to_hub is not None:
            push_to_hub(
                dataset_upload, self.out if self.format == "hamster" else self.out / self.format, self.push_to_hub
            )
