"""How long skills take: `python -m benchmarks.skill_evidence --developers 50000 --json`.

Fills a scratch database of the embedded server with developers of ten repositories each, then runs what the assets
`skill_evidence` and `skill_profiles` do: for everybody, with nothing changed, and with 1 % of the developers changed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres
from platform_assets.migrations.migrate import upgrade
from platform_assets.profiles.skill_assets import skill_evidence, skill_profiles
from platform_assets.resources import Clock
from platform_assets.settings import load_settings
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables

AS_OF = dt.date(2026, 11, 1)
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
REPOSITORIES = 10
LANGUAGES = ("Python", "TypeScript", "Go", "Rust", "Java", "Shell", "HTML", "CSS", "Dockerfile", "C++")
TOPICS = ("django", "react", "kubernetes", "machine-learning", "docker", "postgresql", "graphql", "api")

_SCRATCH = "platform_skill_evidence_benchmark"


@contextmanager
def scratch_database() -> Iterator[Database]:
    """An empty, migrated database of the embedded server, gone afterwards."""
    server = ensure_postgres(load_settings().home)
    maintenance = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {_SCRATCH} WITH (FORCE)"))
        connection.execute(sa.text(f"CREATE DATABASE {_SCRATCH}"))
    upgrade(server.url(_SCRATCH))
    database = Database(server.url(_SCRATCH))
    try:
        with database.transaction() as connection:
            connection.execute(sa.schema.CreateSchema("marketplace"))
            marketplace.metadata.create_all(connection)
        yield database
    finally:
        database.close()
        with maintenance.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {_SCRATCH} WITH (FORCE)"))
        maintenance.dispose()


def fill(database: Database, developers_count: int) -> None:
    """Write the developers and their repositories."""
    rng = np.random.default_rng(0)
    ids = [f"dev_{i:06}" for i in range(developers_count)]
    developers = pd.DataFrame(
        {
            "developer_id": ids,
            "github_login": [f"login-{i}" for i in range(developers_count)],
            "bio": None,
            "declared_skills": [list(rng.choice(TOPICS, 2, replace=False)) for _ in ids],
            "is_active": True,
            "rating_count": 0,
            "joined_at": NOW,
            "updated_at": NOW,
        }
    )
    database.upsert(marketplace.developers, developers)
    count = developers_count * REPOSITORIES
    last = rng.integers(0, 1_500, count)
    commits = rng.integers(1, 200, count)
    repositories = pd.DataFrame(
        {
            "developer_id": np.repeat(ids, REPOSITORIES),
            "repository": [f"owner-{i % 9_973}/repository-{i}" for i in range(count)],
            "is_fork": rng.random(count) < 0.1,
            "topics": [list(rng.choice(TOPICS, 2, replace=False)) for _ in range(count)],
            "languages": [
                {str(name): int(size) for name, size in zip(rng.choice(LANGUAGES, 3, replace=False), sizes)}
                for sizes in rng.integers(100, 100_000, (count, 3))
            ],
            "commits_count": commits,
            "commits_last_year_count": np.where(last < 365, commits // 2, 0),
            "first_contributed_on": [AS_OF - dt.timedelta(days=int(days) + 90) for days in last],
            "last_contributed_on": [AS_OF - dt.timedelta(days=int(days)) for days in last],
            "subjects": [[]] * count,
        }
    )
    database.upsert(tables.developer_repositories, repositories)


def refresh(database: Database) -> dict[str, Any]:
    """Run both assets once: seconds, rows written and developers computed of each."""
    told: dict[str, Any] = {}
    for asset, resources in (
        (skill_evidence, {"database": database, "clock": Clock(AS_OF)}),
        (skill_profiles, {"database": database}),
    ):
        started_at = time.perf_counter()
        result = asset(**resources)
        assert isinstance(result, dg.MaterializeResult)
        numbers: dict[str, Any] = dict(result.metadata or {})
        told[asset.key.to_user_string()] = {
            "seconds": round(time.perf_counter() - started_at, 2),
            "rows": numbers["dagster/row_count"],
            "rows_written": sum(numbers[f"rows_{name}"] for name in ("inserted", "updated", "deleted")),
            "developers_computed": numbers["developers_computed"],
        }
    return told


def main() -> None:
    """Fill, run three times, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=50_000)
    parser.add_argument("--json", action="store_true", default=True, help="Print JSON (always so).")
    arguments = parser.parse_args()
    with scratch_database() as database:
        fill(database, arguments.developers)
        results = {
            "developers": arguments.developers,
            "everybody": refresh(database),
            "nothing": refresh(database),
        }
        with database.transaction() as connection:
            connection.execute(
                sa.text(
                    "UPDATE platform.developer_repositories SET commits_count = commits_count + 1 "
                    "WHERE developer_id LIKE 'dev_%00'"
                )
            )
        results["one_percent"] = refresh(database)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
