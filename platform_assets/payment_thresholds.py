"""Every number of the payments domain that a check, a reminder or a retry goes by, with its reason and source.

What a threshold is, and the numbers of the other domains, stand in `thresholds.py`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from platform_assets.thresholds import Severity, at_least, at_most

GATEWAY_MISMATCHED_PAYMENTS = at_most(
    0,
    "payments",
    Severity.WARN,
    "a paid payment whose amount or currency differs from the gateway's wants a person",
)
GATEWAY_MISSING_PAYMENTS = at_most(
    0,
    "payments",
    Severity.ERROR,
    "a payment marked paid that the gateway never captured is money believed in, not had",
)
GATEWAY_REFUNDS_ABOVE_CHARGES = at_most(
    0,
    "charges",
    Severity.WARN,
    "more went back than was ever captured: a refund that was made twice, or one that no one should have made",
)
ANALYTICS_GRACE = dt.timedelta(hours=4)
"""A day is summed up at 02:40 of the next one; until it has had this long it is not missing."""

ANALYTICS_MISSING_DAYS = at_most(0, "days", Severity.ERROR, "every day up to yesterday is computed")
ANALYTICS_RESIDUAL_MINOR = at_most(
    0, "minor units", Severity.ERROR, "totals equal the sum of the gateway's rows, exactly, in every currency"
)


RECONCILIATION_RESIDUAL_MINOR = at_most(
    0,
    "minor units",
    Severity.ERROR,
    "every difference between two books has a name; what has none is a fault of ours",
)
BREAKS_OPEN = at_most(0, "breaks", Severity.WARN, "each difference between two books wants a person")
BREAKS_PAST_DEADLINE = at_most(
    0,
    "breaks",
    Severity.ERROR,
    "a book that is only late has caught up by its deadline; then it is no matter of timing",
)
BREAK_AGE_DAYS = at_most(
    30, "days", Severity.WARN, "an open difference is settled before the month is closed"
)
DUPLICATE_CAPTURES = at_most(
    0, "charges", Severity.ERROR, "a payment that was charged twice is a refund owed"
)
OVERDUE_RATIO = at_most(
    0.5,
    "ratio",
    Severity.WARN,
    "of what is owed, in the worst currency; above half, collection does not keep up",
)
REMINDERS_UNKNOWN = at_most(
    0,
    "reminders",
    Severity.WARN,
    "a mail that may or may not have gone out is not sent again: a person may write",
)
ATTEMPTS_OVER_CAPS = at_most(0, "attempts", Severity.ERROR, "the card networks fine attempts over their caps")
RETRIES_UNKNOWN = at_most(
    0,
    "attempts",
    Severity.ERROR,
    "an attempt without an outcome for three hours outlived the run that should find it out",
)
RETRIES_UNKNOWN_GRACE = dt.timedelta(hours=3)
RETRIES_FOR_PERSON = at_most(0, "attempts", Severity.ERROR, "only a person can tell what became of it")
AUTHORIZATION_RATIO = at_least(
    0.7,
    "ratio",
    Severity.WARN,
    "of payments; cards not present are authorized at 80 to 90 %, and clients here pay late",
)
DISPUTE_RATIO = at_most(
    0.0075,
    "ratio",
    Severity.WARN,
    "Stripe warns of card network programmes from 0.75 %: docs.stripe.com/disputes/measuring",
)
RATIO_MIN_COUNT = 50
"""A ratio over fewer cases breaks no service level: one of them more or less would decide it."""
GATEWAY_DATA_HOURS = at_most(
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
BREAKER_DECLINED_RATIO = at_most(
    0.9,
    "ratio",
    Severity.WARN,
    "of second attempts a fifth to a half succeed; nearly none is a problem of our own",
)
BREAKER_UNKNOWN_RATIO = at_most(
    0.25,
    "ratio",
    Severity.WARN,
    "a gateway that does not answer one call in four is not to be given more of them",
)
