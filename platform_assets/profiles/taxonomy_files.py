"""Files of skills and of labelled samples → values, row by row, and what is wrong with the rows that are none.

Reads nothing but the file. What of it is new to the vocabulary is `taxonomy_import`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from platform_assets.clients.quarantine import BadRow
from platform_assets.errors import PlatformError
from platform_assets.profiles.vocabulary import KINDS
from platform_assets.spelling import normalize_alias

MAX_NAME_CHARS = 200
"""A longer one is a sentence, or a broken row."""

MAX_FIELD_CHARS = 10_000_000
"""A cell may hold a text of some megabytes, as READMEs do; Python's own limit is 131,072."""

SPLITS = ("test", "train")


class ImportFileError(PlatformError):
    """A file can't be read, or is not of the format that was named; the message says what it lacks."""


@dataclass(frozen=True)
class ImportedSkill:
    """A skill as a file names it.

    Attributes:
        name: Its name.
        kind: One of `vocabulary.KINDS`.
        aliases: Further spellings, as written.
    """

    name: str
    kind: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class LabelledSample:
    """A text with the skills that a person found in it."""

    text: str
    skills: tuple[str, ...]
    source: str
    split: str


@dataclass(frozen=True)
class SkillFormat:
    """A format of files of skills.

    Attributes:
        columns: Columns that the file must have.
        read: Makes a skill of a row.
        origin: Where such files come from, for people.
    """

    columns: tuple[str, ...]
    read: Callable[[Mapping[str, str]], ImportedSkill]
    origin: str


def _read_esco(row: Mapping[str, str]) -> ImportedSkill:
    return _skill(row["preferredLabel"], "concept", row["altLabels"].split("\n"))


def _read_onet(row: Mapping[str, str]) -> ImportedSkill:
    return _skill(row["Example"], "tool", ())


def _read_topic(row: Mapping[str, str]) -> ImportedSkill:
    return _skill(row["display_name"], "other", [row["topic"], *row["aliases"].split(",")])


def _read_plain(row: Mapping[str, str]) -> ImportedSkill:
    kind = row.get("kind", "").strip() or "other"
    if kind not in KINDS:
        raise ValueError(f"kind is none of {', '.join(KINDS)}")
    return _skill(row["name"], kind, row.get("aliases", "").split("|"))


FORMATS: Mapping[str, SkillFormat] = {
    "esco": SkillFormat(
        ("preferredLabel", "altLabels"), _read_esco, "ESCO's download of skills as CSV, `skills_en.csv`"
    ),
    "onet": SkillFormat(
        ("Example", "Commodity Title"), _read_onet, "O*NET's table of technology skills as CSV"
    ),
    "topics": SkillFormat(
        ("topic", "display_name", "aliases"),
        _read_topic,
        "GitHub's topics as CSV, `aliases` parted by commas",
    ),
    "csv": SkillFormat(
        ("name",), _read_plain, "a CSV of your own: `name`, and if you like `kind` and `aliases` parted by |"
    ),
}


def _skill(name: str, kind: str, aliases: Any) -> ImportedSkill:
    name = " ".join(name.split())
    if not normalize_alias(name):
        raise ValueError("the name has no letter or digit")
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"the name is longer than {MAX_NAME_CHARS} characters")
    spellings = (" ".join(alias.split()) for alias in aliases)
    return ImportedSkill(
        name,
        kind,
        tuple(
            dict.fromkeys(each for each in spellings if normalize_alias(each) and len(each) <= MAX_NAME_CHARS)
        ),
    )


def read_skills(
    path: Path, format_: str, *, wrap: Callable[[BinaryIO], BinaryIO] = lambda file: file
) -> Iterator[ImportedSkill | BadRow]:
    """The skills of a file, and the rows that name none.

    Args:
        path: The file; one that ends in `.gz` is unpacked.
        format_: A key of `FORMATS`.
        wrap: Gets the open file, to show how far it was read.

    Raises:
        ImportFileError: It can't be read, or lacks columns.
    """
    of = FORMATS[format_]
    with _opened(path, wrap) as file:
        for line, row in _csv_rows(path, file, of.columns, hint=f"The format {format_} is {of.origin}."):
            try:
                yield of.read(row)
            except ValueError as error:
                yield BadRow(f"line {line}", str(error), dict(row))


def read_samples(
    path: Path, *, wrap: Callable[[BinaryIO], BinaryIO] = lambda file: file
) -> Iterator[LabelledSample | BadRow]:
    """The labelled samples of a JSONL or CSV file, and the rows that are none.

    A line of JSON is `{"text": …, "skills": […]}`; a CSV has the columns `text` and `skills`, parted by `|`. Both may
    have `source` (by default the file's name) and `split` (`test` or `train`, by default `test`).

    Args:
        path: A file that ends in `.jsonl` or `.csv`, or in one of these and `.gz`.
        wrap: Gets the open file, to show how far it was read.

    Raises:
        ImportFileError: It can't be read, or is of neither format.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind not in ("jsonl", "csv"):
        raise ImportFileError(
            f"{path} is of no known format: its name must end in .jsonl or .csv (or .gz after it)"
        )
    with _opened(path, wrap) as file:
        rows = (
            _json_rows(file)
            if kind == "jsonl"
            else _csv_rows(path, file, ("text", "skills"), hint="`skills` are parted by |.")
        )
        for line, row in rows:
            try:
                yield _sample(row, source=path.name)
            except ValueError as error:
                yield BadRow(f"line {line}", str(error), row if isinstance(row, dict) else {"line": str(row)})


def _sample(row: Any, *, source: str) -> LabelledSample:
    if not isinstance(row, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  (the file's fault)
    text, skills = row.get("text"), row.get("skills")
    if isinstance(skills, str):
        skills = [name for name in map(str.strip, skills.split("|")) if name]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("it has no text")
    if not isinstance(skills, list) or not all(isinstance(name, str) and name.strip() for name in skills):
        raise ValueError("its skills are no list of names")
    split = row.get("split") or SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"its split is none of {', '.join(SPLITS)}")
    stated = row.get("source") or source
    if not isinstance(stated, str):
        raise ValueError("its source is no text")  # noqa: TRY004  (the file's fault)
    if "\0" in text + stated + "".join(skills):
        raise ValueError("it contains a NUL character")
    return LabelledSample(text, tuple(dict.fromkeys(name.strip() for name in skills)), stated, split)


@contextmanager
def _opened(path: Path, wrap: Callable[[BinaryIO], BinaryIO]) -> Iterator[TextIO]:
    try:
        with path.open("rb") as raw:
            shown = wrap(raw)
            if path.suffix == ".gz":
                with gzip.open(shown, "rt", encoding="utf-8-sig", newline="") as file:
                    yield file
            else:
                yield io.TextIOWrapper(shown, encoding="utf-8-sig", newline="")
    except (OSError, EOFError) as error:
        raise ImportFileError(f"{path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ImportFileError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start}") from error


def _csv_rows(
    path: Path, file: TextIO, columns: tuple[str, ...], *, hint: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of each row; a missing cell is empty, and what has no column is left out."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    reader = csv.DictReader(file, restval="")
    try:
        found = list(reader.fieldnames or ())
        if missing := [name for name in columns if name not in found]:
            raise ImportFileError(
                f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has "
                f"{', '.join(map(repr, found)) or 'none'}. {hint}"
            )
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise ImportFileError(f"{path} is no CSV at line {reader.line_num}: {error}") from error


def _json_rows(file: TextIO) -> Iterator[tuple[int, Any]]:
    for line, text in enumerate(file, start=1):
        if text.strip():
            try:
                yield line, json.loads(text)
            except (ValueError, RecursionError):
                yield line, text[:MAX_NAME_CHARS]
