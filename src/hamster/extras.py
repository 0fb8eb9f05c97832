"""Optional dependencies (extras), and the command that installs a missing one in this environment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

OURS = "hamster_client"
# The modules that each extra of pyproject.toml brings itself. A module that several bring is looked for in this order.
MODULES: dict[str, tuple[str, ...]] = {
    "data": ("cv2", "defusedxml", "google_crc32c", "h5py", "huggingface_hub", "pyarrow", "svgelements"),
    "sim": ("gymnasium", "mujoco"),
    "planner": ("huggingface_hub", "llguidance", "safetensors", "tokenizers", "torch", "transformers"),
    "policy": ("safetensors", "torch"),
    "demo": (),
    "train": ("accelerate", "tensorboard"),
    "finetune": ("accelerate", "datasets", "peft", "tensorboard", "trl"),
    "endpoint": ("openai",),
    "serve": (
        OURS, "fastapi", "h11", "httpx", "msgpack", "prometheus_client", "pydantic", "python_multipart",
        "starlette", "uvicorn", "websockets",
    ),
    "studio": ("fastapi", "pydantic", "starlette", "uvicorn", "websockets"),
    "hands": ("mediapipe",),
    "mcap": ("mcap", "mcap_ros2"),
    "ray": ("ray",),
    "rerun": ("rerun",),
    "bench": ("rdp",),
    "all": (),
}  # fmt: skip
# The extras that an extra contains.
INCLUDES: dict[str, tuple[str, ...]] = {
    "demo": ("sim", "planner", "policy"),
    "train": ("planner", "policy"),
    "finetune": ("planner",),
    "serve": ("planner", "policy"),
    "all": ("demo", "train", "finetune", "endpoint", "data", "mcap", "serve", "studio", "ray", "rerun", "bench"),
}


class NotInstalledError(ImportError):
    """A package is missing; the message is one line with the command that installs it.

    It is not a ValueError, since those mean that a file or an item is at fault.
    """


def install_extra(name: str) -> str:
    """Return the command that adds an extra, or several separated by commas, to the running interpreter's environment.

    From a clone it installs the clone. From site-packages, pip keeps the installed distribution and adds the packages
    of the extra: that works for a wheel that is on no index, too.
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
def extra(name: str, what: str = "this") -> Iterator[None]:
    """Wrap imports of what an extra brings.

    Args:
        name: of the extra that the message names, if it brings the missing module; else that of one which does.
        what: needs the module, in a word or two.

    Raises:
        NotInstalledError: for a missing module of an extra, with what installs it; for one that does not load (for
            lack of a system library, say), with the reason.
    """
    try:
        yield
    except NotInstalledError:
        raise
    except ImportError as error:
        explained = explain(error, (name, *MODULES), what)
        if explained is None:
            raise
        raise explained from None


def require(names: Iterable[str], what: str) -> None:
    """Check that extras are installed, before any work, and without importing what they bring.

    Args:
        names: of the extras.
        what: needs them, "hamster demo" for instance.

    Raises:
        NotInstalledError: with what is missing of all of them, and the one command that installs it.
    """
    missing = {name: [module for module in modules_of(name) if find_spec(module) is None] for name in names}
    if modules := sorted({module for lacking in missing.values() for module in lacking}):
        command = install_extra(",".join(name for name, lacking in missing.items() if lacking))
        raise NotInstalledError(f"{what} needs {', '.join(modules)}: {command}", name=modules[0])


def modules_of(name: str) -> tuple[str, ...]:
    """Return the modules that an extra brings, with those of the extras it contains."""
    included = (module for other in INCLUDES.get(name, ()) for module in modules_of(other))
    return tuple(dict.fromkeys((*MODULES[name], *included)))


def needs(module: str, name: str, what: str = "this") -> NotInstalledError:
    """Return the error for a missing module of an extra; `what` names the feature that needs it."""
    command = install_extra(name)
    if module == OURS and _clone() is None:  # uninstalling hamster-client has removed the wheel's own copy, too
        command = f"{install('--force-reinstall', '--no-deps', 'WHEEL')}, with the wheel of hamster-vla, which holds it"
    return NotInstalledError(f"{what} needs {module}: {command}", name=module)


def explain(error: ImportError, names: Iterable[str] = tuple(MODULES), what: str = "this") -> NotInstalledError | None:
    """Return the error with what installs the module.

    Args:
        error: of an import.
        names: of extras; the first that brings the module is named.
        what: needs the module, in a word or two.

    Returns:
        None if none of these extras brings the module: then the fault is ours.
    """
    module = (error.name or "").partition(".")[0]
    name = next((name for name in names if module in modules_of(name)), None)
    if name is None:
        return None
    if isinstance(error, ModuleNotFoundError):
        return needs(module, name, what)
    reason = " ".join(str(error).split())
    return NotInstalledError(f"{module} is installed but cannot be imported: {reason}", name=module)


def _clone() -> Path | None:
    """Return the clone that this module runs from; None if it is installed."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None
