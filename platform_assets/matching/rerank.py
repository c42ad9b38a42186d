"""Candidates → lists that are fair to both sides: capped exposure, newcomers, seeded exploration. Pure.

How good a candidate is, is `scoring`; how a version is published is the matching assets' business. What the re-rank
costs and gains is `exposure`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Integers = npt.NDArray[np.int64]


class Placement(StrEnum):
    """How a row got its place."""

    SCORE = "score"
    """By its score among those who were left."""
    CAPPED = "capped"
    """Behind the first places, though the score would reach them: the developer stands in enough others."""
    NEWCOMER = "newcomer"
    """In the first places as somebody new, ahead of what the score gives."""
    EXPLORED = "explored"
    """In the first places by a seeded draw, so that something is learned of those whom the score overlooks."""


@dataclass(frozen=True)
class Policy:
    """The numbers of the re-rank, set by judgement.

    Attributes:
        first_places: Places that nearly every client reads: one page.
        newcomer_places: Of these, places kept for newcomers wherever a list has any.
        exploration_places: Of these, places that are drawn.
        first_places_per_engagement: First places that a developer with time for one engagement may take over all
            lists: about as many proposals as one hiring takes.
        newcomer_days: How long after joining somebody counts as new: until the first contracts can have ended.
    """

    first_places: int = 10
    newcomer_places: int = 1
    exploration_places: int = 1
    first_places_per_engagement: int = 10
    newcomer_days: int = 30

    def __post_init__(self) -> None:
        numbers = (self.first_places, self.first_places_per_engagement)
        if (
            min(numbers) < 1
            or min(self.newcomer_places, self.exploration_places, self.newcomer_days) < 0
            or self.newcomer_places + self.exploration_places > self.first_places
        ):
            raise ValueError(f"{self} leaves no first places to give by score, or has a negative number")


DEFAULT_POLICY = Policy()

USUAL_HOURS_PER_WEEK = 20.0
"""Hours of an engagement where no open project states any."""

RERANKED_COLUMNS = ("project_id", "developer_id", "rank", "score", "reasons", "as_of", "placement")


def developer_limits(
    developers: pd.DataFrame, projects: pd.DataFrame, *, as_of: dt.date, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """How many first places each developer may take, and who is new.

    The cap is the number of engagements for which there is time (open hours ÷ the median of hours that open projects
    ask) times `first_places_per_engagement`, rounded up. Unknown hours count as one engagement.

    Args:
        developers: `marketplace.developers`: `developer_id`, `capacity_hours_per_week`, `joined_at`.
        projects: Open rows of `marketplace.projects`: `hours_per_week`.
        as_of: The day from which newcomers are counted back.
        policy: The numbers.

    Returns:
        `developer_id`, `first_places_cap`, `is_newcomer`.
    """
    asked = _numbers(projects["hours_per_week"])
    asked = asked[asked > 0]
    usual = float(np.median(asked)) if len(asked) else USUAL_HOURS_PER_WEEK
    engagements = np.nan_to_num(_numbers(developers["capacity_hours_per_week"]) / usual, nan=1.0)
    since = pd.Timestamp(as_of - dt.timedelta(days=policy.newcomer_days), tz="UTC")
    joined = pd.to_datetime(developers["joined_at"], utc=True)
    return pd.DataFrame(
        {
            "developer_id": developers["developer_id"].to_numpy(),
            "first_places_cap": np.ceil(engagements * policy.first_places_per_engagement).astype(np.int64),
            "is_newcomer": (joined > since).to_numpy(),
        }
    )


def rerank(
    candidates: pd.DataFrame,
    limits: pd.DataFrame,
    *,
    k: int,
    as_of: dt.date,
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame:
    """Rows of `platform.matches`, each with how it got its place.

    First places are dealt in three rounds, to newcomers, by score, and by draw; in each, projects ask developers in
    their order of preference, and a developer whose cap is reached stays where they stand best in the candidates' list
    (Gale & Shapley, 1962). The outcome of a round does not depend on who asks first. Where everybody left has reached
    their cap, first places go to the best scores all the same: a list is never shortened for fairness. Behind the first
    places the order is that of the scores.

    Args:
        candidates: `platform.match_candidates`: `project_id`, `developer_id`, `rank`, `score`, `reasons`, `as_of`; in
            any order.
        limits: See `developer_limits`; a developer who is not in it has one engagement's cap and is not new.
        k: Places of a list.
        as_of: The day that seeds the draw.
        policy: The numbers.

    Returns:
        The columns of `RERANKED_COLUMNS`, by project and `rank`, which is now the place in the list. A project has
        min(k, its candidates) rows.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"A list has at least one place, not {k}")
    ordered = candidates.sort_values(["project_id", "rank", "developer_id"], ignore_index=True)
    pool = _Pool.of(ordered, limits, policy)
    seed = as_of.isoformat()
    pool.deal(pool.preferred(pool.is_newcomer), policy.newcomer_places, Placement.NEWCOMER)
    pool.deal(
        pool.preferred(np.ones(len(ordered), dtype=np.bool_)),
        policy.first_places - policy.exploration_places,
        Placement.SCORE,
    )
    pool.deal(pool.drawn(seed), policy.first_places, Placement.EXPLORED)
    order, places, placements = pool.lists(k)
    reranked = ordered.iloc[order].copy()
    reranked["rank"], reranked["placement"] = places, placements
    return reranked.loc[:, list(RERANKED_COLUMNS)].reset_index(drop=True)


@dataclass
class _Pool:
    """The candidates as arrays, and who holds which first place; a row is one candidate of one project.

    Attributes:
        starts: Where each project's rows begin, and their end; rows of a project go by score.
        project_ids: Ids of the projects.
        developer: Number of each row's developer.
        rank: Each row's place in the candidates' list, from 0.
        standing: Each row's claim on its developer: the smaller, the better they stand there.
        is_newcomer: Whether each row's developer is new.
        free: First places that each developer may still take.
        first_places: First places of a list.
        placement: How a row got a first place; None while it has none.
    """

    starts: list[int]
    project_ids: list[str]
    developer: list[int]
    rank: list[int]
    standing: list[int]
    is_newcomer: npt.NDArray[np.bool_]
    free: list[int]
    first_places: int
    placement: list[Placement | None]

    @classmethod
    def of(cls, ordered: pd.DataFrame, limits: pd.DataFrame, policy: Policy) -> _Pool:
        developer, developer_ids = pd.factorize(ordered["developer_id"])
        known = limits.drop_duplicates("developer_id").set_index("developer_id").reindex(developer_ids)
        caps = known["first_places_cap"].fillna(policy.first_places_per_engagement).astype(np.int64)
        is_new = known["is_newcomer"].eq(True).to_numpy(dtype=np.bool_)
        projects = ordered["project_id"].to_numpy()
        heads = np.flatnonzero(np.r_[True, projects[1:] != projects[:-1]][: len(ordered)])
        starts = [*heads.tolist(), len(ordered)]
        rank = np.arange(len(ordered)) - np.repeat(starts[:-1], np.diff(starts))
        # Best place first, then the higher score; the order of project ids decides what is left.
        claim = np.empty(len(ordered), dtype=np.int64)
        claim[np.lexsort((np.arange(len(ordered)), -ordered["score"].to_numpy(dtype=np.float64), rank))] = (
            np.arange(len(ordered))
        )
        return cls(
            starts=starts,
            project_ids=[projects[head] for head in heads],
            developer=developer.tolist(),
            rank=rank.tolist(),
            standing=claim.tolist(),
            is_newcomer=is_new[developer],
            free=caps.tolist(),
            first_places=policy.first_places,
            placement=[None] * len(ordered),
        )

    def _rows(self, project: int) -> range:
        return range(self.starts[project], self.starts[project + 1])

    def preferred(self, wanted: npt.NDArray[np.bool_]) -> list[list[int]]:
        """For each project its wanted rows without a first place, best score first."""
        return [
            [row for row in self._rows(project) if wanted[row] and self.placement[row] is None]
            for project in range(len(self.project_ids))
        ]

    def drawn(self, seed: str) -> list[list[int]]:
        """For each project its rows without a first place, in an order drawn for project and seed."""
        lists = self.preferred(np.ones(len(self.placement), dtype=np.bool_))
        for project_id, rows in zip(self.project_ids, lists):
            key = hashlib.sha256(f"{seed} {project_id}".encode(errors="replace")).digest()
            np.random.default_rng(list(key)).shuffle(rows)
        return lists

    def deal(self, asked: Sequence[list[int]], up_to: int, placement: Placement) -> None:
        """Fill each list's first places up to a number, as far as caps allow, by deferred acceptance.

        Args:
            asked: For each project, the rows that it asks, in order.
            up_to: First places that a list has at most after this round.
            placement: How the new holders got theirs.
        """
        missing = [
            min(up_to, len(self._rows(project)))
            - sum(self.placement[row] is not None for row in self._rows(project))
            for project in range(len(self.project_ids))
        ]
        # A developer's holders with the weakest claim on top.
        held: dict[int, list[tuple[int, int, int]]] = {}
        following = [iter(rows) for rows in asked]
        waiting = [project for project, count in enumerate(missing) if count > 0]
        while waiting:
            project = waiting.pop()
            while missing[project] > 0 and (row := next(following[project], None)) is not None:
                developer = self.developer[row]
                if self.free[developer] == 0:
                    continue
                missing[project] -= 1
                holders = held.setdefault(developer, [])
                heapq.heappush(holders, (-self.standing[row], row, project))
                if len(holders) > self.free[developer]:
                    _, _, refused = heapq.heappop(holders)
                    missing[refused] += 1
                    if refused != project:
                        waiting.append(refused)
        for developer, holders in held.items():
            self.free[developer] -= len(holders)
            for _, row, _ in holders:
                self.placement[row] = placement

    def lists(self, k: int) -> tuple[Integers, Integers, list[str]]:
        """Rows in the order of the finished lists, their places from 1, and how each got its place."""
        order: list[int] = []
        places: list[int] = []
        placements: list[str] = []
        for project in range(len(self.project_ids)):
            rows = self._rows(project)
            dealt = [row for row in rows if self.placement[row] is not None]
            rest = [row for row in rows if self.placement[row] is None]
            by_score = [row for row in dealt if not self._is_favoured(row)]
            favoured = [row for row in dealt if self._is_favoured(row)]
            # Where all others have reached their cap, the best scores fill up the first places.
            for place, row in enumerate([*by_score, *favoured, *rest][:k]):
                order.append(row)
                places.append(place + 1)
                placements.append(self._how(row, place))
        return np.array(order, dtype=np.int64), np.array(places, dtype=np.int64), placements

    def _is_favoured(self, row: int) -> bool:
        """Whether a row has a first place that its score would not have reached."""
        return (
            self.placement[row] in {Placement.NEWCOMER, Placement.EXPLORED}
            and self.rank[row] >= self.first_places
        )

    def _how(self, row: int, place: int) -> Placement:
        dealt = self.placement[row]
        if dealt is not None and self._is_favoured(row):
            return dealt
        if (
            dealt is None
            and self.free[self.developer[row]] == 0
            and self.rank[row] < min(self.first_places, place)
        ):
            return Placement.CAPPED
        return Placement.SCORE


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    return pd.to_numeric(pd.Series(column)).to_numpy(dtype=np.float64, na_value=np.nan)


def placement_counts(reranked: pd.DataFrame) -> Mapping[str, int]:
    """Rows by how they got their place; every way is named."""
    counts = reranked["placement"].value_counts()
    return {way.value: int(counts.get(way.value, 0)) for way in Placement}
