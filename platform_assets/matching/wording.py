"""What the terms of a score and the filters look at, in words for one pair. No numbers of the score are made here.

What the words are put together to is `explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.currencies import format_minor
from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.filters import Filters, overlap_hours, utc_offset_hours

_NAMED_COUNT = 8

Row = Mapping[str, Any]
InputsInWords = Callable[[ProjectFeatures, DeveloperFeatures, Row, Row], str]
"""Features of a project and of one developer, and their rows of the marketplace ↦ what a term looked at."""

ValuesInWords = Callable[[Filters, Row, Row], str]
"""Filters of one project and one developer, and their rows ↦ the two values that don't go together."""


def _skills(project: ProjectFeatures, developers: DeveloperFeatures, _: Row, __: Row) -> str:
    if not project.skills:
        return "the project asks for no known skill"
    found = developers.skills.getrow(0).toarray().ravel()
    parts = []
    for skill, share in sorted(project.skills.items(), key=lambda item: (-item[1], item[0])):
        column = developers.skill_columns.get(skill)
        sure = 0.0 if column is None else float(found[column])
        parts.append(f"{skill} ({share:.0%} of what is asked) sure to {sure:.2f}")
    return _listed(parts)


def _meaning(project: ProjectFeatures, developers: DeveloperFeatures, _: Row, __: Row) -> str:
    if project.vector is None:
        return "the project's text has no vector yet"
    if not len(developers.facet_names):
        return "nothing of the developer's work has a vector yet"
    cosines = developers.vectors.astype(np.float64) @ project.vector.astype(np.float64)
    nearest = int(np.argmax(cosines))
    return f"nearest of {len(cosines)} sides of the work: {developers.facet_names[nearest]}, cosine {cosines[nearest]:.3f}"


def _title(project: ProjectFeatures, developers: DeveloperFeatures, _: Row, __: Row) -> str:
    if not project.words:
        return "the title has no words"
    used = developers.words.getrow(0).toarray().ravel()
    columns = developers.word_columns
    shared = [word for word in sorted(project.words) if word in columns and used[columns[word]] > 0]
    missing = [word for word in sorted(project.words) if word not in shared]
    return f"in the work: {_listed(shared) or 'none'}; not in it: {_listed(missing) or 'none'}"


def _breadth(_: ProjectFeatures, developers: DeveloperFeatures, __: Row, ___: Row) -> str:
    return f"{int(developers.repositories_count[0])} repositories with own work"


def _rate(project: ProjectFeatures, _: DeveloperFeatures, project_row: Row, developer_row: Row) -> str:
    paid = "any rate"
    if project.affordable_rate_minor is not None:
        paid = f"at most {_money(project.affordable_rate_minor, project_row['currency'])} an hour"
    is_comparable = _is_missing(developer_row["hourly_rate_minor"]) or (
        project.currency in (None, developer_row["currency"])
    )
    told = f"asks {_rate_of(developer_row)}; the client can pay {paid}"
    return told if is_comparable else f"{told}: two currencies don't compare"


def _availability(_: ProjectFeatures, __: DeveloperFeatures, project_row: Row, developer_row: Row) -> str:
    free, wanted = developer_row["capacity_hours_per_week"], project_row["hours_per_week"]
    return f"{_hours(free)} a week free; {_hours(wanted)} wanted"


def _reputation(_: ProjectFeatures, __: DeveloperFeatures, ___: Row, developer_row: Row) -> str:
    if not developer_row["rating_count"] or _is_missing(developer_row["rating_average"]):
        return "not rated yet"
    return f"rated {developer_row['rating_average']:.2f} of 5 by {int(developer_row['rating_count'])} clients"


def _recency(_: ProjectFeatures, developers: DeveloperFeatures, __: Row, ___: Row) -> str:
    days = float(developers.idle_days[0])
    return "no contribution known" if np.isnan(days) else f"last contribution {days:.0f} days before"


INPUTS: Mapping[str, InputsInWords] = {
    "skills": _skills,
    "meaning": _meaning,
    "title": _title,
    "breadth": _breadth,
    "rate": _rate,
    "availability": _availability,
    "reputation": _reputation,
    "recency": _recency,
}
"""Term of the score → its inputs in words."""


def _status(_: Filters, project: Row, __: Row) -> str:
    return f"the project is `{project['status']}`; only open ones are matched"


def _active(_: Filters, __: Row, ___: Row) -> str:
    return "the developer's account is closed or suspended"


def _available(filters: Filters, _: Row, developer: Row) -> str:
    free = developer["available_from"]
    told = "not available" if _is_missing(free) else f"free from {np.datetime64(free, 'D')}"
    return f"the developer is {told}; the work begins by {filters.latest_starts[0]} at the latest"


def _rate_or_currency(_: Filters, project: Row, developer: Row) -> str:
    highest = _money(project["max_hourly_rate_minor"], project["currency"])
    return f"the developer asks {_rate_of(developer)}; the client pays at most {highest}"


def _time_zone(filters: Filters, project: Row, developer: Row) -> str:
    zones = (developer["time_zone"], project["time_zone"])
    ours, theirs = (np.array([utc_offset_hours(zone, filters.as_of)]) for zone in zones)
    shared = overlap_hours(ours, theirs)[0]
    return (
        f"{zones[0]} and {zones[1]} share {shared:g} working hours a day; "
        f"{int(project['min_overlap_hours'])} are wanted"
    )


def _contracted(filters: Filters, project: Row, developer: Row) -> str:
    rows = filters.contracts
    pair = (rows["project_id"] == project["project_id"]) & (rows["developer_id"] == developer["developer_id"])
    return (
        f"they have a contract on this project already ({', '.join(sorted(set(rows.loc[pair, 'status'])))})"
    )


def _blocked(_: Filters, project: Row, __: Row) -> str:
    return f"the developer and client {project['client_id']} are not to be matched"


VALUES: Mapping[str, ValuesInWords] = {
    "project_not_open": _status,
    "not_active": _active,
    "not_available": _available,
    "rate_or_currency": _rate_or_currency,
    "time_zone": _time_zone,
    "already_contracted": _contracted,
    "blocked": _blocked,
}
"""Filter → the two values that it compares, in words."""


def _listed(parts: list[str]) -> str:
    more = len(parts) - _NAMED_COUNT
    return ", ".join(parts[:_NAMED_COUNT]) + (f" and {more} more" if more > 0 else "")


def _rate_of(developer: Row) -> str:
    rate = developer["hourly_rate_minor"]
    return "no stated rate" if _is_missing(rate) else f"{_money(rate, developer['currency'])} an hour"


def _money(amount_minor: float, currency: Any) -> str:
    return format_minor(round(amount_minor), currency) if isinstance(currency, str) else f"{amount_minor:g}"


def _hours(value: Any) -> str:
    return "unknown hours" if _is_missing(value) else f"{int(value)} hours"


def _is_missing(value: Any) -> bool:
    return bool(pd.isna(value))
