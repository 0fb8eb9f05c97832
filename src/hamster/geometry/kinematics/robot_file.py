"""Read the kinematic tree of a URDF or MJCF file, which may be anybody's: bodies, joints and sites, nothing else.

Meshes, materials, actuators and plug-ins are dropped before MuJoCo sees the file: they say nothing of where the tool
is, and so may be missing. Files that an MJCF includes have to lie in its own folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, tostring  # files are parsed by defusedxml

from hamster.extras import extra

if TYPE_CHECKING:
    import mujoco

MAX_BYTES = 32 << 20
MAX_DEPTH = 200
MAX_BODIES = 1000
MAX_INCLUDES = 64
# MuJoCo refuses moving bodies without mass; what they weigh does not matter here.
_MASSES = {"boundmass": "1", "boundinertia": "1"}
_POSE = ("name", "pos", "quat", "axisangle", "euler", "xyaxes", "zaxis")
_MJCF: Mapping[str, tuple[str, ...]] = {
    "body": (*_POSE, "childclass", "mocap"),
    "frame": (*_POSE, "childclass"),
    "joint": ("name", "class", "type", "pos", "axis", "range", "limited", "ref"),
    "freejoint": ("name",),
    "site": (*_POSE, "class", "fromto"),
}
_GENERATED = ("replicate", "attach", "composite", "flexcomp")
_URDF: Mapping[str, tuple[str, ...]] = {
    "parent": ("link",),
    "child": ("link",),
    "origin": ("xyz", "rpy"),
    "axis": ("xyz",),
    "limit": ("lower", "upper"),
}
_TEXTS = ("name", "class", "childclass", "type", "limited", "mocap", "link")


@cache
def load_mujoco() -> Any:
    """Return the module, which only robot files need: the rest of `hamster.geometry` does without.

    Raises:
        NotInstalledError: if it is not installed, with what installs it.
    """
    with extra("sim", "kinematics"):
        return import_module("mujoco")


def read_tree(file: Path) -> mujoco.MjSpec:
    """Return the kinematic tree of a file, not compiled yet.

    Args:
        file: URDF (root element `robot`) or MJCF (`mujoco`).

    Raises:
        ValueError: in one line, if it is neither, is damaged, or includes what lies outside of its folder.
        NotInstalledError: without the extras `sim` and `data`.
    """
    mujoco = load_mujoco()
    root = _parsed(file)
    if root.tag not in ("robot", "mujoco"):
        raise ValueError(f"{file.name} is a {root.tag!r}; a URDF begins with 'robot', an MJCF with 'mujoco'")
    try:
        tree = _urdf(root) if root.tag == "robot" else _mjcf(root, file)
        count = sum(1 for element in tree.iter() if element.tag in ("link", "body"))
        if not 0 < count <= MAX_BODIES:
            raise ValueError(f"it has {count} links; 1 to {MAX_BODIES} are read")
        return mujoco.MjSpec.from_string(tostring(tree, "unicode"))
    except ValueError as error:
        raise ValueError(f"{file.name}: {' '.join(str(error).split())[:300]}") from None


def _parsed(file: Path) -> Any:
    """Return the root element; entities, with which small files expand to gigabytes, are refused."""
    with extra("data", "reading robot models"):
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring

    if not file.is_file():
        raise ValueError(f"there is no robot model {str(file)!r}")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} has {file.stat().st_size >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read")
    try:
        root = fromstring(file.read_bytes(), forbid_dtd=True)
    except DefusedXmlException:
        raise ValueError(f"{file.name} defines its own entities (a DOCTYPE), which no robot model needs") from None
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise ValueError(f"{file.name} is not XML: {error}") from None
    if _depth(root) > MAX_DEPTH:
        raise ValueError(f"{file.name} is nested more than {MAX_DEPTH} deep")
    return root


def _depth(root: Any) -> int:
    level, depth = [root], 0
    while level and depth <= MAX_DEPTH:
        level, depth = [child for element in level for child in element], depth + 1
    return depth


def _copy(element: Any, names: tuple[str, ...]) -> Any:
    """Return an element with some of its attributes, and no children; ValueError for a number that is not finite."""
    kept = {name: element.get(name) for name in names if element.get(name) is not None}
    for name, text in kept.items():
        if name in _TEXTS:
            continue
        try:
            is_finite = all(math.isfinite(float(part)) for part in text.split())
        except ValueError:
            is_finite = False
        if not is_finite:
            raise ValueError(f"{name}={text[:60]!r} of {element.tag} {element.get('name', '')!r} is not finite numbers")
    return Element(element.tag, kept)


def _urdf(root: Any) -> Any:
    if any("xacro" in str(element.tag) for element in root.iter()):
        raise ValueError("it is a xacro file; run `xacro FILE > robot.urdf` first")
    tree = Element("robot", {"name": "robot"})
    settings = Element("mujoco", {})
    # Fixed links, which the tool's often is, stay bodies of their own.
    settings.append(Element("compiler", {"fusestatic": "false", **_MASSES}))
    tree.append(settings)
    for link in root.findall("link"):
        tree.append(_copy(link, ("name",)))
    for joint in root.findall("joint"):
        kept = _copy(joint, ("name", "type"))
        kept.extend([_copy(part, _URDF[part.tag]) for part in joint if part.tag in _URDF])
        tree.append(kept)
    return tree


def _mjcf(root: Any, file: Path) -> Any:
    tree = Element("mujoco", {})
    settings = dict(_MASSES)
    included = {file.resolve()}
    sections = list(_sections(root, file, included))
    for section in sections:
        if section.tag == "compiler":
            settings |= {name: section.get(name) for name in ("angle", "eulerseq", "autolimits") if section.get(name)}
            if section.get("coordinate", "local") != "local":
                raise ValueError("global coordinates are no longer part of MJCF")
    tree.append(Element("compiler", settings))
    for section in sections:
        if section.tag == "default":
            tree.append(_defaults(section))
        elif section.tag == "worldbody":
            world = Element("worldbody", {})
            world.extend(list(_bodies(section, file, included)))
            tree.append(world)
    return tree


def _sections(root: Any, file: Path, included: set[Path]) -> Iterator[Any]:
    for section in root:
        if section.tag == "include":
            yield from _sections(_included(section, file, included), file, included)
        else:
            yield section


def _included(element: Any, file: Path, included: set[Path]) -> Any:
    """Return the root of an included file, whose name is relative to the folder of the main file."""
    name, folder = str(element.get("file", "")), file.parent.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"it includes {name!r}, which lies outside of its folder")
    if path in included or len(included) > MAX_INCLUDES:
        raise ValueError(f"it includes {name!r} more than once, or more than {MAX_INCLUDES} files")
    included.add(path)
    return _parsed(path)


def _defaults(element: Any) -> Any:
    kept = _copy(element, ("class",))
    for child in element:
        if child.tag == "default":
            kept.append(_defaults(child))
        elif child.tag in ("joint", "site"):
            kept.append(_copy(child, _MJCF[child.tag]))
    return kept


def _bodies(element: Any, file: Path, included: set[Path]) -> Iterator[Any]:
    for child in element:
        if child.tag == "include":
            yield from _bodies(_included(child, file, included), file, included)
        elif child.tag in _GENERATED:
            raise ValueError(f"it generates bodies by {child.tag!r}; save it from MuJoCo (mj_saveLastXML) first")
        elif child.tag in _MJCF:
            kept = _copy(child, _MJCF[child.tag])
            kept.extend(list(_bodies(child, file, included)))
            yield kept
