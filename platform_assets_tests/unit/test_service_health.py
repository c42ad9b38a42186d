"""Looks become states: the hysteresis as properties, and what makes a look a poor one."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.services.health import (
    LEVEL_OF_LOOK,
    PastLook,
    State,
    Traffic,
    error_ratio,
    health_rows,
    judge,
    next_level,
    stand,
)
from platform_assets.monitoring.services.probing import Look, Probe
from platform_assets.monitoring_thresholds import (
    BETTER_LOOKS_COUNT,
    LOOK_GAP_MINUTES,
    POOR_ABOVE,
    TRAFFIC_MIN_CALLS_COUNT,
    WORSE_LOOKS_COUNT,
)

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
STEP = dt.timedelta(minutes=5)
ENOUGH = max(WORSE_LOOKS_COUNT, BETTER_LOOKS_COUNT)

levels = st.integers(0, 2)
looks = st.lists(st.sampled_from(list(Look)), min_size=1, max_size=25)


def lived_through(sequence, *, step=STEP):
    """How a service stood after each of its looks, the first at NOW."""
    past = []
    for number, look in enumerate(sequence):
        now = NOW + number * step
        standing = stand(past, look, now=now)
        past.append(PastLook(now, look, standing.state, standing.since))
    return past


def states(*sequence, **more):
    return [one.state.value for one in lived_through(sequence, **more)]


@given(level=levels, looks=st.lists(levels, min_size=1, max_size=8))
def test_a_level_moves_only_as_far_as_the_latest_looks_all_say(level, looks):
    moved, looks_count = next_level(level, looks)

    if moved == level:
        assert looks_count == 0
    elif moved > level:
        assert looks_count == WORSE_LOOKS_COUNT
        assert moved == min(looks[-WORSE_LOOKS_COUNT:])
    else:
        assert looks_count == BETTER_LOOKS_COUNT
        assert moved == max(looks[-BETTER_LOOKS_COUNT:])


@given(level=levels, look=levels)
def test_one_look_alone_never_moves_a_level(level, look):
    assert next_level(level, [level, look]) == (level, 0)


@given(before=st.lists(levels, max_size=5), level=levels, look=levels)
def test_the_same_look_again_and_again_is_believed_in_the_end(before, level, look):
    seen = list(before)
    for _ in range(2 * ENOUGH):
        seen.append(look)
        level, _ = next_level(level, seen)

    assert level == look


@given(sequence=st.lists(st.sampled_from(list(LEVEL_OF_LOOK)), min_size=2, max_size=40))
def test_who_turned_worse_needs_looks_of_its_own_to_turn_better(sequence):
    # No flapping: two changes in opposite directions are never closer than the looks that the second one takes.
    order = [LEVEL_OF_LOOK[Look.OK], LEVEL_OF_LOOK[Look.POOR], LEVEL_OF_LOOK[Look.FAILED]]
    stood = [("healthy", "degraded", "down").index(one.state) for one in lived_through(sequence)]
    assert set(stood) <= set(order)
    changes = [
        (number, stood[number] > stood[number - 1])
        for number in range(1, len(stood))
        if stood[number] != stood[number - 1]
    ]
    for (earlier, was_worse), (later, is_worse) in pairwise(changes):
        if was_worse != is_worse:
            assert later - earlier >= (WORSE_LOOKS_COUNT if is_worse else BETTER_LOOKS_COUNT)


@given(sequence=looks)
def test_a_state_is_since_a_look_that_was_made_and_since_never_goes_back(sequence):
    past = lived_through(sequence)
    times = [one.measured_at for one in past]

    for number, one in enumerate(past):
        assert one.state_since in times[: number + 1]
        if number and past[number - 1].state is one.state:
            assert one.state_since == past[number - 1].state_since
    assert all(earlier.state_since <= later.state_since for earlier, later in pairwise(past))


@given(sequence=looks)
def test_off_and_unknown_are_believed_at_once_and_claim_nothing(sequence):
    for one in lived_through(sequence):
        if one.look in (Look.OFF, Look.UNKNOWN):
            assert one.state == one.look.value
        else:
            assert one.state in (State.HEALTHY, State.DEGRADED, State.DOWN)


def test_a_single_failure_is_no_outage_and_two_are():
    ok, failed = Look.OK, Look.FAILED

    assert states(ok, failed, ok, failed, ok) == ["healthy"] * 5
    assert states(ok, failed, failed, failed) == ["healthy", "healthy", "down", "down"]


def test_a_service_is_down_since_the_first_look_that_failed():
    past = lived_through([Look.OK, Look.OK, Look.FAILED, Look.FAILED, Look.FAILED])

    assert past[-1].state_since == past[2].measured_at


def test_who_answers_every_other_time_does_not_come_back():
    assert states(Look.FAILED, Look.OK, Look.FAILED, Look.OK, Look.FAILED) == ["down"] * 5


def test_it_comes_back_through_degraded_when_only_one_of_the_looks_is_good():
    assert states(Look.FAILED, Look.POOR, Look.OK, Look.OK) == ["down", "down", "degraded", "healthy"]


def test_the_first_look_decides_and_so_does_the_first_after_a_gap_or_being_off():
    assert states(Look.FAILED) == ["down"]
    assert states(Look.OK, Look.OFF, Look.FAILED) == ["healthy", "off", "down"]
    far = dt.timedelta(minutes=LOOK_GAP_MINUTES, seconds=1)
    assert states(Look.OK, Look.FAILED, step=far) == ["healthy", "down"]


def probe(look=Look.OK, *, latency_ms=10.0, **details):
    return Probe("github", "answers", latency_ms, details, look)


@pytest.mark.parametrize(
    "name", [name for name in POOR_ABOVE if name not in ("latency_ms", "failed_calls_ratio")]
)
def test_a_number_beyond_its_bound_makes_a_look_poor_and_is_named(name):
    bound = POOR_ABOVE[name].bound

    assert judge(probe(**{name: bound}), None) == probe(**{name: bound})
    judged = judge(probe(**{name: bound * 1.01 + 1e-9}), None)

    assert judged.look is Look.POOR
    assert name in judged.message


def test_a_slow_answer_is_a_poor_look_and_none_is_no_slow_one():
    assert judge(probe(latency_ms=POOR_ABOVE["latency_ms"].bound + 1), None).look is Look.POOR
    assert judge(probe(latency_ms=None), None).look is Look.OK


def test_real_calls_that_fail_count_once_there_are_enough_of_them():
    few = Traffic(recent_count=TRAFFIC_MIN_CALLS_COUNT - 1, recent_failed_count=TRAFFIC_MIN_CALLS_COUNT - 1)
    enough = Traffic(recent_count=TRAFFIC_MIN_CALLS_COUNT, recent_failed_count=TRAFFIC_MIN_CALLS_COUNT)
    long_ago = Traffic(calls_count=500, failed_count=500, recent_count=50, recent_failed_count=0)

    assert judge(probe(), few).look is Look.OK
    assert judge(probe(), enough).look is Look.POOR
    assert judge(probe(), long_ago).look is Look.OK


@pytest.mark.parametrize("look", [Look.FAILED, Look.OFF, Look.UNKNOWN])
def test_numbers_never_soften_a_look(look):
    assert judge(probe(look, latency_ms=1e9), None).look is look


def test_the_error_ratio_counts_looks_and_calls_and_is_unknown_without_either():
    past = lived_through([Look.OK, Look.FAILED, Look.POOR])

    assert error_ratio(past, Look.OK, None) == 1 / 4
    assert error_ratio(past, Look.FAILED, Traffic(calls_count=6, failed_count=3)) == 5 / 10
    assert error_ratio([], Look.OFF, None) is None
    assert error_ratio([], Look.UNKNOWN, Traffic()) is None


def test_a_row_tells_what_is_not_known_apart_from_zero():
    rows = health_rows([probe(), probe(Look.OFF, latency_ms=None)], {}, {}, now=NOW)

    assert [row["calls_count"] for row in rows] == [None, None]
    assert [row["latency_ms"] for row in rows] == [10.0, None]
    assert [row["error_ratio"] for row in rows] == [0.0, None]
