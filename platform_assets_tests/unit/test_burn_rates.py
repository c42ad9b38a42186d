import datetime as dt
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.levels.burn_rates import (
    NOTHING,
    Counts,
    Observed,
    Standing,
    budget_left_ratio,
    burn_rate,
    stand,
    time_to_exhaustion,
)
from platform_assets.monitoring.levels.levels import LEVELS
from platform_assets.monitoring_thresholds import (
    BURN_ALERTS,
    BURN_WINDOWS,
    SERVICE_LEVEL_WINDOW,
    SERVICE_LEVELS,
    BurnAlert,
)

OBJECTIVE = 0.99
objectives = st.floats(0.5, 0.9999)


def of(good: int, bad: int) -> Counts:
    return Counts(good, good + bad, good + bad)


@st.composite
def counts(draw: st.DrawFn, *, least: int = 0) -> Counts:
    total = draw(st.integers(least, 10_000))
    good = draw(st.integers(0, total))
    return Counts(good, total, draw(st.integers(min(total, 1), total)))


def observed(windows: Mapping[str, Counts], *, latest: Counts = NOTHING) -> Observed:
    return Observed({**dict.fromkeys(BURN_WINDOWS, NOTHING), **windows}, windows.get("3d", NOTHING), latest)


def standing(seen: Observed, objective: float = OBJECTIVE) -> Standing:
    return stand(seen, objective, alerts=BURN_ALERTS, min_moments_count=10, min_bad_events_count=2)


@given(counts(least=1), objectives)
def test_a_burn_rate_times_the_budget_is_the_share_of_bad_events(events: Counts, objective: float) -> None:
    rate = burn_rate(events, objective)

    assert rate is not None
    assert rate * (1 - objective) == pytest.approx(events.bad_count / events.total_count)


@given(counts(least=1), objectives)
def test_what_is_spent_and_what_is_left_are_the_whole_budget(events: Counts, objective: float) -> None:
    left, rate = budget_left_ratio(events, objective), burn_rate(events, objective)

    assert left is not None and rate is not None
    assert left + rate == pytest.approx(1)
    assert left <= 1


@given(objectives)
def test_without_events_nothing_is_known(objective: float) -> None:
    stands = standing(observed({}), objective)

    assert burn_rate(NOTHING, objective) is None
    assert budget_left_ratio(NOTHING, objective) is None
    assert set(stands.burn_rates.values()) == {None}
    assert (stands.budget_left_ratio, stands.pace_ratio, stands.burning) == (None, None, None)


@given(st.fixed_dictionaries({name: counts() for name in BURN_WINDOWS}), counts(), objectives)
def test_an_alert_means_that_both_windows_burn_faster_and_that_it_was_seen_often_enough(
    windows: dict[str, Counts], latest: Counts, objective: float
) -> None:
    stands = standing(observed(windows, latest=latest), objective)

    if stands.burning is None:
        assert stands.pace_ratio is None or stands.pace_ratio <= 1
        return
    long = windows[stands.burning.long]
    short = windows[stands.burning.short]
    rates = [burn_rate(long, objective), burn_rate(short if short.total_count else latest, objective)]
    assert all(rate is not None and rate > stands.burning.burn_rate for rate in rates)
    assert long.moments_count >= 10
    assert long.bad_count >= 2
    assert stands.pace_ratio is not None and stands.pace_ratio > 1


@given(st.fixed_dictionaries({name: counts() for name in BURN_WINDOWS}), objectives)
def test_good_events_alone_never_alert(windows: dict[str, Counts], objective: float) -> None:
    good = {
        name: Counts(each.total_count, each.total_count, each.moments_count) for name, each in windows.items()
    }

    assert standing(observed(good), objective).burning is None


@pytest.mark.parametrize("pair", BURN_ALERTS, ids=lambda pair: pair.alert_severity)
def test_each_pair_of_windows_alerts_above_its_burn_rate_and_not_at_it(pair: BurnAlert) -> None:
    def at(bad: int) -> BurnAlert | None:
        return standing(observed({pair.long: of(1000 - bad, bad), pair.short: of(1000 - bad, bad)})).burning

    bound = round(1000 * (1 - OBJECTIVE) * pair.burn_rate)

    assert at(bound - 1) is None
    assert at(bound + 1) == pair


def test_the_fastest_pair_that_burns_gives_the_severity() -> None:
    everything_fails = dict.fromkeys(BURN_WINDOWS, of(0, 50))

    burning = standing(observed(everything_fails)).burning

    assert burning is not None
    assert (burning.burn_rate, burning.alert_severity) == (14.4, "critical")


def test_a_problem_that_is_over_stops_alerting_with_its_short_window() -> None:
    hour = of(50, 50)

    assert standing(observed({"1h": hour, "5min": of(0, 5)}, latest=of(0, 1))).burning is not None
    assert standing(observed({"1h": hour, "5min": of(5, 0)}, latest=of(1, 0))).burning is None


def test_where_events_are_rare_the_latest_stands_for_an_empty_short_window() -> None:
    hour = of(6, 6)

    assert standing(observed({"1h": hour}, latest=of(0, 1))).burning is not None
    assert standing(observed({"1h": hour}, latest=of(1, 0))).burning is None


def test_few_events_say_nothing_and_a_single_bad_one_is_no_fire() -> None:
    few = standing(observed({"1h": of(0, 9), "5min": of(0, 9)}))
    single = standing(observed({"1h": of(9, 1), "5min": of(0, 1)}), objective=0.999)
    one_look_at_many = standing(observed({"1h": Counts(0, 90, 3), "5min": Counts(0, 30, 1)}))

    assert (few.pace_ratio, few.burning) == (None, None)
    assert (single.pace_ratio, single.burning) == (0.0, None)
    assert one_look_at_many.burning is None


@given(st.floats(0, 1), st.floats(0, 1000))
def test_a_budget_lasts_its_window_at_the_pace_that_spends_it_so(left: float, rate: float) -> None:
    gone_in = time_to_exhaustion(left, rate, SERVICE_LEVEL_WINDOW)

    if rate <= 1:
        assert gone_in is None
    else:
        assert gone_in is not None
        assert dt.timedelta(0) <= gone_in <= SERVICE_LEVEL_WINDOW


def test_an_overspent_budget_is_gone_now_and_not_in_the_past() -> None:
    assert time_to_exhaustion(-3.0, 5.0, SERVICE_LEVEL_WINDOW) == dt.timedelta(0)
    assert time_to_exhaustion(None, 5.0, SERVICE_LEVEL_WINDOW) is None


def test_every_level_has_an_objective_that_leaves_a_budget_and_every_objective_a_level() -> None:
    assert {level.name for level in LEVELS} == set(SERVICE_LEVELS)
    assert all(0 < objective.bound < 1 for objective in SERVICE_LEVELS.values())


def test_the_pairs_of_windows_go_from_the_fastest_to_the_slowest() -> None:
    rates = [pair.burn_rate for pair in BURN_ALERTS]

    assert rates == sorted(rates, reverse=True)
    assert all(BURN_WINDOWS[pair.short] * 12 == BURN_WINDOWS[pair.long] for pair in BURN_ALERTS)
