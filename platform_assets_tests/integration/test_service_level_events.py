"""Good and bad events of service levels, counted from the tables that tell of them."""

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from platform_assets.bounds import Bounds, read_bounds, set_override
from platform_assets.clients.database import Database
from platform_assets.monitoring.levels.burn_rates import Counts, Observed
from platform_assets.monitoring.levels.events import count_events, measure, write_measurements
from platform_assets.monitoring.levels.levels import LEVELS
from platform_assets.monitoring.levels.wording import levels_table
from platform_assets.tables.matching_service import matching_service_health
from platform_assets.tables.monitoring import ai_calls
from platform_assets.tables.payment_operations import gateway_calls
from platform_assets.tables.recovery import run_outcomes
from platform_assets.tables.service_health import service_health_metrics
from platform_assets.tables.service_levels import service_level_measurements, service_level_samples

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


def add(database: Database, table: sa.Table, *rows: dict[str, Any]) -> None:
    with database.transaction() as connection:
        connection.execute(sa.insert(table), list(rows))


def ended_run(ago: dt.timedelta, status: str = "success", queue: str | None = "payments") -> dict[str, Any]:
    at = NOON - ago
    return {
        "run_id": f"{queue}-{status}-{ago}",
        "root_run_id": "root",
        "attempt": 0,
        "job_name": "job",
        "queue": queue,
        "status": status,
        "failed_steps": [],
        "unfinished_assets": [],
        "created_at": at,
        "ended_at": at,
        "recorded_at": at,
    }


def seen(database: Database, level: str) -> Observed:
    return count_events(database, LEVELS, bounds=read_bounds(database, now=NOON), now=NOON)[level]


def test_a_new_platform_has_no_events_and_nothing_is_known_of_any_level(database: Database) -> None:
    rows = measure(database, LEVELS, bounds=Bounds({}), now=NOON)

    assert [row["level"] for row in rows] == [level.name for level in LEVELS]
    assert {row["total_count"] for row in rows} == {0}
    assert {row["budget_left_ratio"] for row in rows} == {row["pace_ratio"] for row in rows} == {None}


def test_runs_count_in_the_windows_in_which_they_ended(database: Database) -> None:
    add(
        database,
        run_outcomes,
        ended_run(2 * MINUTE, "failure"),
        ended_run(20 * MINUTE),
        ended_run(5 * HOUR),
        ended_run(2 * DAY, "failure"),
        ended_run(20 * DAY),
        ended_run(29 * DAY, "failure"),
        ended_run(3 * MINUTE, "canceled"),
        ended_run(4 * MINUTE, "failure", queue="matching"),
        ended_run(4 * MINUTE, "failure", queue=None),
        ended_run(-3 * MINUTE, "failure"),
    )
    observed = seen(database, "runs_payments")

    assert observed.windows == {
        "5min": Counts(0, 1, 1),
        "30min": Counts(1, 2, 2),
        "1h": Counts(1, 2, 2),
        "2h": Counts(1, 2, 2),
        "6h": Counts(2, 3, 3),
        "1d": Counts(2, 3, 3),
        "3d": Counts(2, 4, 4),
    }
    assert observed.budget == Counts(3, 5, 5)
    assert observed.latest == Counts(0, 1, 1)


def test_one_look_at_many_assets_is_one_moment(database: Database) -> None:
    samples = [
        {
            "sampled_at": NOON - ago,
            "level": "freshness_matching",
            "subject": asset,
            "good_count": 1,
            "total_count": 1,
        }
        for ago in (MINUTE, 11 * MINUTE)
        for asset in ("matches", "match_candidates", "matching_analytics")
    ]
    samples[0]["good_count"] = 0
    add(database, service_level_samples, *samples)

    assert seen(database, "freshness_matching").budget == Counts(5, 6, 2)
    assert seen(database, "freshness_matching").latest == Counts(2, 3, 1)
    assert seen(database, "freshness_payments").budget == Counts(0, 0, 0)


def test_a_service_that_is_off_or_was_not_looked_at_breaks_no_promise(database: Database) -> None:
    looks = ("ok", "poor", "failed", "off", "unknown")
    add(
        database,
        service_health_metrics,
        *(
            {
                "measured_at": NOON - (i + 1) * MINUTE,
                "service": "github",
                "look": look,
                "state": "healthy",
                "state_since": NOON,
                "message": "",
                "details": {},
            }
            for i, look in enumerate(looks)
        ),
    )

    assert seen(database, "service_github").budget == Counts(2, 3, 3)


def test_calls_that_were_answered_kept_the_promise(database: Database) -> None:
    add(
        database,
        gateway_calls,
        *(
            {
                "gateway": "stripe",
                "operation": "charge.list",
                "started_at": NOON - MINUTE,
                "latency_ms": 1,
                "outcome": outcome,
            }
            for outcome in ("ok", "permanent", "transient", "rate_limited")
        ),
    )
    add(
        database,
        ai_calls,
        *(
            {
                "service": service,
                "model": "m",
                "purpose": "p",
                "started_at": NOON - MINUTE,
                "latency_ms": 1,
                "reserved_tokens": 0,
                "outcome": outcome,
            }
            for service, outcome in (("gemini", "ok"), ("gemini", "invalid"), ("embedder", "failed"))
        ),
    )

    assert seen(database, "gateway_calls").budget == Counts(2, 4, 1)
    assert seen(database, "gemini_calls").budget == Counts(1, 2, 1)


def test_a_search_is_good_by_the_bound_that_holds(database: Database) -> None:
    health = {"pages_count": 10, "errors_count": 1, "empty_count": 0, "search_errors_count": 0}
    add(
        database,
        matching_service_health,
        *(
            {**health, "measured_at": NOON - MINUTE, "searches_count": searches, "search_p95_ms": p95_ms}
            for searches, p95_ms in ((5, 100.0), (5, 400.0), (5, None), (0, None))
        ),
    )

    assert seen(database, "match_pages").budget == Counts(51, 55, 1)
    assert seen(database, "match_search_latency").budget == Counts(1, 3, 1)
    with database.transaction() as connection:
        set_override(
            connection, "match_search_ms", 500, author="ana", reason="a new index is built", now=NOON
        )
    assert seen(database, "match_search_latency").budget == Counts(2, 3, 1)


@pytest.mark.parametrize(
    ("state", "ago_s", "sent_after_s", "expected"),
    [
        ("sent", 300, 20, Counts(1, 1, 1)),
        ("sent", 300, 61, Counts(0, 1, 1)),
        ("failed", 300, None, Counts(0, 1, 1)),
        ("pending", 300, None, Counts(0, 1, 1)),
        ("pending", 30, None, Counts(0, 0, 0)),
        ("sent", 30, 5, Counts(1, 1, 1)),
    ],
)
def test_a_notification_that_is_late_is_bad_and_one_that_has_time_is_no_event(
    database: Database, state: str, ago_s: int, sent_after_s: int | None, expected: Counts
) -> None:
    from platform_assets.monitoring.alerting.alerts import raise_alert

    due_at = NOON - dt.timedelta(seconds=ago_s)
    with database.transaction() as connection:
        raise_alert(
            connection,
            fingerprint="f",
            severity="high",
            source="run",
            subject="job",
            owner="team:platform",
            title="t",
            details={},
            now=due_at,
        )
        connection.execute(
            sa.text("UPDATE monitoring.notification_outbox SET state = :state, sent_at = :sent_at"),
            {
                "state": state,
                "sent_at": None if sent_after_s is None else due_at + dt.timedelta(seconds=sent_after_s),
            },
        )

    assert seen(database, "notifications").budget == expected


def test_measurements_are_kept_once_a_moment_and_read_as_a_table(database: Database) -> None:
    add(database, run_outcomes, *(ended_run(i * MINUTE, "failure") for i in range(1, 21)))
    for _ in range(2):
        write_measurements(database, measure(database, LEVELS, bounds=Bounds({}), now=NOON))
    rows = database.read(sa.select(service_level_measurements)).to_dict("records")
    payments = next(row for row in rows if row["level"] == "runs_payments")

    assert len(rows) == len(LEVELS)
    assert (payments["burning_at"], payments["total_count"]) == (14.4, 20)
    assert payments["budget_left_ratio"] == pytest.approx(-99)
    table = levels_table(LEVELS, measure(database, LEVELS, bounds=Bounds({}), now=NOON)).splitlines()
    assert table[2].startswith("| **runs_payments** burns | 99 %")
    assert len({line.count("|") for line in table}) == 1
