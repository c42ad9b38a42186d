"""The matching as the application sees it: its page query timed, its search compared with the exact answer.

A query that fails or is too slow is something measured, not an error of the measuring. Bounds are in `thresholds.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.matching.search import (
    EXACT_SEARCH,
    SEARCH,
    SearchFilters,
    acceptable_time_zones,
    latest_start,
)

PAGES_COUNT = 50
"""Pages asked for: enough for a 95th percentile, few enough for every five minutes."""

SEARCHES_COUNT = 20
SEARCH_DEPTH = 20

QUERY_TIMEOUT_MS = 2_000
"""A page that takes longer has lost its reader."""

MATCHES_PAGE = sa.text(
    "SELECT m.rank, m.developer_id, d.display_name, d.hourly_rate_minor, d.currency, m.score, m.reasons, m.as_of "
    "FROM platform.matches AS m JOIN marketplace.developers AS d ON d.developer_id = m.developer_id "
    "WHERE m.project_id = :project_id ORDER BY m.rank LIMIT 50"
)
"""What the application shows a client: the project's list with names and rates."""


OPEN_PROJECTS = sa.text("SELECT project_id FROM marketplace.projects WHERE status = 'open'")

SEARCHED_PROJECTS = sa.text(
    "SELECT p.max_hourly_rate_minor, p.currency, p.time_zone, p.min_overlap_hours, p.starts_on, "
    "v.vector::text AS vector, "
    "ARRAY(SELECT c.developer_id FROM marketplace.contracts AS c "
    "WHERE c.project_id = p.project_id AND c.status <> 'cancelled' "
    "UNION SELECT b.developer_id FROM marketplace.blocks AS b WHERE b.client_id = p.client_id) AS excluded "
    "FROM marketplace.projects AS p JOIN platform.project_vectors AS v ON v.project_id = p.project_id "
    "WHERE p.project_id = ANY (:project_ids)"
)
"""What a search for a project's developers is made of; a project without a vector has none."""

DEVELOPER_ZONES = sa.text("SELECT DISTINCT time_zone FROM marketplace.developers WHERE time_zone IS NOT NULL")


@dataclass(frozen=True)
class Answer:
    """What became of one query.

    Attributes:
        latency_ms: How long it took, in milliseconds.
        rows: Its rows; None when it failed.
        failure: What the database said; None when it did not fail.
    """

    latency_ms: float
    rows: list[sa.Row[Any]] | None
    failure: str | None


Ask = Callable[[sa.Executable, dict[str, Any]], Answer]


@dataclass(frozen=True)
class Search:
    """A search by index: its answer, or the one that failed on the way, and then no recall."""

    answer: Answer
    recall: float | None


@dataclass(frozen=True)
class Health:
    """One row of `monitoring.matching_service_health`, without its time; see there for the columns."""

    pages_count: int
    errors_count: int
    empty_count: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    stalest_days: int | None
    searches_count: int
    search_errors_count: int
    search_recall: float | None
    search_p95_ms: float | None
    failure: str | None

    def numbers(self) -> dict[str, Any]:
        """What is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def measure_health(
    database: Database, *, now: dt.datetime, as_of: dt.date, timeout_ms: int = QUERY_TIMEOUT_MS
) -> Health:
    """Ask as the application would, for a sample of open projects that is seeded by the time.

    Args:
        database: The platform's database.
        now: Seeds the sample, so that all projects come round.
        as_of: The day against which staleness counts.
        timeout_ms: When a query counts as failed.

    Raises:
        DBAPIError: There is no connection to be had; then nothing could be recorded either.
    """
    with _Asker(database, timeout_ms) as ask:
        listed = ask(OPEN_PROJECTS, {})
        if listed.rows is None:
            # The first thing that a reader needs is not to be had: that is the one page that failed.
            return _summarize([listed], [], as_of)
        projects = seeded_sample([row.project_id for row in listed.rows], PAGES_COUNT, seed=now.isoformat())
        pages = [ask(MATCHES_PAGE, {"project_id": project_id}) for project_id in projects]
        return _summarize(pages, _compare_searches(ask, projects[:SEARCHES_COUNT], as_of), as_of)


def seeded_sample(items: Sequence[str], count: int, *, seed: str) -> list[str]:
    """At most `count` items in an order that the seed alone decides, whatever order they come in."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item}".encode(errors="replace")).digest())[
        :count
    ]


def recall_of(found: Sequence[str], exact: Sequence[str]) -> float:
    """Share of the exact answer that was found; 1 when there is nothing to find."""
    return len(set(found) & set(exact)) / len(exact) if exact else 1.0


class _Asker:
    """Asks on a connection of its own with a short timeout; a failed query leaves the next one unharmed."""

    def __init__(self, database: Database, timeout_ms: int) -> None:
        self._database = database
        self._timeout_ms = timeout_ms

    def __enter__(self) -> Ask:
        self._connection = self._database.engine.connect()
        return self._ask

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _ask(self, query: sa.Executable, parameters: dict[str, Any]) -> Answer:
        started_at = time.perf_counter()
        try:
            with self._connection.begin():
                self._connection.execute(
                    sa.text("SELECT set_config('statement_timeout', :ms, true)"),
                    {"ms": str(self._timeout_ms)},
                )
                started_at = time.perf_counter()
                rows = list(self._connection.execute(query, parameters))
        except sa.exc.DBAPIError as error:
            # The server's own words only: SQLAlchemy's hold the statement.
            failure = " ".join(str(error.orig).split())[:500]
            return Answer(1000 * (time.perf_counter() - started_at), None, failure)
        return Answer(1000 * (time.perf_counter() - started_at), rows, None)


def _compare_searches(ask: Ask, project_ids: Sequence[str], as_of: dt.date) -> list[Search]:
    """Searches by index under the projects' filters, with their recall against the exact ones."""
    zones, projects = ask(DEVELOPER_ZONES, {}), ask(SEARCHED_PROJECTS, {"project_ids": list(project_ids)})
    failed = zones if zones.rows is None else projects
    if zones.rows is None or projects.rows is None:
        return [Search(failed, None)]
    names = [row.time_zone for row in zones.rows]
    return [_compare(ask, project, names, as_of) for project in projects.rows]


def _compare(ask: Ask, project: sa.Row[Any], zones: Sequence[str], as_of: dt.date) -> Search:
    has_rate = project.max_hourly_rate_minor is not None and project.currency is not None
    filters = SearchFilters(
        available_by=latest_start(project.starts_on, as_of),
        max_hourly_rate_minor=project.max_hourly_rate_minor if has_rate else None,
        currency=project.currency if has_rate else None,
        time_zones=acceptable_time_zones(zones, project.time_zone, project.min_overlap_hours, as_of=as_of),
        excluded_developer_ids=tuple(project.excluded),
    )
    parameters = filters.parameters(project.vector, SEARCH_DEPTH)
    by_index, exact = ask(SEARCH, parameters), ask(EXACT_SEARCH, parameters)
    if by_index.rows is None or exact.rows is None:
        return Search(by_index if by_index.rows is None else exact, None)
    recall = recall_of([row.developer_id for row in by_index.rows], [row.developer_id for row in exact.rows])
    return Search(by_index, recall)


def _summarize(pages: Sequence[Answer], searches: Sequence[Search], as_of: dt.date) -> Health:
    answered = [page for page in pages if page.rows is not None]
    found = [page.rows for page in answered if page.rows]
    recalls = [search.recall for search in searches if search.recall is not None]
    failures = [
        answer.failure for answer in (*pages, *(search.answer for search in searches)) if answer.failure
    ]
    return Health(
        pages_count=len(pages),
        errors_count=len(pages) - len(answered),
        empty_count=len(answered) - len(found),
        latency_p50_ms=_percentile([page.latency_ms for page in answered], 50),
        latency_p95_ms=_percentile([page.latency_ms for page in answered], 95),
        stalest_days=max(((as_of - rows[0].as_of).days for rows in found), default=None),
        searches_count=len(searches),
        search_errors_count=sum(search.recall is None for search in searches),
        search_recall=float(np.mean(recalls)) if recalls else None,
        search_p95_ms=_percentile([s.answer.latency_ms for s in searches if s.recall is not None], 95),
        failure=failures[-1] if failures else None,
    )


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
