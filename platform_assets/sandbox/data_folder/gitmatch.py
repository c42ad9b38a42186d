"""A world from a data folder: real contributions as a fetch from GitHub would show them, and the projects to staff.

Nobody declared skills, asked for a rate or paid anything there, so those parts stay empty. Reading and checking the files
is `gitmatch_rows`; relevance judgements are for measuring and never become part of a world.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from platform_assets.sandbox.data_folder.rows import (
    Contribution,
    DataError,
    Project,
    parse_contributions,
    parse_projects,
    parse_qrels,
)
from platform_assets.sandbox.generator.frames import contract_frame
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World
from platform_assets.tables import marketplace

__all__ = [
    "DataError",
    "main_languages",
    "read_contributions",
    "read_gitmatch",
    "read_projects",
    "read_qrels",
]

_BYTES_PER_COMMIT = 1_000
_MAX_TOPICS = 12
_MAX_TOPIC_LENGTH = 50
_MAX_DESCRIPTION_LENGTH = 350
_MIN_DECLARED_SHARE = 0.1

# GitHub counts code and markup alone, not what it calls data and prose.
_NOT_COUNTED_BY_GITHUB = frozenset((
    "AsciiDoc", "CSV", "Cargo Lock", "Diff", "Dotenv", "EditorConfig", "Git Attributes", "Git Config", "Go Checksums",
    "Go Module", "Graphviz (DOT)", "INI", "Ignore List", "JSON", "JSON with Comments", "JSON5", "Java Properties",
    "Jest Snapshot", "Markdown", "Maven POM", "NPM Config", "Org", "Pip Requirements", "RDoc", "SVG", "TOML", "TSV",
    "Text", "XML", "YAML", "reStructuredText",
))  # fmt: skip


def read_contributions(path: Path) -> pd.DataFrame:
    """Rows of `contributions.jsonl` or `contributions.jsonl.gz`.

    Args:
        path: The file, or the folder that holds it.

    Returns:
        Columns developer, repo, commits (int64), first and last (`datetime.date`), languages (language to commits that
        touched it), path_terms and subjects (lists of text), in the order of the file.

    Raises:
        DataError: Anything is wrong with the file.
    """
    reading = parse_contributions(path)
    _raise_if(reading.problems)
    return pd.DataFrame([row.model_dump() for row in reading.rows], columns=list(Contribution.model_fields))


def read_projects(path: Path) -> pd.DataFrame:
    """Rows of `projects.jsonl` or `projects.jsonl.gz`, without labels.

    Args:
        path: The file, or the folder that holds it.

    Returns:
        Columns project, readme and languages (language to files), in the order of the file.

    Raises:
        DataError: Anything is wrong with the file.
    """
    reading = parse_projects(path)
    _raise_if(reading.problems)
    columns = ["project", "readme", "languages"]
    return pd.DataFrame([row.model_dump(include=set(columns)) for row in reading.rows], columns=columns)


def read_qrels(path: Path) -> pd.DataFrame:
    """Relevance judgements, for measuring only.

    Args:
        path: `qrels.csv`, or the folder that holds it.

    Returns:
        Columns project, developer and grade (int64; the higher, the more relevant).

    Raises:
        DataError: There is no such file, or anything is wrong with it.
    """
    reading = parse_qrels(path)
    _raise_if(reading.problems)
    rows = [(row.project, row.developer, row.grade) for row in reading.rows]
    return pd.DataFrame(rows, columns=["project", "developer", "grade"]).astype({"grade": "int64"})


def read_gitmatch(folder: Path) -> World:
    """The world of a data folder.

    Each developer is active and available since their first commit; each project is open, its text the README, its client
    the owner of the repository.

    Args:
        folder: Holds `contributions.jsonl` and `projects.jsonl`, each plain or with `.gz`. Anything else in it is not
            looked at.

    Returns:
        A world with the folder's name, anchored to the day after the latest commit.

    Raises:
        DataError: Anything is wrong with the files; all problems of both are listed.
    """
    if not folder.is_dir():
        raise DataError([f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist"])
    contributions, projects = parse_contributions(folder), parse_projects(folder)
    _raise_if([*contributions.problems, *projects.problems])
    _raise_if(_ambiguous_spellings(contributions.rows, projects.rows))
    return _build_world(folder.resolve().name, contributions.rows, projects.rows)


def _raise_if(problems: Sequence[str]) -> None:
    if problems:
        raise DataError(problems)


def _ambiguous_spellings(contributions: Iterable[Contribution], projects: Iterable[Project]) -> list[str]:
    """Names that differ only in case are one to GitHub."""
    problems = []
    developers = {row.developer for row in contributions}
    repositories = {row.repo for row in contributions} | {row.project for row in projects}
    for kind, names in (("developers", developers), ("repositories", repositories)):
        spellings: defaultdict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            spellings[name.casefold()].append(name)
        problems += [
            f"the {kind} {' and '.join(same)} differ only in case: GitHub takes them for one"
            for same in spellings.values()
            if len(same) > 1
        ]
    return problems


def _build_world(name: str, contributions: Sequence[Contribution], projects: Sequence[Project]) -> World:
    anchor = max(row.last for row in contributions) + dt.timedelta(days=1)
    by_developer: defaultdict[str, list[Contribution]] = defaultdict(list)
    by_repository: defaultdict[str, list[Contribution]] = defaultdict(list)
    for row in contributions:
        by_developer[row.developer].append(row)
        by_repository[row.repo].append(row)
    user_ids, repository_ids = _github_ids(by_developer), _github_ids(by_repository)
    readmes = {row.project: row.readme for row in projects}
    topics = _topics(by_repository)
    rows = {
        "developers": [_developer(login, own) for login, own in sorted(by_developer.items())],
        "clients": _clients(projects, anchor),
        "projects": [_project(row, anchor) for row in sorted(projects, key=lambda row: row.project)],
    }
    return World(
        name=name,
        anchor=anchor,
        marketplace={
            table.name: contract_frame(table, rows.get(table.name, ()))
            for table in marketplace.metadata.tables.values()
        },
        github_users=tuple(_user(login, user_ids[login], own) for login, own in sorted(by_developer.items())),
        github_repositories=tuple(
            GithubRepository(
                name_with_owner=repository,
                database_id=repository_ids[repository],
                description=_first_sentence(readmes.get(repository, "")),
                is_fork=False,
                is_archived=False,
                stars_count=0,
                topics=topics[repository],
                languages=_languages(own),
                created_at=_midnight(min(row.first for row in own)),
                pushed_at=_midnight(max(row.last for row in own)) + dt.timedelta(hours=23),
            )
            for repository, own in sorted(by_repository.items())
        ),
        github_contributions=tuple(
            GithubContribution(
                login=row.developer,
                name_with_owner=row.repo,
                commits_count=row.commits,
                first_on=row.first,
                last_on=row.last,
                subjects=tuple(row.subjects),
            )
            for row in sorted(contributions, key=lambda row: (row.developer, row.repo))
        ),
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _developer(login: str, own: Sequence[Contribution]) -> dict[str, Any]:
    joined_on = min(row.first for row in own)
    unknown = ("display_name", "bio", "hourly_rate_minor", "currency", "time_zone", "capacity_hours_per_week")
    return {
        **dict.fromkeys(unknown),
        "developer_id": login,
        "github_login": login,
        "declared_skills": [],
        "is_active": True,
        "available_from": joined_on,
        "rating_average": None,
        "rating_count": 0,
        "joined_at": _midnight(joined_on),
        "updated_at": _midnight(joined_on),
    }


def _user(login: str, database_id: int, own: Sequence[Contribution]) -> GithubUser:
    return GithubUser(
        login=login,
        database_id=database_id,
        name=None,
        bio=None,
        company=None,
        location=None,
        followers_count=0,
        created_at=_midnight(min(row.first for row in own)),
        updated_at=_midnight(max(row.last for row in own)),
    )


def _clients(projects: Iterable[Project], anchor: dt.date) -> list[dict[str, Any]]:
    moment = _midnight(anchor) - dt.timedelta(days=1)
    return [
        {
            "client_id": owner,
            "display_name": owner,
            "email": None,
            "time_zone": None,
            "is_active": True,
            "created_at": moment,
            "updated_at": moment,
        }
        for owner in sorted({_owner(row.project) for row in projects})
    ]


def _project(row: Project, anchor: dt.date) -> dict[str, Any]:
    moment = _midnight(anchor) - dt.timedelta(days=1)
    unknown = (
        "max_hourly_rate_minor",
        "budget_minor",
        "currency",
        "expected_hours",
        "time_zone",
        "min_overlap_hours",
    )
    return {
        **dict.fromkeys(unknown),
        "project_id": row.project,
        "client_id": _owner(row.project),
        "title": row.project,
        "description": row.readme,
        "declared_skills": main_languages(row.languages),
        "hours_per_week": None,
        "starts_on": None,
        "status": "open",
        "posted_at": moment,
        "updated_at": moment,
    }


def _owner(name_with_owner: str) -> str:
    return name_with_owner.partition("/")[0]


def main_languages(languages: Mapping[str, int]) -> list[str]:
    """The languages that a client would name, most used first."""
    code = {name: count for name, count in languages.items() if name not in _NOT_COUNTED_BY_GITHUB}
    least = _MIN_DECLARED_SHARE * sum(code.values())
    return sorted(
        (name for name, count in code.items() if count >= max(least, 1)), key=lambda name: (-code[name], name)
    )


def _languages(own: Iterable[Contribution]) -> dict[str, int]:
    """What everybody's commits touched, on a scale of bytes; the largest first, as GitHub has it."""
    commits: Counter[str] = Counter()
    for row in own:
        commits.update(row.languages)
    return {
        name: count * _BYTES_PER_COMMIT
        for name, count in sorted(commits.items(), key=lambda item: (-item[1], item[0]))
        if count and name not in _NOT_COUNTED_BY_GITHUB
    }


def _topics(by_repository: Mapping[str, Sequence[Contribution]]) -> dict[str, tuple[str, ...]]:
    """Terms of the paths that mark a repository: frequent in it (tf) and rare elsewhere (idf)."""
    term_counts = {
        repository: Counter(topic for row in own for topic in map(_as_topic, row.path_terms) if topic)
        for repository, own in by_repository.items()
    }
    repositories_count = Counter(term for counts in term_counts.values() for term in counts)
    # One more than all, so that a term that is everywhere still counts for something.
    total = len(by_repository) + 1
    return {
        repository: tuple(
            sorted(
                counts, key=lambda term: (-counts[term] * math.log(total / repositories_count[term]), term)
            )[:_MAX_TOPICS]
        )
        for repository, counts in term_counts.items()
    }


def _as_topic(term: str) -> str:
    """The term as GitHub's topics are written: lower case letters, digits and hyphens."""
    kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in term.lower())
    return kept.strip("-")[:_MAX_TOPIC_LENGTH]


def _first_sentence(readme: str) -> str | None:
    """The first line of prose, as an owner would put it beside the repository; None when there is none."""
    for line in map(str.strip, readme.splitlines()):
        if line[:1].isalpha() and len(line.split()) >= 4:
            return line[:_MAX_DESCRIPTION_LENGTH]
    return None


def _github_ids(names: Iterable[str]) -> dict[str, int]:
    """Ids that hang on the name alone, within the 31 bits that GitHub's API has for them."""
    ids: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 1
        while number in taken:
            number = (number + 1) % 2**31
        taken.add(number)
        ids[name] = number
    return ids
