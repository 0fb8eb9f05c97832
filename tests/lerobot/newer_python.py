"""Lets LeRobot 0.6, which is written for Python 3.12 and CUDA's torch, run beside the torch that this project uses.

On Python 3.11 its five files with 3.12's syntax (`type X = …`, `class C[T]`, `def f[T]`) are read in 3.11's; nothing
else in them changes, and nothing on the disk does. torchvision from PyPI is built against CUDA: where its library
cannot be loaded, its operators are declared without a body, so that it can be imported; they are not called.
"""

import importlib.abc
import importlib.machinery
import re
import sys

import torch

_CLASS = re.compile(r"^class (\w+)\[([\w, :]+)\](?:\(([^)]*)\))?:", re.MULTILINE)
_DEF = re.compile(r"^( *def \w+)\[[^\]]+\]\(", re.MULTILINE)
_TYPE = re.compile(r"^type (\w+) = ", re.MULTILINE)
OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")


def older(source):
    """Source for Python 3.12 -> for 3.11. Type parameters become `Any`, or of classes `Generic`."""
    names = {name.split(":")[0].strip() for found in _CLASS.finditer(source) for name in found[2].split(",")}
    names |= {name.split(":")[0].strip() for found in re.finditer(r"def \w+\[([^\]]+)\]\(", source)
              for name in found[1].split(",")}  # fmt: skip
    if not (names or _TYPE.search(source)):
        return source
    source = _CLASS.sub(lambda m: f"class {m[1]}({m[3] + ', ' if m[3] else ''}_typing.Generic[{m[2]}]):", source)
    source = _TYPE.sub(r"\1 = ", _DEF.sub(r"\1(", source))
    header = "import typing as _typing\n" + "".join(f"{n} = _typing.TypeVar({n!r})\n" for n in sorted(names))
    future = re.search(r"^from __future__ import .*\n", source, re.MULTILINE)
    at = future.end() if future else 0
    return source[:at] + header + source[at:]


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return compile(older(self.get_data(path).decode()), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname.split(".")[0] != "lerobot":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install():
    """To be called before anything of lerobot's is imported."""
    if sys.version_info < (3, 12):
        sys.meta_path.insert(0, _Finder())
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        for way in (name, f"_{name}_backward"):
            if not hasattr(torch.ops.torchvision, way):
                library.define(f"{way}(Tensor x) -> Tensor")
    return library  # its declarations live as long as it does
