"""Every number that a check or an alert compares with: value, unit, direction, severity and the reason for it.

Only data and the comparison stand here; what is measured is the checks' business.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Severity(StrEnum):
    """What a broken threshold means: `ERROR` fails `make run`, `WARN` asks for a look."""

    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Threshold:
    """A service level.

    Attributes:
        bound: The value that must be kept.
        direction: `at_least` or `at_most`.
        unit: Unit of the measured value, such as `ratio`, `hours` or `rows`.
        severity: How serious it is when it is not kept.
        reason: Why this bound.
    """

    bound: float
    direction: Literal["at_least", "at_most"]
    unit: str
    severity: Severity
    reason: str

    def holds(self, measured: float | None) -> bool:
        """Whether the measured value keeps the bound; what could not be measured never does."""
        if measured is None or measured != measured:
            return False
        return measured >= self.bound if self.direction == "at_least" else measured <= self.bound


def _at_least(bound: float, unit: str, severity: Severity, reason: str) -> Threshold:
    return Threshold(bound, "at_least", unit, severity, reason)


def _at_most(bound: float, unit: str, severity: Severity, reason: str) -> Threshold:
    return Threshold(bound, "at_most", unit, severity, reason)


FRESHNESS_HOURS: dict[str, Threshold] = {
    # Two missed ticks and the run that follows them: one late run is no incident, a stopped schedule is.
    "developer_profiles": _at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
    "skill_profiles": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "project_requirements": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_embeddings": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "developer_vectors": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "project_vectors": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "skill_graph": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_graph_projection": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "match_candidates": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "matches": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "gateway_transactions": _at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "payment_analytics": _at_most(26, "hours", Severity.ERROR, "daily; two hours of grace"),
}

PROFILE_AGE_HOURS = _at_most(
    26,
    "hours",
    Severity.ERROR,
    "95th percentile of a profile's age; each is due after 24 hours, read by the next hourly run",
)
FAILED_ACCOUNTS_RATIO = _at_most(
    0.01,
    "ratio",
    Severity.WARN,
    "single accounts are deleted, suspended or unreadable for a while; more than one in a hundred wants a look",
)
GITHUB_FRESHNESS_HOURS = _at_most(
    26,
    "hours",
    Severity.WARN,
    "what the points buy at four fifths of the budget; more means more tokens, or profiles older than a day",
)
GITHUB_REMAINING_RATIO = _at_least(
    0.1,
    "ratio",
    Severity.WARN,
    "a refresh leaves a fifth of the hour's points; less than a tenth means that something else spends them",
)
QUARANTINED_RATIO = _at_most(
    0.02,
    "ratio",
    Severity.ERROR,
    "single bad rows are the application's; two in a hundred is a broken export",
)
QUARANTINED_ROWS = _at_most(0, "rows", Severity.WARN, "each row set aside wants a correction at its source")
SKILL_COVERAGE_RATIO = _at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "developers with evidence of any kind have at least one skill; the rest is odd accounts",
)
CONFIDENCE_OUT_OF_RANGE_ROWS = _at_most(0, "rows", Severity.ERROR, "a confidence is a probability")
EMBEDDING_COVERAGE_RATIO = _at_least(
    1.0, "ratio", Severity.ERROR, "a skill without an embedding is invisible to the extractor"
)
EMBEDDING_NORM_DEVIATION = _at_most(
    1e-5,
    "distance from 1",
    Severity.ERROR,
    "inner products are cosines only between unit vectors; scaled in float32 they err below 1e-6",
)
VECTOR_COVERAGE_RATIO = _at_least(
    0.999, "ratio", Severity.ERROR, "whoever has evidence has a vector; single rows may be on their way"
)
REQUIREMENT_COVERAGE_RATIO = _at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "open projects that name at least one known skill; the rest are posted without any",
)
GRAPH_COVERAGE_RATIO = _at_least(
    0.5,
    "ratio",
    Severity.WARN,
    "a skill that many have goes with something; where most do not, the confidences have lost their contrast",
)
GRAPH_DIFFERING_ELEMENTS = _at_most(
    0,
    "elements",
    Severity.ERROR,
    "Neo4j holds as many nodes and edges as Postgres; the daily run puts right what was changed there",
)
GEMINI_FALLBACK_RATIO = _at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "open projects that Gemini should have read but did not; a text in twenty may fail, more is an outage or the budget",
)
GEMINI_AGREEMENT_RATIO = _at_least(
    0.5,
    "ratio",
    Severity.WARN,
    "skills that both readers find, of those that either does; below half, one of them has gone astray",
)
MATCH_COVERAGE_RATIO = _at_least(
    0.95, "ratio", Severity.ERROR, "open projects with at least one match; filters may leave nobody for a few"
)
FULL_MATCH_COVERAGE_RATIO = _at_least(
    0.90, "ratio", Severity.WARN, "open projects whose list is full; narrow filters shorten some"
)
REASONS_RESIDUAL = _at_most(
    1e-6, "score", Severity.ERROR, "the reasons add up to the score, which is rounded to 1e-6"
)
GATEWAY_MISMATCHED_PAYMENTS = _at_most(
    0,
    "payments",
    Severity.WARN,
    "a paid payment whose amount or currency differs from the gateway's wants a person",
)
GATEWAY_MISSING_PAYMENTS = _at_most(
    0,
    "payments",
    Severity.ERROR,
    "a payment marked paid that the gateway never captured is money believed in, not had",
)
ANALYTICS_GRACE = dt.timedelta(hours=4)
"""A day is summed up at 02:40 of the next one; until it has had this long it is not missing."""

ANALYTICS_MISSING_DAYS = _at_most(0, "days", Severity.ERROR, "every day up to yesterday is computed")
ANALYTICS_RESIDUAL_MINOR = _at_most(
    0, "minor units", Severity.ERROR, "totals equal the sum of the gateway's rows, exactly, in every currency"
)
