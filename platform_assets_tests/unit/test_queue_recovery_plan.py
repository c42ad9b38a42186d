"""What is stuck and what is done about it: never to oneself, never twice, never payments' queued runs, within a cap."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets import recovery_thresholds as bounds
from platform_assets.monitoring.queues.model import GRPC_INFO_TAG, Process, Run, Slot
from platform_assets.monitoring.queues.recovery import (
    FORCEFUL,
    ActionKind,
    JobHistory,
    LeakedSlot,
    SeenRun,
    SeenSchedule,
    Snapshot,
    Zombie,
    left_alone,
    plan_recovery,
    stuck_after_s,
    within_cap,
)

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
LAUNCHED = {GRPC_INFO_TAG: "{}"}


def run(run_id="a", status="started", *, age_s=60.0, queue="matching", job_name="a_job", **more):
    at = NOW - age_s * SECOND
    return Run(
        run_id=run_id,
        job_name=job_name,
        status=status,
        queue=queue,
        created_at=at,
        started_at=None if status == "queued" else at,
        updated_at=at,
        **more,
    )


def kinds(snapshot, now=NOW):
    return [(action.kind, action.subject) for action in plan_recovery(snapshot, now)]


def test_a_platform_on_which_all_is_well_is_left_alone():
    seen = [SeenRun(run=run(), process=Process.ALIVE), SeenRun(run=run("b", "queued"))]

    assert plan_recovery(Snapshot(runs=seen), NOW) == []


@pytest.mark.parametrize("status", ["starting", "started", "canceling"])
def test_a_run_whose_process_is_gone_is_failed_whatever_it_was_doing(status):
    snapshot = Snapshot(runs=[SeenRun(run=run(status=status), process=Process.GONE)])

    assert kinds(snapshot) == [(ActionKind.FAIL_ORPHANED_RUN, "run:a")]


def test_the_run_that_looks_never_acts_upon_itself():
    snapshot = Snapshot(own_run_id="a", runs=[SeenRun(run=run(), process=Process.GONE)])

    assert plan_recovery(snapshot, NOW) == []


def test_what_is_being_handled_and_what_was_tried_in_vain_too_often_is_left_alone():
    runs = [SeenRun(run=run(name), process=Process.GONE) for name in "abc"]
    snapshot = Snapshot(
        runs=runs,
        being_handled={"run:a"},
        tries={("fail_orphaned_run", "run:b"): bounds.RECOVERY_TRIES, ("fail_orphaned_run", "run:c"): 1},
    )

    [action] = plan_recovery(snapshot, NOW)

    assert (action.subject, action.attempt) == ("run:c", 2)
    left = {each.action.subject: each.reason for each in left_alone(snapshot, NOW)}
    assert left.keys() == {"run:a", "run:b"}
    assert f"tried {bounds.RECOVERY_TRIES} times" in left["run:b"]


@pytest.mark.parametrize(
    ("runs_count", "p99_s", "limit_s"),
    [
        (bounds.STUCK_LEAST_SAMPLE - 1, 10.0, bounds.STUCK_WITHOUT_HISTORY_S),
        (bounds.STUCK_LEAST_SAMPLE, 10.0, bounds.STUCK_FLOOR_S),
        (bounds.STUCK_LEAST_SAMPLE, 1000.0, bounds.STUCK_P99_FACTOR * 1000.0),
    ],
)
def test_a_run_is_stuck_by_its_own_history_where_there_is_enough_of_it(runs_count, p99_s, limit_s):
    history = JobHistory(runs_count, p99_s)
    assert stuck_after_s(history) == limit_s
    for age_s, is_stuck in ((limit_s - 1, False), (limit_s + 1, True)):
        seen = SeenRun(
            run=run(age_s=age_s, tags=LAUNCHED),
            process=Process.ALIVE,
            last_event_at=NOW - (bounds.STUCK_SILENCE_S + 1) * SECOND,
        )
        snapshot = Snapshot(runs=[seen], history={"a_job": history})
        assert (kinds(snapshot) == [(ActionKind.TERMINATE_STUCK_RUN, "run:a")]) is is_stuck


def test_a_run_that_still_writes_events_is_not_stuck_however_long_it_takes():
    seen = SeenRun(run=run(age_s=1e6, tags=LAUNCHED), process=Process.ALIVE, last_event_at=NOW - SECOND)

    assert plan_recovery(Snapshot(runs=[seen]), NOW) == []


def test_a_run_in_a_users_own_process_is_the_users_to_end():
    seen = SeenRun(run=run(age_s=1e6), process=Process.ALIVE, last_event_at=NOW - 1e6 * SECOND)

    assert plan_recovery(Snapshot(runs=[seen]), NOW) == []


def queued(run_id, age_s, **more):
    return SeenRun(run=run(run_id, "queued", age_s=age_s, schedule="a_schedule", **more))


def test_of_queued_runs_of_one_schedule_only_the_newest_stays():
    snapshot = Snapshot(runs=[queued("old", 300), queued("older", 600), queued("new", 10)])

    planned = plan_recovery(snapshot, NOW)

    assert {each.kind for each in planned} == {ActionKind.PURGE_SUPERSEDED_RUN}
    assert {each.details["run_id"] for each in planned} == {"old", "older"}
    assert {each.details["superseded_by"] for each in planned} == {"new"}


def test_payments_and_runs_started_by_hand_and_other_partitions_are_never_superseded():
    of_payments = [queued(name, 300, job_name="payments_job") for name in "ab"]
    by_hand = [SeenRun(run=run(name, "queued", job_name="by_hand")) for name in "cd"]
    partitions = [queued(name, 300, tags={"dagster/partition": name}) for name in "ef"]
    snapshot = Snapshot(runs=[*of_payments, *by_hand, *partitions], serialized_jobs={"payments_job"})

    assert plan_recovery(snapshot, NOW) == []


def test_a_run_with_a_wrong_queue_is_rerouted_and_one_that_waits_too_long_goes_first_once():
    late = bounds.QUEUED_TOO_LONG_S + 1
    snapshot = Snapshot(
        runs=[
            SeenRun(run=run("a", "queued", queue=None), wanted_queue="payments"),
            SeenRun(run=run("b", "queued", age_s=late), wanted_queue="matching"),
            SeenRun(
                run=run("c", "queued", age_s=late, tags={bounds.HURRIED_TAG: "true"}), wanted_queue="matching"
            ),
        ]
    )

    assert kinds(snapshot) == [(ActionKind.REROUTE_RUN, "run:a"), (ActionKind.HURRY_RUN, "run:b")]


def test_slots_and_processes_of_ended_runs_are_given_some_time():
    slot = Slot("matching", "a", "step")
    ended = run("z", "success")
    for extra_s, expected in ((-1, 0), (1, 2)):
        leaked = LeakedSlot(slot, NOW - (bounds.LEAKED_SLOT_GRACE_S + extra_s) * SECOND)
        zombie_run = Run(**{**ended.__dict__, "ended_at": NOW - (bounds.ZOMBIE_GRACE_S + extra_s) * SECOND})
        snapshot = Snapshot(leaked=[leaked], zombies=[Zombie(zombie_run, 7)])
        assert len(plan_recovery(snapshot, NOW)) == expected


def schedule(*, since_s, next_s, has_run_since=False):
    return SeenSchedule(
        name="daily",
        job_name="daily_job",
        outstanding_since=NOW - since_s * SECOND,
        next_due_at=NOW + next_s * SECOND,
        has_run_since=has_run_since,
    )


@pytest.mark.parametrize(
    ("seen", "is_launched"),
    [
        (schedule(since_s=3600, next_s=80_000), True),
        (schedule(since_s=60, next_s=80_000), False),
        (schedule(since_s=3600, next_s=60), False),
        (schedule(since_s=3600, next_s=80_000, has_run_since=True), False),
    ],
    ids=["long ago", "just now", "the next one is near", "somebody ran it"],
)
def test_a_missed_tick_is_made_up_for_when_nothing_else_does(seen, is_launched):
    planned = plan_recovery(Snapshot(schedules=[seen]), NOW)

    assert [each.kind for each in planned] == [ActionKind.LAUNCH_MISSED] * is_launched


def test_a_code_location_that_is_silent_is_told():
    silent = NOW - (bounds.CODE_LOCATION_SILENT_S + 1) * SECOND

    assert kinds(Snapshot(silent_since=silent)) == [(ActionKind.RESTART_CODE_LOCATION, "code_location")]
    assert kinds(Snapshot(silent_since=NOW)) == []


statuses = st.sampled_from(["queued", "starting", "started", "canceling"])
seen_runs = st.lists(
    st.builds(
        lambda number, status, age_s, process, wanted, silent_s: SeenRun(
            run=run(
                str(number),
                status,
                age_s=age_s,
                schedule="a_schedule",
                tags=LAUNCHED,
            ),
            process=process,
            last_event_at=NOW - silent_s * SECOND,
            wanted_queue=wanted,
        ),
        st.integers(0, 99),
        statuses,
        st.floats(-1e5, 1e6),
        st.sampled_from(Process),
        st.sampled_from([None, "matching", "payments"]),
        st.floats(-1e5, 1e6),
    ),
    max_size=60,
    unique_by=lambda seen: seen.run.run_id,
)


@given(seen_runs, st.integers(0, 99))
def test_whatever_is_there_each_thing_gets_one_action_at_most_and_none_dates_from_the_future(runs, own):
    snapshot = Snapshot(own_run_id=str(own), runs=runs)

    planned = plan_recovery(snapshot, NOW)

    subjects = [action.subject for action in planned]
    assert len(subjects) == len(set(subjects))
    assert f"run:{own}" not in subjects
    assert all(action.problem_since <= NOW for action in planned)
    order = list(ActionKind)
    assert [order.index(a.kind) for a in planned] == sorted(order.index(a.kind) for a in planned)
    assert planned == plan_recovery(snapshot, NOW)


@given(seen_runs)
def test_one_round_stays_within_its_cap_and_drops_nothing(runs):
    plan = plan_recovery(Snapshot(runs=runs), NOW)

    chosen, left = within_cap(plan)

    assert len(chosen) <= bounds.RECOVERY_ACTIONS_PER_RUN
    assert sum(action.kind in FORCEFUL for action in chosen) <= bounds.RECOVERY_FORCEFUL_PER_RUN
    assert sorted(a.subject for a in [*chosen, *(each.action for each in left)]) == sorted(
        a.subject for a in plan
    )
    assert not left or len(chosen) > 0
