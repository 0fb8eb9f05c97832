"""What is installed beyond the core, and the command that installs what is missing where the message is printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

OURS = "hamster_client"
# The modules that each extra of pyproject.toml brings; those of a name that several bring belong to the first.
MODULES = {
    "data": ("cv2", "defusedxml", "google_crc32c", "h5py", "pyarrow", "svgelements"),
    "train": ("accelerate", "tensorboard"),
    "finetune": ("accelerate", "datasets", "peft", "tensorboard", "trl"),
    "endpoint": ("openai",),
    "serve": (
        OURS, "fastapi", "h11", "httpx", "msgpack", "prometheus_client", "pydantic", "python_multipart",
        "starlette", "uvicorn", "websockets",
    ),
    "hands": ("mediapipe",),
    "ray": ("ray",),
    "rerun": ("rerun",),
    "bench": ("rdp",),
}  # fmt: skip


class NotInstalledError(ImportError):
    """What is asked for needs a package that is not installed; the text is one line with the command that installs it.

    It is no ValueError, as those are what a file or an item can be at fault for.
    """


def install_extra(name: str) -> str:
    """Return the command that adds an extra to the running interpreter's environment.

    From a clone it installs the clone. From site-packages, pip takes the installed distribution and adds only what its
    extra names: that works for a wheel which no index carries, too.
    """
    clone = _clone()
    if clone is None:
        return install(f"hamster-vla[{name}]")
    here = Path() if clone == Path.cwd() else clone
    return f"{install('-c', str(here / 'constraints.txt'), '-e')} {shlex.quote(f'{here}[{name}]')}"


def install(*arguments: str) -> str:
    """Return the command that installs packages for the running interpreter; arguments are quoted for a shell."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    pip = [str(python), "-m", "pip", "install"] if find_spec("pip") else ["uv", "pip", "install", "-p", str(python)]
    return shlex.join([*pip, *arguments])


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Wrap imports of what the extra of that name brings.

    Raises:
        NotInstalledError: for a missing module of the extra, with what installs it; for one that does not load (of
            which a system library is missing, say), with the reason.
    """
    try:
        yield
    except ImportError as error:
        explained = explain(error, (name,))
        if explained is None or isinstance(error, NotInstalledError):
            raise
        raise explained from None


def needs(module: str, name: str, what: str = "this") -> NotInstalledError:
    """Return the error for a missing module of an extra; `what` is what needs it, in a word or two."""
    command = install_extra(name)
    if module == OURS and _clone() is None:  # uninstalling hamster-client has removed the wheel's own copy, too
        command = f"{install('--force-reinstall', '--no-deps', 'WHEEL')}, with the wheel of hamster-vla, which holds it"
    return NotInstalledError(f"{what} needs {module}: {command}", name=module)


def explain(error: ImportError, names: Iterable[str] = tuple(MODULES)) -> NotInstalledError | None:
    """Return the error with what installs the module, if one of these extras brings it; None is a fault of ours."""
    module = (error.name or "").partition(".")[0]
    name = next((name for name in names if module in MODULES[name]), None)
    if name is None:
        return None
    if isinstance(error, ModuleNotFoundError):
        return needs(module, name)
    reason = " ".join(str(error).split())
    return NotInstalledError(f"{module} is installed but cannot be imported: {reason}", name=module)


def _clone() -> Path | None:
    """The clone that this module runs from, None where it is installed."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None
