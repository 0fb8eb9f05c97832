"""Terminal output of commands: tables that are never truncated, progress, and the next commands.

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
STATUS_DELAY_S = 2.0


def show_table(
    columns: Sequence[str], rows: Sequence[Row], title: str = "", console: Console | None = None, n_left: int = 1
) -> None:
    """Print a table in full: at its own width in a pipe, record by record in a terminal that is too narrow.

    Args:
        columns: names; one without a name belongs to the column before it.
        rows: cells in rich's markup.
        title: above it.
        console: to print to; standard output by default.
        n_left: number of text columns, aligned on the left; the others are numbers.
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


def show_properties(properties: Sequence[tuple[str, str]], console: Console | None = None) -> None:
    """Print names and values, one per line; a value with the name "" belongs to the name before."""
    console = console or Console()
    width = max((len(name) for name, _ in properties), default=0)
    for name, value in properties:
        console.print(f"{name:{width}}  {value}", soft_wrap=True, highlight=False)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show a status on standard error; yields a function that updates it.

    Outside a terminal it is printed after `STATUS_DELAY_S`, so that an early error stays a single line.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(what) as status:
            yield status.update
    else:
        waiting = threading.Timer(STATUS_DELAY_S, _write_line, (what,))
        waiting.daemon = True
        waiting.start()
        try:
            yield lambda text: None
        finally:
            waiting.cancel()


@contextmanager
def counting(what: str, total: int | None, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on standard error; yields a function of the number done and a description.

    The bar ends full, whatever the total was expected to be.

    Args:
        what: description.
        total: expected number; None if unknown.
        done: number that was done before.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total or None, completed=done)

        def update(number: int, description: str) -> None:
            bar.update(task, completed=number, description=description or what)

        yield update
        bar.update(task, total=bar.tasks[0].completed)


def show_next(*commands: str) -> None:
    """Print on standard error which commands to run next, with the --import options of this one."""
    imports = "".join(f" --import {shlex.quote(name)}" for name in imported_as_given())
    for i, command in enumerate(commands):
        _write_line(f"{'next:' if i == 0 else '  or:'} {command.replace('hamster ', f'hamster{imports} ', 1)}")


def _show_records(columns: Sequence[str], rows: Sequence[Row], title: str, console: Console) -> None:
    """Print each row as lines of "name: value", under its first cell."""
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


def _write_line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
