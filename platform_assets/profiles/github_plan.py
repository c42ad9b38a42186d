"""Whose GitHub profile is due, in which order, and how much of it an hour's points can buy.

Pure. Reading is `refresh.py`; what a call may cost is kept by `clients/github_ledger.py`, whatever was planned here.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

REFRESH_AFTER = dt.timedelta(days=1)
"""Age at which a profile is looked at again."""

RETRY_AFTER = dt.timedelta(hours=1)
"""Wait before a failed read is repeated. A login that GitHub does not know waits for `REFRESH_AFTER` like a good one."""

KEEP_RATIO = 0.2
"""Share of an hour's points that a refresh leaves to whoever else uses the tokens."""

LOOK_POINTS = 0.01
"""Points of a look at a known account: a hundred share a query of one point."""

CHANGED_POINTS = 0.5
"""Points of reading what changed in an account: measured by `benchmarks.github_refresh`, rounded up."""

CHANGED_RATIO = 0.05
"""Known accounts that changed within `REFRESH_AFTER`, as far as is known before looking."""

NEW_POINTS = 0.9
"""Points of reading all years of an account: measured by `benchmarks.github_refresh`, rounded up."""

NEVER_READ_STALENESS = 3 * REFRESH_AFTER
"""As how old an account counts that was never read: before all that are merely due, but not before those long overdue."""

DEMAND_WEIGHT = 4.0
"""How much faster a profile ages that is looked at: of developers in matches or with open contracts."""


@dataclass(frozen=True)
class Plan:
    """What a refresh will do.

    Attributes:
        due: `developer_id`, `github_login` of everybody who is due, the most needed first; without a login: last.
        now_count: How many of the rows with a login the points buy now; the others wait for the next hour.
        points_expected: Points that all who are due would take.
        points_spendable: Points that may be spent now.
        freshness_hours: Every developer is read within so many hours, at this budget.
    """

    due: pd.DataFrame
    now_count: int
    points_expected: float
    points_spendable: int
    freshness_hours: float


def plan_refresh(
    developers: pd.DataFrame,
    known_profiles: pd.DataFrame,
    *,
    now: dt.datetime,
    wanted_ids: Collection[str] = (),
    refresh_after: dt.timedelta = REFRESH_AFTER,
    retry_after: dt.timedelta = RETRY_AFTER,
) -> pd.DataFrame:
    """Whose profile is due, by staleness and demand: never asked for, or long unasked, and wanted.

    Args:
        developers: `developer_id`, `github_login`; a blank login is none.
        known_profiles: Rows of `developer_profiles`.
        now: Moment of planning (UTC).
        wanted_ids: Developers whose profile is in demand.
        refresh_after: Age at which a good or unknown account is read again.
        retry_after: Wait before a failed read is repeated.

    Returns:
        `developer_id`, `github_login` of developers who are new, have another login or none any more, or are due by
        age. Those without a login need a row, but no call.
    """
    known = known_profiles.reindex(columns=["developer_id", "github_login", "state", "attempted_at"])
    wanted = developers[["developer_id", "github_login"]].copy()
    wanted["github_login"] = clean_logins(wanted["github_login"])
    both = wanted.merge(known, on="developer_id", how="left", suffixes=("", "_known"), validate="one_to_one")
    login = both["github_login"].str.casefold().fillna("")
    known_login = clean_logins(both["github_login_known"]).str.casefold().fillna("")
    both["attempted_at"] = pd.to_datetime(both["attempted_at"], utc=True).where(login == known_login)
    wait = pd.Series(pd.Timedelta(refresh_after), index=both.index).mask(
        both["state"] == "failed", pd.Timedelta(retry_after)
    )
    is_due = both["attempted_at"].isna() | ((login != "") & (both["attempted_at"] + wait <= now))
    staleness_s = (now - both["attempted_at"]).dt.total_seconds().fillna(NEVER_READ_STALENESS.total_seconds())
    weight = both["developer_id"].isin(list(wanted_ids)).map({True: DEMAND_WEIGHT, False: 1.0})
    both["need"] = staleness_s * weight
    due = both[is_due].sort_values(["need", "developer_id"], ascending=[False, True])
    return due[["developer_id", "github_login"]].reset_index(drop=True)


def fit_budget(
    due: pd.DataFrame,
    *,
    followed_logins: Collection[str],
    linked_count: int,
    points_spendable: int,
    points_per_hour: float,
) -> Plan:
    """How many of those who are due the points buy, and how fresh they can keep everybody.

    Args:
        due: What `plan_refresh` gave.
        followed_logins: Logins in lower case of accounts that a look is enough for.
        linked_count: All developers with a login.
        points_spendable: Points that may be spent now.
        points_per_hour: Points that may be spent in an hour.

    Returns:
        The plan. The freshness is `REFRESH_AFTER`, or the time that one look at everybody takes if that is longer, and
        on top of it the hours that those wait who don't fit now.
    """
    linked = due[due["github_login"].notna()]
    logins = linked["github_login"].str.casefold()
    points = logins.isin(list(followed_logins)).map({True: _KNOWN_POINTS, False: NEW_POINTS})
    # Several developers may name one account, which is read once.
    points = points.where(~logins.duplicated(), 0.0)
    # Rounded: a sum of hundredths that errs in its last bit must not cost an hour.
    expected = round(float(points.sum()), 4)
    now_count = int((points.cumsum().round(4) <= points_spendable).sum())
    pass_hours = _ratio(linked_count * _KNOWN_POINTS, points_per_hour)
    waiting = max(0.0, expected - points_spendable)
    hours = max(REFRESH_AFTER / dt.timedelta(hours=1), pass_hours) + _hours_up(waiting, points_per_hour)
    return Plan(
        due=pd.concat([linked, due[due["github_login"].isna()]], ignore_index=True),
        now_count=now_count,
        points_expected=expected,
        points_spendable=points_spendable,
        freshness_hours=hours,
    )


_KNOWN_POINTS = LOOK_POINTS + CHANGED_RATIO * CHANGED_POINTS


def _ratio(points: float, points_per_hour: float) -> float:
    if points == 0:
        return 0.0
    return points / points_per_hour if points_per_hour > 0 else math.inf


def _hours_up(points: float, points_per_hour: float) -> float:
    hours = _ratio(points, points_per_hour)
    return float(math.ceil(hours)) if math.isfinite(hours) else hours


def clean_logins(logins: pd.Series[Any]) -> pd.Series[Any]:
    """Logins without blanks around them; an empty one is none."""
    stripped = logins.astype("string").str.strip()
    return stripped.mask(stripped == "")
