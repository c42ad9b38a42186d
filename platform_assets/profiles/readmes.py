"""READMEs of developers' own repositories: whose turn it is, what is kept of them, and their words without markup.

Pure but for `refresh_readmes`, which reads GitHub and writes. What a README shows is `developer_texts`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.token import Token

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.gemini import MAX_TEXT_CHARS
from platform_assets.clients.github_ledger import PostgresLedger
from platform_assets.clients.github_readmes import Readme
from platform_assets.clients.http_errors import ServiceError
from platform_assets.tables import skill_texts as tables

if TYPE_CHECKING:
    from platform_assets.clients.github import GithubClient

MIN_COMMITS = 10
"""Own commits from which on a repository's README speaks of its owner's work; most with fewer are tries and templates."""

READMES_PER_DEVELOPER = 3
"""A developer's own repositories with the most own commits; further ones mostly repeat what these show."""

REPOSITORIES_PER_RUN = 4_000
"""Bounds a run at some 200 points of GitHub's 5,000 an hour, and the first fill to a few hours for 50,000 developers."""

RESERVE_RATIO = 0.3
"""Below this share of points left, READMEs wait: accounts and commits matter more."""

REREAD_AFTER = dt.timedelta(days=30)
"""A README may change by others' hands, and that it did costs next to nothing to learn."""

RETRY_AFTER = dt.timedelta(hours=1)

COLUMNS = [column.name for column in tables.readme_texts.columns if column.name != "updated_at"]

_MARKDOWN = MarkdownIt("commonmark")
# Inside of lines; blocks of code and HTML have no lines of words.
_SILENT = frozenset(("html_inline", "image"))


@dataclass(frozen=True)
class ReadmeRefresh:
    """What a refresh of READMEs did.

    Attributes:
        counts: Rows of `platform.readme_texts` that were written.
        due_count: Repositories whose turn it was.
        asked_count: Those that were asked for.
        failure: What kept the rest from being read; None when nothing did.
    """

    counts: WriteCounts
    due_count: int
    asked_count: int
    failure: str | None = None


def own_repositories(repositories: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """The repositories whose README speaks of a developer.

    Those that the developer owns, no forks, with `MIN_COMMITS` own commits: what somebody else wrote, or what came with a
    fork, is no word of theirs.

    Args:
        repositories: Rows of `platform.developer_repositories`.
        accounts: Rows of `platform.github_accounts`: whose the repositories are that were read, whatever login the
            marketplace names by now.

    Returns:
        `developer_id`, `repository`, `last_contributed_on`; of each developer the `READMES_PER_DEVELOPER` with the most
        own commits, ties by name, ordered by both ids.
    """
    logins = accounts.set_index("developer_id")["current_login"].str.casefold()
    owners = repositories["repository"].str.split("/").str[0].str.casefold()
    is_own = owners == repositories["developer_id"].map(logins)
    own = repositories[is_own & ~repositories["is_fork"] & (repositories["commits_count"] >= MIN_COMMITS)]
    best = own.sort_values(["commits_count", "repository"], ascending=[False, True])
    best = best.groupby("developer_id").head(READMES_PER_DEVELOPER)
    columns = ["developer_id", "repository", "last_contributed_on"]
    return best.sort_values(["developer_id", "repository"])[columns].reset_index(drop=True)


def due_repositories(own: pd.DataFrame, known: pd.DataFrame, *, now: dt.datetime) -> pd.DataFrame:
    """The repositories whose README is to be asked for: new, worked on since, failed a while ago, or long not asked.

    Args:
        own: See `own_repositories`.
        known: Rows of `platform.readme_texts`.
        now: The present moment (UTC).

    Returns:
        `repository`, `worked_on` (the latest own commit of anybody) and the known `oid`, those never asked for first, then
        the longest unasked.
    """
    worked_on = own.groupby("repository", as_index=False).agg(worked_on=("last_contributed_on", "max"))
    asked = known[["repository", "worked_on", "state", "oid", "asked_at"]]
    rows = worked_on.merge(asked, on="repository", how="left", suffixes=("", "_known"))
    is_failed = rows["state"] == "failed"
    age = now - rows["asked_at"]
    is_due = (
        rows["state"].isna()
        | (~is_failed & ((rows["worked_on"] > rows["worked_on_known"]) | (age >= REREAD_AFTER)))
        | (is_failed & (age >= RETRY_AFTER))
    )
    due: pd.DataFrame = rows[is_due].sort_values(["asked_at", "repository"], na_position="first")
    return due[["repository", "worked_on", "oid"]].reset_index(drop=True)


def readme_rows(
    results: Sequence[Readme], due: pd.DataFrame, known: pd.DataFrame, *, asked_at: dt.datetime
) -> pd.DataFrame:
    """Rows of `platform.readme_texts` after a reading.

    A read that failed carries on what was known, and is due again; one that found no change keeps the text.

    Args:
        results: What became of each.
        due: See `due_repositories`.
        known: Rows of `platform.readme_texts`.
        asked_at: When GitHub was asked (UTC).
    """
    worked_on = dict(zip(due["repository"], due["worked_on"]))
    before = {row["repository"]: row for row in known.to_dict("records")}
    rows = []
    for result in results:
        old = before.get(result.repository)
        if result.state in ("failed", "unchanged") and old is not None:
            row = old | {"failure": result.failure}
            if result.state == "failed":
                row["state"] = "failed"
            elif old["state"] == "failed":
                row["state"] = "read" if isinstance(old["text"], str) else "binary"
        else:
            text = None if result.text is None else _storable(result.text)
            # Words, not the file: what is not read need not be kept, and the next run need not take it apart again.
            words = None if text is None else readme_words(text[:MAX_TEXT_CHARS])
            row = {
                "repository": result.repository,
                "state": result.state,
                "path": result.path,
                "oid": result.oid,
                "bytes_count": result.bytes_count,
                "text": words,
                "is_truncated": result.is_truncated or (text is not None and len(text) > MAX_TEXT_CHARS),
                "failure": result.failure,
            }
        if result.state != "failed" or old is None:
            row["worked_on"] = worked_on[result.repository]
        rows.append(row | {"asked_at": asked_at})
    return pd.DataFrame(rows, columns=COLUMNS)


def refresh_readmes(
    database: Database,
    github: GithubClient | None,
    own: pd.DataFrame,
    *,
    known: pd.DataFrame,
    read_clock: Callable[[], dt.datetime],
) -> ReadmeRefresh:
    """Read the READMEs that are due, and write them in parts.

    A GitHub that stops answering is a reason to go on with what is known, never an error: texts are evidence beside the
    commits, and the next run is half an hour away.

    Args:
        database: Where READMEs are kept.
        github: GitHub; None when it is switched off.
        own: See `own_repositories`.
        known: Rows of `platform.readme_texts`.
        read_clock: Gives the present moment (UTC).
    """
    due = due_repositories(own, known, now=read_clock())
    counts, asked_count, failure = WriteCounts(), 0, None
    if github is None or due.empty:
        return ReadmeRefresh(counts, len(due), asked_count, failure)
    wanted = due.head(REPOSITORIES_PER_RUN)
    # A repository that is new has NaN for what is known of it.
    oids = {
        repository: oid if isinstance(oid, str) else None
        for repository, oid in zip(wanted["repository"], wanted["oid"])
    }
    with github.with_ledger(PostgresLedger(database), keep_ratio=RESERVE_RATIO) as shared:
        try:
            # What others spent since the last answer is in no book of ours.
            shared.read_budget()
            for results in shared.read_readmes(oids):
                rows = readme_rows(results, wanted, known, asked_at=read_clock())
                counts += database.upsert(tables.readme_texts, rows, quarantine_as="github.readmes")
                asked_count += len(results)
        except ServiceError as error:
            failure = str(error)
    return ReadmeRefresh(counts, len(due), asked_count, failure)


def _storable(text: str) -> str:
    # Postgres has no NUL in a text, and half a surrogate pair has no bytes.
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def readme_words(text: str) -> str:
    """What a README says in words: paragraphs, headings and list items, a line each.

    Code, HTML, images and the addresses of links are left out: how to install a thing names tools that its author need
    not know. Other formats than Markdown (reStructuredText, plain text) read well enough as it.
    """
    return "\n".join(line for token in _MARKDOWN.parse(text) if (line := _line(token)))


def _line(token: Token) -> str:
    if token.type != "inline":
        return ""
    parts = (
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in token.children or ()
        if child.type not in _SILENT
    )
    return " ".join("".join(parts).split())
