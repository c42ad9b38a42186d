"""The services' assets and checks over the small world: real clients, a real database, faults that are injected."""

import datetime as dt

import dagster as dg
import sqlalchemy as sa
from sandbox_server import change_behaviour
from small_world import NOW, Platform

from platform_assets.tables.monitoring import ai_calls
from platform_assets.tables.service_health import ai_service_metrics, service_health_metrics

HEALTH = service_health_metrics.name
AI = ai_service_metrics.name
STEP = dt.timedelta(minutes=5)


def looked_at(platform: Platform, number: int) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks after the look of that number, five minutes after the one before."""
    outcome = platform.run(HEALTH, now=NOW + number * STEP)
    assert outcome.is_success, outcome.failed_steps()
    return {check: evaluation for (_, check), evaluation in outcome.checks().items()}


def states(platform: Platform, service: str) -> list[str]:
    return platform.values(
        f"SELECT state FROM monitoring.{HEALTH} WHERE service = :service ORDER BY measured_at",
        service=service,
    )


def add_calls(platform: Platform, outcomes: list[str], *, service: str = "gemini", **more: object) -> None:
    """Calls of a service, one a second before now."""
    row = {
        "service": service,
        "model": "gemini-2.5-flash-lite",
        "purpose": "test",
        "latency_ms": 100.0,
        "prompt_tokens": 60,
        "output_tokens": 40,
        "reserved_tokens": 500,
        "retry_at": None,
        **more,
    }
    with platform.database.transaction() as connection:
        connection.execute(
            sa.insert(ai_calls),
            [
                {**row, "outcome": outcome, "started_at": NOW - dt.timedelta(seconds=number)}
                for number, outcome in enumerate(outcomes)
            ],
        )


def test_everything_that_can_be_looked_at_is_healthy_and_what_needs_a_daemon_is_not_evaluated(
    settled: Platform,
) -> None:
    checks = looked_at(settled, 0)

    unknown = {name for name, check in checks.items() if not check.passed}
    assert unknown == {"dagster_daemons_health", "code_location_health"}
    assert all("not_evaluated" in checks[name].metadata for name in unknown)
    assert {checks[name].severity for name in unknown} == {dg.AssetCheckSeverity.WARN}
    assert states(settled, "neo4j") == ["off"]


def test_a_service_goes_down_after_two_failed_looks_with_one_alert_and_comes_back_after_two_good_ones(
    fresh: Platform,
) -> None:
    def open_alerts() -> list[str]:
        fresh.tell_of_checks(now=dt.datetime.now(dt.UTC))
        return fresh.values(
            "SELECT subject FROM monitoring.system_alerts WHERE state = 'open' AND subject LIKE :ours",
            ours=f"{HEALTH}:%",
        )

    looked_at(fresh, 0)
    change_behaviour(fresh.endpoints, stripe={"error_rate": 1.0})
    assert looked_at(fresh, 1)["stripe_health"].passed
    check = looked_at(fresh, 2)["stripe_health"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert open_alerts() == open_alerts() == [f"{HEALTH}:stripe_health"]

    change_behaviour(fresh.endpoints, stripe={"error_rate": 0.0})
    assert not looked_at(fresh, 3)["stripe_health"].passed
    assert looked_at(fresh, 4)["stripe_health"].passed
    assert open_alerts() == []

    assert states(fresh, "stripe") == ["healthy", "healthy", "down", "down", "healthy"]
    assert states(fresh, "github") == ["healthy"] * 5
    [down_since] = fresh.values(
        f"SELECT DISTINCT state_since FROM monitoring.{HEALTH} WHERE service = 'stripe' AND state = 'down'"
    )
    assert down_since == NOW + STEP


def test_real_calls_that_fail_make_a_service_degraded_though_its_probe_is_well(fresh: Platform) -> None:
    looked_at(fresh, 0)
    add_calls(fresh, ["timeout"] * 8 + ["ok"] * 2)
    looked_at(fresh, 1)
    check = looked_at(fresh, 2)["gemini_health"]

    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "failed_calls_ratio is 0.8" in check.metadata["found"].value
    [ratio] = fresh.values(
        f"SELECT error_ratio FROM monitoring.{HEALTH} WHERE service = 'gemini' ORDER BY measured_at DESC LIMIT 1"
    )
    assert ratio == 8 / 13  # ten calls and three looks


def test_the_same_moment_measured_twice_is_one_measurement(fresh: Platform) -> None:
    for _ in range(2):
        assert fresh.run(HEALTH, AI).is_success

    assert fresh.values(f"SELECT count(*) FROM monitoring.{HEALTH}") == [9]
    assert fresh.values(f"SELECT count(*) FROM monitoring.{AI}") == [4]


def test_calls_become_rates_latencies_and_a_moment_at_which_the_budget_is_spent(fresh: Platform) -> None:
    add_calls(fresh, ["ok"] * 6 + ["timeout", "rate_limited", "failed", "invalid"])
    add_calls(fresh, ["ok"], prompt_tokens=1_200_000, output_tokens=0, latency_ms=20_000.0)

    outcome = fresh.run(AI)

    checks = {check: evaluation for (_, check), evaluation in outcome.checks().items()}
    [row] = [one._mapping for one in rows(fresh) if (one.service, one.window_hours) == ("gemini", 1)]
    assert (row["calls_count"], row["latency_p50_ms"]) == (11, 100.0)
    assert row["error_ratio"] == row["timeout_ratio"] == row["rate_limited_ratio"] == 1 / 11
    assert row["tokens_left_count"] == 2_000_000 - row["tokens_today_count"]
    assert NOW < row["runs_out_at"] < NOW + dt.timedelta(hours=12)
    assert not checks["gemini_failures"].passed
    assert not checks["gemini_latency"].passed
    assert not checks["token_budget"].passed
    assert checks["embedder_failures"].passed


def test_a_service_that_is_off_has_no_rows_and_breaks_no_service_level(fresh: Platform) -> None:
    outcome = fresh.run(AI, gemini=None)

    assert {one.service for one in rows(fresh)} == {"embedder"}
    assert all(check.passed for check in outcome.checks().values())


def test_accuracy_is_that_of_the_model_that_read_the_samples(fresh: Platform) -> None:
    for extractor, precision in (
        ("gemini/1 gemini-2.5-flash-lite", 0.5),
        ("spelling+embedding/1", 0.25),
        ("mixed", 1.0),
    ):
        fresh.execute(
            "INSERT INTO monitoring.extraction_accuracy "
            "(measured_at, extractor, inputs_sha256, samples_count, unknown_labels_count, precision) "
            "VALUES (:at, :extractor, '', 3, 0, :precision)",
            at=NOW,
            extractor=extractor,
            precision=precision,
        )
    assert fresh.run(AI).is_success

    assert {(one.service, one.precision) for one in rows(fresh)} == {("gemini", 0.5), ("embedder", 0.25)}


def rows(platform: Platform) -> list[sa.Row]:
    with platform.database.transaction() as connection:
        return list(connection.execute(sa.select(ai_service_metrics)))


def test_the_embedders_calls_are_on_record_one_row_a_call_with_its_texts(settled: Platform) -> None:
    calls = settled.database.read(sa.select(ai_calls).where(ai_calls.c.service == "embedder"))

    assert set(calls["purpose"]) >= {"skill_embeddings", "developer_vectors", "project_vectors"}
    assert (calls["outcome"] == "ok").all()
    assert calls["texts_count"].sum() > len(calls)
    assert (calls["prompt_tokens"] > calls["texts_count"]).all(), "each text has its two marks at least"
