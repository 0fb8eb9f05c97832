"""Every option that is true or false is a flag."""

from dataclasses import fields, is_dataclass
from typing import get_args

import pytest

from hamster.cli.app import Command, main, parse

# Each command, with what it cannot be called without.
LINES = [
    "demo", "studio", "plan a.png go", "convert -", "run-robot", "eval", "eval-planner", "ablate", "compare table",
    "report x", "show x", "train policy", "info nano", "check-skew nano", "serve policy", "serve planner",
    "label tabletop:1 -o x", "data show x", "data export x -o y --format trl", "check-cameras tabletop:1",
    "bench label", "calibrate tabletop:1 --camera front --points marker",
]  # fmt: skip


def options_of(line):
    """The options of a command line, where it is one of a group those of the command in the group."""
    command = parse(line)
    inner = (getattr(command, field.name) for field in fields(command))
    return next((option for option in inner if is_dataclass(option) and hasattr(option, "run")), command)


FLAGS = [
    (line, field.name)
    for line in LINES
    for field in fields(options_of(line.split()))
    if field.type in (bool, "bool")
]  # fmt: skip


@pytest.mark.parametrize(("line", "name"), FLAGS)
def test_a_truth_is_a_flag(line, name):
    flag = name.replace("_", "-")
    assert getattr(options_of([*line.split(), f"--{flag}"]), name) is True
    assert getattr(options_of([*line.split(), f"--no-{flag}"]), name) is False


def test_no_command_is_left_out():
    assert {line.split()[0] for line in LINES} == {get_args(command)[1].name for command in get_args(Command)}
    assert {
        ("data show x", "rerun"),
        ("label tabletop:1 -o x", "strict"),
        ("serve policy", "verbose"),
    } <= {*FLAGS}


def test_a_flag_with_a_value_is_one_line_that_says_how(capsys):
    assert main(["data", "show", "tabletop:1", "--rerun", "True"]) == 2
    assert capsys.readouterr().err == "hamster: --rerun is a flag and takes no value: --rerun\n"
    assert main(["label", "tabletop:1", "-o", "x", "--strict", "False"]) == 2
    assert capsys.readouterr().err == "hamster: --strict is a flag and takes no value: --no-strict\n"


def test_a_former_command_still_works_with_one_line(capsys):
    assert parse(["parity", "nano", "--frames", "3"]) == parse(["check-skew", "nano", "--frames", "3"])
    assert capsys.readouterr().err == "hamster: parity is deprecated, use check-skew\n"
