"""What a new version changes in the first places of each list, and why. Pure.

Who has to be scored again is found by `inputs`; what is done about it is `refresh`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

CHANGE_COLUMNS = (
    "project_id",
    "developer_id",
    "change",
    "cause",
    "rank_before",
    "rank_after",
    "score_before",
    "score_after",
)

FILTERED = "filtered: "

WhyNot = Callable[[Mapping[str, Sequence[str]]], Mapping[tuple[str, str], Sequence[str]]]
"""Project → developers ↦ pair → names of the filters that refuse it."""


@dataclass(frozen=True)
class Reasons:
    """What is known of why places change.

    Attributes:
        new_developers: Developers who were not there.
        changed_developers: Developers who are new or changed.
        only_filtered: Developers who score as before, but of whom something changed that filters look at.
        gone_developers: Developers who are no longer there.
        changed_projects: Projects that are new or changed.
        listed_projects: Projects that had a list before.
        open_projects: Projects that have one now.
        for_all: Why every score may have changed, such as `new_day`; None when only what is named above has.
    """

    new_developers: Collection[str] = frozenset()
    changed_developers: Collection[str] = frozenset()
    only_filtered: Collection[str] = frozenset()
    gone_developers: Collection[str] = frozenset()
    changed_projects: Collection[str] = frozenset()
    listed_projects: Collection[str] = frozenset()
    open_projects: Collection[str] = frozenset()
    for_all: str | None = None


def list_changes(
    before: pd.DataFrame, after: pd.DataFrame, *, first: int, reasons: Reasons, why_not: WhyNot
) -> pd.DataFrame:
    """Who entered, left or moved within the first places of each list.

    Whoever only gave way to others, or moved up because others left, is not listed: that follows from the rest.

    Args:
        before: Rows of the projects in question as they are published: `project_id`, `developer_id`, `rank`, `score`.
        after: The same as they are to be.
        first: How many places count.
        reasons: What is known of why places change.
        why_not: Names the filters that refuse pairs, given by project.

    Returns:
        Rows of `monitoring.match_changes` without the version, by project and developer.
    """
    names = ["project_id", "developer_id", "rank", "score"]
    sides = [frame.loc[frame["rank"] <= first, names] for frame in (before, after)]
    merged = sides[0].merge(
        sides[1], on=["project_id", "developer_id"], how="outer", suffixes=("_before", "_after")
    )
    entered, left = merged["rank_before"].isna(), merged["rank_after"].isna()
    moved = (
        ~entered
        & ~left
        & (merged["rank_before"] != merged["rank_after"])
        & (merged["score_before"] != merged["score_after"])
    )
    merged["change"] = "moved"
    merged.loc[entered, "change"] = "entered"
    merged.loc[left, "change"] = "left"
    changed = merged[entered | left | moved].sort_values(["project_id", "developer_id"], ignore_index=True)
    refused = why_not(_pairs_to_ask(changed, reasons))
    changed["cause"] = [
        _cause(change, project, developer, reasons, refused.get((project, developer), ()))
        for change, project, developer in zip(
            changed["change"], changed["project_id"], changed["developer_id"]
        )
    ]
    for name in ("rank_before", "rank_after"):
        changed[name] = changed[name].astype("Int64")
    return changed[list(CHANGE_COLUMNS)]


def _pairs_to_ask(changed: pd.DataFrame, reasons: Reasons) -> Mapping[str, Sequence[str]]:
    """Pairs of open projects and developers still there that left: a filter may refuse them now."""
    left = changed[(changed["change"] == "left") & changed["project_id"].isin(list(reasons.open_projects))]
    left = left[~left["developer_id"].isin(list(reasons.gone_developers))]
    return {str(project): rows["developer_id"].tolist() for project, rows in left.groupby("project_id")}


def _cause(change: str, project: str, developer: str, reasons: Reasons, refused: Sequence[str]) -> str:
    candidates = (
        ("project_closed", change == "left" and project not in reasons.open_projects),
        ("project_opened", change == "entered" and project not in reasons.listed_projects),
        ("developer_gone", change == "left" and developer in reasons.gone_developers),
        (FILTERED + ", ".join(refused), change == "left" and bool(refused)),
        ("developer_joined", change == "entered" and developer in reasons.new_developers),
        ("newly_permitted", change == "entered" and developer in reasons.only_filtered),
        ("developer_changed", developer in reasons.changed_developers),
        ("project_changed", project in reasons.changed_projects),
        (reasons.for_all or "", reasons.for_all is not None),
        ("displaced", change == "left"),
    )
    return next((name for name, applies in candidates if applies), "place_freed")
