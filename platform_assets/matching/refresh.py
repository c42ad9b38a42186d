"""The lists of all projects: computed whole, or brought up to date from the last ones when little has changed.

Pure work on arrays. What has changed is found by `changes`, read by `inputs`, and published by `publication`.

Why both give the same places: a list is complete down to its bound, so nobody outside it stands ahead of the bound. An
unchanged developer has the same score with an unchanged project as before, since scores depend on the pair, the day's
statistics and the weights alone. So whoever was outside and is unchanged is still behind the bound, and it is enough to
take changed developers out and to put those back who now reach the bound. A list that has become too short to fill its
first and reserve places, and a changed project's, is scanned whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from platform_assets.matching.blocks import Mask, PairFilter
from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.lists import (
    Entries,
    Lists,
    Places,
    cut,
    join_entries,
    lists_of_scan,
    no_entries,
)
from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import UNITS_PER_POINT
from platform_assets.matching.top_k import best_pairs
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weights

Method = Literal["full", "incremental"]


@dataclass(frozen=True)
class Side:
    """Developers, with what it takes to score and to filter them.

    Attributes:
        features: Their features.
        allowed: Which pairs of an open project and one of these developers pass the filters, by positions.
        eligible: Which developers may pass them at all; None where that is not known.
    """

    features: DeveloperFeatures
    allowed: PairFilter
    eligible: Mask | None = None


@dataclass(frozen=True)
class Refreshed:
    """What a refresh came to.

    Attributes:
        lists: The lists of all projects.
        method: How they were computed.
        touched: Projects of which a place, a reason or the bound may differ from before.
        scanned_count: Projects for which everybody was scored because they are new or changed.
        rescanned_count: Projects for which everybody was scored because their reserve was used up.
        rescored_count: Developers who were scored for all other projects.
    """

    lists: Lists
    method: Method
    touched: frozenset[str]
    scanned_count: int
    rescanned_count: int
    rescored_count: int

    @property
    def rescan_ratio(self) -> float:
        """Share of the projects whose reserve was used up."""
        return self.rescanned_count / max(1, len(self.lists.project_ids))

    @property
    def without_anybody(self) -> tuple[str, ...]:
        """Projects whose filters let nobody through."""
        empty = self.lists.is_whole & (self.lists.lengths == 0)
        return tuple(self.lists.project_ids[position] for position in np.flatnonzero(empty))


def full(
    projects: Sequence[ProjectFeatures],
    everyone: Side,
    *,
    places: Places,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Refreshed:
    """Score everybody for every project.

    Args:
        projects: Open projects by ascending id.
        everyone: All developers.
        places: How many are kept.
        weights: What terms are worth.
    """
    lists = _scan(projects, np.arange(len(projects)), everyone, places, weights)
    return Refreshed(lists, "full", frozenset(lists.project_ids), len(projects), 0, 0)


def incremental(
    base: Lists,
    projects: Sequence[ProjectFeatures],
    *,
    changed: Side,
    gone: Collection[str],
    changed_projects: Collection[str],
    everyone: Callable[[], Side],
    places: Places,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Refreshed:
    """Bring lists up to date; the first and reserve places are those that `full` would give.

    Args:
        base: The lists so far, made with the same statistics, weights, day and places.
        projects: Open projects by ascending id; those that `base` does not have are scanned.
        changed: Developers who are new, or of whom any row that feeds scores or filters has changed.
        gone: Developers who are no longer there.
        changed_projects: Projects of which any row that feeds scores or filters has changed.
        everyone: Gives all developers; asked for only when a project has to be scanned.
        places: How many are kept.
        weights: What terms are worth.
    """
    ids = changed.features.developer_ids
    base = base.with_developers([*ids, *gone])
    is_touched = np.zeros(len(base.developer_ids), dtype=np.bool_)
    is_touched[base.codes_of([*ids, *gone])] = True
    today = [project.project_id for project in projects]
    to_scan = {*today}.difference(base.project_ids) | {*today}.intersection(changed_projects)

    kept = _aligned(base, today, without=to_scan)
    leaves = is_touched[kept.entries.developers]
    leavers = kept.entries.projects[leaves]
    kept = replace(kept, entries=kept.entries.take(~leaves))
    is_kept = np.array([name not in to_scan for name in today], dtype=np.bool_)
    entrants = _entrants(kept, projects, np.flatnonzero(is_kept), changed, places, weights)
    lists = _with_entrants(kept, entrants, places.depth)

    used_up = ~lists.is_whole & (lists.lengths < places.listed)
    rescans = {today[position] for position in np.flatnonzero(used_up)}
    moved = np.unique(np.concatenate([leavers, entrants.projects]))
    scans = np.flatnonzero(~is_kept | used_up)
    if len(scans):
        lists = _with_scanned(lists, _scan(projects, scans, everyone(), places, weights))
    return Refreshed(
        lists,
        "incremental",
        touched=frozenset(today[position] for position in moved) | to_scan | rescans,
        scanned_count=len(to_scan),
        rescanned_count=len(rescans),
        rescored_count=len(ids),
    )


def _scan(
    projects: Sequence[ProjectFeatures], chosen: Integers, side: Side, places: Places, weights: Weights
) -> Lists:
    """The best of everybody for some of the projects."""
    some = [projects[position] for position in chosen]
    found = _best(some, chosen, side, places.depth, weights)
    ids = np.array(side.features.developer_ids, dtype=np.str_)
    return lists_of_scan([project.project_id for project in some], ids, found, places.depth)


def _best(
    some: Sequence[ProjectFeatures],
    chosen: Integers,
    side: Side,
    count: int,
    weights: Weights,
    *,
    at_least: Floats | None = None,
) -> Entries:
    """The best of a side for some projects, which are at the positions `chosen` among all."""
    best = best_pairs(
        some,
        side.features,
        lambda rows, positions: side.allowed(chosen[rows], positions),
        count=count,
        weights=weights,
        at_least=at_least,
        eligible=side.eligible,
    )
    return Entries(best.projects, best.developers, best.scores.units, best.scores.known)


def _aligned(base: Lists, today: Sequence[str], *, without: Collection[str]) -> Lists:
    """The base's lists for today's projects; those in `without` count as whole and empty."""
    position_of = {name: position for position, name in enumerate(today)}
    new_position = np.array(
        [-1 if name in without else position_of.get(name, -1) for name in base.project_ids], dtype=np.int64
    )
    stays = new_position >= 0
    is_whole = np.ones(len(today), dtype=np.bool_)
    totals, developers = np.zeros((2, len(today)), dtype=np.int64)
    is_whole[new_position[stays]] = base.is_whole[stays]
    totals[new_position[stays]] = base.bound_totals[stays]
    developers[new_position[stays]] = base.bound_developers[stays]
    # Both sides ascend by project id, so that entries stay in order.
    entries = base.entries.take(stays[base.entries.projects])
    return Lists(
        tuple(today),
        base.developer_ids,
        replace(entries, projects=new_position[entries.projects]),
        is_whole,
        totals,
        developers,
    )


def _entrants(
    lists: Lists,
    projects: Sequence[ProjectFeatures],
    chosen: Integers,
    changed: Side,
    places: Places,
    weights: Weights,
) -> Entries:
    """Those of the changed developers who stand where the lists of some projects are complete."""
    if not len(chosen) or not changed.features.developer_ids:
        return no_entries()
    some = [projects[position] for position in chosen]
    # More than a list holds can't enter it.
    floor = np.where(lists.is_whole, -np.inf, lists.bound_totals / UNITS_PER_POINT)[chosen]
    found = _best(some, chosen, changed, places.depth, weights, at_least=floor)
    codes = lists.codes_of(changed.features.developer_ids)
    found = replace(found, projects=chosen[found.projects], developers=codes[found.developers])
    return found.take(lists.reaches(found.projects, found.totals, found.developers))


def _with_entrants(lists: Lists, entrants: Entries, depth: int) -> Lists:
    """The lists with the entrants in their places, no longer than `depth`."""
    if not len(entrants.projects):
        return lists
    # Only lists that somebody enters are put in order again.
    is_entered = np.zeros(len(lists.project_ids), dtype=np.bool_)
    is_entered[entrants.projects] = True
    of_entered = is_entered[lists.entries.projects]
    entered = join_entries([lists.entries.take(of_entered), entrants]).in_order()
    together = join_entries([lists.entries.take(~of_entered), entered])
    by_project = np.argsort(together.projects, kind="stable")
    return cut(replace(lists, entries=together.take(by_project)), depth)


def _with_scanned(lists: Lists, scanned: Lists) -> Lists:
    """The lists with those of scanned projects in their stead."""
    if not np.array_equal(lists.developer_ids, scanned.developer_ids):
        lists = lists.with_developers(scanned.developer_ids.tolist())
        scanned = scanned.with_developers(lists.developer_ids.tolist())
    position_of = {name: position for position, name in enumerate(lists.project_ids)}
    position = np.array([position_of[name] for name in scanned.project_ids], dtype=np.int64)
    is_scanned = np.zeros(len(lists.project_ids), dtype=np.bool_)
    is_scanned[position] = True
    new = replace(scanned.entries, projects=position[scanned.entries.projects])
    together = join_entries([lists.entries.take(~is_scanned[lists.entries.projects]), new])
    is_whole, totals = lists.is_whole.copy(), lists.bound_totals.copy()
    developers = lists.bound_developers.copy()
    is_whole[position] = scanned.is_whole
    totals[position] = scanned.bound_totals
    developers[position] = scanned.bound_developers
    return Lists(
        lists.project_ids,
        lists.developer_ids,
        together.take(np.argsort(together.projects, kind="stable")),
        is_whole,
        totals,
        developers,
    )
