import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from platform_assets import monitoring_thresholds, payment_thresholds, thresholds
from platform_assets.bounds import (
    UnusableOverrideError,
    catalogue,
    end_override,
    name_of,
    read_bounds,
    set_override,
)
from platform_assets.clients.database import Database
from platform_assets.monitoring.levels.benchmarks import benchmark_rows, overrides_table
from platform_assets.tables.service_levels import benchmark_overrides, performance_benchmarks

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
COVERAGE = "match_coverage_ratio"


def override(
    database: Database,
    bound: float = 0.5,
    *,
    name: str = COVERAGE,
    now: dt.datetime = NOON,
    until: dt.datetime | None = None,
    author: str = "ana",
    reason: str = "old projects come in",
) -> None:
    with database.transaction() as connection:
        set_override(connection, name, bound, author=author, reason=reason, now=now, until_at=until)


def coverage_bound(database: Database, now: dt.datetime = NOON) -> float:
    return read_bounds(database, now=now).of(thresholds.MATCH_COVERAGE_RATIO).bound


def test_every_number_has_a_name_and_no_two_share_one() -> None:
    known = catalogue()

    assert known[COVERAGE] is thresholds.MATCH_COVERAGE_RATIO
    assert known["freshness_hours.matches"] is thresholds.FRESHNESS_HOURS["matches"]
    assert known["service_levels.runs_payments"] is monitoring_thresholds.SERVICE_LEVELS["runs_payments"]
    assert known["dispute_ratio"] is payment_thresholds.DISPUTE_RATIO
    assert all(name_of(threshold) == name for name, threshold in known.items())


def test_an_override_holds_with_who_and_why_and_only_for_its_number(database: Database) -> None:
    override(database, 0.5)
    bounds = read_bounds(database, now=NOON)
    holding = bounds.of(thresholds.MATCH_COVERAGE_RATIO)

    assert holding.holds(0.6)
    assert not thresholds.MATCH_COVERAGE_RATIO.holds(0.6)
    assert holding.override is not None
    assert (holding.override.default_bound, holding.override.author) == (0.95, "ana")
    assert holding.override.reason == "old projects come in"
    others = [threshold for name, threshold in catalogue().items() if name != COVERAGE]
    assert all(bounds.of(threshold) is threshold for threshold in others)


def test_an_override_ends_by_itself(database: Database) -> None:
    override(database, 0.5, until=NOON + HOUR)

    assert coverage_bound(database) == 0.5
    assert coverage_bound(database, NOON + HOUR) == 0.95
    override(database, 0.6, now=NOON + 2 * HOUR)
    assert coverage_bound(database, NOON + 2 * HOUR) == 0.6


def test_a_clock_that_is_turned_back_finds_no_override_of_the_future(database: Database) -> None:
    override(database, 0.5)

    assert coverage_bound(database, NOON - HOUR) == 0.95


def test_the_last_one_holds_and_those_before_stay_on_record(database: Database) -> None:
    override(database, 0.5)
    override(database, 0.6, author="ben", now=NOON + HOUR)
    with database.transaction() as connection:
        assert end_override(connection, COVERAGE, author="cleo", now=NOON + 2 * HOUR)
        assert not end_override(connection, COVERAGE, author="cleo", now=NOON + 2 * HOUR)

    assert coverage_bound(database, NOON + 3 * HOUR) == 0.95
    rows = database.read(sa.select(benchmark_overrides).order_by(benchmark_overrides.c.override_id))
    assert rows[["bound", "author", "ended_by"]].to_numpy().tolist() == [
        [0.5, "ana", "ben"],
        [0.6, "ben", "cleo"],
    ]


def test_one_of_many_who_race_holds(database: Database) -> None:
    start = threading.Barrier(6)

    def race(number: int) -> None:
        start.wait()
        override(database, number / 10)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(race, range(6)))

    rows = database.read(sa.select(benchmark_overrides))
    assert len(rows) == 6
    assert int(rows["ended_at"].isna().sum()) == 1


@pytest.mark.parametrize(
    ("name", "bound", "message"),
    [
        ("match_coverage", 0.5, "Did you mean match_coverage_ratio"),
        (COVERAGE, 95, "Write 95 % as 0.95"),
        (COVERAGE, -0.1, "from 0 to 1"),
        (COVERAGE, float("nan"), "no bound"),
        ("match_page_ms", float("inf"), "no bound"),
        ("match_page_ms", -1, "never below 0"),
        ("service_levels.runs_payments", 1.0, "error budget"),
        ("service_levels.runs_payments", 0.0, "error budget"),
        ("published_churn_ratio", 0.9, "in the release alone"),
    ],
)
def test_nonsense_is_refused_with_what_would_make_sense(
    database: Database, name: str, bound: float, message: str
) -> None:
    with pytest.raises(UnusableOverrideError, match=message):
        override(database, bound, name=name)

    assert database.read(sa.select(benchmark_overrides)).empty


@pytest.mark.parametrize("more", [{"author": " "}, {"reason": ""}, {"until": NOON}, {"until": NOON - HOUR}])
def test_an_override_needs_an_author_a_reason_and_an_end_to_come(database: Database, more) -> None:
    with pytest.raises(UnusableOverrideError):
        override(database, **more)


def test_an_override_of_a_number_that_is_gone_changes_nothing_and_is_told(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.insert(benchmark_overrides).values(
                benchmark="gone", bound=1, author="ana", reason="a | b\nc", since_at=NOON
            )
        )
    bounds = read_bounds(database, now=NOON)

    assert all(bounds.of(threshold) is threshold for threshold in catalogue().values())
    assert "| gone | no such benchmark | 1 | ana | taken back | a \\| b c |" in overrides_table(bounds)


def test_the_release_is_written_once_and_never_over_an_override(database: Database) -> None:
    override(database, 0.5)
    first = database.upsert(performance_benchmarks, benchmark_rows(), delete_missing=True)
    again = database.upsert(performance_benchmarks, benchmark_rows(), delete_missing=True)
    with database.transaction() as connection:
        connection.execute(
            sa.update(performance_benchmarks)
            .where(performance_benchmarks.c.benchmark == COVERAGE)
            .values(default_bound=0.1)
        )
    mended = database.upsert(performance_benchmarks, benchmark_rows(), delete_missing=True)

    assert (first.inserted, again.written, mended.updated) == (len(catalogue()), 0, 1)
    assert coverage_bound(database) == 0.5
