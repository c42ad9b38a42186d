"""How severe a problem is, from what kind it is and from what depends on it. Pure.

Ranges and rules are data in `rules.py`; money and clients are read by `exposure.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from platform_assets.monitoring.alerting.rules import SEVERITY_RANGES, SEVERITY_RULES, Problem, SeverityRule
from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity, rank


@dataclass(frozen=True)
class MoneyAtRisk:
    """Payments of one currency that are not settled and rest on what is broken.

    Attributes:
        currency: ISO 4217 code.
        amount_minor: Their sum in minor units.
        payments_count: How many they are.
        requested_minor: What was requested in this currency in the 90 days before, in minor units.
    """

    currency: str
    amount_minor: int
    payments_count: int
    requested_minor: int

    @property
    def ratio(self) -> float | None:
        """Amount over what was requested; None when nothing was."""
        return self.amount_minor / self.requested_minor if self.requested_minor else None


@dataclass(frozen=True)
class Exposure:
    """Who and what waits for some assets.

    Attributes:
        money: By currency, sorted; amounts in different currencies are never added.
        clients_count: Clients with such payments, or with open projects where matches are concerned.
        unknown_because: Why neither could be read; None when both were.
    """

    money: tuple[MoneyAtRisk, ...] = ()
    clients_count: int = 0
    unknown_because: str | None = None


@dataclass(frozen=True)
class Impact:
    """A severity with its calculation.

    Attributes:
        severity: How bad the problem is.
        problem: What kind it is.
        assets: What it is about.
        downstream: Assets that are made from these.
        exposure: Who and what waits for any of them.
        applied: The rules that apply, with what was measured.
    """

    severity: Severity
    problem: Problem
    assets: tuple[str, ...]
    downstream: tuple[str, ...]
    exposure: Exposure
    applied: tuple[tuple[SeverityRule, float], ...]

    def as_json(self) -> dict[str, Any]:
        """The calculation as the alert keeps it."""
        bounds = SEVERITY_RANGES[self.problem]
        return {
            "problem": self.problem.value,
            "severity": self.severity,
            "base_severity": bounds.base,
            "range": [bounds.lowest, bounds.highest],
            "range_reason": bounds.reason,
            "rules": [
                {
                    "measure": rule.measure,
                    "measured": measured,
                    rule.direction: rule.bound,
                    "unit": rule.unit,
                    "steps": rule.steps,
                    "reason": rule.reason,
                }
                for rule, measured in self.applied
            ],
            "assets": list(self.assets),
            "downstream": list(self.downstream),
            "clients_count": None if self.exposure.unknown_because else self.exposure.clients_count,
            "money_at_risk": None
            if self.exposure.unknown_because
            else {
                money.currency: {
                    "amount_minor": money.amount_minor,
                    "payments_count": money.payments_count,
                    "requested_minor": money.requested_minor,
                    "ratio": money.ratio,
                }
                for money in self.exposure.money
            },
            **({"unknown_because": self.exposure.unknown_because} if self.exposure.unknown_because else {}),
        }


def assess_impact(
    problem: Problem,
    *,
    assets: Collection[str],
    downstream: Collection[str],
    exposure: Exposure,
    rules: Sequence[SeverityRule] = SEVERITY_RULES,
) -> Impact:
    """Weigh what depends on a problem.

    Of the rules that apply the one that lifts most counts, else the one that lowers most; the kind of the problem says
    how far the severity may go either way.

    Args:
        problem: What kind it is.
        assets: What it is about; a problem of no asset, of a schedule say, is never lowered for its small reach.
        downstream: Assets that are made from these.
        exposure: Who and what waits for any of them.
        rules: How an impact moves a severity.
    """
    measured = _measure(assets, downstream, exposure)
    applied = tuple(
        (rule, value)
        for rule in rules
        if (value := measured[rule.measure]) is not None and rule.applies(value)
    )
    steps = [rule.steps for rule, _ in applied]
    up, down = max(steps, default=0), min(steps, default=0)
    bounds = SEVERITY_RANGES[problem]
    place = rank(bounds.base) + (up if up > 0 else down)
    place = min(max(place, rank(bounds.lowest)), rank(bounds.highest))
    return Impact(
        SEVERITIES[place], problem, tuple(sorted(assets)), tuple(sorted(downstream)), exposure, applied
    )


def _measure(
    assets: Collection[str], downstream: Collection[str], exposure: Exposure
) -> dict[str, float | None]:
    if exposure.unknown_because is not None:
        return {"money_ratio": None, "clients_count": None, "reach_count": None}
    ratios = [money.ratio for money in exposure.money if money.ratio is not None]
    payments_count = sum(money.payments_count for money in exposure.money)
    reach_count = len(set(downstream) - set(assets)) + exposure.clients_count + payments_count
    return {
        "money_ratio": max(ratios, default=None),
        "clients_count": exposure.clients_count,
        "reach_count": reach_count if assets else None,
    }
