"""Runs whose process is gone are found and failed, and no others are."""

import dataclasses
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from platform_assets.clients.database import Database
from platform_assets.monitoring.runs import heartbeats
from platform_assets.monitoring.runs.dead_runs import SILENT_S, fail_run, find_dead_runs
from platform_assets.monitoring.runs.executor import beating_executor
from platform_assets.monitoring.runs.history import read_finished_runs
from platform_assets.monitoring.runs.processes import ProcessIdentity, process_start, this_process
from platform_assets.settings import Settings
from platform_assets.tables.supervision import run_heartbeats

LONG_AGO = dt.timedelta(seconds=10 * SILENT_S)


@dg.op
def work() -> None:
    return


@dg.job
def some_job() -> None:
    work()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def started_run(
    instance: dg.DagsterInstance,
    *,
    location: str | None = None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> dg.DagsterRun:
    origin = None
    if location is not None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        origin = RemoteJobOrigin(repository, some_job.name)
    return instance.create_run_for_job(some_job, status=status, remote_job_origin=origin)


def find(instance, database, *, at=None, watched_for=LONG_AGO):
    at = at or now()
    return find_dead_runs(instance, database, now=at, watched_since=at - watched_for)


def age_beats(database: Database, seconds: float) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.update(run_heartbeats).values(beat_at=run_heartbeats.c.beat_at - dt.timedelta(seconds=seconds))
        )


def test_a_run_is_dead_as_soon_as_its_process_is_and_not_before(instance, database):
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = started_run(instance)
    start = process_start(worker.pid)
    assert start is not None
    identity = dataclasses.replace(this_process(), pid=worker.pid, start=start)
    heartbeats.beat(database, run.run_id, identity)
    # However long it has been silent: a process that can be seen is asked for itself.
    age_beats(database, 10 * SILENT_S)
    try:
        assert find(instance, database) == []
    finally:
        worker.kill()
    # Nobody has waited for it yet.
    time.sleep(0.1)
    [dead] = find(instance, database, watched_for=dt.timedelta(0))
    worker.wait()

    assert (dead.run_id, dead.job_name) == (run.run_id, "some_job")
    assert str(worker.pid) in dead.reason


def test_the_next_process_with_the_same_id_keeps_no_run_alive(instance, database):
    run = started_run(instance)
    heartbeats.beat(database, run.run_id, dataclasses.replace(this_process(), start="1"))

    assert [dead.run_id for dead in find(instance, database)] == [run.run_id]


def test_another_machines_run_is_dead_when_it_was_silent_for_long(instance, database):
    run = started_run(instance)
    heartbeats.beat(database, run.run_id, ProcessIdentity("elsewhere", "boot", 1, "1"))
    assert find(instance, database) == []

    age_beats(database, SILENT_S + 5)

    assert [dead.run_id for dead in find(instance, database)] == [run.run_id]


def test_silence_counts_only_while_it_could_have_been_broken(instance, database):
    run = started_run(instance)
    heartbeats.beat(database, run.run_id, ProcessIdentity("elsewhere", "boot", 1, "1"))
    age_beats(database, 10 * SILENT_S)
    begun_late = started_run(instance, location="platform_assets")
    assert begun_late.run_id != run.run_id

    # The database has just come back.
    assert find(instance, database, at=now() + LONG_AGO, watched_for=dt.timedelta(seconds=5)) == []


def test_a_run_that_never_began_is_given_up_after_a_while(instance, database):
    run = started_run(instance, location="platform_assets", status=dg.DagsterRunStatus.STARTING)
    assert find(instance, database) == []

    later = now() + dt.timedelta(seconds=SILENT_S + 5)

    assert [dead.run_id for dead in find(instance, database, at=later)] == [run.run_id]


@pytest.mark.parametrize("location", [None, "another_code_location"])
def test_runs_that_give_no_signs_of_life_by_design_are_left_alone(instance, database, location):
    started_run(instance, location=location)

    assert find(instance, database, at=now() + LONG_AGO) == []


def test_a_clock_that_was_set_back_kills_nothing(instance, database):
    run = started_run(instance)
    heartbeats.beat(database, run.run_id, ProcessIdentity("elsewhere", "boot", 1, "1"))
    age_beats(database, -3_600)
    started_run(instance, location="platform_assets")

    assert find(instance, database, at=now() - dt.timedelta(hours=1)) == []
    assert heartbeats.read_heartbeats(database, [run.run_id])[run.run_id].age_s == 0


def test_a_dead_run_is_failed_once_and_by_no_fault_of_its_work(instance, database):
    run = started_run(instance)
    heartbeats.beat(database, run.run_id, dataclasses.replace(this_process(), start="1"))
    [dead] = find(instance, database)

    assert fail_run(instance, dead)
    assert not fail_run(instance, dead)
    assert find(instance, database) == []
    [finished] = read_finished_runs(
        instance, seen_through=now() - dt.timedelta(hours=1), find_known=lambda _: set(), limit=10
    )
    assert (finished.status, finished.failed) == ("failure", ())


def test_a_dead_run_that_was_to_be_cancelled_is_cancelled(instance, database):
    run = started_run(instance, status=dg.DagsterRunStatus.CANCELING)
    heartbeats.beat(database, run.run_id, dataclasses.replace(this_process(), start="1"))
    [dead] = find(instance, database)

    assert fail_run(instance, dead)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED


def test_a_worker_says_who_it_is(database, database_url):
    with heartbeats.beating(database_url, "some run"):
        deadline = time.monotonic() + 10
        while not (beats := heartbeats.read_heartbeats(database, ["some run"])):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert beats["some run"].process == this_process()


def test_a_database_that_is_away_holds_no_work_up():
    began = time.monotonic()
    with heartbeats.beating("postgresql://nobody@127.0.0.1:1/nothing", "some run"):
        pass

    assert time.monotonic() - began < 5


def test_the_executor_of_every_job_beats(database, database_url, tmp_path):
    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        settings = Settings(home=tmp_path, database_url=database_url)
        executor = beating_executor(settings)
        job = dg.JobDefinition(graph_def=some_job.graph, name="beating", executor_def=executor)
        run = instance.create_run_for_job(job)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        run = instance.get_run_by_id(run.run_id)._replace(run_config=quiet)
        execute_run(InMemoryJob(job), run, instance)
        assert instance.get_run_by_id(run.run_id).is_success
    assert heartbeats.read_heartbeats(database, [run.run_id])[run.run_id].process == this_process()


def test_rows_of_runs_that_ended_long_ago_are_forgotten(database):
    heartbeats.beat(database, "old", this_process())
    age_beats(database, 3 * 86_400)
    heartbeats.beat(database, "new", this_process())

    assert heartbeats.forget_old_heartbeats(database) == 1
    assert set(heartbeats.read_heartbeats(database, ["old", "new"])) == {"new"}
