"""How the matching does, as rows of `platform.matching_analytics`: lists, funnel, quality, fairness, supply and demand.

Pure. Pictures of it are `plots`; whether the service answers at this moment is `service_health`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from platform_assets.evaluation.measures import ndcg_at, recall_at, reciprocal_rank
from platform_assets.matching.exposure import exposures, gini
from platform_assets.matching.outcomes import FUNNEL, events_until, outcome_grades, positive

WINDOW_DAYS = 90
"""How far back events count: long enough for a hiring, short enough to notice a change."""

NDCG_DEPTH = 10
RECALL_DEPTH = 50
FIRST_PLACES = 10
"""Places of a list that nearly every client reads."""

MOST_SKILLS = 100
"""Skills of which supply and demand are kept each day: those most in demand."""

ANALYTICS_COLUMNS = ["day", "metric", "segment", "value", "unit", "items_count"]
ALL = "all"


@dataclass(frozen=True)
class AnalyticsInputs:
    """What the analytics read.

    Attributes:
        projects: `marketplace.projects`.
        developers: `marketplace.developers`.
        contracts: `marketplace.contracts`.
        events: `marketplace.match_events`.
        matches: `platform.matches`.
        requirements: `platform.project_requirements`.
        skill_profiles: `platform.skill_profiles`.
    """

    projects: pd.DataFrame
    developers: pd.DataFrame
    contracts: pd.DataFrame
    events: pd.DataFrame
    matches: pd.DataFrame
    requirements: pd.DataFrame
    skill_profiles: pd.DataFrame


@dataclass
class _Rows:
    """Collects rows of one day."""

    day: dt.date
    rows: list[tuple[dt.date, str, str, float, str, int]] = field(default_factory=list)

    def add(self, metric: str, segment: str, value: float, unit: str, items_count: int) -> None:
        # Rounded, since sums in another order differ in the last bit and rows would be written anew for it.
        self.rows.append((self.day, metric, segment, round(float(value), 9), unit, items_count))

    def add_percentiles(self, metric: str, values: Sequence[float], unit: str, *percents: int) -> None:
        """Nothing when there are no values: a percentile of nothing is not 0."""
        for percent in percents if len(values) else ():
            self.add(metric, f"p{percent}", float(np.percentile(values, percent)), unit, len(values))


def measure(inputs: AnalyticsInputs, *, day: dt.date, list_places: int) -> pd.DataFrame:
    """Rows of `platform.matching_analytics` of one day.

    Args:
        inputs: What is measured.
        day: The day; later events do not count.
        list_places: Places of a full list.

    Returns:
        `ANALYTICS_COLUMNS`, by metric and segment. What can't be measured, such as the quality of lists without any
        outcome, has no row: it is unknown, not 0.
    """
    rows = _Rows(day)
    since = pd.Timestamp(day - dt.timedelta(days=WINDOW_DAYS), tz="UTC")
    events = events_until(inputs.events, day)
    recent = events[pd.to_datetime(events["occurred_at"], utc=True) >= since]
    open_projects = inputs.projects[inputs.projects["status"] == "open"]
    available = available_developers(inputs.developers, day)
    _add_lists(rows, open_projects, inputs.matches, list_places)
    _add_funnel(rows, recent)
    _add_quality(rows, recent, inputs, available)
    _add_exposure(rows, inputs.matches, available)
    _add_skills(rows, open_projects, inputs, available)
    _add_time_to_first_match(rows, inputs.projects, events, since)
    frame = pd.DataFrame(rows.rows, columns=ANALYTICS_COLUMNS)
    return frame.sort_values(["metric", "segment"], ignore_index=True)


def available_developers(developers: pd.DataFrame, day: dt.date) -> list[str]:
    """Ids of those who are active and free for new work on a day, in order."""
    free = pd.to_datetime(developers["available_from"]) <= pd.Timestamp(day)
    return sorted(developers["developer_id"][developers["is_active"].astype(bool) & free])


def _add_lists(rows: _Rows, projects: pd.DataFrame, matches: pd.DataFrame, list_places: int) -> None:
    lengths = matches.groupby("project_id").size().reindex(projects["project_id"], fill_value=0)
    if len(lengths):
        rows.add("coverage_ratio", ALL, float((lengths > 0).mean()), "ratio", len(lengths))
        rows.add("full_lists_ratio", ALL, float((lengths >= list_places).mean()), "ratio", len(lengths))
    rows.add_percentiles("score", matches["score"].tolist(), "log-odds", 10, 50, 90)
    best = matches["score"][matches["rank"] == 1]
    rows.add_percentiles("first_place_score", best.tolist(), "log-odds", 10, 50, 90)


def _add_funnel(rows: _Rows, events: pd.DataFrame) -> None:
    pairs = events.drop_duplicates(["project_id", "developer_id", "event_type"])
    counts = pairs["event_type"].value_counts()
    for step in (*FUNNEL, "rejected"):
        count = int(counts.get(step, 0))
        rows.add("funnel_pairs", step, count, "pairs", count)
    for before, step in pairwise(FUNNEL):
        reached, passed = int(counts.get(before, 0)), int(counts.get(step, 0))
        if reached:
            rows.add("funnel_ratio", step, passed / reached, "ratio", reached)


def _add_quality(
    rows: _Rows, events: pd.DataFrame, inputs: AnalyticsInputs, available: Sequence[str]
) -> None:
    """How far up lists have those whom clients went on with: the lists as shown then, and the published ones."""
    grades = {project: positive(own) for project, own in outcome_grades(events).items()}
    shown = events[(events["event_type"] == "shown") & events["rank"].notna()]
    shown = shown.sort_values(["project_id", "occurred_at"]).drop_duplicates(["project_id", "developer_id"])
    _add_ranking_measures(rows, "as_shown", _rankings(shown), grades)
    # Who is under contract, or no longer there for new work, is not proposed, and so not missing from the list.
    bound = inputs.contracts[inputs.contracts["status"] != "cancelled"]
    contracted = set(zip(bound["project_id"], bound["developer_id"]))
    free = set(available)
    wanted = {
        project: {
            one: grade for one, grade in own.items() if one in free and (project, one) not in contracted
        }
        for project, own in grades.items()
    }
    _add_ranking_measures(rows, "published", _rankings(inputs.matches), wanted)


def _rankings(lists: pd.DataFrame) -> dict[str, list[str]]:
    ordered = lists.sort_values(["project_id", "rank", "developer_id"])
    return {str(project): own.tolist() for project, own in ordered.groupby("project_id")["developer_id"]}


def _add_ranking_measures(
    rows: _Rows,
    segment: str,
    rankings: Mapping[str, Sequence[str]],
    grades: Mapping[str, Mapping[str, int]],
) -> None:
    judged: list[tuple[Sequence[str], dict[Hashable, float]]] = [
        (rankings[project], {one: float(grade) for one, grade in own.items()})
        for project, own in sorted(grades.items())
        if own and project in rankings
    ]
    if not judged:
        return
    measures: dict[str, Iterable[float]] = {
        f"ndcg_at_{NDCG_DEPTH}": (ndcg_at(NDCG_DEPTH, ranking, own) for ranking, own in judged),
        "mrr": (reciprocal_rank(ranking, own) for ranking, own in judged),
        f"recall_at_{RECALL_DEPTH}": (recall_at(RECALL_DEPTH, ranking, own) for ranking, own in judged),
    }
    for metric, values in measures.items():
        rows.add(metric, segment, float(np.mean(list(values))), "ratio", len(judged))


def _add_exposure(rows: _Rows, matches: pd.DataFrame, available: Sequence[str]) -> None:
    if not available:
        return
    parts = {"first_places": matches[matches["rank"] <= FIRST_PLACES], "lists": matches}
    for segment, lists in parts.items():
        shown = len(set(available) & set(lists["developer_id"]))
        rows.add("exposure_gini", segment, gini(exposures(lists, available)), "ratio", len(available))
        rows.add("shown_ratio", segment, shown / len(available), "ratio", len(available))


def _add_skills(
    rows: _Rows, projects: pd.DataFrame, inputs: AnalyticsInputs, available: Sequence[str]
) -> None:
    """Demand: open projects that ask for a skill. Supply: expected number of available developers who have it."""
    asked = inputs.requirements[inputs.requirements["project_id"].isin(projects["project_id"])]
    demand = asked.groupby("skill_id").size()
    held = inputs.skill_profiles[inputs.skill_profiles["developer_id"].isin(list(available))]
    supply = held.groupby("skill_id")["confidence"].sum()
    holders = held.groupby("skill_id").size()
    most = sorted(demand.index, key=lambda skill: (-int(demand[skill]), str(skill)))[:MOST_SKILLS]
    for skill in most:
        rows.add("skill_demand", str(skill), int(demand[skill]), "projects", int(demand[skill]))
        rows.add(
            "skill_supply",
            str(skill),
            float(supply.get(skill, 0.0)),
            "developers",
            int(holders.get(skill, 0)),
        )


def _add_time_to_first_match(
    rows: _Rows, projects: pd.DataFrame, events: pd.DataFrame, since: pd.Timestamp
) -> None:
    """Hours from posting to the first developer shown, of projects posted within the window."""
    posted_at = dict(zip(projects["project_id"], pd.to_datetime(projects["posted_at"], utc=True)))
    shown = events[events["event_type"] == "shown"]
    first: dict[str, pd.Timestamp] = {}
    for project_id, shown_at in zip(shown["project_id"], pd.to_datetime(shown["occurred_at"], utc=True)):
        first[project_id] = min(shown_at, first.get(project_id, shown_at))
    hours = [
        (shown_at - posted_at[project_id]).total_seconds() / 3600
        for project_id, shown_at in sorted(first.items())
        # A project without the time of its posting compares as false.
        if project_id in posted_at and since <= posted_at[project_id] <= shown_at
    ]
    rows.add_percentiles("hours_to_first_match", hours, "hours", 50, 90)


HEADLINES = (
    ("coverage_ratio", ALL),
    ("ndcg_at_10", "published"),
    ("mrr", "published"),
    ("recall_at_50", "published"),
    ("exposure_gini", "first_places"),
    ("shown_ratio", "first_places"),
    ("funnel_ratio", "hired"),
    ("hours_to_first_match", "p50"),
)
"""What a reader looks for first; the UI plots each over time."""


def headline(frame: pd.DataFrame) -> dict[str, float]:
    """Name → value of `HEADLINES`, of those that could be measured."""
    values = dict(zip(zip(frame["metric"], frame["segment"]), frame["value"].tolist()))
    return {
        metric if segment == ALL else f"{metric}_{segment}": values[metric, segment]
        for metric, segment in HEADLINES
        if (metric, segment) in values
    }
