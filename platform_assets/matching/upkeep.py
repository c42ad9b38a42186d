"""Upkeep of the matching's tables and indexes in Postgres: what measurements say should be done, and doing it.

Weights of the score are `tuning`. Which tables are whose, is known here; how often this runs is the timetable's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.matching.search import EXACT_SEARCH, SEARCH, SearchFilters
from platform_assets.matching.service_health import recall_of, seeded_sample
from platform_assets.tables import platform as tables
from platform_assets.tables.matching_service import SEARCH_INDEX

OTHER_TABLES = ("developer_vectors", "project_vectors", "project_requirements", "skill_profiles")
"""Tables that matching reads; its own begin with `match`."""

TARGET_RECALL = 0.98
"""Share of the exact answer that the search is to find: one developer in fifty may be missed for speed."""

EF_SEARCH_TRIED = (20, 40, 80, 160, 320)
"""Sizes of the index's list of candidates; each doubling takes about twice the time."""

QUERIES_COUNT = 40
SEARCH_DEPTH = 20

DEAD_ROWS_RATIO, DEAD_ROWS_COUNT = 0.2, 1_000
"""Dead rows from which a vacuum is worth its reading: Postgres' own default share, and more than a page or two."""

CHANGED_ROWS_RATIO = 0.1
"""Changed rows from which the planner's picture is out of date: Postgres' own default share."""

INDEX_BLOAT_FACTOR = 3.0
"""How much larger than needed an index may be before it is built anew."""

INDEX_MIN_BYTES = 32 * 2**20
"""Indexes below this fit into memory several times over."""


@dataclass(frozen=True)
class Decision:
    """One decision, as `monitoring.matching_tuning` keeps it.

    Attributes:
        topic: `weights`, `search_index` or `upkeep`.
        subject: What it is about.
        decision: What was done.
        reason: Why, in one sentence.
        numbers: What was tried and measured.
    """

    topic: str
    subject: str
    decision: str
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableState:
    """What Postgres knows of a table.

    Attributes:
        name: Its name in schema `platform`.
        live_rows_count: Rows, about.
        dead_rows_count: Row versions that nobody sees any more, about.
        changed_rows_count: Rows changed since the planner's statistics were taken, about.
        is_analyzed: Whether they were ever taken.
    """

    name: str
    live_rows_count: int
    dead_rows_count: int
    changed_rows_count: int
    is_analyzed: bool


@dataclass(frozen=True)
class EfTrial:
    """How the search does with one size of its list of candidates.

    Attributes:
        ef_search: The size.
        recall: Mean share of the exact answer that was found.
        p50_ms: Median time of a search.
        p95_ms: 95th percentile of it.
    """

    ef_search: int
    recall: float
    p50_ms: float
    p95_ms: float


def plan_table(state: TableState) -> Decision:
    """What a table needs: `vacuum` (with statistics), `analyze`, or nothing (`kept`)."""
    rows_count = state.live_rows_count + state.dead_rows_count
    dead_ratio = state.dead_rows_count / rows_count if rows_count else 0.0
    changed_ratio = state.changed_rows_count / max(1, state.live_rows_count)
    numbers = {
        "live_rows_count": state.live_rows_count,
        "dead_rows_ratio": round(dead_ratio, 3),
        "changed_rows_ratio": round(changed_ratio, 3),
    }
    if state.dead_rows_count >= DEAD_ROWS_COUNT and dead_ratio > DEAD_ROWS_RATIO:
        reason = f"{dead_ratio:.0%} of its rows are dead; up to {DEAD_ROWS_RATIO:.0%} are no matter"
        return Decision("upkeep", state.name, "vacuum", reason, numbers)
    if state.live_rows_count and not state.is_analyzed:
        return Decision("upkeep", state.name, "analyze", "the planner has never looked at it", numbers)
    if state.changed_rows_count and changed_ratio > CHANGED_ROWS_RATIO:
        reason = f"{changed_ratio:.0%} of its rows changed since the planner looked at it"
        return Decision("upkeep", state.name, "analyze", reason, numbers)
    return Decision("upkeep", state.name, "kept", "few rows are dead or changed", numbers)


def plan_index(*, size_bytes: int, vectors_count: int, dimensions: int) -> Decision:
    """Whether the search index is built anew (`reindex`): it keeps the place of deleted vectors until then.

    A vector takes its four bytes a dimension, and with its neighbours it shares a page of 8 KiB with as many others as
    fit whole.
    """
    per_page = max(1, 8_192 // (4 * dimensions + 500))
    needed_bytes = -(-vectors_count // per_page) * 8_192
    factor = size_bytes / needed_bytes if needed_bytes else 0.0
    numbers = {"size_bytes": size_bytes, "vectors_count": vectors_count, "bloat_factor": round(factor, 2)}
    if size_bytes >= INDEX_MIN_BYTES and (factor > INDEX_BLOAT_FACTOR or not needed_bytes):
        reason = f"it takes {factor:.1f} times the room that its vectors need"
        return Decision("upkeep", SEARCH_INDEX, "reindex", reason, numbers)
    return Decision("upkeep", SEARCH_INDEX, "kept", f"it takes {factor:.1f} times the room it needs", numbers)


def choose_ef_search(trials: Sequence[EfTrial], *, in_use: int, target: float = TARGET_RECALL) -> Decision:
    """The least effort that reaches the target recall; the most that was tried where none does."""
    numbers = {
        "in_use": in_use,
        "target_recall": target,
        "tried": {
            str(trial.ef_search): {
                "recall": round(trial.recall, 4),
                "p50_ms": round(trial.p50_ms, 2),
                "p95_ms": round(trial.p95_ms, 2),
            }
            for trial in trials
        },
    }
    if not trials:
        reason = "there are no developers or no projects to search with"
        return Decision("search_index", SEARCH_INDEX, "kept", reason, numbers)
    enough = [trial for trial in trials if trial.recall >= target]
    chosen = min(enough, key=lambda trial: trial.ef_search) if enough else max(trials, key=lambda t: t.recall)
    numbers["chosen"] = chosen.ef_search
    decision = "kept" if chosen.ef_search == in_use else f"ef_search {chosen.ef_search}"
    how = "the least that reaches" if enough else "none tried reaches"
    reason = f"recall {chosen.recall:.3f} with {chosen.ef_search}: {how} {target:g}"
    return Decision("search_index", SEARCH_INDEX, decision, reason, numbers)


def tune_search(database: Database, filters: SearchFilters, *, seed: str) -> Decision:
    """Measure the search with several sizes of its list of candidates, and set the one that is chosen.

    The function's own setting is changed in a transaction that is rolled back, so that just what the application calls
    is measured while the application notices nothing.

    Args:
        database: The platform's database.
        filters: Filters of the searches.
        seed: Seeds the sample of projects with whose vectors is searched.
    """
    ids = database.read(sa.select(tables.project_vectors.c.project_id))["project_id"].tolist()
    sample = seeded_sample(ids, QUERIES_COUNT, seed=seed)
    with database.engine.connect() as connection:
        in_use = _ef_search_in_use(connection)
        vectors = connection.scalars(
            sa.text("SELECT vector::text FROM platform.project_vectors WHERE project_id = ANY (:ids)"),
            {"ids": sample},
        )
        questions = [filters.parameters(vector, SEARCH_DEPTH) for vector in vectors]
        exact = [_ids(connection, EXACT_SEARCH, question) for question in questions]
        trials = []
        for ef_search in EF_SEARCH_TRIED if any(exact) else ():
            _set_ef_search(connection, ef_search)
            trials.append(_try(connection, ef_search, questions, exact))
        connection.rollback()
        decision = choose_ef_search(trials, in_use=in_use)
        if decision.decision != "kept":
            with connection.begin():
                _set_ef_search(connection, decision.numbers["chosen"])
    return decision


def keep_up(database: Database) -> list[Decision]:
    """Look at the matching's tables and the search index, and do what they need."""
    with database.engine.connect() as connection:
        tables_known = connection.execute(_TABLE_STATES, {"names": list(OTHER_TABLES)}).all()
        index = connection.execute(_INDEX_STATE, {"name": f"platform.{SEARCH_INDEX}"}).one()
    decisions = [
        *(plan_table(TableState(*row)) for row in tables_known),
        plan_index(
            size_bytes=index.size_bytes,
            vectors_count=index.vectors_count,
            dimensions=tables.EMBEDDING_DIMENSIONS,
        ),
    ]
    # None of these may run inside a transaction.
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for decision in decisions:
            statement = _STATEMENTS.get(decision.decision)
            if statement is not None:
                connection.exec_driver_sql(statement.format(f'platform."{decision.subject}"'))
    return decisions


_TABLE_STATES = sa.text(
    "SELECT relname, n_live_tup, n_dead_tup, n_mod_since_analyze, "
    "coalesce(last_analyze, last_autoanalyze) IS NOT NULL FROM pg_stat_user_tables "
    "WHERE schemaname = 'platform' AND (relname LIKE 'match%' OR relname = ANY (:names)) ORDER BY relname"
)

_INDEX_STATE = sa.text(
    "SELECT pg_relation_size(to_regclass(:name)) AS size_bytes, "
    "(SELECT count(*) FROM platform.developer_vectors) AS vectors_count"
)

_STATEMENTS = {
    "vacuum": "VACUUM (ANALYZE) {}",
    "analyze": "ANALYZE {}",
    "reindex": "REINDEX INDEX CONCURRENTLY {}",
}


def _try(
    connection: sa.Connection,
    ef_search: int,
    questions: Sequence[dict[str, Any]],
    exact: Sequence[Sequence[str]],
) -> EfTrial:
    recalls, latencies_ms = [], []
    for question, answer in zip(questions, exact):
        started_at = time.perf_counter()
        found = _ids(connection, SEARCH, question)
        latencies_ms.append(1000 * (time.perf_counter() - started_at))
        recalls.append(recall_of(found, answer))
    p50_ms, p95_ms = np.percentile(latencies_ms, [50, 95])
    return EfTrial(ef_search, float(np.mean(recalls)), float(p50_ms), float(p95_ms))


def _ids(connection: sa.Connection, query: sa.Executable, parameters: dict[str, Any]) -> list[str]:
    return [row.developer_id for row in connection.execute(query, parameters)]


def _ef_search_in_use(connection: sa.Connection) -> int:
    setting = connection.scalar(
        sa.text(
            "SELECT substring(setting FROM '=(.*)') FROM pg_proc, unnest(proconfig) AS setting "
            "WHERE oid = to_regproc('platform.search_developers') AND setting LIKE 'hnsw.ef_search=%'"
        )
    )
    return int(setting)


def _set_ef_search(connection: sa.Connection, ef_search: int) -> None:
    # Not all sessions have loaded the extension, and only then may everybody set its parameters.
    connection.exec_driver_sql("SELECT '[1]'::vector")
    connection.exec_driver_sql(
        f"ALTER FUNCTION platform.search_developers SET hnsw.ef_search = {int(ef_search)}"
    )
