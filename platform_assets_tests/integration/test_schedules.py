"""The timetable at work: what a tick asks for, when it is skipped, which days the analytics cover."""

import dataclasses
import datetime as dt

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from small_world import NOW

from platform_assets.payments.assets import RANGE_END_TAG, RANGE_START_TAG
from platform_assets.resources import Clock
from platform_assets.schedules import ANALYTICS_JOB, TIMETABLE, UNFINISHED, Overlap

PLAIN = [entry for entry in TIMETABLE if entry.job_name != ANALYTICS_JOB]
SKIPPING = [entry for entry in PLAIN if entry.overlap is Overlap.SKIP]
SERIALIZED = [entry for entry in PLAIN if entry.overlap is Overlap.SERIALIZE]


def tick(platform, name, *, now=NOW):
    """What a schedule's tick comes to: a list of run requests, or why it is skipped."""
    repository = platform.definitions(now=now).get_repository_def()
    with dg.build_schedule_context(
        instance=platform.instance,
        repository_def=repository,
        scheduled_execution_time=now,
        resources={"database": platform.database, "clock": Clock(as_of=now.date(), read=lambda: now)},
    ) as context:
        data = repository.get_schedule_def(name).evaluate_tick(context)
    return data.run_requests or data.skip_message


@pytest.fixture
def kept(tmp_path):
    """An instance on disk: a schedule is given a reference to it, which an ephemeral one has not."""
    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        yield instance


@pytest.fixture
def fresh(fresh, kept):
    return dataclasses.replace(fresh, instance=kept)


@pytest.fixture
def settled(settled, kept):
    return dataclasses.replace(settled, instance=kept)


def unfinished_run(platform, job_name, status):
    # A queued run must say where its code comes from, though nobody launches it here.
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("platform_assets"), "__repository__")
    return platform.instance.create_run_for_job(
        platform.definitions().resolve_job_def(job_name),
        status=status,
        remote_job_origin=RemoteJobOrigin(repository, job_name),
    )


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
def test_a_tick_asks_for_one_run(fresh, entry):
    requests = tick(fresh, entry.name)

    assert [request.job_name for request in requests] in ([None], [entry.job_name])


@pytest.mark.parametrize("status", UNFINISHED, ids=lambda status: status.value)
def test_a_tick_is_skipped_while_its_last_run_is_unfinished(fresh, status):
    for entry in SKIPPING:
        run = unfinished_run(fresh, entry.job_name, status)

        assert tick(fresh, entry.name) == (
            f"run {run.run_id[:8]} of {entry.job_name} is still going and will see the same changes"
        )


def test_a_finished_run_and_another_jobs_run_hold_nothing_up(fresh):
    first, second = SKIPPING[:2]
    for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        unfinished_run(fresh, first.job_name, status)
    unfinished_run(fresh, second.job_name, dg.DagsterRunStatus.STARTED)

    assert len(tick(fresh, first.name)) == 1


def test_payments_queue_behind_their_last_run_and_lose_no_tick(fresh):
    assert SERIALIZED
    for entry in SERIALIZED:
        unfinished_run(fresh, entry.job_name, dg.DagsterRunStatus.STARTED)

        assert len(tick(fresh, entry.name)) == 1


def test_the_analytics_ask_for_one_run_over_every_missing_day(settled):
    name = "generate_payment_analytics_report"
    [request] = tick(settled, name)

    outcome = settled.run(job=ANALYTICS_JOB, tags=request.tags, with_checks=False)
    [first] = settled.values("SELECT min(day)::text FROM platform.payment_analytics")

    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == (first, "2026-10-31")
    days_count = (NOW.date() - dt.date.fromisoformat(first)).days
    assert outcome.metadata("payment_analytics")["days_computed"] == days_count
    assert tick(settled, name) == "every day up to yesterday is computed and current"

    [request] = tick(settled, name, now=NOW + dt.timedelta(days=7))
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-11-01", "2026-11-07")
