"""Which ticks were due, missed, late and failed, over windows that add up."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.queues.model import Pool, Run, Slot, Tick, Ticker
from platform_assets.monitoring.queues.queue_metrics import measure_queues
from platform_assets.monitoring.queues.reading import due_times, latest_due, next_due
from platform_assets.monitoring.queues.ticks import (
    GRACE,
    LATE_S,
    LONGEST_WINDOW,
    LastLook,
    Window,
    judge_schedule,
    judge_sensor,
    window_of,
)

NOW = dt.datetime(2026, 11, 1, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
CRON = "*/5 * * * *"


def schedule(*ticks, is_on=True, on_since=None, cron=CRON, through=None):
    return Ticker(
        kind="schedule",
        name="a",
        is_on=is_on,
        cadence=cron,
        on_since=on_since,
        evaluated_through=through,
        ticks=tuple(ticks),
    )


def good(at, took=SECOND):
    return Tick(at, "good", at + took)


def judge(ticker, *, start=NOW - HOUR, end=NOW - GRACE, now=NOW):
    window = Window(start, end)
    due = due_times(ticker.cadence, after=start, until=end) or [latest_due(ticker.cadence, until=end)]
    return judge_schedule(ticker, due, window, now=now)


def test_every_tick_that_was_due_and_came_is_fine():
    due = due_times(CRON, after=NOW - HOUR, until=NOW - GRACE)
    judged = judge(schedule(*map(good, due)))

    assert (judged.expected_count, judged.missed_count, judged.late_count, judged.failed_count) == (
        11,
        0,
        0,
        0,
    )
    assert judged.outstanding_since is None
    assert judged.last_good_at == due[-1]


def test_missing_late_and_failed_ticks_are_told_apart():
    due = due_times(CRON, after=NOW - HOUR, until=NOW - GRACE)
    ticks = [good(at) for at in due[3:]]
    ticks[0] = good(due[3], took=(LATE_S + 1) * SECOND)
    ticks[1] = Tick(due[4], "failed", due[4] + SECOND)
    ticks[2] = Tick(due[5], "started")

    judged = judge(schedule(*ticks))

    assert (judged.expected_count, judged.missed_count) == (11, 3)
    assert judged.failed_count == 2
    assert judged.outstanding_since is None, "a later one was good"


@pytest.mark.parametrize("last", [None, "failed"])
def test_a_latest_tick_that_is_missed_or_failed_is_outstanding(last):
    due = due_times(CRON, after=NOW - HOUR, until=NOW - GRACE)
    ticks = [good(at) for at in due[:-1]]
    if last:
        ticks.append(Tick(due[-1], last, due[-1] + SECOND))

    judged = judge(schedule(*ticks))

    assert judged.outstanding_since == due[-1]
    assert judged.lag_s == (NOW - due[-1]).total_seconds()


def test_what_is_off_or_was_off_then_owes_nothing():
    assert judge(schedule(is_on=False)).outstanding_since is None
    assert judge(schedule(is_on=False)).expected_count == 0
    assert judge(schedule(on_since=NOW - MINUTE)).outstanding_since is None


def test_what_dagster_holds_for_evaluated_is_not_outstanding():
    assert judge(schedule(through=NOW)).outstanding_since is None


@given(st.lists(st.integers(1, 600), min_size=1, max_size=20), st.data())
def test_windows_follow_each_other_so_that_no_tick_is_counted_twice_or_left_out(steps, data):
    """Looks at irregular moments count each due tick exactly once, as one look over the whole time would."""
    missing = data.draw(st.sets(st.integers(0, 300)))
    moments = [NOW]
    for step in steps:
        moments.append(moments[-1] + step * SECOND)
    first = moments[0] - GRACE
    all_due = due_times(CRON, after=first - HOUR, until=moments[-1])
    kept = [at for number, at in enumerate(all_due) if number not in missing]
    last = LastLook(moments[0], first, CRON)
    expected = missed = 0
    for now in moments[1:]:
        ticker = schedule(*(good(at) for at in kept if at <= now))
        window = window_of(ticker, last, now=now)
        judged = judge(ticker, start=window.start, end=window.end, now=now)
        expected += judged.expected_count
        missed += judged.missed_count
        last = LastLook(now, window.end, CRON)
    due = due_times(CRON, after=first, until=moments[-1] - GRACE)
    assert expected == len(due)
    assert missed == len([at for at in due if at not in kept])


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_clock_that_jumps_never_turns_a_window_around(last_s, now_s):
    last = LastLook(NOW + last_s * SECOND, NOW + last_s * SECOND, CRON)
    now = NOW + now_s * SECOND

    window = window_of(schedule(), last, now=now)

    assert window.start <= window.end == now - GRACE
    assert window.end - window.start <= LONGEST_WINDOW


def test_another_cadence_owes_nothing_for_the_time_before():
    last = LastLook(NOW - HOUR, NOW - HOUR, "0 3 * * *")

    window = window_of(schedule(), last, now=NOW)

    assert window.start == window.end


def test_cron_is_read_in_utc_also_when_summer_time_ends():
    changes = dt.datetime(2026, 10, 25, tzinfo=dt.UTC)
    due = due_times("30 * * * *", after=changes, until=changes + 6 * HOUR)

    assert [at.hour for at in due] == [0, 1, 2, 3, 4, 5]
    assert next_due("0 3 * * *", after=changes) == changes + 3 * HOUR
    assert latest_due("0 3 * * *", until=changes) == changes - 21 * HOUR


def sensor(*ats, is_on=True):
    return Ticker(kind="sensor", name="s", is_on=is_on, cadence="30", ticks=tuple(good(at) for at in ats))


def test_a_sensor_misses_what_would_have_fit_into_a_gap():
    ats = [NOW - 60 * MINUTE + 30 * number * SECOND for number in range(60)]

    steady = judge_sensor(sensor(*ats), Window(NOW - HOUR, NOW), now=ats[-1] + 30 * SECOND)
    stopped = judge_sensor(sensor(*ats), Window(NOW - HOUR, NOW), now=NOW)

    assert (steady.missed_count, steady.outstanding_since) == (0, None)
    assert stopped.missed_count == 60
    assert stopped.outstanding_since == ats[-1] + 30 * SECOND
    assert stopped.lag_s == (NOW - ats[-1]).total_seconds() - 30
    assert judge_sensor(sensor(*ats, is_on=False), Window(NOW - HOUR, NOW), now=NOW).outstanding_since is None


def run(status, *, queue="matching", created_s=100.0, started_s=None, ended_s=None, **more):
    def ago(seconds):
        return None if seconds is None else NOW - seconds * SECOND

    return Run(
        run_id=str(id(object())),
        job_name="j",
        status=status,
        queue=queue,
        created_at=ago(created_s),
        started_at=ago(started_s),
        ended_at=ago(ended_s),
        updated_at=NOW,
        **more,
    )


def test_a_queue_is_measured_by_what_waits_goes_on_and_ended():
    pool = frozenset({"matching"})
    unfinished = [
        run("queued", created_s=120, pools=pool),
        run("queued", created_s=30, pools=pool),
        run("started", created_s=700, started_s=600, pools=pool),
    ]
    ended = [
        run("success", created_s=1900, started_s=1800, ended_s=1700, pools=pool),
        run("failure", created_s=1700, started_s=1500, ended_s=1200, pools=pool),
    ]

    rows = measure_queues(
        unfinished, ended, {"matching": Pool("matching", 1)}, now=NOW, window=dt.timedelta(hours=1)
    )

    row = next(row for row in rows if row.queue == "matching")
    assert (row.queued_count, row.running_count, row.oldest_queued_age_s) == (2, 1, 120)
    assert (row.ended_count, row.failed_count, row.failure_ratio) == (2, 1, 0.5)
    assert (row.run_time_p50_s, row.throughput_per_hour) == (200, 2)
    assert row.utilization_ratio == pytest.approx(1000 / 3600)
    assert row.drain_s == 2 * 200
    assert (row.slots_taken_count, row.slots_waiting_count) == (1, 2)
    idle = next(row for row in rows if row.queue == "payments")
    assert (idle.oldest_queued_age_s, idle.failure_ratio, idle.run_time_p95_s) == (None, None, None)
    assert idle.utilization_ratio is None


def test_a_slot_of_a_run_that_is_not_going_on_is_leaked():
    pools = {"matching": Pool("matching", 1, (Slot("matching", "gone", "step"),))}

    rows = measure_queues([], [], pools, now=NOW, window=HOUR)

    assert next(row for row in rows if row.queue == "matching").slots_leaked_count == 1
