"""How the models do: rates, what is unknown, and when the day's tokens run out."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.services.ai_metrics import (
    WINDOWS_HOURS,
    Accuracy,
    Budget,
    CallSummary,
    Confidence,
    Known,
    Model,
    metric_rows,
)

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)

moments = st.integers(0, 24 * 3600 - 1).map(lambda second: MIDNIGHT - dt.timedelta(seconds=second + 1))


@given(limit=st.integers(0, 10**12), spent=st.integers(0, 10**12), now=moments)
def test_a_budget_runs_out_between_now_and_midnight_or_not_at_all(limit, spent, now):
    budget = Budget(limit, spent)
    runs_out_at = budget.runs_out_at(now)

    assert budget.left_count >= 0
    if runs_out_at is None:
        assert budget.left_count
    else:
        assert now <= runs_out_at < MIDNIGHT
        assert budget.left_count or runs_out_at == now


@given(limit=st.integers(1, 10**9), spent=st.integers(1, 10**9), more=st.integers(1, 10**9), now=moments)
def test_who_spends_more_runs_out_no_later(limit, spent, more, now):
    earlier, later = Budget(limit, spent + more).runs_out_at(now), Budget(limit, spent).runs_out_at(now)

    assert later is None or (earlier is not None and earlier <= later)


def test_half_a_budget_in_six_hours_lasts_six_more():
    morning = NOON.replace(hour=6)

    assert Budget(1_000, 500).runs_out_at(morning) == NOON
    assert Budget(1_000, 250).runs_out_at(morning) is None, "at the end of the day the next one begins"


def test_a_burst_just_after_midnight_is_no_pace():
    just_after = NOON.replace(hour=0, minute=2)

    # Two minutes' pace would have it gone within the hour.
    assert Budget(1_000, 40).runs_out_at(just_after) is None


def test_nothing_spent_never_runs_out():
    assert Budget(1_000, 0).runs_out_at(NOON) is None
    assert Budget(0, 0).runs_out_at(NOON) == NOON


def by_window(rows, service):
    return {row["window_hours"]: row for row in rows if row["service"] == service}


def test_a_model_that_is_in_use_has_rows_before_its_first_call_and_they_claim_nothing():
    rows = metric_rows([], [Model("gemini", "m")], Known(), now=NOON)

    assert [row["window_hours"] for row in rows] == list(WINDOWS_HOURS)
    for row in rows:
        assert row["calls_count"] == 0
        unknown = (
            "error_ratio",
            "timeout_ratio",
            "latency_p95_ms",
            "rp_at_5",
            "confidence_brier",
            "runs_out_at",
        )
        assert [row[name] for name in unknown] == [None] * len(unknown)
        assert row["tokens_left_count"] is None, "without a budget nothing is left, and nothing is spent"


def test_ratios_are_of_all_calls_and_accuracy_is_the_models_own():
    calls = CallSummary(
        "gemini", "m", 1, calls_count=10, failed_count=1, timeout_count=2, rate_limited_count=3
    )
    measured = Accuracy(20, 0.5, 0.25, 0.75, NOON)
    known = Known({"gemini": Budget(100, 40)}, {Model("gemini", "m"): measured}, Confidence(0.15, 0.02))

    rows = metric_rows([calls], [Model("embedder", "e")], known, now=NOON)

    gemini, embedder = by_window(rows, "gemini"), by_window(rows, "embedder")
    assert (gemini[1]["error_ratio"], gemini[1]["timeout_ratio"], gemini[1]["rate_limited_ratio"]) == (
        pytest.approx((0.1, 0.2, 0.3))
    )
    assert gemini[24]["error_ratio"] is None
    assert (gemini[1]["tokens_left_count"], gemini[1]["rp_at_5"]) == (60, 0.75)
    assert (embedder[1]["tokens_left_count"], embedder[1]["rp_at_5"]) == (None, None)
    assert embedder[1]["confidence_ece"] == 0.02
