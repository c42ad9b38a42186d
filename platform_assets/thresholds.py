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
    "skill_evidence": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_confidence": _at_most(7, "hours", Severity.ERROR, "every 2 hours; three ticks missed"),
    "project_requirements": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_embeddings": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "developer_vectors": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "project_vectors": _at_most(26, "hours", Severity.ERROR, "reconciled daily; two hours of grace"),
    "skill_graph": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "skill_graph_projection": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "developer_text_skills": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "cache_cleanup": _at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "match_candidates": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "matches": _at_most(2, "hours", Severity.ERROR, "every 30 minutes; three ticks missed"),
    "matching_analytics": _at_most(3, "hours", Severity.WARN, "hourly; two ticks missed"),
    "matching_tuning": _at_most(26, "hours", Severity.WARN, "every 12 hours; one tick missed"),
    "matching_service_health": _at_most(
        0.5, "hours", Severity.ERROR, "every 5 minutes; five ticks missed is half an hour without a look"
    ),
    "matching_cache_cleanup": _at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "gateway_transactions": _at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "payment_analytics": _at_most(26, "hours", Severity.ERROR, "daily; two hours of grace"),
    "payment_reconciliation": _at_most(8, "hours", Severity.ERROR, "every 6 hours; two hours of grace"),
    "overdue_payments": _at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
    "payment_retries": _at_most(5, "hours", Severity.ERROR, "every 2 hours; two ticks missed"),
    "gateway_metrics": _at_most(3, "hours", Severity.ERROR, "hourly; two ticks missed"),
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
EVIDENCE_COVERAGE_RATIO = _at_least(
    0.99,
    "ratio",
    Severity.ERROR,
    "every developer's evidence is collected; who has just joined is on their way",
)
CONFIDENCE_RESIDUAL = _at_most(
    1e-9,
    "probability",
    Severity.ERROR,
    "each confidence follows from its rows of the ledger; what does not can't be explained",
)
CONFIDENCE_BRIER = _at_most(
    0.20,
    "score",
    Severity.WARN,
    "public histories reach 0.14; always saying one half comes to 0.25",
)
CONFIDENCE_AUC = _at_least(
    0.75,
    "ratio",
    Severity.WARN,
    "public histories reach 0.87; below, who uses a skill is hardly told from who does not",
)
CONFIDENCE_ECE_EXCESS = _at_most(
    0.02,
    "probability",
    Severity.WARN,
    "calibration error above what a perfectly calibrated forecaster would show; a told 0.80 stays within 0.78 to 0.82",
)
EMBEDDING_COVERAGE_RATIO = _at_least(
    1.0, "ratio", Severity.ERROR, "a skill without an embedding is invisible to the extractor"
)
EMBEDDING_NORM_DEVIATION = _at_most(
    1e-5,
    "distance from 1",
    Severity.ERROR,
    "inner products are cosines only between unit vectors; scaled in float32 they err below 1e-6",
)
EMBEDDING_FOREIGN_ROWS = _at_most(
    0,
    "rows",
    Severity.ERROR,
    "vectors of another model or dimension lie in another space: no angle between the two means anything",
)
EMBEDDING_DRIFT_COSINE = _at_least(
    0.999,
    "cosine",
    Severity.ERROR,
    "the lowest of a random sample to fresh vectors; bfloat16 and other batch sizes stay above 0.9995",
)
EMBEDDING_SHIFT_COSINE = _at_least(
    0.9,
    "cosine",
    Severity.WARN,
    "mean vector to that of the day before; a day's new texts move it by less, an import of a taxonomy may not",
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
EXTRACTION_RP_AT_5 = _at_least(
    0.6,
    "RP@5",
    Severity.WARN,
    "skills found among the five best, of those possible; the best published on job ads is 0.64",
)
BIO_READING_RATIO = _at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "every bio is read by one extractor or the other; single ones are on their way",
)
TEXT_OUTAGE_RATIO = _at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "texts that Gemini failed to read; a text in twenty may fail, more is an outage; what the budget left out is none",
)
README_FAILURE_RATIO = _at_most(
    0.05,
    "ratio",
    Severity.WARN,
    "READMEs whose last read failed; single repositories are unreadable for a while",
)
CACHE_SIZE_RATIO = _at_most(
    1.0,
    "of its bound",
    Severity.WARN,
    "the fullest cache after a sweep; above its bound, what is in use alone is more than was planned for",
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
FIRST_PLACES_GINI = _at_most(
    0.9,
    "Gini coefficient",
    Severity.WARN,
    "first places go to more than the few; 0.9 is what lists by score alone come to where some are wanted by all",
)
PUBLISHED_NDCG = _at_least(
    0.05,
    "nDCG@10",
    Severity.WARN,
    "a random list of ten out of a thousand comes to about 0.01; below a few times that, the score tells little",
)
MATCH_PAGE_MS = _at_most(
    200, "ms", Severity.ERROR, "95th percentile of a page of matches; a reader takes up to this for at once"
)
MATCH_PAGE_ERROR_RATIO = _at_most(
    0, "ratio", Severity.ERROR, "the application's own query fails or takes more than two seconds"
)
EMPTY_PAGE_RATIO = _at_most(
    0.05, "ratio", Severity.ERROR, "pages without a match; filters may leave nobody for a few projects"
)
STALEST_MATCHES_DAYS = _at_most(
    1, "days", Severity.ERROR, "lists are of today, or of yesterday just after midnight"
)
SEARCH_RECALL_RATIO = _at_least(
    0.95,
    "ratio",
    Severity.ERROR,
    "share of the exact answer that the search by index finds under real filters",
)
UNDECIDED_TOPICS = _at_most(
    0,
    "topics",
    Severity.WARN,
    "each run decides on weights, the search index and upkeep, if only to keep them",
)
PUBLISHED_COVERAGE_RATIO = _at_least(
    1.0,
    "ratio",
    Severity.ERROR,
    "open projects with a list, or whose filters let nobody through; a list that is missing is a fault of ours",
)
PUBLISHED_FAULTY_LISTS = _at_most(
    0,
    "lists",
    Severity.ERROR,
    "the lists of a sample equal what scoring every pair of it gives, in every place",
)
PUBLISHED_CHURN_RATIO = _at_most(
    0.5,
    "ratio",
    Severity.ERROR,
    "first places that change hands beyond what developers who join or leave explain; a quiet day changes one in twenty, "
    "half of them at once is more often a fault than the market",
)
PUBLISHED_GINI_RISE = _at_most(
    0.05,
    "Gini coefficient",
    Severity.ERROR,
    "places may not gather on fewer developers than in the live lists and than the scores alone would have it",
)
UNPUBLISHED_VERSIONS = _at_most(
    0, "versions", Severity.ERROR, "a version that was held back leaves readers with the last good one"
)
SUPERSEDED_AGE_DAYS = _at_most(
    8,
    "days",
    Severity.WARN,
    "superseded versions and their changes are kept for 7 days, long enough to look into a complaint",
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
GATEWAY_REFUNDS_ABOVE_CHARGES = _at_most(
    0,
    "charges",
    Severity.WARN,
    "more went back than was ever captured: a refund that was made twice, or one that no one should have made",
)
ANALYTICS_GRACE = dt.timedelta(hours=4)
"""A day is summed up at 02:40 of the next one; until it has had this long it is not missing."""

ANALYTICS_MISSING_DAYS = _at_most(0, "days", Severity.ERROR, "every day up to yesterday is computed")
ANALYTICS_RESIDUAL_MINOR = _at_most(
    0, "minor units", Severity.ERROR, "totals equal the sum of the gateway's rows, exactly, in every currency"
)


RECONCILIATION_RESIDUAL_MINOR = _at_most(
    0,
    "minor units",
    Severity.ERROR,
    "every difference between two books has a name; what has none is a fault of ours",
)
BREAKS_OPEN = _at_most(0, "breaks", Severity.WARN, "each difference between two books wants a person")
BREAKS_PAST_DEADLINE = _at_most(
    0,
    "breaks",
    Severity.ERROR,
    "a book that is only late has caught up by its deadline; then it is no matter of timing",
)
BREAK_AGE_DAYS = _at_most(
    30, "days", Severity.WARN, "an open difference is settled before the month is closed"
)
DUPLICATE_CAPTURES = _at_most(
    0, "charges", Severity.ERROR, "a payment that was charged twice is a refund owed"
)
OVERDUE_RATIO = _at_most(
    0.5,
    "ratio",
    Severity.WARN,
    "of what is owed, in the worst currency; above half, collection does not keep up",
)
REMINDERS_UNKNOWN = _at_most(
    0,
    "reminders",
    Severity.WARN,
    "a mail that may or may not have gone out is not sent again: a person may write",
)
ATTEMPTS_OVER_CAPS = _at_most(
    0, "attempts", Severity.ERROR, "the card networks fine attempts over their caps"
)
RETRIES_UNKNOWN = _at_most(
    0,
    "attempts",
    Severity.ERROR,
    "an attempt without an outcome for three hours outlived the run that should find it out",
)
RETRIES_UNKNOWN_GRACE = dt.timedelta(hours=3)
RETRIES_FOR_PERSON = _at_most(0, "attempts", Severity.ERROR, "only a person can tell what became of it")
AUTHORIZATION_RATIO = _at_least(
    0.7,
    "ratio",
    Severity.WARN,
    "of payments; cards not present are authorized at 80 to 90 %, and clients here pay late",
)
DISPUTE_RATIO = _at_most(
    0.0075,
    "ratio",
    Severity.WARN,
    "Stripe warns of card network programmes from 0.75 %: docs.stripe.com/disputes/measuring",
)
RATIO_MIN_COUNT = 50
"""A ratio over fewer cases breaks no service level: one of them more or less would decide it."""
GATEWAY_DATA_HOURS = _at_most(
    3, "hours", Severity.ERROR, "since all of the gateway was read; each hour reads it for the metrics"
)

REMINDER_LADDER_DAYS = (3, 14, 30, 60)
"""Days overdue at which each step of the reminder ladder is due: a bank transfer may take three days, and each later step
leaves the time of a usual payment run."""

SALES_WINDOW = dt.timedelta(days=90)
"""Period of days sales outstanding: a quarter, as finance reports them."""

TIMING_DEADLINES = {
    # Stripe repeats a webhook for up to three days: https://docs.stripe.com/webhooks#automatic-retries
    "captures": dt.timedelta(days=3),
    "refunds": dt.timedelta(days=3),
    # The ledger follows an object within minutes, and neither is read much later than the other.
    "balance": dt.timedelta(days=1),
    "fees": dt.timedelta(days=0),
    # Automatic payouts are daily, weekly or monthly: https://docs.stripe.com/payouts#payout-schedule
    "payouts": dt.timedelta(days=31),
}
"""How long two books may differ because one of them is late, by leg of the reconciliation; then it is an error."""


@dataclass(frozen=True)
class NetworkCap:
    """How often a card network lets a declined card be tried again.

    Attributes:
        brand: The network, as the gateway writes it.
        attempts_count: Most attempts in the window.
        window: Length of the window, which slides.
        is_per_amount: Whether only attempts of the same amount and currency count together; else all of the card.
        source: Where the number comes from, and when it was read.
    """

    brand: str
    attempts_count: int
    window: dt.timedelta
    is_per_amount: bool
    source: str

    def describe(self) -> str:
        """The cap as a phrase, such as `visa: 15 in 30 days for one amount`."""
        hours = self.window.total_seconds() / 3600
        length = f"{hours / 24:g} days" if hours > 24 else f"{hours:g} hours"
        scope = " for one amount" if self.is_per_amount else ""
        return f"{self.brand}: {self.attempts_count} in {length}{scope}"


_CAPS_SOURCE = "support.checkout.com, article 25482040901394, When can I retry a declined transaction, read on 2026-11-23"
NETWORK_CAPS = (
    # Visa raised its cap to 20 on 2025-05-19, not in every region and not for every kind of transaction.
    NetworkCap("visa", 15, dt.timedelta(days=30), is_per_amount=True, source=_CAPS_SOURCE),
    NetworkCap("mastercard", 10, dt.timedelta(hours=24), is_per_amount=False, source=_CAPS_SOURCE),
    NetworkCap("mastercard", 35, dt.timedelta(days=30), is_per_amount=False, source=_CAPS_SOURCE),
)

_SOON = tuple(dt.timedelta(hours=hours) for hours in (6, 24, 72))
RETRY_WAITS: dict[str | None, tuple[dt.timedelta, ...]] = {
    # An issuer or a processor that was away is back within hours.
    "processing_error": _SOON,
    "try_again_later": _SOON,
    "issuer_not_available": _SOON,
    "reenter_transaction": _SOON,
    # Money and limits take days to come back.
    None: tuple(dt.timedelta(days=days) for days in (1, 3, 5, 7)),
}
"""Waits after the last attempt before the platform's first, second … one, by decline code; None holds for all others.

They grow, since what has not passed by then passes later. No pay days: where money comes in is not known here.
"""

RETRY_MAX_AGE = dt.timedelta(days=30)
"""Since the first failure: the longest window over which the networks count one series of attempts."""

RETRY_ATTEMPTS_PER_RUN = 500
"""At a second each a run stays well within its two hours."""

RETRY_KEY_LIFETIME = dt.timedelta(hours=23)
"""How long a key may be sent again: the gateway forgets it after 24 hours, and an hour is for clocks that differ."""

RETRY_DATA_AGE = dt.timedelta(hours=1)
"""Gateway data older than this are too old to charge by: each run of the schedule reads them first."""

BREAKER_WINDOW = dt.timedelta(hours=24)
BREAKER_MIN_ATTEMPTS = 20
BREAKER_DECLINED_RATIO = _at_most(
    0.9,
    "ratio",
    Severity.WARN,
    "of second attempts a fifth to a half succeed; nearly none is a problem of our own",
)
BREAKER_UNKNOWN_RATIO = _at_most(
    0.25,
    "ratio",
    Severity.WARN,
    "a gateway that does not answer one call in four is not to be given more of them",
)
