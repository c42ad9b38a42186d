"""Upper bounds of what a pair's rate and availability add, in a form that a matrix product can add up.

Those two terms are no sums of products. But among projects that pay alike the one that pays most bounds the rate's term
from above for all, and among those that want alike hours the one that wants least bounds the availability's. So projects
fall into groups, a column is a group, and a developer's entry in it is the largest that the term can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import DeveloperFeatures
from platform_assets.matching.project_rows import ProjectRows
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import availability_terms, rate_terms
from platform_assets.matching.weights import Weights

MOST_RATE_GROUPS = 12
MOST_HOURS_GROUPS = 8
"""With 12 groups a term's bound is a few hundredths of a point too high at most; a column costs less than the pairs saved."""

Rough = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ceilings:
    """Groups of projects.

    Attributes:
        rate_groups: Group of each project; that of projects which state no rate has no column, shape (projects,).
        hours_groups: The same for hours, counted on with the groups of rates.
        highest_payers: Row of the project of each group of rates that pays most.
        least_hours: Row of the project of each group of hours that wants least.
    """

    rate_groups: Integers
    hours_groups: Integers
    highest_payers: Integers
    least_hours: Integers

    @property
    def count(self) -> int:
        """Number of columns."""
        return len(self.highest_payers) + len(self.least_hours)

    def memberships(self) -> Rough:
        """1 where a project belongs to a group, shape (projects, columns)."""
        groups = np.arange(self.count)
        belongs = (self.rate_groups[:, None] == groups) | (self.hours_groups[:, None] == groups)
        ones: Rough = belongs.astype(np.float32)
        return ones


def plan_ceilings(projects: ProjectRows) -> Ceilings:
    """Put projects that pay alike, and those that want alike hours, into groups."""
    rates = projects.affordable_rate_minor
    payers = np.flatnonzero(~np.isnan(rates) & (projects.currency_code >= 0))
    by_rate = payers[np.lexsort((rates[payers], projects.currency_code[payers]))]
    rate_runs = _runs(by_rate, MOST_RATE_GROUPS, projects.currency_code[by_rate], rates[by_rate])
    wanting = np.flatnonzero(~np.isnan(projects.hours_per_week))
    by_hours = wanting[np.argsort(projects.hours_per_week[wanting], kind="stable")]
    hours_runs = _runs(by_hours, MOST_HOURS_GROUPS, projects.hours_per_week[by_hours])
    count = len(rate_runs) + len(hours_runs)
    rate_groups, hours_groups = np.full((2, len(rates)), count, dtype=np.int64)
    for group, run in enumerate(rate_runs):
        rate_groups[run] = group
    for group, run in enumerate(hours_runs, start=len(rate_runs)):
        hours_groups[run] = group
    return Ceilings(
        rate_groups,
        hours_groups,
        np.array([run[-1] for run in rate_runs], dtype=np.int64),
        np.array([run[0] for run in hours_runs], dtype=np.int64),
    )


def ceilings_of(
    ceilings: Ceilings,
    projects: ProjectRows,
    developers: DeveloperFeatures,
    positions: Integers,
    weights: Weights,
) -> Rough:
    """What developers' terms add at most in each group: multiples of bfloat16, shape (developers, columns)."""
    each = positions[:, None]
    rate = weights.rate.value * rate_terms(projects, developers, ceilings.highest_payers[None, :], each)
    hours = weights.availability.value * availability_terms(
        projects, developers, ceilings.least_hours[None, :], each
    )
    return _rounded_up(np.nan_to_num(np.hstack([rate, hours])))


def _runs(ordered: Integers, most: int, *keys: npt.NDArray[np.generic]) -> list[Integers]:
    """Cut into runs of equal keys; where there are more than `most`, into runs that are equal in all but the last key."""
    if not len(ordered):
        return []
    changes = [np.flatnonzero(key[1:] != key[:-1]) + 1 for key in keys]
    cuts = np.unique(np.concatenate(changes))
    if len(cuts) >= most:
        even = np.arange(1, most) * len(ordered) // most
        cuts = np.unique(np.concatenate([even, *changes[:-1]]))
    return np.split(ordered, cuts[(cuts > 0) & (cuts < len(ordered))])


def _rounded_up(values: Floats) -> Rough:
    """Numbers of 8 significant bits, the upper half of a float32, that are not below the values."""
    bits = values.astype(np.float32).view(np.uint32)
    # Cutting off moves away from 0 after a step of one, and towards it otherwise; the other numbers make up for what
    # float32 may have been rounded down.
    up = np.where(values > 0, bits + np.uint32(0x10000), np.where(values < 0, bits - np.uint32(1), bits))
    return (up & np.uint32(0xFFFF0000)).view(np.float32)
