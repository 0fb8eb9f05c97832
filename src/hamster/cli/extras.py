"""What a command needs beyond the core, said in one line where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

MODULES = {
    "train": ("accelerate", "tensorboard"),
    "finetune": ("accelerate", "datasets", "peft", "tensorboard", "trl"),
    "serve": (
        "fastapi", "h11", "hamster_client", "httpx", "msgpack", "prometheus_client", "pydantic", "starlette", "uvicorn",
        "websockets",
    ),
}  # fmt: skip
BESIDE = {"hamster_client": " ./packages/hamster_client"}  # not on the index: it is installed from the repository


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Wraps imports of what the extra of that name brings.

    Raises:
        ValueError: for a missing module of the extra, with what installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in MODULES[name]:
            raise
        fix = f"pip install 'hamster-vla[{name}]'{BESIDE.get(module, '')}"
        raise ValueError(f"this needs {module}: {fix}") from None
