"""Reads the files of a data folder (contributions, projects, relevance judgements) and says everything that is wrong.

Lines are typed and checked here, and nothing else: what a sandbox makes of them is `gitmatch`. Labels that stand beside a
project are let through, so that they are not taken for mistakes, and thrown away.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from platform_assets.errors import PlatformError

_MOST_PROBLEMS_SHOWN = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNFAMILIAR_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no known field",
    "model_type": "should be a JSON object",
}


class DataError(PlatformError):
    """A data folder can't be used; the message lists its problems by file and line.

    Attributes:
        problems: Every problem, in the order of the files; the message shows the first of them.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = [f"  - {problem}" for problem in self.problems[:_MOST_PROBLEMS_SHOWN]]
        if len(self.problems) > _MOST_PROBLEMS_SHOWN:
            lines.append(f"  - and {len(self.problems) - _MOST_PROBLEMS_SHOWN} more")
        super().__init__("\n".join([f"The data can't be used, problems: {len(self.problems)}", *lines]))


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds the character NUL, which Postgres can't store")
    return text


def _login(text: str) -> str:
    if not re.fullmatch(r"[^\s/]+", _storable(text)):
        raise ValueError("should be a name without spaces and slashes")
    return text


def _repository_name(text: str) -> str:
    if not re.fullmatch(r"[^\s/]+/[^\s/]+", _storable(text)):
        raise ValueError("should be a repository such as owner/name")
    return text


def _iso_day(value: object) -> dt.date:
    # Pydantic alone would also take a number of seconds or a point in time.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("should be a day such as 2024-05-31")
    try:
        return dt.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"is no day of the calendar: {error}") from None


Text = Annotated[str, AfterValidator(_storable)]
Login = Annotated[str, AfterValidator(_login)]
RepositoryName = Annotated[str, AfterValidator(_repository_name)]
Day = Annotated[dt.date, BeforeValidator(_iso_day)]
# The largest that Postgres holds in an integer column.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Contribution(_Line):
    """What one developer did in one repository; `languages` counts the commits that touched each."""

    developer: Login
    repo: RepositoryName
    commits: Count
    first: Day
    last: Day
    languages: dict[Text, Count]
    path_terms: list[Text]
    subjects: list[Text]

    @model_validator(mode="after")
    def _last_is_not_before_first(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last ({self.last}) is before first ({self.first})")
        return self


class Project(_Line):
    """A project as its repository shows it; `languages` counts files."""

    project: RepositoryName
    readme: Text
    languages: dict[Text, Count]
    # Known but never read: a commit id and labels.
    head: Any = None
    n_relevant: Any = None
    split: Any = None


@dataclass(frozen=True)
class Judgement:
    """A label: how relevant a developer is for a project; the higher the grade, the more."""

    project: str
    developer: str
    grade: int


R = TypeVar("R")
L = TypeVar("L", bound=_Line)


@dataclass
class Reading(Generic[R]):
    """What a file held: its good rows in order, and a line for each problem."""

    rows: list[R] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_contributions(path: Path) -> Reading[Contribution]:
    """Rows of `contributions.jsonl` or `contributions.jsonl.gz`; `path` is the file or its folder."""
    return _parse_lines(path, "contributions", Contribution, lambda row: (row.developer, row.repo))


def parse_projects(path: Path) -> Reading[Project]:
    """Rows of `projects.jsonl` or `projects.jsonl.gz`; `path` is the file or its folder."""
    return _parse_lines(path, "projects", Project, lambda row: row.project)


def parse_qrels(path: Path) -> Reading[Judgement]:
    """Rows of `qrels.csv`; `path` is the file or its folder."""
    reading: Reading[Judgement] = Reading()
    file = path / "qrels.csv" if path.is_dir() else path
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            _read_judgements(csv.DictReader(lines), file.name, reading)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reading.problems.append(f"{file} can't be read: {error}")
    return reading


def _read_judgements(lines: csv.DictReader[str], name: str, reading: Reading[Judgement]) -> None:
    missing = [
        column for column in ("project", "developer", "grade") if column not in (lines.fieldnames or ())
    ]
    if missing:
        reading.problems.append(f"{name} line 1: lacks the columns {', '.join(missing)}")
        return
    for line in lines:
        grade = line["grade"] or ""
        if line["project"] and line["developer"] and re.fullmatch(r"[0-9]+", grade):
            reading.rows.append(Judgement(line["project"], line["developer"], int(grade)))
        else:
            reading.problems.append(
                f"{name} line {lines.line_num}: needs a project, a developer and a whole grade"
            )


def _parse_lines(path: Path, stem: str, row_type: type[L], key: Callable[[L], Hashable]) -> Reading[L]:
    reading: Reading[L] = Reading()
    file = _find_file(path, stem, reading.problems)
    if file is None:
        return reading
    first_line_of: dict[Hashable, int] = {}
    try:
        with _open(file) as lines:
            for number, line in enumerate(lines, start=1):
                line = line.strip()
                if not line:
                    continue
                where = f"{file.name} line {number}"
                try:
                    row = row_type.model_validate_json(line)
                except ValidationError as error:
                    reading.problems += [f"{where}: {fault}" for fault in _faults(error)]
                    continue
                earlier = first_line_of.setdefault(key(row), number)
                if earlier != number:
                    reading.problems.append(f"{where}: repeats line {earlier} ({_shown(key(row))})")
                    continue
                reading.rows.append(row)
    except (OSError, EOFError, zlib.error) as error:
        reading.problems.append(f"{file} can't be read: {error}")
    if not reading.rows and not reading.problems:
        reading.problems.append(f"{file} holds no rows")
    return reading


def _find_file(path: Path, stem: str, problems: list[str]) -> Path | None:
    if not path.is_dir():
        if path.exists():
            return path
        problems.append(f"{path} does not exist")
        return None
    candidates = [path / f"{stem}.jsonl", path / f"{stem}.jsonl.gz"]
    found = [candidate for candidate in candidates if candidate.exists()]
    if len(found) != 1:
        names = " and ".join(candidate.name for candidate in candidates)
        problems.append(
            f"{path} holds both {names}: keep one" if found else f"{path} holds neither of {names}"
        )
        return None
    return found[0]


def _open(file: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _faults(error: ValidationError) -> list[str]:
    """What is wrong with a line, without its content: that may be anything, of any length."""
    faults = []
    for detail in error.errors(include_input=False, include_url=False):
        said = _UNFAMILIAR_WORDS.get(detail["type"], detail["msg"]).removeprefix("Value error, ")
        # The parser sees one line at a time and calls each of them line 1.
        said = re.sub(r" at line 1 column (\d+)", r" at column \1", said)
        place = ".".join(str(part) for part in detail["loc"] if part != "[key]")
        faults.append(f"{place}: {said}" if place else said)
    return faults


def _shown(key: Hashable) -> str:
    return ", ".join(key) if isinstance(key, tuple) else str(key)
