"""The whole platform as a user runs it: processes of its own, an embedded home, the generated marketplace."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from small_world import Platform, derived_rows

from platform_assets.cli import main
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.definitions import build_definitions
from platform_assets.resources import Clock
from platform_assets.sandbox import demo
from platform_assets.sandbox.load import load_marketplace
from platform_assets.sandbox.process import ensure_sandbox, stop_sandbox
from platform_assets.schedules import CHECKS_JOB
from platform_assets.settings import PROJECT_ROOT, Settings, load_settings

WORLD = {
    "PLATFORM_SANDBOX_DEVELOPERS": "40",
    "PLATFORM_SANDBOX_PROJECTS": "10",
    "PLATFORM_SANDBOX_ANCHOR": "2026-11-01",
    "PLATFORM_AS_OF": "2026-11-02",
}
# What other tools leave in a shell must change nothing.
STRAY = {"GITHUB_TOKEN": "ghp_stray", "DAGSTER_HOME": "/nowhere/dagster", "STRIPE_API_KEY": "sk_live_stray"}


GRAPH = build_definitions(Settings()).resolve_asset_graph()
CHECKS_COUNT = len(GRAPH.asset_check_keys)
ASSETS_COUNT = len(GRAPH.materializable_asset_keys)


def environment(home: Path) -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PLATFORM_", "DAGSTER_"))
    }
    return clean | STRAY | WORLD | {"PLATFORM_HOME": str(home)}


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "platform_assets.cli", *arguments],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_line(process: subprocess.Popen[str], part: str) -> str:
    """What was printed up to the line that holds the part."""
    printed = ""
    for line in process.stdout:
        printed += line
        if part in line:
            return printed
    raise AssertionError(f"{part} never came:\n{printed}\n{process.communicate()}")


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit status and its two outputs."""

    status: int
    output: str
    errors: str


def finish(process: subprocess.Popen[str], printed: str = "") -> Ended:
    output, errors = process.communicate(timeout=180)
    return Ended(process.returncode, printed + output, errors)


@dataclass(frozen=True)
class Lived:
    """A home in which the main command lost its database once, then ran twice, and was begun once more meanwhile."""

    home: Path
    killed: Ended
    first: Ended
    meanwhile: Ended
    second: Ended


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    home = tmp_path_factory.mktemp("whole") / "a home with spaces"
    try:
        killed = start(home, "run")
        printed = wait_for_line(killed, "✓ skill_profiles")
        os.kill(int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        killed_ended = finish(killed, printed)
        first = start(home, "run")
        printed = wait_for_line(first, "Starting the embedded Postgres")
        meanwhile = finish(start(home, "run"))
        first_ended = finish(first, printed)
        yield Lived(home, killed_ended, first_ended, meanwhile, finish(start(home, "run")))
    finally:
        stop_sandbox(home)
        stop_postgres(home)


@pytest.fixture
def as_user(lived, monkeypatch):
    """Runs a command in this process as a user of the lived-in home."""
    for name, value in (environment(lived.home)).items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments):
        return CliRunner().invoke(main, arguments)

    return invoke


def report(lived: Lived) -> dict:
    return json.loads((lived.home / "report" / "checks.json").read_text())


def test_a_first_run_derives_everything_and_only_warns(lived):
    assert lived.first.status == 0, lived.first.output + lived.first.errors
    assert "derived rows written: 0" not in lived.first.output
    checks = report(lived)["checks"]
    assert len(checks) == CHECKS_COUNT
    assert not [check for check in checks if check["state"] == "failed" and check["severity"] == "ERROR"]
    assert {(check["asset"], check["check"]) for check in checks if check["state"] == "failed"} >= {
        ("gateway_transactions", "captured_amounts_agree")
    }
    # Nobody has labelled a sample.
    assert [check["check"] for check in checks if check["state"] == "never_evaluated"] == [
        "extraction_accuracy"
    ]
    assert {check["state"] for check in checks} <= {"passed", "failed", "never_evaluated", "not_evaluated"}


def test_a_second_run_writes_no_derived_row(lived):
    assert lived.second.status == 0, lived.second.output + lived.second.errors
    assert "derived rows written: 0" in lived.second.output
    # Every asset but the analytics, which had no day to compute; the gateway is read before the retries and after them.
    told = re.findall(r"nothing changed|\d measured", lived.second.output)
    assert len(told) == ASSETS_COUNT - 1 + 1


def test_a_run_beside_another_is_refused_and_does_it_no_harm(lived):
    assert lived.meanwhile.status == 2
    assert "Another run (process " in lived.meanwhile.errors
    assert "Traceback" not in lived.meanwhile.errors
    assert lived.first.status == 0


def test_a_run_shows_no_warnings_of_its_tools(lived):
    assert lived.first.errors == lived.second.errors == ""


def test_the_report_is_one_page_that_needs_nothing_but_itself(lived):
    page = (lived.home / "report" / "checks.html").read_text()

    assert "captured_amounts_agree" in page
    assert not [mark for mark in ("<script src", "<link", "http://", "https://", "@import") if mark in page]


def test_stray_variables_reach_nothing(lived):
    assert not Path(STRAY["DAGSTER_HOME"]).exists()
    assert (lived.home / "dagster" / "dagster.yaml").exists()
    assert "stray" not in lived.first.output + lived.first.errors


def evaluate_checks() -> None:
    """What the schedule `check_performance_thresholds` does."""
    with dg.DagsterInstance.get() as instance:
        build_definitions(load_settings()).resolve_job_def(CHECKS_JOB).execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def test_a_broken_service_level_makes_the_report_exit_with_1_until_it_is_mended(lived, as_user):
    assert as_user("checks", "--failed").exit_code == 0
    database = Database(ensure_postgres(lived.home).url())
    try:
        with database.transaction() as connection:
            connection.exec_driver_sql("CREATE TABLE public.kept AS TABLE platform.matches")
            connection.exec_driver_sql("DELETE FROM platform.matches")
        evaluate_checks()

        everything = as_user("checks", "--format", "json")
        failed = as_user("checks", "--format", "json", "--failed")
        elsewhere = as_user("checks", "--format", "json", "--group", "payments")
        table, page = as_user("checks"), as_user("checks", "--format", "html")

        with database.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO platform.matches TABLE public.kept")
            connection.exec_driver_sql("DROP TABLE public.kept")
        evaluate_checks()
        assert as_user("checks").exit_code == 0
    finally:
        database.close()

    assert [result.exit_code for result in (everything, failed, table, page, elsewhere)] == [1, 1, 1, 1, 0]
    checks = {(check["asset"], check["check"]): check for check in json.loads(everything.stdout)["checks"]}
    assert len(checks) == CHECKS_COUNT
    broken = checks["matches", "coverage"]
    assert (broken["state"], broken["severity"], broken["value"], broken["threshold"], broken["unit"]) == (
        "failed",
        "ERROR",
        0.0,
        0.95,
        "ratio",
    )
    assert broken["evaluated_at"]
    assert all(check["state"] != "passed" for check in json.loads(failed.stdout)["checks"])
    assert {check["group"] for check in json.loads(elsewhere.stdout)["checks"]} == {"payments"}
    assert f"1 service level of {CHECKS_COUNT} broken" in table.stdout
    assert page.stdout.lower().startswith("<!doctype html>")


def test_a_group_that_does_not_exist_is_no_healthy_one(as_user):
    result = as_user("checks", "--group", "nobody")

    assert result.exit_code == 2
    assert "matching, monitoring, payments, profiles" in result.output


def dagster(lived: Lived, command: str) -> subprocess.CompletedProcess[str]:
    """The dagster command as the README says: one preparing line, then in the project's folder."""
    clean = {name: value for name, value in environment(lived.home).items() if name != "DAGSTER_HOME"}
    env = shlex.quote(str(lived.home / "env"))
    return subprocess.run(
        ["bash", "-c", f". {env} && {command}"],
        cwd=PROJECT_ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_dagster_command_works_after_one_preparing_line(lived, as_user):
    assert as_user("activation").output.strip() == str(lived.home / "env")

    validated = dagster(lived, "dagster definitions validate")
    listed = dagster(lived, "dagster asset list")
    made = dagster(lived, "dagster asset materialize --select project_vectors")

    assert validated.returncode == 0, validated.stderr
    assert listed.returncode == 0, listed.stderr
    assert "payment_analytics" in listed.stdout.split()
    assert made.returncode == 0, made.stderr
    assert "RUN_SUCCESS" in made.stderr + made.stdout


def comparable(database: Database) -> dict[str, object]:
    """Derived rows without the moments at which GitHub and Gemini were asked."""
    rows = derived_rows(database)
    rows["developer_profiles"] = [row[:-2] for row in rows["developer_profiles"]]
    rows["ai_answers"] = [row[:-1] for row in rows["ai_answers"]]
    rows["readme_texts"] = [row[:-1] for row in rows["readme_texts"]]
    return rows


def test_a_database_killed_in_the_middle_is_explained(lived):
    assert lived.killed.status in (1, 2)
    assert "The database can't be reached" in lived.killed.output + lived.killed.errors
    assert "Traceback" not in lived.killed.output + lived.killed.errors


def test_what_was_begun_before_the_database_was_killed_ends_up_as_if_nothing_had_happened(
    lived, as_user, new_database, embedder
):
    settings = load_settings()
    with new_database() as url, dg.DagsterInstance.ephemeral() as instance:
        undisturbed, disturbed = Database(url), Database(ensure_postgres(lived.home).url())
        load_marketplace(undisturbed, demo.generated_world(settings))
        platform = Platform(undisturbed, instance, ensure_sandbox(settings), embedder, settings)
        outcome = platform.run(with_checks=False, clock=Clock(as_of=settings.as_of_day))
        assert outcome.is_success, {step: outcome.failure(step) for step in outcome.failed_steps()}
        expected, found = comparable(undisturbed), comparable(disturbed)
        undisturbed.close()
        disturbed.close()

    # Forty developers are too few for any two skills to go together by more than chance.
    assert {name for name, rows in expected.items() if not rows} == {"skill_edges"}
    assert found == expected


def test_stopping_ends_what_runs_and_keeps_the_data(lived, as_user):
    stopped = as_user("stop")
    again = as_user("stop")

    assert stopped.output.splitlines() == ["Stopped the local APIs.", "Stopped the embedded Postgres."]
    assert again.output == "Nothing was running.\n"
    assert as_user("checks").exit_code == 0
