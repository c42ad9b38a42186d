from __future__ import annotations

import datetime as dt

import matching_inputs as given_that
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.matching.filters import (
    FILTERS,
    START_SLACK_DAYS,
    Filters,
    allowed_pairs,
    eligible_developers,
    overlap_hours,
    refused_counts,
    utc_offset_hours,
    why_not,
)

AS_OF = given_that.AS_OF


def _why_not(developer, project, *, contracts=(), blocks=(), as_of=AS_OF):
    filters = _filters(
        given_that.developers({"developer_id": "a", **developer}, {"developer_id": "b"}),
        given_that.projects({"project_id": "p", **project}, {"project_id": "q", "client_id": "q's"}),
        contracts=contracts,
        blocks=blocks,
        as_of=as_of,
    )
    reasons = why_not(filters, "p", "a")
    both = allowed_pairs(filters, np.array([1, 0, 1]), np.array([1, 0, 1]))
    assert both.tolist() == [True, not reasons, True], (
        "the pair's answer, among pairs that nothing keeps apart"
    )
    assert eligible_developers(filters)[0] or reasons, "whoever may be matched is eligible"
    return reasons


def _filters(developers, projects, *, contracts=(), blocks=(), as_of=AS_OF):
    return Filters(
        developers=developers,
        projects=projects,
        contracts=pd.DataFrame(contracts, columns=["project_id", "developer_id", "status"]),
        blocks=pd.DataFrame(blocks, columns=["client_id", "developer_id"]),
        as_of=as_of,
    )


def test_a_developer_about_whom_nothing_speaks_passes():
    assert _why_not({}, {}) == []


def test_only_open_projects_are_matched():
    assert _why_not({}, {"status": "filled"}) == ["project_not_open"]


def test_a_closed_account_is_not_matched():
    assert _why_not({"is_active": False}, {}) == ["not_active"]


@pytest.mark.parametrize(
    ("available_from", "starts_on", "passes"),
    [
        (None, None, False),
        (AS_OF, None, True),
        (AS_OF + dt.timedelta(days=START_SLACK_DAYS), None, True),
        (AS_OF + dt.timedelta(days=START_SLACK_DAYS + 1), None, False),
        (AS_OF + dt.timedelta(days=60), AS_OF + dt.timedelta(days=50), True),
        (AS_OF + dt.timedelta(days=60), AS_OF + dt.timedelta(days=40), False),
        # A start that has passed is as good as today.
        (AS_OF + dt.timedelta(days=5), AS_OF - dt.timedelta(days=300), True),
        (AS_OF, dt.date(9999, 12, 30), True),
        (dt.date(9999, 12, 30), None, False),
    ],
)
def test_availability_is_counted_from_the_wanted_start_with_slack(available_from, starts_on, passes):
    reasons = _why_not({"available_from": available_from}, {"starts_on": starts_on})
    assert reasons == ([] if passes else ["not_available"])


@pytest.mark.parametrize(
    ("rate", "currency", "limit", "limit_currency", "passes"),
    [
        (5_000, "EUR", 5_000, "EUR", True),
        (5_001, "EUR", 5_000, "EUR", False),
        (1, "USD", 5_000, "EUR", False),
        (None, None, 5_000, "EUR", True),
        (9_999, "USD", None, None, True),
    ],
)
def test_a_stated_rate_has_to_be_shown_to_keep_the_limit(rate, currency, limit, limit_currency, passes):
    reasons = _why_not(
        {"hourly_rate_minor": rate, "currency": currency},
        {"max_hourly_rate_minor": limit, "currency": limit_currency},
    )
    assert reasons == ([] if passes else ["rate_or_currency"])


@pytest.mark.parametrize(
    ("developer_zone", "project_zone", "hours", "passes"),
    [
        ("Europe/Berlin", "Europe/Lisbon", 7, True),
        ("Europe/Berlin", "America/Los_Angeles", 1, False),
        (None, "America/Los_Angeles", 8, True),
        ("Europe/Berlin", None, 8, True),
        ("Europe/Berlin", "America/Los_Angeles", None, True),
        # Across the date line Auckland (+13) and Honolulu (-10) are one hour apart.
        ("Pacific/Auckland", "Pacific/Honolulu", 7, True),
        ("Not/AZone", "Europe/Lisbon", 8, True),
    ],
)
def test_working_hours_have_to_overlap(developer_zone, project_zone, hours, passes):
    reasons = _why_not({"time_zone": developer_zone}, {"time_zone": project_zone, "min_overlap_hours": hours})
    assert reasons == ([] if passes else ["time_zone"])


def test_summer_time_counts_on_the_day_asked_for():
    # In the last week of October Europe has left summer time and New York has not.
    developer, project = (
        {"time_zone": "Europe/Berlin"},
        {"time_zone": "America/New_York", "min_overlap_hours": 3},
    )
    assert _why_not(developer, project, as_of=dt.date(2026, 10, 28)) == []
    assert _why_not(developer, project, as_of=dt.date(2026, 11, 10)) == ["time_zone"]


def test_offsets_and_overlaps_are_exact():
    assert utc_offset_hours("Asia/Kolkata", AS_OF) == 5.5
    assert np.isnan(utc_offset_hours("../etc/passwd", AS_OF))
    assert np.isnan(utc_offset_hours("", AS_OF))
    assert overlap_hours(np.array([5.5, -12.0, np.nan]), 12.0)[:2].tolist() == [1.5, 8.0]


@pytest.mark.parametrize(
    ("status", "passes"), [("offered", False), ("active", False), ("completed", False), ("cancelled", True)]
)
def test_a_contract_on_the_project_ends_the_search_for_that_pair(status, passes):
    reasons = _why_not({}, {}, contracts=[("p", "a", status), ("other", "b", "active")])
    assert reasons == ([] if passes else ["already_contracted"])


def test_only_who_is_open_for_some_project_is_eligible():
    people = given_that.developers(
        {"developer_id": "a", "is_active": False},
        {"developer_id": "b", "available_from": None},
        {"developer_id": "c", "available_from": AS_OF + dt.timedelta(days=START_SLACK_DAYS + 1)},
        {"developer_id": "d"},
    )
    posted = given_that.projects({"project_id": "p"}, {"project_id": "q", "status": "filled"})
    assert eligible_developers(_filters(people, posted)).tolist() == [False, False, False, True]
    closed = posted.assign(status="filled")
    assert not eligible_developers(_filters(people, closed)).any()


def test_a_contract_on_another_project_does_not_matter():
    assert _why_not({}, {}, contracts=[("other", "a", "active"), ("p", "b", "active")]) == []


def test_a_block_by_either_side_holds_for_all_projects_of_the_client():
    assert _why_not({}, {}, blocks=[("client", "a")]) == ["blocked"]
    assert _why_not({}, {}, blocks=[("another", "a"), ("client", "b")]) == []


def test_every_reason_is_told():
    reasons = _why_not(
        {
            "is_active": False,
            "available_from": None,
            "hourly_rate_minor": 9,
            "currency": "USD",
            "time_zone": "Asia/Tokyo",
        },
        {
            "status": "closed",
            "max_hourly_rate_minor": 9,
            "currency": "EUR",
            "time_zone": "Europe/Lisbon",
            "min_overlap_hours": 8,
        },
        contracts=[("p", "a", "active")],
        blocks=[("client", "a")],
    )
    assert reasons == list(FILTERS)


def test_unknown_ids_are_errors_and_no_refusals():
    filters = _filters(given_that.developers({"developer_id": "a"}), given_that.projects({"project_id": "p"}))
    with pytest.raises(KeyError, match="no developer x"):
        why_not(filters, "p", "x")
    with pytest.raises(KeyError, match="no project x"):
        why_not(filters, "x", "a")
    with pytest.raises(KeyError, match="no project x"):
        refused_counts(filters, "x")


def test_nobody_on_either_side_is_no_error():
    filters = _filters(given_that.developers(), given_that.projects())
    nobody = np.empty(0, dtype=np.int64)
    assert allowed_pairs(filters, nobody, nobody).shape == (0,)


def test_what_leaves_nobody_is_told_by_numbers():
    filters = _filters(
        given_that.developers(
            {"developer_id": "a", "is_active": False},
            {"developer_id": "b", "hourly_rate_minor": 9, "currency": "USD"},
            {"developer_id": "c", "hourly_rate_minor": 9, "currency": "USD"},
        ),
        given_that.projects({"project_id": "p", "max_hourly_rate_minor": 5, "currency": "USD"}),
        blocks=[("client", "c")],
    )
    assert not allowed_pairs(filters, np.zeros(3, dtype=np.int64), np.arange(3)).any()
    refused = refused_counts(filters, "p")
    assert {name: count for name, count in refused.items() if count} == {
        "not_active": 1,
        "rate_or_currency": 2,
        "blocked": 1,
    }


days = st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31))


@given(
    st.lists(st.tuples(st.booleans(), days), max_size=6, min_size=1),
    st.lists(st.tuples(st.sampled_from(["open", "closed"]), days), max_size=6, min_size=1),
)
def test_whoever_may_be_matched_with_any_project_is_eligible(developers, projects):
    filters = _filters(
        given_that.developers(
            *(
                {"developer_id": f"d{n}", "is_active": is_active, "available_from": free_from}
                for n, (is_active, free_from) in enumerate(developers)
            )
        ),
        given_that.projects(
            *(
                {"project_id": f"p{n}", "status": status, "starts_on": starts_on}
                for n, (status, starts_on) in enumerate(projects)
            )
        ),
    )
    pairs = np.indices((len(projects), len(developers))).reshape(2, -1)
    allowed = allowed_pairs(filters, *pairs).reshape(len(projects), len(developers))

    assert not (allowed.any(axis=0) & ~eligible_developers(filters)).any()
