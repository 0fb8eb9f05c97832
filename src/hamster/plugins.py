"""Modules that users import to register things of their own: `--import` of the command line, here and in workers."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_imported: dict[str, str] = {}  # what was given (an absolute path, or a module's name) -> the module's name
_given: dict[str, None] = {}  # as it was typed
_registering: dict[str, None] = {}  # modules that have registered something, in order
_declared: dict[str, None] = {}  # modules that an entry point was loaded from
_FRAME = re.compile(r'File "([^"]+)", line ([0-9]+), in (\S+)')  # of a traceback from another process


def import_plugin(module_or_file: str) -> ModuleType:
    """Import a module by its name, or from a file, so that it registers what it defines.

    Modules are looked for in the working folder, too. A file is imported under its name without ".py", and its folder
    joins the end of the search path, so that it can import its neighbours. Importing the same again does nothing.

    Args:
        module_or_file: "my_package.my_module", or "path/to/my_file.py".

    Raises:
        ValueError: one line: there is no such module or file, its name is taken by another module, or what it raised.
    """
    is_file = module_or_file.endswith(".py")
    name = str(Path(module_or_file).resolve()) if is_file else module_or_file
    try:
        module = _import_file(Path(name)) if is_file else _import_by_name(name)
    except Exception as error:  # whatever somebody's module raises when it is imported
        if isinstance(error, _CannotImportError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{module_or_file} cannot be imported: {reason}{_line(error, name)}") from error
    _imported[name] = module.__name__
    _given[module_or_file] = None
    return module


def plugins() -> tuple[str, ...]:
    """Return what another process must import to know the same registered names, in order.

    These are the modules given to `import_plugin`, and modules that have registered something. A script that runs as
    `__main__` is not among them.
    """
    by_name = [name for name in _registering if name not in _imported.values() and name != "__main__"]
    return (*_imported, *by_name)


def imported_as_given() -> tuple[str, ...]:
    """Return what was given to `import_plugin` in this process, in order."""
    return tuple(_given)


def import_plugins(names: Iterable[str]) -> None:
    """Import what `plugins` returned in another process."""
    for name in names:
        import_plugin(name)


def note_registering(module: str) -> None:
    """Note that a module has registered something."""
    if module != "hamster" and not module.startswith("hamster."):
        _registering[module] = None


def note_declared(module: str) -> None:
    """Note that an entry point was loaded from a module."""
    _declared[module] = None


def place_in_plugin(error: BaseException) -> str | None:
    """Return "FILE, line N, in FUNCTION" of the last line of a plug-in's code that an error passed; None if none did.

    Worker processes return tracebacks as text, in the error's notes or message, which is searched, too.
    """
    modules = (sys.modules.get(name) for name in (*_imported.values(), *_registering, *_declared))
    files = {str(Path(file).resolve()) for module in modules if (file := getattr(module, "__file__", None))}
    frames, trace = list[tuple[str, int, str]](), error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    text = "\n".join([*getattr(error, "__notes__", []), str(error)])
    frames += [(file, int(line), function) for file, line, function in _FRAME.findall(text)]
    for file, line, function in reversed(frames):
        if not file.startswith("<") and str(Path(file).resolve()) in files:
            return f"{Path(file).name}, line {line}, in {function}"
    return None


class _CannotImportError(ValueError):
    """A name that leads to no module."""


def _import_by_name(name: str) -> ModuleType:
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # something that the module imports
        hint = f"; did you mean --import {name}.py?" if Path(f"{name}.py").is_file() else ""
        raise _CannotImportError(f"no module {name!r} on the search path or in {here}{hint}") from None


def _import_file(file: Path) -> ModuleType:
    loaded = sys.modules.get(file.stem)
    if loaded is not None and Path(getattr(loaded, "__file__", None) or "").resolve() == file:
        return loaded
    if not file.is_file():
        raise _CannotImportError(f"no file {file}")
    if loaded is not None or file.stem in sys.stdlib_module_names or not file.stem.isidentifier():
        raise _CannotImportError(
            f"{file} cannot be imported as {file.stem!r}, which is another module; rename the file"
        )
    if (folder := str(file.parent)) not in sys.path:
        sys.path.append(folder)
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[file.stem] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[file.stem]
        raise
    return module


def _line(error: Exception, name: str) -> str:
    """Return " (line N)" of the file in which an error arose."""
    if isinstance(error, SyntaxError):
        return ""  # which says it itself
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
