"""When alerts are told, what hides behind what, and how severe they are: the numbers, each with its reason.

What checks compare with stands in `thresholds.py` and its siblings.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from platform_assets.monitoring.alerting.severity import Severity

BURST_WAIT = dt.timedelta(seconds=20)
"""How long news of an alert may wait for the rest of a burst, beside what delivery waits to group it: somebody hears of a
problem within a minute of its notice."""

CAUSE_GRACE = dt.timedelta(minutes=10)
"""How much later than its effect a cause may be noticed: services are looked at every five minutes, and twice."""

AFTER_CAUSE_WAIT = dt.timedelta(minutes=15)
"""How long an effect that nobody has looked at since may outlive its cause untold: every check is evaluated within ten."""

FLAPPING_RETURNS = 3
FLAPPING_WINDOW = dt.timedelta(hours=2)
"""A problem that was resolved this often within the window, and is there again, flaps: telling each time tells nothing."""

FLAPPING_CALM = dt.timedelta(minutes=30)
"""How long a flapping problem must stay away to count as resolved: three evaluations of its check."""

REMIND_AFTER: dict[str, dt.timedelta] = {
    "critical": dt.timedelta(hours=4),
    "high": dt.timedelta(hours=24),
}
"""How long an alert that nobody has acknowledged stays quiet between notifications; lower severities are told once."""


class Problem(StrEnum):
    """What kind of problem an alert is about, by what it means for those who rely on the platform."""

    SERVICE = "service"
    """Something that assets need does not answer, or not well."""
    RUN_GIVEN_UP = "run_given_up"
    """A run failed as often as it may: only a person can go on."""
    RUN_FAILED = "run_failed"
    """A run failed and is not run again."""
    RUN_RETRIED = "run_retried"
    """A run failed and is run again."""
    CHECK_ERROR = "check_error"
    """A service level is broken that must be kept."""
    CHECK_WARNING = "check_warning"
    """A service level is broken that asks for a look."""


@dataclass(frozen=True)
class SeverityRange:
    """How severe a kind of problem is before and after its impact is weighed.

    Attributes:
        base: Without regard to impact.
        lowest: However little depends on it.
        highest: However much does.
        reason: Why.
    """

    base: Severity
    lowest: Severity
    highest: Severity
    reason: str


SEVERITY_RANGES: dict[Problem, SeverityRange] = {
    Problem.SERVICE: SeverityRange(
        "high", "medium", "critical", "work stops where it is needed, and goes on by itself"
    ),
    Problem.RUN_GIVEN_UP: SeverityRange(
        "critical", "critical", "critical", "nothing goes on until somebody acts"
    ),
    Problem.RUN_FAILED: SeverityRange(
        "high", "medium", "critical", "stays so until somebody acts; data age meanwhile"
    ),
    Problem.RUN_RETRIED: SeverityRange(
        "medium", "low", "medium", "mends itself, or is given up and told as that"
    ),
    Problem.CHECK_ERROR: SeverityRange("high", "medium", "critical", "what people are shown is wrong or old"),
    Problem.CHECK_WARNING: SeverityRange("medium", "low", "high", "wants a look within days"),
}


@dataclass(frozen=True)
class SeverityRule:
    """How an impact moves a severity.

    Attributes:
        measure: What of the impact: `money_ratio`, `clients_count` or `reach_count`.
        direction: Which side of the bound makes it apply.
        bound: In the measure's unit.
        unit: Unit of the measure.
        steps: Levels up, or down when negative.
        reason: Why this bound.
    """

    measure: Literal["money_ratio", "clients_count", "reach_count"]
    direction: Literal["at_least", "at_most"]
    bound: float
    unit: str
    steps: int
    reason: str

    def applies(self, measured: float | None) -> bool:
        """Whether the impact moves the severity; what is not known moves nothing."""
        if measured is None:
            return False
        return measured >= self.bound if self.direction == "at_least" else measured <= self.bound


SEVERITY_RULES: tuple[SeverityRule, ...] = (
    SeverityRule(
        "money_ratio",
        "at_least",
        0.5,
        "of 90 days' requests",
        +1,
        "in one currency, half of what a quarter asks for: a company's liquidity hangs on it",
    ),
    SeverityRule(
        "clients_count",
        "at_least",
        1_000,
        "clients",
        +1,
        "more than a support team could answer one by one in a day",
    ),
    SeverityRule(
        "reach_count",
        "at_most",
        0,
        "assets, clients and payments",
        -1,
        "nothing is made from it and nobody waits for it",
    ),
)
