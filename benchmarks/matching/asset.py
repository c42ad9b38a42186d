"""How long the whole asset takes, reading and publishing included: everything, a few changes, and no change at all.

`python -m benchmarks.matching.asset --developers N --projects M --json`, in a scratch database of the embedded server.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.matching.candidates import refresh_candidates
from platform_assets.matching.published import refresh_matches
from platform_assets.migrations.migrate import upgrade
from platform_assets.monitoring.alerting import alerts
from platform_assets.settings import load_settings
from platform_assets.tables import marketplace
from platform_assets.tables.matching_service import SEARCH_INDEX

AS_OF = dt.date(2026, 11, 1)
CHANGED_RATIO = 0.01

_SCRATCH = "matching_benchmark"

# About 1.2 vectors, 2 repositories and 10 skills a developer, as in contributions to real projects.
# Building the search index takes minutes, and the assets don't read it.
_FILL = (
    f"DROP INDEX platform.{SEARCH_INDEX}",
    "SELECT setseed(0.5)",
    "INSERT INTO marketplace.developers SELECT 'd' || lpad(n::text, 7, '0'), 'Developer ' || n, NULL, NULL, '{}', "
    "2000 + n % 6000, 'EUR', 'Europe/Berlin', n % 20 > 0, date '2026-10-01', 10 * (n % 5), 3 + n % 20 / 10.0, n % 12, "
    "now(), now() FROM generate_series(1, :developers) AS n",
    "INSERT INTO platform.developer_repositories SELECT 'd' || lpad(n::text, 7, '0'), 'o/r' || n * 7919 % 50000, NULL, false, "
    "ARRAY['topic' || n % 300], jsonb_build_object('Python', 1), 5, 2, date '2025-01-01', date '2026-10-01' - n % 500, "
    "ARRAY['fix word' || n % 1000, 'add thing' || n % 700] FROM generate_series(1, :developers) AS n, generate_series(1, 2) AS k "
    "ON CONFLICT DO NOTHING",
    "INSERT INTO platform.developer_vectors SELECT 'd' || lpad(n::text, 7, '0'), 'profile', 'model', md5(n::text), "
    "l2_normalize(ARRAY(SELECT random() - 0.5 + 0 * n FROM generate_series(1, 384))::vector) "
    "FROM generate_series(1, :developers) AS n",
    "INSERT INTO platform.skill_profiles SELECT 'd' || lpad(n::text, 7, '0'), 's' || floor(600 * random() ^ 3), random(), "
    "ARRAY['github'], 1, 0.1, NULL, date '2026-11-01' FROM generate_series(1, :developers) AS n, generate_series(1, 10) AS k "
    "ON CONFLICT DO NOTHING",
    "INSERT INTO marketplace.projects SELECT 'p' || lpad(n::text, 5, '0'), 'c' || n % 500, 'thing' || n % 700 || ' word' || n % 999, "
    "'', '{}', 4000 + n % 5000, NULL, 'EUR', NULL, 'Europe/Berlin', NULL, 20, NULL, 'open', now(), now() "
    "FROM generate_series(1, :projects) AS n",
    "INSERT INTO platform.project_requirements SELECT 'p' || lpad(n::text, 5, '0'), 's' || floor(600 * random() ^ 3), random(), "
    "'alias', 'words' FROM generate_series(1, :projects) AS n, generate_series(1, 5) AS k ON CONFLICT DO NOTHING",
    "INSERT INTO platform.project_vectors SELECT 'p' || lpad(n::text, 5, '0'), 'model', md5(n::text), "
    "l2_normalize(ARRAY(SELECT random() - 0.5 + 0 * n FROM generate_series(1, 384))::vector) "
    "FROM generate_series(1, :projects) AS n",
    "ANALYZE",
)
_CHANGE = (
    "UPDATE platform.skill_profiles SET confidence = random() WHERE developer_id IN (SELECT developer_id FROM "
    "marketplace.developers ORDER BY md5(developer_id) LIMIT :changed)"
)


def measure_asset(database: Database, *, developers_count: int, projects_count: int) -> dict[str, Any]:
    """Fill an empty, migrated database and time the assets over it.

    Args:
        database: The database.
        developers_count: Number of developers.
        projects_count: Number of open projects.

    Returns:
        `asset_s` (everything, statistics included), `asset_changed_s` (1 % of the developers changed),
        `asset_unchanged_s`, `matches_s`, `rows_written_unchanged`, `rescan_ratio`.
    """
    sizes = {"developers": developers_count, "projects": projects_count}
    with database.transaction() as connection:
        # Filling is no part of what is measured, and may take long.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.schema.CreateSchema("marketplace"))
        marketplace.metadata.create_all(connection)
        for statement in _FILL:
            connection.execute(sa.text(statement), sizes)
    whole_s, whole = _timed(database)
    matches_s = _matches_s(database)
    with database.transaction() as connection:
        connection.execute(sa.text(_CHANGE), {"changed": round(developers_count * CHANGED_RATIO)})
    changed_s, changed = _timed(database)
    unchanged_s, unchanged = _timed(database)
    return {
        "asset_s": whole_s,
        "matches_s": matches_s,
        "asset_changed_s": changed_s,
        "asset_unchanged_s": unchanged_s,
        "rows_written": whole.counts.written,
        "rows_written_changed": changed.counts.written,
        "rows_written_unchanged": unchanged.counts.written,
        "states": [whole.state, changed.state, unchanged.state],
        "rescan_ratio": changed.details["rescan_ratio"],
    }


def _timed(database: Database) -> tuple[float, Any]:
    started = time.perf_counter()
    outcome = refresh_candidates(database, as_of=AS_OF, now=_now, alerts=alerts)
    return time.perf_counter() - started, outcome


def _matches_s(database: Database) -> float:
    started = time.perf_counter()
    refresh_matches(database, as_of=AS_OF, now=_now, alerts=alerts)
    return time.perf_counter() - started


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextmanager
def scratch_database() -> Iterator[Database]:
    """An empty, migrated database on the embedded server, dropped afterwards."""
    server = ensure_postgres(load_settings().home)
    maintenance = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    drop = sa.text(f"DROP DATABASE IF EXISTS {_SCRATCH} WITH (FORCE)")
    with maintenance.connect() as connection:
        connection.execute(drop)
        connection.execute(sa.text(f"CREATE DATABASE {_SCRATCH}"))
    try:
        upgrade(server.url(_SCRATCH))
        database = Database(server.url(_SCRATCH))
        yield database
        database.close()
    finally:
        with maintenance.connect() as connection:
            connection.execute(drop)
        maintenance.dispose()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=10_000)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="always so")
    arguments = parser.parse_args()
    sizes = {"developers_count": arguments.developers, "projects_count": arguments.projects}
    with scratch_database() as database:
        print(json.dumps(sizes | measure_asset(database, **sizes)))


if __name__ == "__main__":
    _main()
