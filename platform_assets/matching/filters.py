"""Exact filters: which developers may be matched with a project, and for any pair why not.

Each filter is a set or a mask over developers. How good a permitted pair is, is `scoring`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.features import texts_of

Mask = npt.NDArray[np.bool_]

START_SLACK_DAYS = 14
"""How much later than wanted a developer may become free: notice periods are counted in weeks."""

WORKING_HOURS = 8.0
"""A working day, 9 to 17 local time on both sides."""

_PARTED_STATUSES = frozenset({"cancelled"})
"""A contract in one of these no longer binds the pair."""


@dataclass(frozen=True)
class Filters:
    """The data that filters read; frames of the marketplace contract, developers ordered by id.

    Attributes:
        developers: `developer_id`, `is_active`, `available_from`, `hourly_rate_minor`, `currency`, `time_zone`.
        contracts: `project_id`, `developer_id`, `status`.
        blocks: `client_id`, `developer_id`.
        as_of: The day for which time zones and availability hold.
    """

    developers: pd.DataFrame
    contracts: pd.DataFrame
    blocks: pd.DataFrame
    as_of: dt.date

    @cached_property
    def developer_ids(self) -> tuple[str, ...]:
        """Ids in the order of the masks."""
        return tuple(self.developers["developer_id"])

    @cached_property
    def _is_active(self) -> Mask:
        return self.developers["is_active"].to_numpy(dtype=np.bool_)

    @cached_property
    def _available_from(self) -> npt.NDArray[np.datetime64]:
        return pd.to_datetime(self.developers["available_from"]).to_numpy(dtype="datetime64[D]")

    @cached_property
    def _rates(self) -> npt.NDArray[np.float64]:
        rates = pd.to_numeric(self.developers["hourly_rate_minor"])
        return rates.to_numpy(dtype=np.float64, na_value=np.nan)

    @cached_property
    def _currencies(self) -> npt.NDArray[np.str_]:
        return texts_of(self.developers["currency"])

    @cached_property
    def _utc_offsets(self) -> npt.NDArray[np.float64]:
        zones = self.developers["time_zone"]
        offsets = {zone: utc_offset_hours(zone, self.as_of) for zone in zones.dropna().unique()}
        return np.array([offsets.get(zone, np.nan) for zone in zones], dtype=np.float64)

    @cached_property
    def _contracted(self) -> Mapping[str, frozenset[str]]:
        binding = self.contracts[~self.contracts["status"].isin(_PARTED_STATUSES)]
        return _sets(binding, "project_id")

    @cached_property
    def _blocked(self) -> Mapping[str, frozenset[str]]:
        return _sets(self.blocks, "client_id")


def allowed(filters: Filters, project: Mapping[str, Any]) -> Mask:
    """Which developers pass every filter for a project.

    Args:
        filters: The developers and what binds them.
        project: A row of `marketplace.projects`.

    Returns:
        True for those who may be matched, in the order of `filters.developer_ids`.
    """
    mask = np.ones(len(filters.developer_ids), dtype=np.bool_)
    for passes in FILTERS.values():
        mask &= passes(filters, project)
    return mask


def why_not(filters: Filters, project: Mapping[str, Any], developer_id: str) -> list[str]:
    """Names of the filters that keep a pair from being matched, in the order of `FILTERS`; empty when none does.

    Raises:
        KeyError: The developer is not known.
    """
    try:
        position = filters.developer_ids.index(developer_id)
    except ValueError:
        raise KeyError(f"There is no developer {developer_id}") from None
    return [name for name, passes in FILTERS.items() if not passes(filters, project)[position]]


def utc_offset_hours(zone: str, on: dt.date) -> float:
    """Hours that a time zone is ahead of UTC at noon UTC of a day; NaN for a name that is not known."""
    try:
        offset = dt.datetime.combine(on, dt.time(12), dt.UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (KeyError, ValueError, OSError):
        # ZoneInfo raises ZoneInfoNotFoundError (a KeyError), ValueError for a path-like key, OSError for a folder's name.
        return float("nan")
    return float("nan") if offset is None else offset.total_seconds() / 3600


def overlap_hours(
    developer_offsets: npt.NDArray[np.float64], project_offset: float
) -> npt.NDArray[np.float64]:
    """Working hours a day that two sides share, from 0 to 8; midnight is no border. NaN where a zone is unknown."""
    apart = np.abs(developer_offsets - project_offset) % 24.0
    return np.maximum(0.0, WORKING_HOURS - np.minimum(apart, 24.0 - apart))


def _project_is_open(filters: Filters, project: Mapping[str, Any]) -> Mask:
    return np.full(len(filters.developer_ids), project["status"] == "open")


def _active(filters: Filters, project: Mapping[str, Any]) -> Mask:
    return filters._is_active


def _available(filters: Filters, project: Mapping[str, Any]) -> Mask:
    """Free within the slack after the wanted start, or after today where the start is open or past."""
    start = filters.as_of if pd.isna(project["starts_on"]) else pd.Timestamp(project["starts_on"]).date()
    # NumPy's calendar goes on where Python's ends, at a start of 9999-12-30.
    latest = np.datetime64(max(start, filters.as_of), "D") + np.timedelta64(START_SLACK_DAYS, "D")
    # NaT, which stands for "not available", compares as false.
    return filters._available_from <= latest


def _rate_and_currency(filters: Filters, project: Mapping[str, Any]) -> Mask:
    """At most the highest rate, in its currency.

    A rate that is not stated is open to talk and passes. A stated rate in another currency can't be shown to keep the
    client's limit without a dated exchange rate, so it does not pass.
    """
    if pd.isna(project["max_hourly_rate_minor"]):
        return np.ones(len(filters.developer_ids), dtype=np.bool_)
    within = (filters._rates <= float(project["max_hourly_rate_minor"])) & (
        filters._currencies == ("" if pd.isna(project["currency"]) else project["currency"])
    )
    mask: Mask = np.isnan(filters._rates) | within
    return mask


def _time_zone(filters: Filters, project: Mapping[str, Any]) -> Mask:
    """Enough shared working hours; where a time zone is unknown the pair passes, as nothing speaks against it."""
    if pd.isna(project["min_overlap_hours"]) or pd.isna(project["time_zone"]):
        return np.ones(len(filters.developer_ids), dtype=np.bool_)
    shared = overlap_hours(filters._utc_offsets, utc_offset_hours(project["time_zone"], filters.as_of))
    return np.isnan(shared) | (shared >= float(project["min_overlap_hours"]))


def _not_contracted(filters: Filters, project: Mapping[str, Any]) -> Mask:
    return _outside(filters, filters._contracted.get(project["project_id"], frozenset()))


def _not_blocked(filters: Filters, project: Mapping[str, Any]) -> Mask:
    return _outside(filters, filters._blocked.get(project["client_id"], frozenset()))


def _outside(filters: Filters, excluded: frozenset[str]) -> Mask:
    return np.array([developer_id not in excluded for developer_id in filters.developer_ids], dtype=np.bool_)


def _sets(frame: pd.DataFrame, key: str) -> dict[str, frozenset[str]]:
    return {str(owner): frozenset(rows["developer_id"]) for owner, rows in frame.groupby(key)}


FILTERS: Mapping[str, Callable[[Filters, Mapping[str, Any]], Mask]] = {
    "project_not_open": _project_is_open,
    "not_active": _active,
    "not_available": _available,
    "rate_or_currency": _rate_and_currency,
    "time_zone": _time_zone,
    "already_contracted": _not_contracted,
    "blocked": _not_blocked,
}
"""Reason for refusing a pair → the mask of developers whom it lets through."""
