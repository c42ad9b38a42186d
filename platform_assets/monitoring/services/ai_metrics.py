"""How the models do: latency, failures and tokens of their calls, the day's budget, and how right they are.

Pure; calls are read by `ai_records.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WINDOWS_HOURS = (1, 24)

PACE_MIN = dt.timedelta(hours=1)
"""Calls come in bursts every half hour: less than an hour of a day shows a burst, not a pace."""

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class CallSummary:
    """The calls of one model in one window; the columns of `monitoring.ai_service_metrics` say what each is."""

    service: str
    model: str
    window_hours: int
    calls_count: int = 0
    texts_count: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    failed_count: int = 0
    timeout_count: int = 0
    rate_limited_count: int = 0
    invalid_count: int = 0
    prompt_tokens_count: int = 0
    output_tokens_count: int = 0


@dataclass(frozen=True)
class Budget:
    """The tokens of a UTC day.

    Attributes:
        limit_count: What may be spent.
        spent_count: What was, up to now.
    """

    limit_count: int
    spent_count: int

    @property
    def left_count(self) -> int:
        """What is left; never below 0."""
        return max(0, self.limit_count - self.spent_count)

    def runs_out_at(self, now: dt.datetime) -> dt.datetime | None:
        """When it is spent at the pace of the day so far; `now` where it is already, None where it lasts the day."""
        if not self.left_count:
            return now
        if self.spent_count <= 0:
            return None
        midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        # In seconds, as a float: a budget may last longer than the calendar.
        lasts_s = max(now - midnight, PACE_MIN).total_seconds() * self.left_count / self.spent_count
        is_spent_today = lasts_s < (midnight + DAY - now).total_seconds()
        return now + dt.timedelta(seconds=lasts_s) if is_spent_today else None


@dataclass(frozen=True)
class Accuracy:
    """How right the skills are that a model read from labelled samples."""

    samples_count: int
    precision: float | None
    recall: float | None
    rp_at_5: float | None
    measured_at: dt.datetime


@dataclass(frozen=True)
class Confidence:
    """How well the confidences come true that rest on what was read."""

    brier: float
    ece: float


@dataclass(frozen=True)
class Model:
    """One model of one service."""

    service: str
    name: str


@dataclass(frozen=True)
class Known:
    """What else is known of the models.

    Attributes:
        budgets: Service → its budget of the day; those without one are not in it.
        accuracies: Model → its latest accuracy.
        confidence: Of the skill confidences; None when no outcome is known.
    """

    budgets: Mapping[str, Budget] = field(default_factory=dict)
    accuracies: Mapping[Model, Accuracy] = field(default_factory=dict)
    confidence: Confidence | None = None


def metric_rows(
    summaries: Sequence[CallSummary], in_use: Sequence[Model], known: Known, *, now: dt.datetime
) -> list[dict[str, Any]]:
    """Rows of `monitoring.ai_service_metrics`.

    Args:
        summaries: The calls, by model and window.
        in_use: Models that are in use, called or not; each has its rows.
        known: Budgets, accuracy, confidence.
        now: End of the windows.

    Returns:
        A row for every model that is in use or was called, and every window, by service and model.
    """
    by_key = {(Model(one.service, one.model), one.window_hours): one for one in summaries}
    models = sorted({*in_use, *(model for model, _ in by_key)}, key=lambda model: (model.service, model.name))
    return [
        _row(by_key.get((model, hours), CallSummary(model.service, model.name, hours)), known, now)
        for model in models
        for hours in WINDOWS_HOURS
    ]


def _row(calls: CallSummary, known: Known, now: dt.datetime) -> dict[str, Any]:
    budget = known.budgets.get(calls.service)
    accuracy = known.accuracies.get(Model(calls.service, calls.model))

    def ratio(count: int) -> float | None:
        return count / calls.calls_count if calls.calls_count else None

    return {
        "measured_at": now,
        "service": calls.service,
        "model": calls.model,
        "window_hours": calls.window_hours,
        "calls_count": calls.calls_count,
        "texts_count": calls.texts_count,
        "latency_p50_ms": calls.latency_p50_ms,
        "latency_p95_ms": calls.latency_p95_ms,
        "latency_p99_ms": calls.latency_p99_ms,
        "error_ratio": ratio(calls.failed_count),
        "timeout_ratio": ratio(calls.timeout_count),
        "rate_limited_ratio": ratio(calls.rate_limited_count),
        "invalid_ratio": ratio(calls.invalid_count),
        "prompt_tokens_count": calls.prompt_tokens_count,
        "output_tokens_count": calls.output_tokens_count,
        "tokens_today_count": budget.spent_count if budget else None,
        "tokens_left_count": budget.left_count if budget else None,
        "runs_out_at": budget.runs_out_at(now) if budget else None,
        "samples_count": accuracy.samples_count if accuracy else None,
        "precision": accuracy.precision if accuracy else None,
        "recall": accuracy.recall if accuracy else None,
        "rp_at_5": accuracy.rp_at_5 if accuracy else None,
        "accuracy_measured_at": accuracy.measured_at if accuracy else None,
        "confidence_brier": known.confidence.brier if known.confidence else None,
        "confidence_ece": known.confidence.ece if known.confidence else None,
    }
