"""Every number that a check or an alert compares with: value, unit, direction, severity and the reason for it.

Only data and the comparison stand here; what is measured is the checks' business. The numbers of payments, which also
decide who is charged and reminded, are in `payment_thresholds.py`.
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
class Override:
    """Why a bound is not the release's.

    Attributes:
        default_bound: The release's.
        author: Who set the other one.
        reason: Why.
        since_at: From when it holds.
        until_at: When it ends by itself; None when it does not.
    """

    default_bound: float
    author: str
    reason: str
    since_at: dt.datetime
    until_at: dt.datetime | None = None


@dataclass(frozen=True)
class Threshold:
    """A service level.

    Attributes:
        bound: The value that must be kept.
        direction: `at_least` or `at_most`.
        unit: Unit of the measured value, such as `ratio`, `hours` or `rows`.
        severity: How serious it is when it is not kept.
        reason: Why this bound.
        override: Who set the bound in place of the release's, and why; None when it is the release's. See `bounds.py`.
    """

    bound: float
    direction: Literal["at_least", "at_most"]
    unit: str
    severity: Severity
    reason: str
    override: Override | None = None

    def holds(self, measured: float | None) -> bool:
        """Whether the measured value keeps the bound; what could not be measured never does."""
        if measured is None or measured != measured:
            return False
        return measured >= self.bound if self.direction == "at_least" else measured <= self.bound


def at_least(bound: float, unit: str, severity: Severity, reason: str) -> Threshold:
    """The measured value must not fall below the bound."""
    return Threshold(bound, "at_least", unit, severity, reason)


def at_most(bound: float, unit: str, severity: Severity, reason: str) -> Threshold:
    """The measured value must not rise above the bound."""
    return Threshold(bound, "at_most", unit, severity, reason)


FRESHNESS_HOURS: dict[str, Threshold] = {
    # Two missed ticks and the run that follows them: one late run is no incident, a stopped schedule is.
    "developer_profiles": at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
    "skill_profiles": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_evidence": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_confidence": at_most(7, "hours", Severity.ERROR, "every 2 hours; three ticks missed"),
    "project_requirements": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_embeddings": at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "developer_vectors": at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "project_vectors": at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "skill_graph": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_graph_projection": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "developer_text_skills": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "cache_cleanup": at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "match_candidates": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "matches": at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "matching_analytics": at_most(3, "hours", Severity.WARN, "hourly; two ticks missed"),
    "matching_tuning": at_most(26, "hours", Severity.WARN, "every 12 hours; one tick missed"),
    "matching_service_health": at_most(
        0.5, "hours", Severity.ERROR, "every 5 minutes; five ticks missed is half an hour without a look"
    ),
    "matching_cache_cleanup": at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "gateway_transactions": at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "payment_analytics": at_most(26, "hours", Severity.ERROR, "daily; two hours of grace"),
    "payment_reconciliation": at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "overdue_payments": at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
    "payment_retries": at_most(5, "hours", Severity.ERROR, "every 2 hours; two ticks missed"),
    "task_queue_metrics": at_most(
        0.5, "hours", Severity.ERROR, "every 5 minutes; five ticks missed is half an hour without a look"
    ),
    "queue_recovery": at_most(1, "hours", Severity.ERROR, "every 10 minutes; five ticks missed"),
    "gateway_metrics": at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
    "performance_report": at_most(3, "hours", Severity.WARN, "hourly; two ticks missed"),
    "metrics_cleanup": at_most(50, "hours", Severity.WARN, "daily; one run missed"),
    "performance_benchmarks": at_most(0.5, "hours", Severity.ERROR, "every 10 minutes; two ticks missed"),
    "service_level_measurements": at_most(0.5, "hours", Severity.ERROR, "every 10 minutes; two ticks missed"),
    "notification_deliveries": at_most(3, "hours", Severity.ERROR, "hourly; two reports missed"),
    "service_health_metrics": at_most(
        0.5, "hours", Severity.ERROR, "every 5 minutes; five ticks missed is half an hour without a look"
    ),
    "ai_service_metrics": at_most(1, "hours", Severity.WARN, "every 10 minutes; five ticks missed"),
}

PROFILE_AGE_HOURS = at_most(
    26,
    "hours",
    Severity.ERROR,
    "95th percentile of a profile's age; each is due after 24 hours, read by the next hourly run",
)
FAILED_ACCOUNTS_RATIO = at_most(
    0.01,
    "ratio",
    Severity.WARN,
    "single accounts are deleted, suspended or unreadable for a while; more than one in a hundred wants a look",
)
GITHUB_FRESHNESS_HOURS = at_most(
    26,
    "hours",
    Severity.WARN,
    "what the points buy at four fifths of the budget; more means more tokens, or profiles older than a day",
)
GITHUB_REMAINING_RATIO = at_least(
    0.1,
    "ratio",
    Severity.WARN,
    "a refresh leaves a fifth of the hour's points; less than a tenth means that something else spends them",
)
QUARANTINED_RATIO = at_most(
    0.02,
    "ratio",
    Severity.ERROR,
    "single bad rows are the application's; two in a hundred is a broken export",
)
QUARANTINED_ROWS = at_most(0, "rows", Severity.WARN, "each row set aside wants a correction at its source")
SKILL_COVERAGE_RATIO = at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "developers with evidence of any kind have at least one skill; the rest is odd accounts",
)
CONFIDENCE_OUT_OF_RANGE_ROWS = at_most(0, "rows", Severity.ERROR, "a confidence is a probability")
EVIDENCE_COVERAGE_RATIO = at_least(
    0.99,
    "ratio",
    Severity.ERROR,
    "every developer's evidence is collected; who has just joined is on their way",
)
CONFIDENCE_RESIDUAL = at_most(
    1e-9,
    "probability",
    Severity.ERROR,
    "each confidence follows from its rows of the ledger; what does not can't be explained",
)
CONFIDENCE_BRIER = at_most(
    0.20,
    "score",
    Severity.WARN,
    "public histories reach 0.14; always saying one half comes to 0.25",
)
CONFIDENCE_AUC = at_least(
    0.75,
    "ratio",
    Severity.WARN,
    "public histories reach 0.87; below, who uses a skill is hardly told from who does not",
)
CONFIDENCE_ECE_EXCESS = at_most(
    0.02,
    "probability",
    Severity.WARN,
    "calibration error above what a perfectly calibrated forecaster would show; a told 0.80 stays within 0.78 to 0.82",
)
EMBEDDING_COVERAGE_RATIO = at_least(
    1.0, "ratio", Severity.ERROR, "a skill without an embedding is invisible to the extractor"
)
EMBEDDING_NORM_DEVIATION = at_most(
    1e-5,
    "distance from 1",
    Severity.ERROR,
    "inner products are cosines only between unit vectors; scaled in float32 they err below 1e-6",
)
EMBEDDING_FOREIGN_ROWS = at_most(
    0,
    "rows",
    Severity.ERROR,
    "vectors of another model or dimension lie in another space: no angle between the two means anything",
)
EMBEDDING_DRIFT_COSINE = at_least(
    0.999,
    "cosine",
    Severity.ERROR,
    "the lowest of a random sample to fresh vectors; bfloat16 and other batch sizes stay above 0.9995",
)
EMBEDDING_SHIFT_COSINE = at_least(
    0.9,
    "cosine",
    Severity.WARN,
    "mean vector to that of the day before; a day's new texts move it by less, an import of a taxonomy may not",
)
VECTOR_COVERAGE_RATIO = at_least(
    0.999, "ratio", Severity.ERROR, "whoever has evidence has a vector; single rows may be on their way"
)
REQUIREMENT_COVERAGE_RATIO = at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "open projects that name at least one known skill; the rest are posted without any",
)
GRAPH_COVERAGE_RATIO = at_least(
    0.5,
    "ratio",
    Severity.WARN,
    "a skill that many have goes with something; where most do not, the confidences have lost their contrast",
)
GRAPH_DIFFERING_ELEMENTS = at_most(
    0,
    "elements",
    Severity.ERROR,
    "Neo4j holds as many nodes and edges as Postgres; the daily run puts right what was changed there",
)
GEMINI_FALLBACK_RATIO = at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "open projects that Gemini should have read but did not; a text in twenty may fail, more is an outage or the budget",
)
GEMINI_AGREEMENT_RATIO = at_least(
    0.5,
    "ratio",
    Severity.WARN,
    "skills that both readers find, of those that either does; below half, one of them has gone astray",
)
EXTRACTION_RP_AT_5 = at_least(
    0.6,
    "RP@5",
    Severity.WARN,
    "skills found among the five best, of those possible; the best published on job ads is 0.64",
)
BIO_READING_RATIO = at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "every bio is read by one extractor or the other; single ones are on their way",
)
TEXT_OUTAGE_RATIO = at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "texts that Gemini failed to read; a text in twenty may fail, more is an outage; what the budget left out is none",
)
README_FAILURE_RATIO = at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "READMEs whose last read failed; single repositories are unreadable for a while",
)
CACHE_SIZE_RATIO = at_most(
    1.0,
    "of its bound",
    Severity.WARN,
    "the fullest cache after a sweep; above its bound, what is in use alone is more than was planned for",
)
MATCH_COVERAGE_RATIO = at_least(
    0.95, "ratio", Severity.ERROR, "open projects with at least one match; filters may leave nobody for a few"
)
FULL_MATCH_COVERAGE_RATIO = at_least(
    0.90, "ratio", Severity.WARN, "open projects whose list is full; narrow filters shorten some"
)
REASONS_RESIDUAL = at_most(
    1e-6, "score", Severity.ERROR, "the reasons add up to the score, which is rounded to 1e-6"
)
FIRST_PLACES_GINI = at_most(
    0.9,
    "Gini coefficient",
    Severity.WARN,
    "first places go to more than the few; 0.9 is what lists by score alone come to where some are wanted by all",
)
PUBLISHED_NDCG = at_least(
    0.05,
    "nDCG@10",
    Severity.WARN,
    "a random list of ten out of a thousand comes to about 0.01; below a few times that, the score tells little",
)
MATCH_PAGE_MS = at_most(
    200, "ms", Severity.ERROR, "95th percentile of a page of matches; a reader takes up to this for at once"
)
MATCH_PAGE_ERROR_RATIO = at_most(
    0, "ratio", Severity.ERROR, "the application's own query fails or takes more than two seconds"
)
EMPTY_PAGE_RATIO = at_most(
    0.05, "ratio", Severity.ERROR, "pages without a match; filters may leave nobody for a few projects"
)
STALEST_MATCHES_DAYS = at_most(
    1, "days", Severity.ERROR, "lists are of today, or of yesterday just after midnight"
)
SEARCH_RECALL_RATIO = at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "share of the exact answer that the search by index finds under real filters",
)
UNDECIDED_TOPICS = at_most(
    0,
    "topics",
    Severity.WARN,
    "each run decides on weights, the search index and upkeep, if only to keep them",
)
PUBLISHED_COVERAGE_RATIO = at_least(
    1.0,
    "ratio",
    Severity.ERROR,
    "open projects with a list, or whose filters let nobody through; a list that is missing is a fault of ours",
)
PUBLISHED_FAULTY_LISTS = at_most(
    0,
    "lists",
    Severity.ERROR,
    "the lists of a sample equal what scoring every pair of it gives, in every place",
)
PUBLISHED_CHURN_RATIO = at_most(
    0.5,
    "ratio",
    Severity.ERROR,
    "first places that change hands beyond what developers who join or leave explain; a quiet day changes one in twenty, "
    "half of them at once is more often a fault than the market",
)
PUBLISHED_GINI_RISE = at_most(
    0.05,
    "Gini coefficient",
    Severity.ERROR,
    "places may not gather on fewer developers than in the live lists and than the scores alone would have it",
)
UNPUBLISHED_VERSIONS = at_most(
    0, "versions", Severity.ERROR, "a version that was held back leaves readers with the last good one"
)
SUPERSEDED_AGE_DAYS = at_most(
    8,
    "days",
    Severity.WARN,
    "superseded versions and their changes are kept for 7 days, long enough to look into a complaint",
)
