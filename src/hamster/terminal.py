"""How commands talk to people: tables that lose no number, progress, and what to do next.

Results go to standard output; progress and hints go to standard error, so that a pipe holds results alone.
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hamster.plugins import imported_as_given

Row = Sequence[str]
PATIENCE_S = 2.0


def show_table(
    columns: Sequence[str], rows: Sequence[Row], title: str = "", console: Console | None = None, n_left: int = 1
) -> None:
    """Print a table in full: in a pipe as wide as it is, in a terminal that is too narrow one record after the other.

    Args:
        columns: names; one without a name belongs to the column before it.
        rows: cells in rich's markup.
        title: above it.
        console: where to; standard output by default.
        n_left: so many columns hold words and are aligned on the left, the others numbers.
    """
    console = console or Console()
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i < n_left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    needed = Measurement.get(console, console.options.update(max_width=1 << 16), table).maximum
    if needed <= console.width:
        console.print(table)
    elif console.is_terminal:
        _show_records(columns, rows, title, console)
    else:
        Console(file=console.file, width=needed + len(title)).print(table)


def show_facts(facts: Sequence[tuple[str, str]], console: Console | None = None) -> None:
    """Print names and values, one fact a line; a name that is "" goes on with the one before."""
    console = console or Console()
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        console.print(f"{name:{width}}  {value}", soft_wrap=True, highlight=False)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error what takes a while; yields a function that says how far it is.

    Where that is no terminal, it is said once it has taken `PATIENCE_S`, so that an early error stays a single line.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(what) as status:
            yield status.update
    else:
        waiting = threading.Timer(PATIENCE_S, _say, (what,))
        waiting.daemon = True
        waiting.start()
        try:
            yield lambda text: None
        finally:
            waiting.cancel()


@contextmanager
def counting(what: str, total: int | None, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on standard error; yields a function that takes how many are done by now, and words about them.

    It ends full: there were as many as there are, whatever was expected.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total or None, completed=done)

        def tell(number: int, words: str) -> None:
            bar.update(task, completed=number, description=words or what)

        yield tell
        bar.update(task, total=bar.tasks[0].completed)


def show_next(*commands: str) -> None:
    """Say on standard error which command makes sense next, with the modules that this one imported."""
    imports = "".join(f" --import {shlex.quote(name)}" for name in imported_as_given())
    for i, command in enumerate(commands):
        _say(f"{'next:' if i == 0 else '  or:'} {command.replace('hamster ', f'hamster{imports} ', 1)}")


def _show_records(columns: Sequence[str], rows: Sequence[Row], title: str, console: Console) -> None:
    """Each row as lines of "name: value", under its first cell."""
    if title:
        console.print(title, highlight=False)
    for row in rows:
        lines: list[str] = []
        for name, cell in zip(columns[1:], row[1:], strict=True):
            if name or not lines:
                lines.append(f"  {name}: {cell}" if cell else "")
            elif cell:
                lines[-1] += f" {cell}"
        console.print(row[0], highlight=False)
        for line in filter(None, lines):
            console.print(line, highlight=False)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
