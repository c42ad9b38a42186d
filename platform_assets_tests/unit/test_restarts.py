"""When a process that ended is started again, and when its ends are a crash loop."""

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.recovery_thresholds import (
    CRASH_LOOP_ENDS,
    CRASH_LOOP_WINDOW_S,
    RESTART_LONGEST_WAIT_S,
    WELL_AFTER_S,
)
from platform_assets.supervision.restarts import RestartHistory


def ended(*ends: tuple[float, float | None]) -> RestartHistory:
    history = RestartHistory()
    for now, was_well_for_s in ends:
        history.note_end(now, was_well_for_s=was_well_for_s)
    return history


def test_a_process_that_never_ended_may_start_at_once():
    assert RestartHistory().start_again_at < 0


def test_the_first_restart_is_at_once_and_the_next_ones_wait_twice_as_long_each():
    history = RestartHistory()
    waits = []
    for _ in range(8):
        history.note_end(100.0, was_well_for_s=1.0)
        waits.append(history.start_again_at - 100.0)

    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]


def test_a_process_that_was_well_in_between_starts_at_once_again():
    history = ended((0.0, None), (1.0, None), (2.0, None), (500.0, WELL_AFTER_S))

    assert history.start_again_at == 500.0
    assert not history.is_crash_loop


def test_quick_ends_are_a_crash_loop_and_rare_ones_are_not():
    quick = ended(*((float(second), None) for second in range(CRASH_LOOP_ENDS)))
    rare = ended(*((second * CRASH_LOOP_WINDOW_S, 1.0) for second in range(CRASH_LOOP_ENDS)))

    assert quick.is_crash_loop
    assert not rare.is_crash_loop


def test_a_process_that_ends_often_and_is_well_each_time_is_no_crash_loop():
    history = ended(*((second * (WELL_AFTER_S - 5), WELL_AFTER_S) for second in range(CRASH_LOOP_ENDS)))

    assert not history.is_crash_loop


@given(st.lists(st.tuples(st.floats(0.001, 1_000), st.none() | st.floats(0, 1_000)), min_size=1, max_size=40))
def test_waits_never_exceed_the_longest_and_never_lie_in_the_past(steps):
    history, now = RestartHistory(), 0.0
    for elapsed_s, was_well_for_s in steps:
        now += elapsed_s
        history.note_end(now, was_well_for_s=was_well_for_s)

        assert now <= history.start_again_at <= now + RESTART_LONGEST_WAIT_S
        assert all(now - moment <= CRASH_LOOP_WINDOW_S for moment in history.ended_at)
