"""Parse and run a command; a user's error becomes one line on stderr and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import tyro

from hamster.cli.ablate import Ablate
from hamster.cli.bench import Bench
from hamster.cli.calibrate import Calibrate
from hamster.cli.check_cameras import CheckCameras
from hamster.cli.check_skew import CheckSkew
from hamster.cli.compare import Compare
from hamster.cli.convert import Convert
from hamster.cli.data import Data
from hamster.cli.demo import Demo
from hamster.cli.eval import Eval
from hamster.cli.eval_planner import EvalPlanner
from hamster.cli.info import Info
from hamster.cli.label import Label
from hamster.cli.plan import Plan
from hamster.cli.report import Report
from hamster.cli.run_robot import RunRobot
from hamster.cli.serve import Serve
from hamster.cli.show_run import Show
from hamster.cli.studio import Studio
from hamster.cli.train import Train
from hamster.extras import NotInstalledError, explain
from hamster.plugins import import_plugin, place_in_plugin
from hamster.stopped import RunStoppedError

Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Studio, tyro.conf.subcommand("studio")]
    | Annotated[Plan, tyro.conf.subcommand("plan")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[EvalPlanner, tyro.conf.subcommand("eval-planner")]
    | Annotated[Ablate, tyro.conf.subcommand("ablate")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[CheckSkew, tyro.conf.subcommand("check-skew")]
    | Annotated[RunRobot, tyro.conf.subcommand("run-robot")]
    | Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Label, tyro.conf.subcommand("label")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
    | Annotated[CheckCameras, tyro.conf.subcommand("check-cameras")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)

TWO_WORDS = (["eval", "planner"], ["run", "robot"])  # commands that may be written so, beside `eval-planner`
OLD_OPTIONS = {"--by-heart": "--overfit"}  # until version 0.3
OLD_COMMANDS = {"parity": "check-skew"}  # until version 0.3

# Errors of a user: values, names, files, packages. Anything else is a bug and keeps its traceback.
USER_ERRORS = (ValueError, OSError, NotInstalledError)


def parse(argv: Sequence[str]) -> Command:
    """Return the command of a command line, not run yet.

    Raises:
        SystemExit: with code 2, after a message on standard error, for an invalid command line; 0 for --help.
        ValueError: for a flag with a value, or a module that cannot be imported.
    """
    args, modules = _imports(argv)
    for module in modules:
        import_plugin(module)
    args = _renamed(args)
    if args[:2] in TWO_WORDS:
        args[:2] = ["-".join(args[:2])]
    for option, value in pairwise(args):
        if option.startswith("--") and value in ("True", "False"):  # the syntax of version 0.1
            flag = option if value == "True" else f"--no-{option[2:]}"
            raise ValueError(f"{option} is a flag and takes no value: {flag}")
    command: Command = tyro.cli(
        Command,
        prog="hamster",
        description=(
            "A vision-language model draws a path on the image; a 3D policy follows it.\n\n"
            "Every command takes --import MODULE or --import FILE.py, once or several times: your Python code that "
            "registers policies, planners, suites, robots, sources or models."
        ),
        args=args,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return command


def _renamed(args: Sequence[str]) -> list[str]:
    """Replace deprecated commands and options by those of today, each with a warning on standard error."""
    renamed = list(args)
    for i, word in enumerate(args):
        names = OLD_COMMANDS if i == 0 else OLD_OPTIONS
        if word in names:
            renamed[i] = names[word]
            sys.stderr.write(f"hamster: {word} is deprecated, use {names[word]}\n")
    return renamed


def _imports(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the command line without `--import MODULE_OR_FILE` options, and their values."""
    args, modules, rest = list[str](), list[str](), iter(argv)
    for word in rest:
        if word == "--":
            return [*args, word, *rest], modules
        if word == "--import":
            module = next(rest, "")
            if not module or module.startswith("-"):
                raise ValueError("--import needs a module's name or a file: --import my_module, --import my_file.py")
            modules.append(module)
        elif word.startswith("--import="):
            modules.append(word.partition("=")[2])
        else:
            args.append(word)
    return args, modules


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0, 2 for a user's error, 130 for Ctrl-C.

    It is 1 for a run that stopped because of an outage; the same command continues it.

    Set HAMSTER_TRACEBACK=1 for the traceback of an error.
    """
    # Bundled models load fast; transformers would draw a progress bar for each.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        parse(sys.argv[1:] if argv is None else argv).run()
    except BrokenPipeError:  # output piped into `head`, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RunStoppedError as error:
        sys.stderr.write(f"hamster: {_one_line(error)}\n")
        return 1
    except Exception as error:
        line = _explanation(error)
        if line is None or os.environ.get("HAMSTER_TRACEBACK"):
            raise
        sys.stderr.write(f"hamster: {line}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("hamster: interrupted; run the same command again to go on where it stopped\n")
        return 130
    return 0


def _explanation(error: Exception) -> str | None:
    """Return one line for a user's error or an error of a user's code; None for a bug, whose traceback is kept."""
    is_own = type(error).__module__.partition(".")[0] == "hamster"  # its message says what to do
    if not is_own and (place := place_in_plugin(error)) is not None:
        return _of_plugin(error, place)
    explained = explain(error) if isinstance(error, ImportError) else error
    return _one_line(explained) if isinstance(explained, USER_ERRORS) else None


def _of_plugin(error: Exception, place: str) -> str:
    """Return one line for what a user's own code raised: the place in it, kind and message of the error."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    # torch puts the traceback of a worker into the message; its last line is the error's own.
    text = lines[-1] if "Original Traceback" in str(error) else f"{type(error).__name__}: {' '.join(lines)}"
    return f"{place}: {text:.400} (HAMSTER_TRACEBACK=1 shows the traceback)"


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= 500 else text[:499] + "…"
