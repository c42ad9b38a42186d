"""What changes in a list, and the cause that is written down for it."""

from __future__ import annotations

import pandas as pd
import pytest

from platform_assets.matching.changes import CHANGE_COLUMNS, Reasons, list_changes

OPEN = {"p"}


def listed(*developers, project="p", score=9.0):
    """Developers by rank, a point apart from each other."""
    return pd.DataFrame(
        [(project, name, rank, score - rank) for rank, name in enumerate(developers, start=1)],
        columns=["project_id", "developer_id", "rank", "score"],
    )


def changed(before, after, *, refused=None, first=3, **reasons):
    reasons = {"listed_projects": OPEN, "open_projects": OPEN} | reasons
    rows = list_changes(
        before, after, first=first, reasons=Reasons(**reasons), why_not=lambda _: refused or {}
    )
    assert list(rows.columns) == list(CHANGE_COLUMNS)
    return {row.developer_id: (row.change, row.cause) for row in rows.itertuples()}


def test_equal_lists_change_nothing():
    assert changed(listed("a", "b"), listed("a", "b")) == {}
    assert changed(listed(), listed()) == {}


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ({}, "place_freed"),
        ({"new_developers": {"x"}, "changed_developers": {"x"}}, "developer_joined"),
        ({"only_filtered": {"x"}, "changed_developers": {"x"}}, "newly_permitted"),
        ({"changed_developers": {"x"}}, "developer_changed"),
        ({"changed_projects": {"p"}}, "project_changed"),
        ({"listed_projects": set()}, "project_opened"),
        ({"for_all": "new_day"}, "new_day"),
    ],
)
def test_why_somebody_enters(reasons, cause):
    assert changed(listed("a"), listed("a", "x"), **reasons) == {"x": ("entered", cause)}


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ({}, "displaced"),
        ({"gone_developers": {"b"}}, "developer_gone"),
        ({"refused": {("p", "b"): ["not_active", "blocked"]}}, "filtered: not_active, blocked"),
        ({"changed_developers": {"b"}}, "developer_changed"),
        ({"changed_projects": {"p"}}, "project_changed"),
        ({"open_projects": set()}, "project_closed"),
        ({"for_all": "scored_anew"}, "scored_anew"),
    ],
)
def test_why_somebody_leaves(reasons, cause):
    assert changed(listed("a", "b"), listed("a"), **reasons) == {"b": ("left", cause)}


def test_only_who_moved_by_their_own_score_is_told():
    before, after = listed("a", "b", "c"), listed("c", "a", "b")
    after["score"] = [8.5, 8.0, 7.0]
    # a and b keep their scores and give way.
    assert changed(before, after, changed_developers={"c"}) == {"c": ("moved", "developer_changed")}


def test_places_behind_the_first_do_not_count():
    assert changed(listed("a", "b", "c", "d"), listed("a", "b", "c", "x")) == {}
    assert changed(listed("a", "b", "c", "d"), listed("a", "b", "d", "c"), first=2) == {}


def test_ranks_and_scores_of_both_sides_are_kept():
    rows = list_changes(
        listed("a", "b"),
        listed("a", "x"),
        first=3,
        reasons=Reasons(listed_projects=OPEN, open_projects=OPEN),
        why_not=lambda pairs: {},
    )
    assert rows["rank_before"].tolist() == [2, pd.NA]
    assert rows["rank_after"].tolist() == [pd.NA, 2]
    assert rows["score_before"].iloc[0] == rows["score_after"].iloc[1] == 7.0


def test_filters_are_asked_only_for_pairs_that_are_still_there():
    asked = []
    list_changes(
        pd.concat([listed("a", "b", "c"), listed("a", project="closed")]),
        listed("a"),
        first=3,
        reasons=Reasons(gone_developers={"c"}, listed_projects={"p", "closed"}, open_projects={"p"}),
        why_not=lambda pairs: asked.append(dict(pairs)) or {},
    )
    assert asked == [{"p": ["b"]}]
