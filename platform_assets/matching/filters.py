"""Exact filters: which pairs of a project and a developer may be matched, and for any pair why not.

Each filter looks at any number of pairs at once. How good a permitted pair is, is `scoring`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.repositories import Floats, Integers

Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]

START_SLACK_DAYS = 14
"""How much later than wanted a developer may become free: notice periods are counted in weeks."""

WORKING_HOURS = 8.0
"""A working day, 9 to 17 local time on both sides."""

_PARTED_STATUSES = frozenset({"cancelled"})
"""A contract in one of these no longer binds the pair."""


@dataclass(frozen=True)
class Filters:
    """The data that filters read; frames of the marketplace contract, in any order.

    Projects and developers are counted by their place in ascending order of ids, as in features.

    Attributes:
        developers: `developer_id`, `is_active`, `available_from`, `hourly_rate_minor`, `currency`, `time_zone`.
        projects: `project_id`, `client_id`, `status`, `starts_on`, `max_hourly_rate_minor`, `currency`, `time_zone`,
            `min_overlap_hours`.
        contracts: `project_id`, `developer_id`, `status`.
        blocks: `client_id`, `developer_id`.
        as_of: The day for which time zones and availability hold.
    """

    developers: pd.DataFrame
    projects: pd.DataFrame
    contracts: pd.DataFrame
    blocks: pd.DataFrame
    as_of: dt.date

    def __post_init__(self) -> None:
        for name, key in (("developers", "developer_id"), ("projects", "project_id")):
            frame = getattr(self, name).drop_duplicates(key).sort_values(key, ignore_index=True)
            object.__setattr__(self, name, frame)

    @cached_property
    def developer_positions(self) -> Mapping[str, int]:
        """Developer → place."""
        return {developer: place for place, developer in enumerate(self.developers["developer_id"])}

    @cached_property
    def _developer_index(self) -> pd.Index:
        index: pd.Index = pd.Index(self.developers["developer_id"])
        return index

    @cached_property
    def project_positions(self) -> Mapping[str, int]:
        """Project → place."""
        return {project: place for place, project in enumerate(self.projects["project_id"])}

    @cached_property
    def is_active(self) -> Mask:
        """Whether developers' accounts are open."""
        return self.developers["is_active"].to_numpy(dtype=np.bool_)

    @cached_property
    def available_from(self) -> Days:
        """First days on which developers are free; NaT when they are not available."""
        return pd.to_datetime(self.developers["available_from"]).to_numpy(dtype="datetime64[D]")

    @cached_property
    def latest_starts(self) -> Days:
        """Last days on which projects can begin: the slack after the wanted start, or after today where that has passed."""
        wanted = pd.to_datetime(self.projects["starts_on"]).to_numpy(dtype="datetime64[D]")
        # NumPy's calendar goes on where Python's ends, at a start of 9999-12-30. NaT gives way to today.
        latest: Days = np.fmax(wanted, np.datetime64(self.as_of, "D")) + np.timedelta64(START_SLACK_DAYS, "D")
        return latest

    @cached_property
    def is_open(self) -> Mask:
        """Whether projects look for developers."""
        return (self.projects["status"] == "open").to_numpy(dtype=np.bool_)

    @cached_property
    def rates_minor(self) -> Floats:
        """Developers' rates; NaN when not stated."""
        return _numbers(self.developers["hourly_rate_minor"])

    @cached_property
    def highest_rates_minor(self) -> Floats:
        """Projects' highest rates; NaN when open."""
        return _numbers(self.projects["max_hourly_rate_minor"])

    @cached_property
    def currencies(self) -> tuple[Integers, Integers]:
        """Numbers of the currencies of developers and of projects; equal for equal ones, and for none."""
        both = pd.concat([self.developers["currency"], self.projects["currency"]], ignore_index=True)
        codes = pd.factorize(both)[0].astype(np.int64)
        return codes[: len(self.developers)], codes[len(self.developers) :]

    @cached_property
    def _zones(self) -> tuple[Integers, pd.Series]:
        """Number of each developer's time zone, and the time zones."""
        numbers, zones = pd.factorize(self.developers["time_zone"], use_na_sentinel=False)
        return numbers.astype(np.int64), pd.Series(zones, dtype=object)

    @property
    def zone_numbers(self) -> Integers:
        """Number of each developer's time zone, a column of `zone_fits`."""
        return self._zones[0]

    @cached_property
    def zone_fits(self) -> Mask:
        """Whether enough working hours overlap, shape (projects, developers' time zones)."""
        shared = overlap_hours(
            _offsets(self._zones[1], self.as_of)[None, :],
            _offsets(self.projects["time_zone"], self.as_of)[:, None],
        )
        # What is not known compares as false: nothing speaks against the pair.
        return ~(shared < _numbers(self.projects["min_overlap_hours"])[:, None])

    @cached_property
    def contracted(self) -> _PairSet:
        """Projects and developers bound by a contract."""
        binding = self.contracts[~self.contracts["status"].isin(_PARTED_STATUSES)]
        return self._pair_set(binding["project_id"].map(self.project_positions), binding["developer_id"])

    @cached_property
    def clients(self) -> tuple[Integers, Mapping[str, int]]:
        """Number of each project's client, and client → number."""
        codes, names = pd.factorize(self.projects["client_id"])
        return codes.astype(np.int64), {str(name): code for code, name in enumerate(names)}

    @cached_property
    def blocked(self) -> _PairSet:
        """Clients and developers who must not meet."""
        return self._pair_set(self.blocks["client_id"].map(self.clients[1]), self.blocks["developer_id"])

    def are_among(self, known: _PairSet, places: Integers, positions: Integers) -> Mask:
        """Which pairs of a place and a developer's position are in a set."""
        mask = known.has_any[positions]
        # Few developers are in any pair; only theirs are looked up.
        some = np.flatnonzero(mask)
        numbers = places[some] * len(self.developers) + positions[some]
        found = np.minimum(np.searchsorted(known.numbers, numbers), len(known.numbers) - 1)
        mask[some] = known.numbers[found] == numbers
        return mask

    def _pair_set(self, places: pd.Series, developer_ids: pd.Series) -> _PairSet:
        positions = self._developer_index.get_indexer(pd.Index(developer_ids))
        is_here = places.notna().to_numpy(dtype=np.bool_) & (positions >= 0)
        own = positions[is_here].astype(np.int64)
        has_any = np.zeros(len(self.developers), dtype=np.bool_)
        has_any[own] = True
        return _PairSet(
            np.unique(places.to_numpy()[is_here].astype(np.int64) * len(self.developers) + own), has_any
        )


@dataclass(frozen=True)
class _PairSet:
    """Pairs of a place and a developer.

    Attributes:
        numbers: place × number of developers + position, ascending.
        has_any: Whether a developer is in any pair.
    """

    numbers: Integers
    has_any: Mask


def allowed_pairs(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    """Which pairs pass every filter.

    Args:
        filters: The two sides and what binds them.
        projects: Position of each pair's project.
        developers: Position of each pair's developer.

    Returns:
        True for pairs that may be matched.
    """
    mask = np.ones(len(projects), dtype=np.bool_)
    for passes in FILTERS.values():
        mask &= passes(filters, projects, developers)
    return mask


def eligible_developers(filters: Filters) -> Mask:
    """Which developers any project could be matched with: who is not among them passes for none."""
    starts = filters.latest_starts[filters.is_open]
    if not len(starts):
        return np.zeros(len(filters.developers), dtype=np.bool_)
    # Unlike max, it takes an unknown day for none.
    eligible: Mask = filters.is_active & (filters.available_from <= np.fmax.reduce(starts))
    return eligible


def why_not(filters: Filters, project_id: str, developer_id: str) -> list[str]:
    """Names of the filters that keep a pair from being matched, in the order of `FILTERS`; empty when none does.

    Raises:
        KeyError: The project or the developer is not known.
    """
    if project_id not in filters.project_positions:
        raise KeyError(f"There is no project {project_id}")
    if developer_id not in filters.developer_positions:
        raise KeyError(f"There is no developer {developer_id}")
    project = np.array([filters.project_positions[project_id]])
    developer = np.array([filters.developer_positions[developer_id]])
    return [name for name, passes in FILTERS.items() if not passes(filters, project, developer)[0]]


def refused_counts(filters: Filters, project_id: str) -> dict[str, int]:
    """Developers whom each filter refuses for a project: what to look at when nobody is left.

    Raises:
        KeyError: The project is not known.
    """
    if project_id not in filters.project_positions:
        raise KeyError(f"There is no project {project_id}")
    everybody = np.arange(len(filters.developers))
    project = np.full(len(everybody), filters.project_positions[project_id])
    return {name: int((~passes(filters, project, everybody)).sum()) for name, passes in FILTERS.items()}


def utc_offset_hours(zone: str, on: dt.date) -> float:
    """Hours that a time zone is ahead of UTC at noon UTC of a day; NaN for a name that is not known."""
    try:
        offset = dt.datetime.combine(on, dt.time(12), dt.UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (KeyError, ValueError, OSError):
        # ZoneInfo raises ZoneInfoNotFoundError (a KeyError), ValueError for a path-like key, OSError for a folder's name.
        return float("nan")
    return float("nan") if offset is None else offset.total_seconds() / 3600


def overlap_hours(developer_offsets: Floats, project_offsets: Floats | float) -> Floats:
    """Working hours a day that two sides share, from 0 to 8; midnight is no border. NaN where a zone is unknown."""
    apart = np.abs(developer_offsets - project_offsets) % 24.0
    shared: Floats = np.maximum(0.0, WORKING_HOURS - np.minimum(apart, 24.0 - apart))
    return shared


def _numbers(column: pd.Series) -> Floats:
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def _offsets(zones: pd.Series, on: dt.date) -> Floats:
    offsets = {zone: utc_offset_hours(zone, on) for zone in zones.dropna().unique()}
    return np.array([offsets.get(zone, np.nan) for zone in zones], dtype=np.float64)


def _project_is_open(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    return filters.is_open[projects]


def _active(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    return filters.is_active[developers]


def _available(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    # NaT, which stands for "not available", compares as false.
    return filters.available_from[developers] <= filters.latest_starts[projects]


def _rate_and_currency(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    """At most the highest rate, in its currency.

    A rate that is not stated is open to talk and passes. A stated rate in another currency can't be shown to keep the
    client's limit without a dated exchange rate, so it does not pass.
    """
    rates, highest = filters.rates_minor[developers], filters.highest_rates_minor[projects]
    developer_currencies, project_currencies = filters.currencies
    is_same = developer_currencies[developers] == project_currencies[projects]
    mask: Mask = np.isnan(rates) | np.isnan(highest) | ((rates <= highest) & is_same)
    return mask


def _time_zone(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    """Enough shared working hours; where a time zone is unknown the pair passes, as nothing speaks against it."""
    return filters.zone_fits[projects, filters.zone_numbers[developers]]


def _not_contracted(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    return ~filters.are_among(filters.contracted, projects, developers)


def _not_blocked(filters: Filters, projects: Integers, developers: Integers) -> Mask:
    return ~filters.are_among(filters.blocked, filters.clients[0][projects], developers)


FILTERS: Mapping[str, Callable[[Filters, Integers, Integers], Mask]] = {
    "project_not_open": _project_is_open,
    "not_active": _active,
    "not_available": _available,
    "rate_or_currency": _rate_and_currency,
    "time_zone": _time_zone,
    "already_contracted": _not_contracted,
    "blocked": _not_blocked,
}
"""Reason for refusing a pair → whether pairs pass."""
