"""Error budgets and burn rates: arithmetic on counts of good and of all events. Pure; counting them is `events.py`'s.

The rules are those of the Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts"
(sre.google/workbook/alerting-on-slos), with two of our own for services that have few events.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from platform_assets.monitoring_thresholds import BurnAlert


@dataclass(frozen=True)
class Counts:
    """Events of a window.

    Attributes:
        good_count: Those that kept the promise.
        total_count: All of them.
        moments_count: Moments at which there were any; what one look finds of many things is of one moment.
    """

    good_count: int
    total_count: int
    moments_count: int

    @property
    def bad_count(self) -> int:
        """Those that did not."""
        return self.total_count - self.good_count


NOTHING = Counts(0, 0, 0)


@dataclass(frozen=True)
class Observed:
    """What became of the events of a service level.

    Attributes:
        windows: Counts by name of the window.
        budget: Counts of the window that the budget is for.
        latest: Counts of the latest moment that had any event.
    """

    windows: Mapping[str, Counts]
    budget: Counts
    latest: Counts = NOTHING


@dataclass(frozen=True)
class Standing:
    """How a service level stands.

    Attributes:
        burn_rates: Burn rate by name of the window; None without events.
        budget_left_ratio: Share of the budget that is left, below 0 when overspent; None without events.
        pace_ratio: How near the nearest pair of windows comes to its alerting burn rate; above 1 an alert is due. None
            when every pair has too few events.
        burning: The fastest pair for which an alert is due; None when none is.
    """

    burn_rates: Mapping[str, float | None]
    budget_left_ratio: float | None
    pace_ratio: float | None
    burning: BurnAlert | None


def burn_rate(counts: Counts, objective_ratio: float) -> float | None:
    """How fast the error budget is spent: 1 spends all of it in exactly the budget's window.

    Args:
        counts: The events; without any the rate is unknown, which is not 0.
        objective_ratio: Share of events that must be good, above 0 and below 1.
    """
    if counts.total_count <= 0:
        return None
    return counts.bad_count / counts.total_count / (1.0 - objective_ratio)


def budget_left_ratio(counts: Counts, objective_ratio: float) -> float | None:
    """Share of the error budget of a window that is left after its events, below 0 when overspent."""
    spent = burn_rate(counts, objective_ratio)
    return None if spent is None else 1.0 - spent


def time_to_exhaustion(
    left_ratio: float | None, rate: float | None, budget_window: dt.timedelta
) -> dt.timedelta | None:
    """When the budget will be gone at a burn rate; None when it is unknown, or lasts as long as it is for."""
    if left_ratio is None or rate is None or rate <= 1.0:
        return None
    return max(dt.timedelta(0), left_ratio * budget_window / rate)


def stand(
    observed: Observed,
    objective_ratio: float,
    *,
    alerts: Sequence[BurnAlert],
    min_moments_count: int,
    min_bad_events_count: int,
) -> Standing:
    """How a service level stands, by what became of its events.

    A pair of windows speaks when its long one has events at enough moments. Its short one may have none where events are
    rare: then the latest moment stands for it, since silence is no recovery.

    Args:
        observed: What became of the events.
        objective_ratio: Share of events that must be good.
        alerts: The pairs of windows, from the fastest.
        min_moments_count: Fewest moments of a long window that say anything.
        min_bad_events_count: Fewest bad ones for an alert.
    """
    paces: list[tuple[BurnAlert, float]] = []
    for alert in alerts:
        long, short = observed.windows[alert.long], observed.windows[alert.short]
        if long.moments_count < min_moments_count:
            continue
        rates = [
            burn_rate(counts, objective_ratio)
            for counts in (long, short if short.total_count else observed.latest)
        ]
        slower = min((rate for rate in rates if rate is not None), default=0.0)
        # Too few bad events are no alert, however many they are of the few that there were.
        is_enough = long.bad_count >= min_bad_events_count
        paces.append((alert, slower / alert.burn_rate if is_enough else 0.0))
    return Standing(
        burn_rates={name: burn_rate(counts, objective_ratio) for name, counts in observed.windows.items()},
        budget_left_ratio=budget_left_ratio(observed.budget, objective_ratio),
        pace_ratio=max((pace for _, pace in paces), default=None),
        burning=next((alert for alert, pace in paces if pace > 1.0), None),
    )
