"""File modes, which some libraries set as they like."""

import stat
from pathlib import Path


def unusual(folder: Path) -> list[str]:
    """The files below a folder whose mode is not the one that `open` gives; locks are no content."""
    probe = folder / "probe"
    probe.write_bytes(b"")
    usual = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".hamster")]
    return sorted(f"{file.relative_to(folder)} {file.stat().st_mode:o}" for file in files
                  if stat.S_IMODE(file.stat().st_mode) != usual)  # fmt: skip
