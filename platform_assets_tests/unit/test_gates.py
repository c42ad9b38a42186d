"""What a version must show before it replaces the live one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from changing_marketplace import World
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.matching.gates import (
    Gate,
    coverage_ratio,
    exposure_gini,
    inexact_places,
    unexplained_churn_ratio,
)
from platform_assets.matching.lists import Places, places_of_lists
from platform_assets.matching.weights import DEFAULT_WEIGHTS
from platform_assets.thresholds import PUBLISHED_CHURN_RATIO, PUBLISHED_FAULTY_LISTS


def places(**lists):
    """Project → its developers, best first, a letter each."""
    rows = [
        (project, developer, rank)
        for project, names in lists.items()
        for rank, developer in enumerate(names, start=1)
    ]
    return pd.DataFrame(rows, columns=["project_id", "developer_id", "rank"])


def churn(before, after, **options):
    options = {"first": 4, "open_projects": ["p", "q"], "explained_ratio": 0.0} | options
    return unexplained_churn_ratio(before, after, **options)[0]


def test_places_that_go_to_others_are_churn_and_a_new_order_is_none():
    assert churn(places(p="abcd"), places(p="dcba")) == 0
    assert churn(places(p="abcd"), places(p="abxy")) == 0.5
    assert churn(places(p="abcd"), places()) == 1


def test_what_joining_and_leaving_developers_explain_is_subtracted():
    assert churn(places(p="abcd"), places(p="abxy"), explained_ratio=0.3) == pytest.approx(0.2)
    assert churn(places(p="abcd"), places(p="abxy"), explained_ratio=0.9) == 0


def test_closed_lists_reserve_places_and_a_few_edited_projects_do_not_count():
    assert churn(places(p="abcd", q="abcd"), places(p="abcd"), open_projects=["p"]) == 0
    assert churn(places(p="abcdef"), places(p="abcdxy")) == 0
    assert churn(places(p="abcd", q="abcd"), places(p="abcd", q="wxyz"), changed_projects=["q"]) == 0


def test_many_edited_projects_at_once_do_count():
    names = [f"p{n}" for n in range(20)]
    before, after = places(**dict.fromkeys(names, "abcd")), places(**dict.fromkeys(names, "wxyz"))

    assert churn(before, after, open_projects=names, changed_projects=names[:10]) == 1
    assert churn(before, after, open_projects=names, changed_projects=names) == 1
    assert churn(before, before, open_projects=names, changed_projects=names) == 0


def test_a_first_version_has_nothing_to_be_compared_with():
    assert churn(places(), places(p="abcd")) == 0


def test_a_list_that_is_missing_lowers_coverage_unless_the_filters_leave_nobody():
    assert coverage_ratio({"p"}, {"p", "q"}, ()) == (
        0.5,
        {"projects_without": ["q"], "projects_without_anybody": 0},
    )
    assert coverage_ratio({"p"}, {"p", "q"}, {"q"})[0] == 1
    assert coverage_ratio(set(), set(), ())[0] == 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 30))
def test_the_gini_coefficient_is_the_mean_difference_of_pairs(shown, unseen):
    counts = np.array([shown.count(one) for one in set(shown)] + [0] * unseen, dtype=float)
    by_definition = np.abs(counts[:, None] - counts[None, :]).sum() / (2 * len(counts) ** 2 * counts.mean())

    assert exposure_gini(pd.Series(shown), len(counts)) == pytest.approx(by_definition, abs=1e-12)


def test_nobody_shown_is_no_inequality():
    assert exposure_gini(pd.Series([], dtype=object), 5) == 0


def test_a_gate_holds_within_its_bound_or_when_it_is_waived():
    gate = Gate("churn", 0.6, PUBLISHED_CHURN_RATIO, {})

    assert not gate.holds
    assert dataclasses.replace(gate, is_waived=True).holds
    assert str(gate) == "churn is 0.6, and at most 0.5 is wanted"
    assert not Gate("churn", float("nan"), PUBLISHED_CHURN_RATIO, {}).holds
    assert Gate("exactness", 0, PUBLISHED_FAULTY_LISTS, {}).as_dict()["holds"]


@pytest.fixture
def exact():
    """A small marketplace, its right places, and what looks for faults in given ones."""
    world = World(np.random.default_rng(8))
    for number in range(20):
        world.set_developer(f"d{number:02}")
        world.developers[f"d{number:02}"].row |= {"hourly_rate_minor": None, "time_zone": None}
    for number in range(3):
        world.set_project(f"p{number}")
    statistics, wanted = world.statistics(), Places(3, 2, 0)
    right = places_of_lists(world.full(statistics, wanted).lists)

    def faults(rows):
        return inexact_places(
            rows,
            world.project_features(statistics),
            [0, 1, 2],
            world.side(statistics),
            places=wanted,
            weights=DEFAULT_WEIGHTS,
        )

    return right, faults


def test_right_places_have_no_fault(exact):
    right, faults = exact
    assert len(right) == 15
    assert faults(right) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.drop(index=7),
        lambda rows: rows.drop(index=9),
        lambda rows: rows.assign(score=rows["score"].where(rows.index != 7, rows["score"] + 1e-6)),
        lambda rows: rows.assign(developer_id=rows["developer_id"].where(rows.index != 7, "d99")),
        lambda rows: rows[rows["project_id"] != "p1"],
    ],
)
def test_a_place_that_is_lost_or_wrong_by_a_millionth_is_found(exact, spoil):
    right, faults = exact
    [fault] = faults(spoil(right))
    assert fault.startswith("p1: place ")
