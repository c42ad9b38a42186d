"""Stuck work on a real Dagster instance is freed once, shown to be free, and left alone in a dry run."""

import datetime as dt
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import SCHEDULE_NAME_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from platform_assets.definitions import build_definitions
from platform_assets.monitoring.queues import ledger
from platform_assets.monitoring.queues.acting import RECOVERY_TAG
from platform_assets.monitoring.queues.model import GRPC_INFO_TAG
from platform_assets.monitoring.queues.recover import recover
from platform_assets.monitoring.queues.recovery import Action, ActionKind
from platform_assets.monitoring.queues.timetable import code_timetable
from platform_assets.monitoring.runs.dead_runs import CODE_LOCATION_NAME
from platform_assets.monitoring.runs.heartbeats import beat
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.monitoring.runs.processes import ProcessIdentity, boot_id, process_start
from platform_assets.resources import Clock
from platform_assets.schedules import RECOVERY_JOB, TIMETABLE
from platform_assets.tables.queues import queue_recovery

MATCHES, PAYMENTS = "precompute_matching_results", "check_overdue_payments"


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def later(minutes: float = 60.0) -> dt.datetime:
    return now() + dt.timedelta(minutes=minutes)


@pytest.fixture
def instance(new_database, tmp_path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance on Postgres whose runs are queued and whose pools admit one."""
    queued = {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator"}
    with (
        new_database(migrated=False) as url,
        dg.instance_for_test(
            temp_dir=str(tmp_path),
            overrides={
                "storage": {
                    "postgres": {"postgres_url": url.replace("postgresql+psycopg:", "postgresql+psycopg2:")}
                },
                "run_coordinator": queued,
                "concurrency": {"pools": {"default_limit": 1}},
            },
        ) as instance,
    ):
        yield instance


def job_named(name: str) -> dg.JobDefinition:
    return dg.GraphDefinition(name=name).to_job(name=name)


def create(instance, schedule, *, status=dg.DagsterRunStatus.QUEUED, **tags) -> str:
    entry = next(entry for entry in TIMETABLE if entry.name == schedule)
    code = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name=CODE_LOCATION_NAME), CODE_LOCATION_NAME
    )
    run = instance.create_run_for_job(
        job_named(entry.job_name),
        status=status,
        tags={SCHEDULE_NAME_TAG: schedule, QUEUE_TAG: entry.queue, **tags},
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), entry.job_name),
        job_code_origin=None,
    )
    return run.run_id


def round_of(instance, database, *, at=None, mode="on", own_run_id=None):
    return recover(instance, database, code_timetable(), mode=mode, own_run_id=own_run_id, now=at or now())


def status_of(instance, run_id) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run_id).status


def rows(database) -> list[dict]:
    return database.read(sa.select(queue_recovery).order_by(queue_recovery.c.recovery_id)).to_dict("records")


def identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(socket.gethostname(), boot_id(), pid, process_start(pid) or "")


@pytest.fixture
def worker() -> Iterator[subprocess.Popen]:
    """A process that works on a run, as far as anybody knows."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


def test_an_older_queued_run_of_a_schedule_is_purged_and_payments_are_not(instance, database):
    old, new = create(instance, MATCHES), create(instance, MATCHES)
    payments = [create(instance, PAYMENTS) for _ in range(2)]

    done = round_of(instance, database)

    assert [(each.action.kind, each.state) for each in done.taken] == [
        (ActionKind.PURGE_SUPERSEDED_RUN, "worked")
    ]
    assert status_of(instance, old) is dg.DagsterRunStatus.CANCELED
    assert {status_of(instance, run_id) for run_id in (new, *payments)} == {dg.DagsterRunStatus.QUEUED}
    [row] = rows(database)
    assert row["state_before"]["superseded_by"] == new
    assert row["state_after"]["status"] == "canceled"
    assert row["repair_s"] >= 0
    assert round_of(instance, database).taken == []


@pytest.mark.parametrize("mode", ["dry-run", "off"])
def test_without_leave_nothing_is_changed(instance, database, mode):
    old, _ = create(instance, MATCHES), create(instance, MATCHES)

    done = round_of(instance, database, mode=mode)

    assert [each.state for each in done.taken] == ["planned"] * (mode == "dry-run")
    assert status_of(instance, old) is dg.DagsterRunStatus.QUEUED
    assert rows(database) == []


def test_a_run_whose_worker_was_killed_is_failed_so_that_it_is_run_again(instance, database, worker):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED)
    beat(database, run_id, identity_of(worker.pid))
    assert round_of(instance, database).taken == []
    worker.kill()
    worker.wait()

    done = round_of(instance, database)

    assert [(each.action.kind, each.state) for each in done.taken] == [
        (ActionKind.FAIL_ORPHANED_RUN, "worked")
    ]
    assert status_of(instance, run_id) is dg.DagsterRunStatus.FAILURE


def test_a_worker_that_outlives_its_run_is_ended(instance, database, worker):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: "{}"})
    beat(database, run_id, identity_of(worker.pid))
    instance.report_run_failed(instance.get_run_by_id(run_id))
    assert round_of(instance, database).taken == [], "it may be about to end"

    done = round_of(instance, database, at=later(5))

    assert [(each.action.kind, each.state) for each in done.taken] == [
        (ActionKind.END_ZOMBIE_PROCESS, "worked")
    ]
    assert process_start(worker.pid) is None


def test_nobody_ends_the_process_that_looks_or_one_that_it_was_started_by(instance, database):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: "{}"})
    beat(database, run_id, identity_of(os.getppid()))
    instance.report_run_failed(instance.get_run_by_id(run_id))

    assert round_of(instance, database, at=later(5)).taken == []


def test_a_silent_run_far_beyond_its_time_is_ended_and_failed(instance, database, worker):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: "{}"})
    beat(database, run_id, identity_of(worker.pid))
    assert round_of(instance, database, at=later(60)).taken == []

    done = round_of(instance, database, at=later(60 * 5))

    assert [(each.action.kind, each.state) for each in done.taken] == [
        (ActionKind.TERMINATE_STUCK_RUN, "worked")
    ]
    assert process_start(worker.pid) is None
    assert status_of(instance, run_id) is dg.DagsterRunStatus.FAILURE


def test_a_slot_that_an_ended_run_has_left_taken_is_freed(instance, database):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("matching", 1)
    assert storage.claim_concurrency_slot("matching", run_id, "a_step").is_claimed
    instance.report_run_failed(instance.get_run_by_id(run_id))

    done = round_of(instance, database, at=later())

    assert [(each.action.kind, each.state) for each in done.taken] == [
        (ActionKind.FREE_LEAKED_SLOT, "worked")
    ]
    assert storage.get_concurrency_info("matching").active_slot_count == 0


def test_a_run_without_its_queue_is_rerouted_and_then_put_first(instance, database):
    run_id = create(instance, MATCHES, **{QUEUE_TAG: "payments"})

    first, second = (round_of(instance, database, at=later()) for _ in range(2))

    assert [each.action.kind for each in first.taken] == [ActionKind.REROUTE_RUN]
    assert instance.get_run_by_id(run_id).tags[QUEUE_TAG] == "matching"
    assert [(each.action.kind, each.state) for each in second.taken] == [(ActionKind.HURRY_RUN, "done")]
    assert int(instance.get_run_by_id(run_id).tags["dagster/priority"]) > 0
    assert round_of(instance, database, at=later()).taken == [], "once is enough"


def test_the_run_that_recovers_leaves_itself_alone(instance, database, worker):
    run_id = create(instance, MATCHES, status=dg.DagsterRunStatus.STARTED)
    beat(database, run_id, identity_of(worker.pid))
    worker.kill()
    worker.wait()

    assert round_of(instance, database, own_run_id=run_id).taken == []


def test_of_two_rounds_at_once_one_acts(instance, database):
    for _ in range(2):
        create(instance, MATCHES)
    done = []
    threads = [threading.Thread(target=lambda: done.append(round_of(instance, database))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(len(each.taken) for each in done) == 1
    assert len(rows(database)) == 1


def test_an_action_that_does_not_help_is_tried_again_a_few_times_and_then_left_to_a_person(
    instance, database
):
    action = Action(
        kind=ActionKind.HURRY_RUN,
        subject=f"run:{create(instance, MATCHES)}",
        reason="it waits",
        problem_since=now(),
        details={},
    )
    run_id = action.subject.removeprefix("run:")
    action = Action(**{**action.__dict__, "details": {"run_id": run_id, "job_name": "j"}})
    recovery_id = ledger.claim(database, action, state_before={}, now=now())
    assert ledger.claim(database, action, state_before={}, now=now()) is None, "somebody has it"
    ledger.note_done(database, recovery_id)

    round_of(instance, database, at=later())

    assert rows(database)[0]["state"] == "ineffective"
    assert ledger.read_tries(database, now=now()) == {("hurry_run", action.subject): 1}


def test_a_missed_ticks_work_is_launched_once(fresh, tmp_path):
    """By the sensor, since nothing else can launch runs; a daemon that dies in between loses nothing."""
    job_name = next(entry.job_name for entry in TIMETABLE if entry.name == MATCHES)
    missed = Action(
        kind=ActionKind.LAUNCH_MISSED,
        subject=f"schedule:{MATCHES}@2026-11-01T03:00Z",
        reason="its tick came to nothing",
        problem_since=now(),
        details={"job_name": job_name, "schedule": MATCHES},
    )
    recovery_id = ledger.claim(fresh.database, missed, state_before={}, now=now())
    ledger.note_done(fresh.database, recovery_id)
    repository = fresh.definitions().get_repository_def()

    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"telemetry": {"enabled": False}}
    ) as instance:

        def tick():
            resources = {
                "database": fresh.database,
                "clock": Clock(as_of=now().date()),
                "recovery_mode": "on",
            }
            with dg.build_sensor_context(
                instance=instance, repository_def=repository, resources=resources
            ) as context:
                result = repository.get_sensor_def("watch_recovery").evaluate_tick(context)
            return list(result.run_requests or [])

        [request] = tick()
        assert [request.run_key] == [each.run_key for each in tick()], "asked for until it is there"
        run = instance.create_run_for_job(job_named("a_job"), tags=dict(request.tags))
        assert tick() == []
        round_of(instance, fresh.database)

    assert (request.job_name, request.tags[RECOVERY_TAG]) == (job_name, str(recovery_id))
    [row] = rows(fresh.database)
    assert (row["state"], row["state_after"]["run_id"]) == ("worked", run.run_id)


def test_the_assets_measure_queues_and_recover_with_their_checks(settled):
    outcome = settled.run("task_queue_metrics", "queue_recovery", recovery_mode="on")

    assert outcome.is_success, {step: outcome.failure(step) for step in outcome.failed_steps()}
    measured = outcome.metadata("task_queue_metrics")
    assert measured["rows_measured"] == 5
    assert "daemon is not running" in measured["ticks"]
    assert outcome.metadata("queue_recovery")["actions"] == "Nothing is stuck."
    broken = outcome.broken_checks(dg.AssetCheckSeverity.ERROR)
    assert broken == set()
    assert settled.values("SELECT DISTINCT queue FROM monitoring.task_queue_metrics ORDER BY 1") == [
        "ai_services",
        "communications",
        "matching",
        "monitoring",
        "payments",
    ]


def test_recovery_that_is_held_up_in_its_own_queue_is_done_by_its_sensor(instance, database):
    """All runs of the queue are stuck, the recovery's too: only what no queue holds up can free it."""
    entry = next(entry for entry in TIMETABLE if entry.job_name == RECOVERY_JOB)
    create(instance, entry.name)
    old, new = create(instance, MATCHES), create(instance, MATCHES)
    repository = build_definitions().get_repository_def()

    def tick(at, cursor):
        resources = {
            "database": database,
            "clock": Clock(as_of=at.date(), read=lambda: at),
            "recovery_mode": "on",
        }
        with dg.build_sensor_context(
            instance=instance, repository_def=repository, resources=resources, cursor=cursor
        ) as context:
            return repository.get_sensor_def("watch_recovery").evaluate_tick(context).cursor

    assert tick(later(15), None) is None
    assert status_of(instance, old) is dg.DagsterRunStatus.QUEUED
    cursor = tick(later(25), None)

    assert status_of(instance, old) is dg.DagsterRunStatus.CANCELED
    assert status_of(instance, new) is dg.DagsterRunStatus.QUEUED
    assert tick(later(26), cursor) == cursor, "not with every tick"


def test_one_action_that_fails_keeps_no_other_from_being_done(instance, database):
    """The stuck run's process is on another machine, and there is no code server to ask."""
    stuck = create(instance, PAYMENTS, status=dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: "{}"})
    beat(database, stuck, ProcessIdentity("another-machine", "boot", 4711, "1"))
    old, _ = create(instance, MATCHES), create(instance, MATCHES)

    done = round_of(instance, database, at=later(60 * 5))

    states = {each.action.subject: each.state for each in done.taken}
    assert (states[f"run:{stuck}"], states[f"run:{old}"]) == ("failed", "worked")
    assert status_of(instance, old) is dg.DagsterRunStatus.CANCELED
    [failed] = [row for row in rows(database) if row["state"] == "failed"]
    assert (failed["action"], failed["subject"]) == ("terminate_stuck_run", f"run:{stuck}")
    assert failed["error"]
