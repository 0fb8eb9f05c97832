"""`hamster show`: an evaluation's report and episodes, and one of them in 3D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional


@dataclass(frozen=True)
class Show:
    """Show what an evaluation wrote: its report and episodes, or one episode, also in 3D."""

    folder: Positional[Path]
    """Result folder of `hamster eval` or `hamster demo`."""
    episode: Positional[str] = ""
    """Key of one episode, as in the list: 0003-nano."""
    failed: bool = False
    """List only episodes without success."""
    rerun: bool = False
    """Run the episode again, with the paths of then, and record it for the Rerun viewer: point clouds, cameras, paths,
    keyposes (needs the extra `rerun`)."""

    def run(self) -> None:
        """Print the episodes or one of them."""
        from hamster.extras import require

        if self.rerun and not self.episode:
            raise ValueError(f"--rerun records one episode: hamster show {self.folder} EPISODE --rerun")
        require(["rerun", "demo"] if self.rerun else ["demo"], "hamster show")
        from hamster.evaluate.replay import episode_of, read_episodes

        records = read_episodes(self.folder)
        if self.episode:
            record = episode_of(records, self.episode)
            _show_episode(self.folder, record)
            if self.rerun:
                _record(self.folder, record)
        else:
            _show_episodes(self.folder, records, self.failed)


def _show_episodes(folder: Path, records: Mapping[str, Mapping[str, Any]], failed: bool) -> None:
    from rich.console import Console
    from rich.markup import escape

    from hamster.terminal import show_next, show_table

    listed = [record for record in records.values() if not (failed and record["success"])]
    rows = [
        [escape(r["key"]), escape(r["family"]), escape(r["outcome"]), escape(r["instruction"]), str(r["n_steps"])]
        for r in listed
    ]
    title = f"{len(listed)} of {len(records)} episodes"
    show_table(("episode", "family", "outcome", "instruction", "steps"), rows, title, n_left=4)
    if (folder / "report.html").is_file():
        Console().print(f"look at {folder / 'report.html'}", soft_wrap=True)
    if listed:
        show_next(f"hamster show {folder} {listed[0]['key']} --rerun")


def _show_episode(folder: Path, record: Mapping[str, Any]) -> None:
    from rich.markup import escape

    from hamster.terminal import show_properties

    rows = [(name, str(record[name])) for name in ("instruction", "condition", "family", "seed", "outcome", "message")]
    rows += [("steps", str(record["n_steps"])), ("keyposes", str(record["n_keyposes"]))]
    rows += [("planner wrote", text) for text in record["raw_texts"] if text]
    for path in record["paths"]:
        rows.append(("path", " ".join(f"({u:.3f}, {v:.3f})" for u, v in path["uv"])))
    rows += [(name, str(folder / record[name])) for name in ("video", "first") if name in record]
    show_properties([(name, escape(text)) for name, text in rows if text])


def _record(folder: Path, record: Mapping[str, Any]) -> None:
    from rich.console import Console

    from hamster.evaluate.replay import replay
    from hamster.evaluate.rerun_log import EpisodeRecording
    from hamster.files import replacing
    from hamster.terminal import working

    file = folder / "recordings" / f"{record['key']}.rrd"
    file.parent.mkdir(exist_ok=True)
    console = Console()
    with replacing(file) as temporary, working(f"running {record['key']} again …"):
        recording = EpisodeRecording(temporary)
        try:
            again = replay(folder, record, recording)
        finally:
            recording.close()
    if (again.outcome, again.n_steps) != (record["outcome"], record["n_steps"]):
        now, then = f"{again.outcome}, {again.n_steps} steps", f"{record['outcome']}, {record['n_steps']} steps"
        line = f"it ended otherwise ({now}) than in the evaluation ({then}): other versions, or another device"
        console.print(line, style="yellow", soft_wrap=True)
    console.print(f"look at it with: rerun {file}   (in a browser: rerun --web-viewer {file})", soft_wrap=True)
