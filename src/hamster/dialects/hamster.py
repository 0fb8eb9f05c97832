"""The published text form (HAMSTER, ICLR 2025): relative coordinates in tuples, actions in tags.

    <ans>[(0.25, 0.32), (0.32, 0.17), <action>Close Gripper</action>, (0.74, 0.21), <action>Open Gripper</action>]</ans>

Read strictly: any text before <ans> (models think aloud) and after </ans>, white space between any two symbols,
either case in the tags' words, and one comma before the closing bracket are allowed, as none of them can be
misunderstood. Everything else is an error: "..." in the list, for instance, says that points are missing.
"""

from __future__ import annotations

import re

from hamster.dialects.scanner import Scanner, Waypoints, sayable_events
from hamster.path.path import Gripper, Path2D

# As the authors' demo asks.
PROMPT = """
In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal.
Format your answer as a list of tuples enclosed by <ans> and </ans> tags. For example:
<ans>[(0.25, 0.32), (0.32, 0.17), (0.13, 0.24), <action>Open Gripper</action>, (0.74, 0.21), \
<action>Close Gripper</action>, ...]</ans>
The tuple denotes point x and y location of the end effector in the image. The action tags indicate gripper actions.
Coordinates should be floats between 0 and 1, representing relative positions.
Remember to provide points between <ans> and </ans> tags and think step by step."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ACTION = re.compile(r"<action>[ \t\r\n]*(open|close)[ \t\r\n]+gripper[ \t\r\n]*</action>", re.IGNORECASE | re.ASCII)
_STATES = {"open": Gripper.OPEN, "close": Gripper.CLOSED}
_WORDS = {Gripper.OPEN: "Open Gripper", Gripper.CLOSED: "Close Gripper"}


def render(path: Path2D, decimals: int = 2) -> str:
    """Return the path as text; coordinates are rounded to `decimals`, two as published."""
    events = sayable_events(path)
    elements = []
    for i, (u, v) in enumerate(path.uv.tolist()):
        elements.append(f"({u:.{decimals}f}, {v:.{decimals}f})")
        if i in events:
            elements.append(f"<action>{_WORDS[events[i]]}</action>")
    return f"<ans>[{', '.join(elements)}]</ans>"


def restored(text: str) -> str:
    """Return an answer of the released checkpoint that lost its tags, or its brackets too, with them.

    It does so where it is asked without the empty turn of its own that it was trained to fill.
    """
    bare = text.strip()
    if "ans>" in bare or not bare.startswith(("(", "[(")):
        return text
    return f"<ans>{bare}</ans>" if bare.startswith("[") else f"<ans>[{bare}]</ans>"


def parse(text: str) -> Path2D:
    """Return the one path in a model's answer; PlanError, with the text and the place, if it is anything else."""
    scanner = Scanner(text)
    waypoints = Waypoints(scanner)
    scanner.expect("[")
    while not scanner.accept("]"):
        _element(scanner, waypoints)
        if not scanner.accept(","):
            scanner.expect("]")
            break
    scanner.skip_space()
    if scanner.at != scanner.end:
        scanner.fail(f"expected </ans>, found {scanner.next_excerpt()}")
    return waypoints.path()


def _element(scanner: Scanner, waypoints: Waypoints) -> None:
    scanner.skip_space()
    at = scanner.at
    if scanner.accept("("):
        u = _coordinate(scanner, "x")
        scanner.expect(",")
        v = _coordinate(scanner, "y")
        scanner.expect(")")
        waypoints.point(u, v, at)
    elif action := scanner.match(_ACTION):
        waypoints.act(_STATES[action[1].lower()], at)
    else:
        scanner.fail(f"expected a point (x, y) or <action>Open|Close Gripper</action>, found {scanner.next_excerpt()}")


def _coordinate(scanner: Scanner, name: str) -> float:
    scanner.skip_space()
    at = scanner.at
    number = scanner.match(_NUMBER)
    if not number:
        scanner.fail(f"expected a number for {name}, found {scanner.next_excerpt()}")
    value = float(number[0])
    if not 0 <= value <= 1:
        scanner.fail(f"{name} = {number[0][:20]} is not in [0, 1]", at)
    return abs(value)  # no -0.0
