"""Ad-hoc search for developers by a vector, on the index, under real filters; and the exact answer to compare with.

The search itself is the database function `platform.search_developers`, which the application calls, too. Full scores of
what is found are `scoring`'s; what a text means is the caller's business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.matching.filters import START_SLACK_DAYS, overlap_hours, utc_offset_hours

_ARGUMENTS = (
    "CAST(:query AS vector), :max_results, :max_hourly_rate_minor, :rate_currency, :available_by, "
    "CAST(:time_zones AS text[]), CAST(:excluded_developer_ids AS text[])"
)

SEARCH = sa.text(f"SELECT developer_id, facet, similarity FROM platform.search_developers({_ARGUMENTS})")  # noqa: S608

EXACT_SEARCH = sa.text(
    "SELECT v.developer_id, max(1 - (v.vector <=> CAST(:query AS vector))) AS similarity "
    "FROM platform.developer_vectors AS v JOIN marketplace.developers AS d ON d.developer_id = v.developer_id "
    "WHERE d.is_active AND d.available_from <= :available_by "
    "AND (CAST(:max_hourly_rate_minor AS bigint) IS NULL OR d.hourly_rate_minor IS NULL "
    "OR (d.hourly_rate_minor <= :max_hourly_rate_minor AND d.currency = :rate_currency)) "
    "AND (CAST(:time_zones AS text[]) IS NULL OR d.time_zone IS NULL OR d.time_zone = ANY (:time_zones)) "
    "AND d.developer_id <> ALL (CAST(:excluded_developer_ids AS text[])) "
    "GROUP BY v.developer_id ORDER BY similarity DESC, v.developer_id LIMIT :max_results"
)
"""The same question, put without the function and without an index on vectors."""


@dataclass(frozen=True)
class SearchFilters:
    """Who may be found; what is None or empty does not restrict.

    Attributes:
        available_by: Day by which they must be free.
        max_hourly_rate_minor: Highest rate in minor units of `currency`; who states none is found, too.
        currency: ISO 4217 code of the rate; given exactly when the rate is.
        time_zones: IANA names; who has none is found, too.
        excluded_developer_ids: Developers who must not be found: those under contract, say, or blocked.
    """

    available_by: dt.date
    max_hourly_rate_minor: int | None = None
    currency: str | None = None
    time_zones: tuple[str, ...] | None = None
    excluded_developer_ids: tuple[str, ...] = ()

    def parameters(self, query: str, max_results: int) -> dict[str, Any]:
        """Parameters of `SEARCH` and `EXACT_SEARCH`.

        Args:
            query: A vector as Postgres writes it, `[0.1,0.2]`.
            max_results: How many developers are wanted.
        """
        return {
            "query": query,
            "max_results": max_results,
            "max_hourly_rate_minor": self.max_hourly_rate_minor,
            "rate_currency": self.currency,
            "available_by": self.available_by,
            "time_zones": None if self.time_zones is None else list(self.time_zones),
            "excluded_developer_ids": list(self.excluded_developer_ids),
        }


def search_developers(
    database: Database, vector: npt.NDArray[np.float32], filters: SearchFilters, *, limit: int
) -> pd.DataFrame:
    """The developers nearest to a vector, each once.

    Returns:
        `developer_id`, `facet` (the side of their work that is nearest), `similarity` (cosine), best first; exactly
        `limit` rows wherever so many pass the filters.
    """
    query = "[" + ",".join(map(str, vector.tolist())) + "]"
    return database.read(SEARCH, filters.parameters(query, limit))


def latest_start(starts_on: dt.date | None, as_of: dt.date) -> dt.date:
    """Day by which a developer must be free for a project: a notice period after the wanted start, or after today."""
    return max(starts_on or as_of, as_of) + dt.timedelta(days=START_SLACK_DAYS)


def acceptable_time_zones(
    zones: Iterable[str], zone: str | None, min_overlap_hours: float | None, *, as_of: dt.date
) -> tuple[str, ...] | None:
    """Those of the zones that share so many working hours with a project's; None when it does not matter.

    A zone that is not known passes, as nothing speaks against it.
    """
    if zone is None or min_overlap_hours is None:
        return None
    names = sorted(zones)
    offsets = np.array([utc_offset_hours(name, as_of) for name in names], dtype=np.float64)
    shared = overlap_hours(offsets, utc_offset_hours(zone, as_of))
    return tuple(name for name, hours in zip(names, shared) if np.isnan(hours) or hours >= min_overlap_hours)
