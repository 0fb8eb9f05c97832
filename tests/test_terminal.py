"""Tables keep every number: in pipes, and in terminals of any width."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from hamster import terminal
from hamster.terminal import counting, show_next, show_properties, show_table, working

COLUMNS = ("path", "success", "", "95 %", "position mm", "position mm p90", "pick place")
ROWS = [
    ["oracle", "57/60", "95 %", "86-98 %", "1.2345", "269.875", "20/20"],
    ["a planner with a long name", "3/60", "5 %", "2-14 %", "123456.5", "0.0001", "1/20"],
]
CELLS = [cell for row in ROWS for cell in row]


def drawn(width: int, is_terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    show_table(COLUMNS, ROWS, "Success by path", console)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_cell_is_cut_and_no_name_lost(width, is_terminal):
    text = drawn(width, is_terminal)
    assert "…" not in text
    for cell in CELLS:
        assert cell in text
    for name in filter(None, COLUMNS[1:]):
        assert name in text
    if is_terminal:
        assert max(map(len, text.splitlines())) <= width


def test_a_wide_terminal_and_a_pipe_get_a_line_per_record():
    for text in (drawn(200, True), drawn(40, False)):
        (line,) = (line for line in text.splitlines() if "oracle" in line)
        assert all(cell in line for cell in ROWS[0])


def test_facts_are_not_wrapped():
    file = io.StringIO()
    value = "x" * 300
    show_properties([("items", "3"), ("tasks", value)], Console(file=file, width=40))
    assert file.getvalue().splitlines() == ["items  3", f"tasks  {value}"]


@pytest.mark.parametrize("total", [None, 0, 3, 9])
def test_a_bar_ends_full(total, capsys):
    with counting("asking", total) as tell:
        for number in range(1, 4):
            tell(number, "")
    assert "3/3" in capsys.readouterr().err


def test_what_takes_a_while_and_what_comes_next_is_said_beside_the_results(capsys, monkeypatch):
    with working("an early error stays alone"):
        pass
    monkeypatch.setattr(terminal, "STATUS_DELAY_S", 0.0)
    with working("asking nano …"):
        time.sleep(0.5)
    show_next("hamster demo", "hamster eval")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["asking nano …", "next: hamster demo", "  or: hamster eval"]


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from hamster.cli.show import show_summary
from hamster.cli.show_paths import show_paths
from tests.test_terminal import summary, paths
show_summary(summary(), "report.html")
show_paths(paths())
"""


def summary() -> dict:
    rate = {"n_success": 11, "n_episodes": 269}
    condition = {
        "pc_success": 4.1, "pc_success_ci95": (2.3, 7.2), **rate,
        "per_task": dict.fromkeys(("pick_place", "press", "knock", "stack", "push"), rate),
        "latency_ms": {"planner": {"p50": 31.0}, "policy": {"p50": 20.0}},
    }  # fmt: skip
    return {"conditions": {"oracle": condition, "nano": condition}, "meta": {"wall_s": 12.0, "workers": 2, "seed": 0}}


def paths() -> dict:
    row = {"n": 269, "parse_rate": 0.987, "start": 0.0123, "end": 0.0456, "frechet": 0.0789, "event_f1": 0.912}
    row["ci95"] = {name: (value * 0.9, value * 1.1) for name, value in row.items() if name not in ("n", "parse_rate")}
    share = {"k": 17, "n": 269, "share": 0.0632, "ci95": (0.04, 0.1)}
    of = {"absent": share, "in_view": share}
    rest = {"right": share, "rows": {"by place": share}, "refused": of, "calibration": {"n": 269, "ece": 0.012}}
    mean = {"mean": 0.3456, "ci95": (0.3123, 0.3789)}
    section = {"n": 269, **dict.fromkeys(("rmse", "mae", "dfd", "hd"), mean)}
    trace = {**dict.fromkeys(("protocol_a", "protocol_b", "worst_case"), section), "n": 269, "n_path": 265}
    trace["displacement"] = {"ade": mean, "fde": mean}
    return {"s": {"paths": {"all": row}, "trace": trace, "unreadable": [], **rest}}


@pytest.mark.parametrize("width", [40, 80, 200, None])
def test_results_in_a_real_terminal_and_in_a_pipe_hold_all_numbers(width):
    command = [sys.executable, "-c", PROGRAM.format(tests=str(Path.cwd()))]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm", "NO_COLOR": "1"}
    if width is None:
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    else:
        text = in_terminal(command, width, environment)
    assert "…" not in text
    for number in ("11/269", "2-7 %", "0.012", "0.011-0.014", "0.912", "99%", "17 of 269", "0.312-0.379"):
        assert number in text, text
    assert text.count("11/269") == 12


def in_terminal(command: list[str], width: int, environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait(60) == 0, b"".join(parts).decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode())
