"""What an hour's points buy, who comes first, and how fresh everybody can be kept."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.github_plan import NEW_POINTS, Plan, fit_budget, plan_refresh

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def known(**hours_ago: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "developer_id": list(hours_ago),
            "github_login": list(hours_ago),
            "state": "fetched",
            "attempted_at": [NOW - dt.timedelta(hours=hours) for hours in hours_ago.values()],
        }
    )


def developers(*logins: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {"developer_id": [f"dev_{n}" for n in range(len(logins))], "github_login": logins}, dtype=object
    )


def fit(due: pd.DataFrame, followed: set[str], *, spendable: int, per_hour: float = 4_000) -> Plan:
    return fit_budget(
        due,
        followed_logins=followed,
        linked_count=int(due["github_login"].notna().sum()),
        points_spendable=spendable,
        points_per_hour=per_hour,
    )


def test_a_profile_in_demand_overtakes_one_that_is_older() -> None:
    both = pd.DataFrame({"developer_id": ["a", "b"], "github_login": ["a", "b"]})
    plan = plan_refresh(both, known(a=60, b=30), now=NOW, wanted_ids=["b"])
    assert list(plan["developer_id"]) == ["b", "a"]


def test_demand_lets_nobody_wait_for_ever() -> None:
    both = pd.DataFrame({"developer_id": ["a", "b"], "github_login": ["a", "b"]})
    plan = plan_refresh(both, known(a=150, b=30), now=NOW, wanted_ids=["b"])
    assert list(plan["developer_id"]) == ["a", "b"]


def test_demand_makes_no_fresh_profile_due() -> None:
    one = pd.DataFrame({"developer_id": ["a"], "github_login": ["a"]})
    assert plan_refresh(one, known(a=23), now=NOW, wanted_ids=["a"]).empty


def test_what_fits_is_read_now_and_keeps_the_target() -> None:
    plan = fit(developers(*(f"l{n}" for n in range(1_000))), {f"l{n}" for n in range(1_000)}, spendable=4_000)
    assert (plan.now_count, plan.freshness_hours) == (1_000, 24)
    assert 10 < plan.points_expected < 100


def test_what_does_not_fit_waits_and_the_level_says_how_long() -> None:
    plan = fit(developers(*(f"l{n}" for n in range(100))), set(), spendable=10, per_hour=10)
    assert plan.now_count == int(10 / NEW_POINTS)
    assert plan.points_expected == pytest.approx(100 * NEW_POINTS)
    assert plan.freshness_hours == 24 + 8  # 90 points, 10 of them now


def test_a_budget_too_small_for_a_look_a_day_states_the_time_that_one_takes() -> None:
    logins = [f"l{n}" for n in range(10_000)]
    plan = fit(developers(*logins), set(logins), spendable=10_000, per_hour=10)
    assert plan.freshness_hours == pytest.approx(plan.points_expected / 10)
    assert plan.freshness_hours > 24


def test_an_account_of_several_developers_is_paid_for_once() -> None:
    assert fit(developers("octo", "OCTO", "Octo"), set(), spendable=5).points_expected == NEW_POINTS


def test_without_points_nobody_is_read_and_no_hour_is_promised() -> None:
    plan = fit(developers("octo"), set(), spendable=0, per_hour=0)
    assert (plan.now_count, plan.freshness_hours) == (0, float("inf"))


@given(
    followed=st.lists(st.booleans(), max_size=60),
    spendable=st.integers(0, 60),
    per_hour=st.integers(1, 5_000),
)
def test_a_plan_never_goes_beyond_the_points(followed: list[bool], spendable: int, per_hour: int) -> None:
    logins = [f"l{n}" for n in range(len(followed))]
    due = developers(*logins)
    is_followed = {login for login, is_known in zip(logins, followed) if is_known}
    plan = fit(due, is_followed, spendable=spendable, per_hour=per_hour)
    bought = fit(plan.due.head(plan.now_count), is_followed, spendable=spendable, per_hour=per_hour)
    assert bought.points_expected <= spendable
    assert (plan.now_count == len(due)) == (plan.points_expected <= spendable)
    assert plan.freshness_hours >= 24
