"""The best developers of every project as arrays: how lists are held in memory, cut, and turned into rows and back.

How they are computed is `refresh`; where the rows live is `publication`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.matching.repositories import Floats, Integers
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.str_]

BOUND_COLUMNS = ("project_id", "score", "developer_id")


@dataclass(frozen=True)
class Places:
    """How many developers of a project are kept.

    Attributes:
        first: Places of a list.
        reserve: Places behind it, from which a re-rank fills it.
        spare: Further places, from which the reserve is refilled when somebody leaves, so that not everybody has to be
            scored again.
    """

    first: int
    reserve: int
    spare: int

    def __post_init__(self) -> None:
        if self.first < 1 or self.reserve < 0 or self.spare < 0:
            raise ValueError(f"{self} must have a first place, and no negative number of others")

    @property
    def listed(self) -> int:
        """Places that are exact at every refresh."""
        return self.first + self.reserve

    @property
    def depth(self) -> int:
        """Places that a scan of everybody fills."""
        return self.listed + self.spare


@dataclass(frozen=True)
class Entries:
    """Developers in lists; every array has one entry for each.

    Attributes:
        projects: Position of the project, shape (entries,).
        developers: Code of the developer: its position in ascending ids, shape (entries,).
        units: Each term of the score in millionths, shape (entries, terms).
        known: Whether the term's inputs are there, shape (entries, terms).
    """

    projects: Integers
    developers: Integers
    units: Integers
    known: Mask

    @property
    def totals(self) -> Integers:
        """Scores in millionths."""
        totals: Integers = self.units.sum(axis=1)
        return totals

    def take(self, chosen: Mask | Integers) -> Entries:
        """Some of the entries, in the order of `chosen`."""
        return Entries(self.projects[chosen], self.developers[chosen], self.units[chosen], self.known[chosen])

    def in_order(self) -> Entries:
        """By project, best score first, ties by developer id."""
        return self.take(np.lexsort((self.developers, -self.totals, self.projects)))


def no_entries() -> Entries:
    """Nobody."""
    none = np.zeros(0, dtype=np.int64)
    shape = (0, len(TERMS))
    return Entries(none, none, np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_))


def join_entries(parts: Sequence[Entries]) -> Entries:
    """All entries of several, one after the other."""
    if not parts:
        return no_entries()
    return Entries(
        np.concatenate([part.projects for part in parts]),
        np.concatenate([part.developers for part in parts]),
        np.concatenate([part.units for part in parts]),
        np.concatenate([part.known for part in parts]),
    )


@dataclass(frozen=True)
class Lists:
    """The best developers of every project, and how far down they are known to be complete.

    Attributes:
        project_ids: Projects, ascending; empty lists included.
        developer_ids: Ids that codes stand for, ascending; may hold ids that are in no list.
        entries: Who is listed, in order.
        is_whole: Whether everybody permitted is listed, shape (projects,).
        bound_totals: Where not, whoever is not listed stands behind this score in millionths, shape (projects,).
        bound_developers: Code of the last listed developer of that score; ties go on behind it, shape (projects,).
    """

    project_ids: tuple[str, ...]
    developer_ids: Ids
    entries: Entries
    is_whole: Mask
    bound_totals: Integers
    bound_developers: Integers

    @property
    def lengths(self) -> Integers:
        """Entries of each project, shape (projects,)."""
        return np.bincount(self.entries.projects, minlength=len(self.project_ids))

    @property
    def ranks(self) -> Integers:
        """Place of each entry, from 1."""
        return ranks_of(self.entries.projects)

    def reaches(self, projects: Integers, totals: Integers, developers: Integers) -> Mask:
        """Whether these developers with these scores stand where the lists are complete.

        Args:
            projects: Positions of projects.
            totals: Scores in millionths.
            developers: Codes of developers.
        """
        bound = self.bound_totals[projects]
        tied = (totals == bound) & (developers <= self.bound_developers[projects])
        reached: Mask = self.is_whole[projects] | (totals > bound) | tied
        return reached

    def with_developers(self, ids: Iterable[str]) -> Lists:
        """The same lists with codes for these developers, too."""
        wanted = np.array(sorted(set(ids)), dtype=np.str_)
        places = np.searchsorted(self.developer_ids, wanted)
        inside = np.minimum(places, max(0, len(self.developer_ids) - 1))
        is_known = (
            self.developer_ids[inside] == wanted
            if len(self.developer_ids)
            else np.zeros(len(wanted), np.bool_)
        )
        added, places = wanted[~is_known], places[~is_known]
        if not len(added):
            return self
        width = max(self.developer_ids.dtype.itemsize, added.dtype.itemsize) // 4
        names = np.insert(self.developer_ids.astype(f"<U{max(1, width)}"), places, added)
        # A code moves up by the number of new ids before it.
        shift = np.searchsorted(places, np.arange(len(self.developer_ids)), side="right")
        moved = np.arange(len(self.developer_ids)) + shift
        return replace(
            self,
            developer_ids=names,
            entries=replace(self.entries, developers=moved[self.entries.developers]),
            bound_developers=np.where(
                self.is_whole, 0, moved[self.bound_developers] if len(moved) else self.bound_developers
            ),
        )

    def codes_of(self, ids: Iterable[str]) -> Integers:
        """Codes of developers, all of whom have one."""
        return np.searchsorted(self.developer_ids, np.array(list(ids), dtype=np.str_))


def ranks_of(projects: Integers) -> Integers:
    """Place from 1 of each entry within its project; projects ascend."""
    starts = np.flatnonzero(np.diff(projects, prepend=-1))
    lengths = np.diff(np.append(starts, len(projects)))
    return np.arange(len(projects)) - np.repeat(starts, lengths) + 1


def cut(lists: Lists, depth: int) -> Lists:
    """The first `depth` places of each project; where some are cut off, the last place kept is the new bound."""
    ranks = lists.ranks
    too_long = lists.lengths > depth
    if not too_long.any():
        return lists
    last = (ranks == depth) & too_long[lists.entries.projects]
    at = lists.entries.take(last)
    totals, developers = lists.bound_totals.copy(), lists.bound_developers.copy()
    totals[at.projects], developers[at.projects] = at.totals, at.developers
    return replace(
        lists,
        entries=lists.entries.take(ranks <= depth),
        is_whole=lists.is_whole & ~too_long,
        bound_totals=totals,
        bound_developers=developers,
    )


def rows_of_lists(lists: Lists, *, as_of: dt.date, only: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows in the columns of `platform.match_candidates`, by project and rank.

    Args:
        lists: The lists.
        as_of: Day for which the scores hold.
        only: Projects to give the rows of; by default all.
    """
    entries, ranks = lists.entries, lists.ranks
    if only is not None:
        chosen = set(only)
        is_chosen = np.array([project in chosen for project in lists.project_ids], dtype=np.bool_)
        of_chosen = is_chosen[entries.projects]
        entries, ranks = entries.take(of_chosen), ranks[of_chosen]
    points = (entries.units / UNITS_PER_POINT).tolist()
    reasons = [
        {term: value if is_known else None for term, value, is_known in zip(TERMS, values, known)}
        for values, known in zip(points, entries.known.tolist())
    ]
    rows = _places(lists, entries, ranks)
    rows["reasons"] = pd.Series(reasons, dtype=object)
    rows["as_of"] = [as_of] * len(rows)
    return rows


def places_of_lists(lists: Lists) -> pd.DataFrame:
    """Who stands where: `project_id`, `developer_id`, `rank`, `score`, by project and rank."""
    return _places(lists, lists.entries, lists.ranks)


def _places(lists: Lists, entries: Entries, ranks: Integers) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "project_id": np.array(lists.project_ids, dtype=object)[entries.projects],
            "developer_id": lists.developer_ids.astype(object)[entries.developers],
            "rank": ranks,
            "score": entries.totals / UNITS_PER_POINT,
        }
    )


def bounds_of_lists(lists: Lists, only: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows of `platform.match_bounds`; of `only` these projects, by default all."""
    names = lists.developer_ids.tolist()
    chosen = None if only is None else set(only)
    rows = [
        (project, None, None) if whole else (project, total / UNITS_PER_POINT, names[developer])
        for project, whole, total, developer in zip(
            lists.project_ids,
            lists.is_whole.tolist(),
            lists.bound_totals.tolist(),
            lists.bound_developers.tolist(),
        )
        if chosen is None or project in chosen
    ]
    return pd.DataFrame(rows, columns=list(BOUND_COLUMNS), dtype=object)


def lists_of_rows(rows: pd.DataFrame, bounds: pd.DataFrame) -> Lists:
    """Lists as they were written.

    Args:
        rows: Candidates and spares together, in the columns of `platform.match_candidates`, in any order.
        bounds: `platform.match_bounds`: a row for every project, empty lists included.
    """
    bounds = bounds.sort_values("project_id", ignore_index=True)
    project_ids = tuple(bounds["project_id"])
    listed = {*rows["developer_id"], *bounds["developer_id"].dropna()}
    developer_ids = np.array(sorted(listed), dtype=np.str_)
    code_of = {name: code for code, name in enumerate(developer_ids.tolist())}
    position_of = {name: position for position, name in enumerate(project_ids)}
    is_whole = bounds["score"].isna().to_numpy()
    points = [[reasons[term] for term in TERMS] for reasons in rows["reasons"]]
    shape = (len(points), len(TERMS))
    known = np.array([[value is not None for value in row] for row in points], dtype=np.bool_).reshape(shape)
    values = np.array([[value or 0.0 for value in row] for row in points], dtype=np.float64).reshape(shape)
    entries = Entries(
        np.array([position_of[project] for project in rows["project_id"]], dtype=np.int64),
        np.array([code_of[developer] for developer in rows["developer_id"]], dtype=np.int64),
        to_units(values),
        known,
    )
    return Lists(
        project_ids,
        developer_ids,
        entries.in_order(),
        is_whole,
        to_units(np.nan_to_num(bounds["score"].to_numpy(dtype=np.float64))),
        np.array(
            [code_of[name] if isinstance(name, str) else 0 for name in bounds["developer_id"]], dtype=np.int64
        ),
    )


def to_units(points: Floats) -> Integers:
    """Points of a score in whole millionths; exact for what was divided from them."""
    units: Integers = np.rint(points * UNITS_PER_POINT).astype(np.int64)
    return units


def lists_of_scan(project_ids: Sequence[str], developer_ids: Ids, entries: Entries, depth: int) -> Lists:
    """Lists of which the first `depth` places are known.

    Args:
        project_ids: The projects, ascending.
        developer_ids: What codes stand for, ascending.
        entries: The best of each project, in order, at most `depth`.
        depth: How many were looked for; a list that is shorter holds everybody permitted.
    """
    is_whole = np.bincount(entries.projects, minlength=len(project_ids)) < depth
    totals, developers = np.zeros((2, len(project_ids)), dtype=np.int64)
    last = np.flatnonzero(np.diff(entries.projects, append=-1))
    at = entries.take(last)
    totals[at.projects], developers[at.projects] = at.totals, at.developers
    return Lists(tuple(project_ids), developer_ids, entries, is_whole, totals, developers)
