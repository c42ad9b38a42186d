"""Benchmarks, overrides and service levels as Dagster runs them."""

import datetime as dt

import dagster as dg
import pytest
import sqlalchemy as sa
from small_world import NOW

from platform_assets.bounds import catalogue, kind_of, read_bounds, set_override
from platform_assets.definitions import build_definitions
from platform_assets.monitoring.checking.states import State, read_check_states
from platform_assets.monitoring.levels.levels import LEVELS
from platform_assets.schedules import CHECKS_JOB
from platform_assets.settings import Settings

LEVEL_ASSETS = ("performance_benchmarks", "service_level_measurements")
NO_CHECKS = {"match_search_ms", "notification_seconds"}
"""Numbers by which events of service levels are good or bad."""

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
SOON = NOW + dt.timedelta(minutes=10)


def set_bound(platform, name, bound):
    with platform.database.transaction() as connection:
        set_override(connection, name, bound, author="ana", reason="a test of it", now=NOW)


def level_check(outcome, level):
    return outcome.checks()["service_level_measurements", level]


def test_every_number_is_some_checks_or_decides_something_and_can_not_be_overridden_in_vain():
    graph = build_definitions(Settings()).resolve_asset_graph()
    of_checks = {graph.get_check_spec(key).metadata.get("benchmark") for key in graph.asset_check_keys}

    thresholds = {name for name in catalogue() if kind_of(name) == "threshold"}
    assert thresholds - NO_CHECKS == of_checks - {None}


def test_every_check_compares_with_the_bound_that_somebody_has_set(settled):
    for name, threshold in catalogue().items():
        if kind_of(name) == "threshold":
            set_bound(settled, name, threshold.bound)

    checks = settled.run_checks().checks()
    graph = settled.definitions().resolve_asset_graph()
    can_be_overridden = {
        (key.asset_key.to_user_string(), key.name)
        for key in graph.asset_check_keys
        if "benchmark" in graph.get_check_spec(key).metadata
    }

    assert len(checks) > 60
    assert {key for key in checks if "override" not in checks[key].metadata} & can_be_overridden == set()


def test_an_override_turns_a_check_and_the_report_says_who_and_why(settled):
    set_bound(settled, "match_coverage_ratio", 1.0)
    settled.execute(
        "DELETE FROM platform.match_candidates WHERE project_id = (SELECT min(project_id) FROM platform.match_candidates)"
    )
    settled.run_checks("match_candidates")
    states = read_check_states(settled.definitions().resolve_asset_graph(), settled.instance)
    [coverage] = [each for each in states if (each.asset, each.check) == ("match_candidates", "coverage")]

    assert (coverage.state, coverage.threshold) == (State.FAILED, 1.0)
    assert coverage.details["override"] == {
        "default_bound": 0.95,
        "author": "ana",
        "reason": "a test of it",
        "since": "2026-11-01T12:00+00:00",
        "until": None,
    }


def test_a_young_platform_has_no_level_that_is_broken(settled):
    outcome = settled.run(job=CHECKS_JOB, now=SOON)
    checks = {name: check for (asset, name), check in outcome.checks().items() if asset in LEVEL_ASSETS}

    assert outcome.is_success, outcome.failed_steps()
    assert set(checks) == {"freshness", "oldest_override", *(level.name for level in LEVELS)}
    assert not [
        name for name, check in checks.items() if not check.passed and "not_evaluated" not in check.metadata
    ]
    assert outcome.metadata("service_level_measurements")["burning_count"] == 0
    assert outcome.metadata("service_level_measurements")["rows_measured"] == len(LEVELS)


def test_the_release_is_written_again_only_when_it_changes(settled):
    again = settled.run("performance_benchmarks", with_checks=False)
    set_bound(settled, "match_coverage_ratio", 0.5)
    overridden = settled.run("performance_benchmarks", with_checks=False)

    assert again.rows_written("performance_benchmarks") == 0
    assert overridden.rows_written("performance_benchmarks") == 0
    assert overridden.metadata("performance_benchmarks")["overrides_count"] == 1
    assert "ana" in overridden.metadata("performance_benchmarks")["overrides"]
    assert read_bounds(settled.database, now=NOW).overrides["match_coverage_ratio"].bound == 0.5


def test_only_the_regular_look_at_all_checks_samples_freshness(settled):
    settled.run("service_level_measurements", with_checks=False)
    assert not settled.values("SELECT 1 FROM monitoring.service_level_samples")

    settled.run(job=CHECKS_JOB, now=SOON)
    settled.run(job=CHECKS_JOB, now=SOON + dt.timedelta(minutes=10))

    levels = set(settled.values("SELECT level FROM monitoring.service_level_samples"))
    assert {"freshness_monitoring", "checks_matching", "checks_payments"} <= levels
    looks = settled.values("SELECT DISTINCT sampled_at FROM monitoring.service_level_samples ORDER BY 1")
    assert looks == [SOON, SOON + dt.timedelta(minutes=10)]


@pytest.mark.parametrize(
    ("minutes_ago", "severity", "alert_severity"), [(3, ERROR, "critical"), (60 * 5, ERROR, "high")]
)
def test_a_level_that_burns_is_a_broken_check_as_severe_as_it_burns_fast(
    settled, minutes_ago, severity, alert_severity
):
    # The fast case: every run fails. The slower one: one in ten, for hours.
    settled.execute(
        """
        INSERT INTO monitoring.run_outcomes (run_id, root_run_id, attempt, job_name, queue, status, failed_steps,
            unfinished_assets, created_at, ended_at, recorded_at)
        SELECT 'r' || i, 'r' || i, 0, 'job', 'payments',
            CASE WHEN :minutes < 10 OR i % 10 = 1 THEN 'failure' ELSE 'success' END, '{}', '{}', at, at, at
        FROM generate_series(1, 100) AS i, LATERAL (SELECT :now - i * :minutes / 100.0 * interval '1 minute' AS at) AS t
        """,
        now=NOW,
        minutes=minutes_ago,
    )
    outcome = settled.run("service_level_measurements", now=NOW)
    check = level_check(outcome, "runs_payments")
    told = {name: value.value for name, value in check.metadata.items()}

    assert (check.passed, check.severity) == (False, severity)
    assert (told["alert_severity"], told["promised_by"]) == (alert_severity, "team:finance-data")
    assert told["value"] > 1
    assert told["budget_left_ratio"] < 0
    assert told["budget_gone_in_hours"] == 0
    assert (
        level_check(outcome, "runs_matching").metadata["not_evaluated"].value
        == "there was no event in 28 days"
    )
    settled.tell_of_checks(now=dt.datetime.now(dt.UTC))
    alerts = settled.database.read(
        sa.text(
            "SELECT severity, owner FROM monitoring.system_alerts "
            "WHERE subject = 'service_level_measurements:runs_payments'"
        )
    )
    assert alerts.to_dict("records") == [{"severity": alert_severity, "owner": "team:finance-data"}]


def test_an_objective_can_be_overridden(settled):
    settled.execute(
        """
        INSERT INTO monitoring.gateway_calls (gateway, operation, started_at, latency_ms, outcome)
        SELECT 'stripe', 'charge.list', :now - i * interval '1 second', 1, CASE WHEN i % 5 = 0 THEN 'transient' ELSE 'ok' END
        FROM generate_series(1, 100) AS i
        """,
        now=SOON,
    )
    strict = settled.run("service_level_measurements", now=SOON)
    set_bound(settled, "service_levels.gateway_calls", 0.7)
    lenient = settled.run("service_level_measurements", now=SOON)

    assert level_check(strict, "gateway_calls").severity is ERROR
    assert not level_check(strict, "gateway_calls").passed
    assert level_check(lenient, "gateway_calls").passed
    assert level_check(lenient, "gateway_calls").metadata["objective_ratio"].value == 0.7


def test_an_exception_that_has_become_the_rule_asks_for_a_look(settled):
    set_bound(settled, "match_coverage_ratio", 0.5)
    young = settled.run_checks("performance_benchmarks").checks()
    old = settled.run_checks("performance_benchmarks", now=NOW + dt.timedelta(days=91)).checks()

    assert young["performance_benchmarks", "oldest_override"].passed
    check = old["performance_benchmarks", "oldest_override"]
    assert (check.passed, check.severity) == (False, WARN)
    assert "match_coverage_ratio: 0.5 by ana" in check.metadata["overrides"].value[0]
