"""Answers of a model that were stored by id, in place of a planner: anyone's outputs are scored without the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.data import AnnotatedImage
from hamster.data.text import decode_text, lines_of
from hamster.dialects import DIALECTS, parse
from hamster.path import PlanError
from hamster.planner.base import Plan

MAX_BYTES = 256 << 20
ROW = "idx"
IDS = ("id", ROW, "question_id")
TEXTS = ("text", "raw_output", "model_prediction", "response", "answer", "output")


@dataclass(frozen=True)
class CachedAnswers:
    """The texts of a model's answers by the id of their item.

    Attributes:
        texts: by id; "" where the model gave none.
        dialect: of all texts.
        sha256: of the file.
        by_row: whether the ids are the items' numbers in their source, whatever ids the source states.
    """

    texts: Mapping[str, str]
    dialect: str
    sha256: str
    by_row: bool = False

    @classmethod
    def read(cls, file: Path, dialect: str) -> CachedAnswers:
        """Read JSON lines of {"id", "text"}, or of another published form.

        A record has an id under `IDS` (RoboTracer's `question_id`, EmbodiedEvalKit's `idx`) and the raw text of the
        answer under `TEXTS` (RoboTracer's `model_prediction`, EmbodiedEvalKit's `raw_output`); the first name counts
        that it has. `idx` is the number of the item, from 0. The file may also be a JSON array of such records, or an
        object with one under `results`.

        Args:
            file: to read.
            dialect: one of `DIALECTS`, in which all texts are.

        Raises:
            ValueError: for an unknown dialect, or a file that holds anything else; names the line.
        """
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; there are {', '.join(DIALECTS)}")
        if not file.is_file():
            raise ValueError(f"no file {str(file)!r} with answers")
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"{file.name} has more than {MAX_BYTES >> 20} MiB")
        data = file.read_bytes()
        texts: dict[str, str] = {}
        id_names: set[str] = set()
        for place, record in _records(decode_text(data, file.name), file.name):
            id_name, item_id, text = _answer(record, place)
            id_names.add(id_name)
            if len(id_names) > 1:
                raise ValueError(f"{place} has {id_name} for its id, and others have {min(id_names - {id_name})}")
            if item_id in texts:
                raise ValueError(f"{place}: a second answer with the id {item_id[:40]!r}")
            texts[item_id] = text
        if not texts:
            raise ValueError(f'{file.name} has no answers; give a line {{"id": …, "text": …}} for each')
        return cls(texts, DIALECTS.canonical(dialect), hashlib.sha256(data).hexdigest(), ROW in id_names)

    def id_of(self, image: AnnotatedImage, number: int) -> str:
        """Return the id under which the answer for an item is, from the item and its number in the source."""
        return str(number if self.by_row else image.provenance.extra.get("id", number))

    def plan(self, image: AnnotatedImage, number: int) -> Plan:
        """Return the path of an item's answer.

        Args:
            image: the item, with its id in the provenance.
            number: of the item in its source, which is the id where the source states none.

        Raises:
            PlanError: if there is no answer for it, or the answer holds no path; NotInViewError for a refusal.
        """
        item_id = self.id_of(image, number)
        text = self.texts.get(item_id)
        if text is None or not text.strip():
            raise PlanError(f"no answer with the id {item_id!r}" if text is None else "the answer is empty", text or "")
        height, width = image.view.rgb.shape[:2]
        try:
            return Plan(parse(text, self.dialect, (width, height)), text)
        except PlanError:
            raise
        except ValueError as error:  # an image that the dialect's model could not be given
            raise PlanError(str(error), text) from None


def _records(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the records with their places, from one JSON document or from lines."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("results"), list):
        document = document["results"]
    if isinstance(document, list):
        yield from ((f"{name}, record {i}", record) for i, record in enumerate(document))
        return
    for i, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        place = f"{name}, line {i}"
        try:
            yield place, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place} is not JSON: {error}") from None


def _answer(record: Any, place: str) -> tuple[str, str, str]:
    """Return the name of the id, the id and the text."""
    if not isinstance(record, dict):
        raise ValueError(f'{place}: a record is {{"id": …, "text": …}}')
    id_name = next((name for name in IDS if name in record), None)
    text_name = next((name for name in TEXTS if name in record), None)
    if id_name is None or text_name is None:
        lacking = f"id ({', '.join(IDS)})" if id_name is None else f"text ({', '.join(TEXTS)})"
        raise ValueError(f"{place} has no {lacking}; it has {', '.join(map(str, record))[:120] or 'nothing'}")
    item_id, text = record[id_name], record[text_name]
    if type(item_id) not in (int, str):
        raise ValueError(f"{place}: the {id_name} must be a whole number or a text, not {str(item_id)[:40]}")
    if not isinstance(text, str | None):
        raise ValueError(f"{place}: the {text_name} must be the model's text, not a {type(text).__name__}")
    return id_name, str(item_id), text or ""
