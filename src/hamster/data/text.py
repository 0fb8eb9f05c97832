"""Untrusted text: encodings, lines of records, instructions in file names, names of files."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Words that cameras and people put into file names, and that say nothing of what is to be done.
_FILE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        img image images dsc dscn dcim pxl vid video mov movie clip clips gopr gopro screenshot screen recording photo
        picture frame frames episode episodes ep demo demonstration sample test train val eval trial run take copy final
        new old edit edited version untitled rgb depth color colour camera cam front back side top bottom left right
        wrist main head external exterior view output input result raw clean human robot hand real sim data scene file
        mp out plain drawn sketch sketches drawing drawings annotated original whatsapp signal
        """,
    )
)
# Of these, some are words of instructions, too: they are dropped from the beginning of a name alone.
_ONLY_FIRST = {"front", "back", "side", "top", "bottom", "left", "right", "head", "hand"}


def decode_text(data: bytes, name: str, errors: str = "strict") -> str:
    """Decode UTF-8, or what a byte order mark says; the mark is no part of the text.

    Args:
        data: encoded text.
        name: of the file, for messages.
        errors: "strict" or "replace", as for `bytes.decode`.

    Raises:
        ValueError: if it is no such text, unless `errors` is "replace".
    """
    encoding = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text (byte {error.start})") from None


def lines_of(text: str) -> list[str]:
    """Split at line feeds alone: U+2028 and its like, at which `str.splitlines` splits too, may stand inside JSON."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which the numbers in names count as numbers.

    Example:
        >>> sorted(["10.png", "9.png"], key=natural_key)
        ['9.png', '10.png']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def inside(folder: Path, name: str, links_may_leave: bool = False) -> Path:
    """Return the path of a file that other people's data name, which must lie in the folder that the data are in.

    Args:
        folder: of the data.
        name: of the file, relative to the folder.
        links_may_leave: judge the name alone and follow links wherever they lead: the Hub's cache is made of them.

    Raises:
        ValueError: if the name leads out of the folder.
    """
    if "\0" in name:
        raise ValueError(f"{name[:80]!r} is not the name of a file")
    path = folder / name
    if links_may_leave:
        is_inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    else:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    if not is_inside:
        raise ValueError(f"{name[:80]!r} is outside of {folder}")
    return path


def instruction_from_name(stem: str) -> str:
    """Return the instruction in a file's name without suffix; "" if it has fewer than two real words.

    `ep_0_press_the_button` says "press the button"; `IMG_1234` and `5ed85189_012` say nothing.
    """
    words = re.sub(r"[\W_]+", " ", stem).split()
    while words and _is_file_word(words[0]):
        words.pop(0)
    while words and (not _is_word(words[-1]) or words[-1].lower() in _FILE_WORDS - _ONLY_FIRST):
        words.pop()
    return " ".join(words) if sum(map(_is_word, words)) >= 2 else ""


def _is_file_word(word: str) -> bool:
    return not _is_word(word) or word.lower() in _FILE_WORDS


def _is_word(word: str) -> bool:
    """Return whether it is made of letters, at least two; codes with digits are none."""
    return len(word) >= 2 and word.isalpha()
