"""`platform-assets recover`: what a person sees of stuck work, and does about it."""

import json
from collections.abc import Callable, Iterator

import dagster as dg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import SCHEDULE_NAME_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from platform_assets.cli import main
from platform_assets.clients.database import Database
from platform_assets.main_run import open_instance
from platform_assets.monitoring.queues import ledger
from platform_assets.monitoring.queues.model import GRPC_INFO_TAG
from platform_assets.monitoring.queues.recover import LOCK
from platform_assets.monitoring.queues.recovery import Action, ActionKind
from platform_assets.monitoring.runs.dead_runs import CODE_LOCATION_NAME
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import load_settings
from platform_assets.tables.queues import queue_recovery

MATCHES = next(entry for entry in TIMETABLE if entry.name == "precompute_matching_results")

Recover = Callable[..., Result]


@pytest.fixture
def recover(database_url: str, tmp_path, monkeypatch) -> Recover:
    """The command in a production that has nothing but its database."""
    environment = {
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "PLATFORM_HOME": str(tmp_path),
        "PLATFORM_DATABASE_URL": database_url,
        "PLATFORM_DAGSTER_DATABASE_URL": database_url,
        "COLUMNS": "200",
        **{
            f"PLATFORM_{name}": "off"
            for name in ("GITHUB_TOKEN", "STRIPE_API_KEY", "NEO4J_URI", "GEMINI_API_KEY", "NOTIFICATIONS")
        },
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments, **more: CliRunner().invoke(main, ["recover", *arguments], env=more)


@pytest.fixture
def instance(recover: Recover) -> Iterator[dg.DagsterInstance]:
    """The instance that the command works on."""
    with open_instance(load_settings()) as instance:
        yield instance


def create(instance, status=dg.DagsterRunStatus.QUEUED, **tags: str) -> str:
    job = dg.GraphDefinition(name=MATCHES.job_name).to_job()
    code = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name=CODE_LOCATION_NAME), CODE_LOCATION_NAME
    )
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), MATCHES.job_name)
    return instance.create_run_for_job(
        job,
        status=status,
        tags={QUEUE_TAG: MATCHES.queue, SCHEDULE_NAME_TAG: MATCHES.name, **tags},
        # Only of a run that waits: one of this code location that goes on without a sign of life counts as gone.
        remote_job_origin=origin if status is dg.DagsterRunStatus.QUEUED else None,
        job_code_origin=None,
    ).run_id


def rows(database: Database) -> list[dict]:
    return database.read(sa.select(queue_recovery)).to_dict("records")


def test_a_dry_run_names_what_would_be_done_and_the_command_does_it(recover, instance, database):
    assert "Nothing is stuck" in recover().output
    old, new = create(instance), create(instance)

    for look in (recover("--dry-run"), recover(PLATFORM_RECOVERY="dry-run")):
        assert look.exit_code == 0, look.output
        assert "purge superseded run" in look.output
        assert f"run:{old}" in look.output
        assert "would be done" in look.output
        assert "Nothing was changed" in look.output
    assert instance.get_run_by_id(old).status is dg.DagsterRunStatus.QUEUED
    assert rows(database) == []

    done = recover()

    assert done.exit_code == 0, done.output
    assert "done, and it helped" in done.output
    assert instance.get_run_by_id(old).status is dg.DagsterRunStatus.CANCELED
    assert instance.get_run_by_id(new).status is dg.DagsterRunStatus.QUEUED
    assert [row["state"] for row in rows(database)] == ["worked"]


def test_what_is_left_alone_is_shown_with_its_reason(recover, instance, database):
    run_id = create(instance)
    create(instance)
    action = Action(
        kind=ActionKind.PURGE_SUPERSEDED_RUN,
        subject=f"run:{run_id}",
        reason="it waits",
        problem_since=instance.get_run_record_by_id(run_id).create_timestamp,
        details={"run_id": run_id, "job_name": MATCHES.job_name},
    )
    ledger.claim(database, action, state_before={}, now=action.problem_since)

    shown = recover("--dry-run")
    found = json.loads(recover("--dry-run", "--json").stdout)

    assert "left alone" in shown.output
    assert (found["mode"], found["taken"], found["settled"]) == ("dry-run", [], [])
    [left] = found["left"]
    assert (left["kind"], left["subject"]) == ("purge_superseded_run", f"run:{run_id}")
    assert "not known yet" in left["left_because"]


def test_an_action_that_can_not_be_carried_out_is_told_and_exits_with_1(recover, instance, database):
    run_id = create(instance, dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: "{}"})
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "UPDATE runs SET start_time = 0, create_timestamp = 'epoch', update_timestamp = 'epoch' "
                "WHERE run_id = :run_id"
            ),
            {"run_id": run_id},
        )

    result = recover("--json")

    assert result.exit_code == 1, result.output
    [taken] = json.loads(result.stdout)["taken"]
    assert (taken["kind"], taken["state"]) == ("terminate_stuck_run", "failed")
    assert taken["error"]
    assert [row["error"] for row in rows(database)] == [taken["error"]]


def test_nothing_is_done_beside_another_round_or_when_it_is_switched_off(recover, instance, database):
    for _ in range(2):
        create(instance)
    with database.transaction() as lock:
        lock.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(LOCK, 0))))
        busy = recover()
    off = recover(PLATFORM_RECOVERY="off")

    assert (busy.exit_code, "another round is at work" in busy.output) == (1, True)
    assert off.exit_code == 2
    assert "add --dry-run" in off.stderr
    assert rows(database) == []
    look = recover("--dry-run", PLATFORM_RECOVERY="off")
    assert (look.exit_code, "would be done" in look.output) == (0, True)


@pytest.mark.parametrize("arguments", [["--wet-run"], ["7"]])
def test_wrong_input_ends_with_2(recover, arguments):
    assert recover(*arguments).exit_code == 2


def test_a_database_that_is_not_there_ends_with_2_and_one_message(recover):
    url = "postgresql://user:hidden-password@127.0.0.1:1/none"

    result = recover("--dry-run", PLATFORM_DATABASE_URL=url, PLATFORM_DAGSTER_DATABASE_URL=url)

    assert result.exit_code == 2
    assert "can't be reached" in result.stderr
    assert "hidden" not in result.output


def test_help_teaches(recover):
    shown = recover("--help").output

    for word in ("--dry-run", "PLATFORM_RECOVERY", "monitoring.queue_recovery", "Exits with 1"):
        assert word in shown
