"""What became of matches: steps of the funnel as grades of a project's developers. Pure.

What is measured with them is `analytics` and `exposure`; what is learned from them is `tuning`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pandas as pd

FUNNEL = ("shown", "viewed", "contacted", "interviewed", "hired")
"""Steps of a match, in their order; `rejected` ends it at any of them."""

GRADES: Mapping[str, int] = {"contacted": 1, "interviewed": 2, "hired": 3}
"""How much a step says that the developer suited the project. Being shown or looked at says nothing yet."""

Grades = Mapping[str, Mapping[str, int]]
"""Project id → developer id → grade; 0 for developers who were looked at, and no more."""


def events_until(events: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """The rows of `marketplace.match_events` up to the end of a UTC day."""
    end = pd.Timestamp(as_of + dt.timedelta(days=1), tz="UTC")
    return events[pd.to_datetime(events["occurred_at"], utc=True) < end]


def outcome_grades(events: pd.DataFrame) -> Grades:
    """The highest grade that each pair reached, of pairs that the client looked at.

    Who was shown but never looked at is left out: that tells of the place in the list, not of the developer.
    """
    graded = events[events["event_type"].isin(["viewed", *GRADES])]
    found: dict[str, dict[str, int]] = {}
    for project_id, developer_id, event_type in zip(
        graded["project_id"], graded["developer_id"], graded["event_type"]
    ):
        grades = found.setdefault(project_id, {})
        grades[developer_id] = max(grades.get(developer_id, 0), GRADES.get(event_type, 0))
    return found


def positive(grades: Mapping[str, int]) -> dict[str, int]:
    """The developers whom a client went on with."""
    return {developer_id: grade for developer_id, grade in grades.items() if grade > 0}
