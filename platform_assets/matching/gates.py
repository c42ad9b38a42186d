"""What a version of the lists must show before it replaces the live one. Pure; bounds are in `thresholds`.

How a version is built is `refresh`; what happens when a gate does not hold is `publication`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.matching.exposure import gini
from platform_assets.matching.features import ProjectFeatures
from platform_assets.matching.lists import Places
from platform_assets.matching.refresh import Side
from platform_assets.matching.repositories import Integers
from platform_assets.matching.scoring import UNITS_PER_POINT, score_pairs
from platform_assets.matching.weights import Weights
from platform_assets.thresholds import Threshold

EDITED_RATIO = 0.1
EDITED_COUNT = 10
"""So many changed projects are clients at work, and their lists may change; more at once are counted like the others."""


@dataclass(frozen=True)
class Gate:
    """One measurement of a version and its bound.

    Attributes:
        name: What is measured.
        value: The measured value.
        threshold: The bound.
        details: What a person needs to judge it.
        is_waived: Whether somebody has said that the value is meant.
    """

    name: str
    value: float
    threshold: Threshold
    details: dict[str, Any]
    is_waived: bool = False

    @property
    def holds(self) -> bool:
        """Whether the version may go on."""
        return self.is_waived or self.threshold.holds(self.value)

    def as_dict(self) -> dict[str, Any]:
        """The gate as it is written down."""
        return {
            "value": self.value,
            "bound": self.threshold.bound,
            "direction": self.threshold.direction,
            "unit": self.threshold.unit,
            "holds": self.holds,
            **({"waived": True} if self.is_waived else {}),
            **self.details,
        }

    def __str__(self) -> str:
        sign = "at least" if self.threshold.direction == "at_least" else "at most"
        return f"{self.name} is {self.value:.4g}, and {sign} {self.threshold.bound:g} is wanted"


def coverage_ratio(
    listed: Collection[str], open_projects: Collection[str], without_anybody: Collection[str]
) -> tuple[float, dict[str, Any]]:
    """Share of open projects that have a list, or whose filters let nobody through."""
    missing = sorted(set(open_projects) - set(listed) - set(without_anybody))
    share = 1.0 - len(missing) / len(open_projects) if open_projects else 1.0
    return share, {"projects_without": missing[:20], "projects_without_anybody": len(without_anybody)}


def unexplained_churn_ratio(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    first: int,
    open_projects: Collection[str],
    changed_projects: Collection[str] = (),
    explained_ratio: float,
) -> tuple[float, dict[str, Any]]:
    """Share of the first places that go to somebody else, beyond what is explained.

    Args:
        before: The live rows: `project_id`, `developer_id`, `rank`.
        after: The new rows.
        first: How many places count.
        open_projects: Projects that still look for somebody; a list that is closed is no churn.
        changed_projects: Projects whose own text or wishes have changed; a few of them are left out.
        explained_ratio: How much churn has a reason that is known.
    """
    kept = before[(before["rank"] <= first) & before["project_id"].isin(list(open_projects))]
    lists_count = kept["project_id"].nunique()
    if len(changed_projects) <= max(EDITED_COUNT, EDITED_RATIO * lists_count):
        kept = kept[~kept["project_id"].isin(list(changed_projects))]
    if not len(kept):
        return 0.0, {"places_compared": 0}
    now = pd.MultiIndex.from_frame(after.loc[after["rank"] <= first, ["project_id", "developer_id"]])
    stays = pd.MultiIndex.from_frame(kept[["project_id", "developer_id"]]).isin(now)
    churn = float(1.0 - stays.mean())
    lost = pd.Series(~stays).groupby(kept["project_id"].to_numpy()).mean().sort_values(ascending=False)
    return max(0.0, churn - explained_ratio), {
        "places_compared": len(kept),
        "churn_ratio": churn,
        "explained_ratio": explained_ratio,
        "most_changed_projects": [str(project) for project in lost[lost > 0].index[:5]],
    }


def exposure_gini(shown: pd.Series[Any], developers_count: int) -> float:
    """Gini coefficient of places over developers, those without a place included: 0 all alike, 1 all to one.

    Args:
        shown: Developer of each place.
        developers_count: How many developers there are.
    """
    counts = shown.value_counts().to_numpy(dtype=np.float64)
    unseen = max(0, developers_count - len(counts))
    return gini(np.concatenate([np.zeros(unseen), counts]))


def inexact_places(
    rows: pd.DataFrame,
    projects: Sequence[ProjectFeatures],
    chosen: Sequence[int],
    side: Side,
    *,
    places: Places,
    weights: Weights,
) -> list[str]:
    """What is wrong with the lists of some projects, by scoring every permitted pair of them with some developers.

    Args:
        rows: Candidates of the projects: `project_id`, `developer_id`, `rank`, `score`.
        projects: All open projects.
        chosen: Positions of the projects to look at.
        side: Their listed developers, and any others, who must all stand behind them.
        places: How many are listed.
        weights: What terms are worth.

    Returns:
        A sentence for each list that is wrong; none when all are right.
    """
    ids = side.features.developer_ids
    everybody = np.arange(len(ids))
    faults: list[str] = []
    for position in chosen:
        project = projects[position]
        allowed = everybody[side.allowed(np.full(len(everybody), position), everybody)]
        pairs = np.stack([np.zeros_like(allowed), allowed], axis=1)
        totals = score_pairs([project], side.features, pairs, weights=weights).totals
        order = np.lexsort((allowed, -totals))[: places.listed]
        right = [(ids[allowed[i]], int(totals[i])) for i in order]
        found = _in_units(rows[rows["project_id"] == project.project_id].sort_values("rank"))
        if right != found:
            differs = [i for i, pair in enumerate(zip(right, found)) if pair[0] != pair[1]]
            place = differs[0] if differs else min(len(right), len(found))
            faults.append(
                f"{project.project_id}: place {place + 1} is {_told(found, place)}, should be {_told(right, place)}"
            )
    return faults


def _in_units(listed: pd.DataFrame) -> list[tuple[str, int]]:
    totals: Integers = np.rint(listed["score"].to_numpy(dtype=np.float64) * UNITS_PER_POINT).astype(np.int64)
    return list(zip(listed["developer_id"], totals.tolist()))


def _told(entries: Sequence[tuple[str, int]], place: int) -> str:
    if place >= len(entries):
        return "empty"
    developer, units = entries[place]
    return f"{developer} ({units / UNITS_PER_POINT:.6f})"
