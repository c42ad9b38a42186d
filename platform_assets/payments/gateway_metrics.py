"""Measures of the gateway over a window of days: authorization, recovery, declines, fees, refunds, disputes, latency.

Pure, but for keeping the calls that the client noted. Ratios carry their counts and, as they may be small, an interval.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.gateway_calls import CallLog
from platform_assets.tables.payment_operations import gateway_calls

GATEWAY = "stripe"
WINDOW_DAYS = 30

_RESAMPLES = 2_000
_SEED = 20261123


@dataclass(frozen=True)
class Metric:
    """One measure; attributes are the columns of `gateway_metrics`."""

    currency: str
    metric: str
    value: float | None
    label: str = ""
    part: int | None = None
    total: int | None = None
    low: float | None = None
    high: float | None = None


def keep_calls(database: Database, log: CallLog) -> int:
    """Write the calls that a client noted since the last time; gives their number."""
    rows = [{"gateway": GATEWAY, **asdict(call)} for call in log.take()]
    if rows:
        with database.transaction() as connection:
            connection.execute(sa.insert(gateway_calls), rows)
    return len(rows)


def measure(
    charges: pd.DataFrame,
    others: pd.DataFrame,
    *,
    calls: pd.DataFrame,
    arms: pd.DataFrame,
    measured_at: dt.datetime,
) -> pd.DataFrame:
    """All measures of a window.

    Args:
        charges: Charges of the window: `object_id`, `payment_intent_id`, `status`, `failure_code`, `amount_minor`,
            `currency`, `created_at`.
        others: The window's refunds, disputes and balance transactions: `object_type`, `kind`, `status`, `charge_id`,
            `amount_minor`, `fee_minor`, `currency`.
        calls: The window's rows of `gateway_calls`.
        arms: Payments that were due to be retried: `arm`, `amount_minor`, `currency`, `is_recovered`.
        measured_at: End of the window (UTC).

    Returns:
        In the shape of `gateway_metrics`.
    """
    metrics = [*_of_calls(calls)]
    for currency in sorted({*charges["currency"], *others["currency"], *arms["currency"]}):
        own = [frame[frame["currency"] == currency] for frame in (charges, others, arms)]
        metrics += [
            *_of_charges(currency, own[0]),
            *_of_others(currency, own[0], own[1]),
            *_of_arms(currency, own[2]),
        ]
    rows = pd.DataFrame([asdict(metric) for metric in metrics])
    return rows.assign(measured_at=measured_at, gateway=GATEWAY, window_days=WINDOW_DAYS)


def _ratio(
    currency: str, metric: str, part: int, total: int, *, label: str = "", has_interval: bool = True
) -> Metric:
    """A share with its Wilson interval; without any case there is no value."""
    if not total:
        return Metric(currency, metric, None, label, part, total)
    low, high = wilson_interval(part, total) if has_interval else (None, None)
    return Metric(currency, metric, part / total, label, int(part), int(total), low, high)


def wilson_interval(part: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share, which holds for small counts too."""
    from scipy.stats import binomtest

    interval = binomtest(int(part), int(total)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _of_charges(currency: str, charges: pd.DataFrame) -> Iterator[Metric]:
    decided = charges[charges["status"].isin(("succeeded", "failed"))]
    is_paid = decided["status"] == "succeeded"
    yield _ratio(currency, "authorization_per_attempt_ratio", int(is_paid.sum()), len(decided))
    # A charge without an intent is an attempt of its own.
    payment = decided["payment_intent_id"].fillna(decided["object_id"])
    by_payment = pd.DataFrame(
        {
            "is_paid": is_paid.groupby(payment).any(),
            "has_failed": (~is_paid).groupby(payment).any(),
            "amount_minor": decided.groupby(payment)["amount_minor"].max(),
        }
    )
    yield _ratio(
        currency, "authorization_per_payment_ratio", int(by_payment["is_paid"].sum()), len(by_payment)
    )
    failed = by_payment[by_payment["has_failed"]]
    recovered = failed[failed["is_paid"]]
    yield _ratio(currency, "recovery_ratio", len(recovered), len(failed))
    yield _ratio(
        currency,
        "recovered_amount_ratio",
        int(recovered["amount_minor"].sum()),
        int(failed["amount_minor"].sum()),
        has_interval=False,
    )
    declines = decided[~is_paid]["failure_code"].fillna("unknown").value_counts()
    for code, count in declines.sort_index().items():
        yield _ratio(currency, "decline_share_ratio", int(count), int(declines.sum()), label=str(code))


def _of_others(currency: str, charges: pd.DataFrame, others: pd.DataFrame) -> Iterator[Metric]:
    paid = charges[charges["status"] == "succeeded"]
    kind = others["object_type"]
    sales = others[(kind == "balance_transaction") & others["kind"].isin(("charge", "payment"))]
    yield _ratio(
        currency,
        "fee_ratio",
        int(sales["fee_minor"].fillna(0).sum()),
        int(sales["amount_minor"].sum()),
        has_interval=False,
    )
    refunds = others[(kind == "refund") & ~others["status"].isin(("failed", "canceled"))]
    yield _ratio(
        currency,
        "refunded_amount_ratio",
        int(refunds["amount_minor"].sum()),
        int(paid["amount_minor"].sum()),
        has_interval=False,
    )
    disputed = others[kind == "dispute"]["charge_id"].nunique()
    # Disputes of earlier charges count to the window in which they are opened, as the networks count them.
    yield _ratio(currency, "dispute_ratio", disputed, len(paid), has_interval=disputed <= len(paid))


def _of_calls(calls: pd.DataFrame) -> Iterator[Metric]:
    latency = calls["latency_ms"]
    for name, quantile in (("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95)):
        value = float(latency.quantile(quantile)) if len(latency) else None
        yield Metric("", name, value, total=len(latency))
    yield _ratio("", "call_error_ratio", int((calls["outcome"] != "ok").sum()), len(calls))


def _of_arms(currency: str, arms: pd.DataFrame) -> Iterator[Metric]:
    """What the retries recovered that would not have come in without them: retried less held out, by intention to treat."""
    retried, held_out = (arms[arms["arm"] == arm] for arm in ("retried", "held_out"))
    for name, frame in (("retried_recovery_ratio", retried), ("held_out_recovery_ratio", held_out)):
        yield _ratio(currency, name, int(frame["is_recovered"].sum()), len(frame))
    if retried.empty or held_out.empty:
        return
    shares = [frame["is_recovered"].astype(float).to_numpy() for frame in (retried, held_out)]
    amounts = [
        frame["amount_minor"].where(frame["is_recovered"], 0).astype(float).to_numpy()
        for frame in (retried, held_out)
    ]
    low, high = newcombe_interval((int(shares[0].sum()), len(retried)), (int(shares[1].sum()), len(held_out)))
    uplift = float(shares[0].mean() - shares[1].mean())
    yield Metric(currency, "recovery_uplift", uplift, total=len(arms), low=low, high=high)
    value = float(amounts[0].mean() - amounts[1].mean())
    interval = bootstrap_interval(*amounts)
    yield Metric(
        currency,
        "recovered_uplift_minor_per_payment",
        value,
        total=len(arms),
        low=interval[0],
        high=interval[1],
    )


def newcombe_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, given as (part, total).

    Newcombe 1998, Statistics in Medicine 17:873-890, method 10: from the Wilson intervals of both.
    """
    (p1, (low1, high1)), (p2, (low2, high2)) = (
        (part / total, wilson_interval(part, total)) for part, total in (first, second)
    )
    return (
        p1 - p2 - float(np.hypot(p1 - low1, high2 - p2)),
        p1 - p2 + float(np.hypot(high1 - p1, p2 - low2)),
    )


def bootstrap_interval(first: np.ndarray, second: np.ndarray) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of the difference of two means; none from fewer than two values on a side."""
    from scipy.stats import bootstrap

    if min(len(first), len(second)) < 2:
        return None, None
    result = bootstrap(
        (first, second),
        lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
