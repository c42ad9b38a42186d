"""The command line's answers to what is wrong around it: one clear message, exit status 2, nothing changed."""

import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_http import Reply, serve

from platform_assets.cli import main
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import postgres_status, stop_postgres
from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.load import load_marketplace


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "a home with spaces"
    yield folder
    if folder.is_dir():
        stop_postgres(folder)


@pytest.fixture
def invoke(home, monkeypatch):
    """Runs a command in this process, in an environment without any of the platform's variables but these."""
    for name in list(os.environ):
        if name.startswith("PLATFORM_"):
            monkeypatch.delenv(name)
    # A command points the process at its own Dagster home: what was there comes back at the end.
    monkeypatch.setenv("DAGSTER_HOME", str(home.parent / "dagster"))
    monkeypatch.setenv("PLATFORM_HOME", str(home))

    def run(*arguments, **environment):
        return CliRunner().invoke(main, arguments, env=environment)

    return run


@pytest.fixture
def production(database_url, endpoints):
    """Variables of a production whose services are the local ones."""
    return {
        "PLATFORM_DATABASE_URL": database_url,
        "PLATFORM_DAGSTER_DATABASE_URL": database_url,
        "PLATFORM_GITHUB_TOKEN": "token",
        "PLATFORM_GITHUB_URL": endpoints.github_url,
        "PLATFORM_STRIPE_API_KEY": "sk_test_local",
        "PLATFORM_STRIPE_MODE": "test",
        "PLATFORM_STRIPE_URL": endpoints.stripe_url,
        "PLATFORM_NEO4J_URI": "off",
        "PLATFORM_GEMINI_API_KEY": "AIza-local",
        "PLATFORM_GEMINI_URL": endpoints.gemini_url,
        "PLATFORM_NOTIFICATIONS": "off",
    }


SERVICE_URLS = ("PLATFORM_GITHUB_URL", "PLATFORM_STRIPE_URL", "PLATFORM_GEMINI_URL")


def assert_refused(result, *messages):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.output.count("Error: ") == 1
    for message in messages:
        assert message in result.output, result.output


def test_a_live_key_stops_the_sandbox_and_is_not_shown(invoke, home):
    for command in ("run", "doctor", "checks", "ui", "migrate", "activation"):
        result = invoke(command, PLATFORM_STRIPE_API_KEY="sk_live_do_not_show_me")

        assert_refused(result, "PLATFORM_STRIPE_API_KEY is a live key", "sandbox mode")
        assert "do_not_show_me" not in result.output
    assert not home.exists()


def test_production_without_its_variables_lists_all_of_them(invoke, home):
    result = invoke("run", PLATFORM_DATABASE_URL="postgresql://127.0.0.1:1/none")

    assert_refused(
        result,
        "PLATFORM_DAGSTER_DATABASE_URL",
        "PLATFORM_GITHUB_TOKEN",
        "PLATFORM_STRIPE_API_KEY",
        "PLATFORM_NEO4J_URI",
        "PLATFORM_NOTIFICATIONS",
    )
    assert not home.exists()


def test_values_that_mean_nothing_are_all_listed(invoke):
    result = invoke("doctor", PLATFORM_AS_OF="yesterday", PLATFORM_SANDBOX_ERROR_RATE="2")

    assert_refused(result, "PLATFORM_AS_OF", "PLATFORM_SANDBOX_ERROR_RATE")


def test_a_demo_marketplace_is_never_loaded_into_production(invoke, production, tmp_path):
    assert_refused(invoke("run", "--data", str(tmp_path), **production), "--data loads a demo marketplace")


def test_a_database_that_is_not_there_is_told_within_seconds(invoke, production):
    started = time.monotonic()
    url = {"PLATFORM_DATABASE_URL": "postgresql://user:hidden-password@127.0.0.1:1/none"}

    for command in (("migrate",), ("doctor",)):
        result = invoke(*command, **production | url)
        assert result.exit_code == 2
        assert "The database can't be reached" in result.output
        assert "hidden-password" not in result.output
    assert time.monotonic() - started < 20


def test_a_schema_that_is_behind_names_the_remedy(invoke, production, new_database):
    with new_database(migrated=False) as url:
        urls = {"PLATFORM_DATABASE_URL": url}
        behind = invoke("doctor", **production | urls)
        migrated = invoke("migrate", **production | urls)
        current = invoke("doctor", **production | urls)

    assert behind.exit_code == 2
    assert "at revision none, needed is " in behind.output
    assert "platform-assets migrate" in behind.output
    assert migrated.exit_code == 0
    assert "ok      schema: at revision" in current.output


def test_a_schema_that_is_behind_stops_the_ui_before_it_starts(invoke, production, new_database):
    with new_database(migrated=False) as url:
        result = invoke("ui", "--port", str(free_port()), **production | {"PLATFORM_DATABASE_URL": url})

    assert_refused(result, "platform-assets migrate")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_told_before_anything_starts(invoke, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = invoke("ui", "--port", str(port))

    assert_refused(result, f"Port {port} on 127.0.0.1 is taken", f"--port {port + 1}")
    assert postgres_status(home).state == "absent"


@pytest.mark.parametrize("command", ["run", "activation", "checks", "doctor"])
def test_a_home_that_can_not_be_made_is_named(invoke, tmp_path, command):
    (tmp_path / "file").write_text("in the way")
    result = invoke(command, PLATFORM_HOME=str(tmp_path / "file" / "home"))

    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert str(tmp_path / "file") in result.output.replace("\n", "")


@pytest.mark.parametrize("command", ["run", "activation", "checks"])
def test_a_file_in_the_place_of_the_home_is_named(invoke, tmp_path, command):
    (tmp_path / "file").write_text("in the way")

    assert_refused(invoke(command, PLATFORM_HOME=str(tmp_path / "file")), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "in the way"


def test_stray_variables_of_other_tools_change_nothing(invoke, production):
    stray = {
        "GITHUB_TOKEN": "ghp_stray",
        "STRIPE_API_KEY": "sk_live_stray",
        "DATABASE_URL": "postgresql://stray",
    }

    plain, with_stray = (invoke("doctor", **production | more) for more in ({}, stray))

    assert plain.output == with_stray.output
    assert not [value for value in stray.values() if value in with_stray.output]


def test_the_sandbox_leaves_a_dagster_home_of_others_alone(invoke, tmp_path, home):
    (tmp_path / "theirs").mkdir()

    result = invoke("activation", DAGSTER_HOME=str(tmp_path / "theirs"))

    assert result.exit_code == 0
    assert list((tmp_path / "theirs").iterdir()) == []
    written = Path(result.output.strip()).read_text()
    assert f"export DAGSTER_HOME='{home / 'dagster'}'" in written


# What can be wrong with a folder of data.


GOOD_CONTRIBUTION = {
    "developer": "dev-1",
    "repo": "owner/name",
    "commits": 3,
    "first": "2024-01-01",
    "last": "2024-02-01",
    "languages": {"Python": 3},
    "path_terms": ["parser"],
    "subjects": ["Add parser"],
}
GOOD_PROJECT = {"project": "owner/other", "readme": "A parser in Python.", "languages": {"Python": 10}}


def write_data(folder, *, contributions=None, projects=None):
    folder.mkdir()
    for name, rows, good in (
        ("contributions.jsonl", contributions, GOOD_CONTRIBUTION),
        ("projects.jsonl", projects, GOOD_PROJECT),
    ):
        rows = [good] if rows is None else rows
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


BROKEN_DATA = {
    "bad JSON on two lines": (
        {"contributions": [GOOD_CONTRIBUTION, '{"developer": ', "nonsense"]},
        ["contributions.jsonl line 2:", "contributions.jsonl line 3:"],
    ),
    "wrong types in both files": (
        {
            "contributions": [GOOD_CONTRIBUTION | {"commits": "many"}],
            "projects": [GOOD_PROJECT | {"languages": ["Python"]}],
        },
        ["contributions.jsonl line 1:", "commits", "projects.jsonl line 1:", "languages"],
    ),
    "one id twice": (
        {"projects": [GOOD_PROJECT, GOOD_PROJECT], "contributions": [GOOD_CONTRIBUTION, GOOD_CONTRIBUTION]},
        ["projects.jsonl line 2:", "owner/other", "contributions.jsonl line 2:"],
    ),
    "a column nobody knows": (
        {"contributions": [GOOD_CONTRIBUTION | {"salary": 1}]},
        ["contributions.jsonl line 1:", "salary"],
    ),
}


@pytest.mark.parametrize("case", BROKEN_DATA)
def test_broken_data_is_told_in_full_before_anything_is_started(invoke, home, tmp_path, case):
    files, told = BROKEN_DATA[case]
    folder = write_data(tmp_path / "data", **files)

    result = invoke("run", "--data", str(folder))

    assert_refused(result, *told)
    assert postgres_status(home).state == "absent"


def test_a_folder_that_lacks_its_files_is_told(invoke, home, tmp_path):
    folder = write_data(tmp_path / "data")
    (folder / "projects.jsonl").unlink()

    assert_refused(invoke("run", "--data", str(folder)), "projects.jsonl")
    assert_refused(invoke("run", "--data", str(tmp_path / "nowhere")), "nowhere")
    assert postgres_status(home).state == "absent"


# The doctor and the evaluations.


def test_the_doctor_finds_a_missing_column_and_the_rest_healthy(
    invoke, production, new_database, loaded_template
):
    with new_database(template=loaded_template) as url:
        urls = {"PLATFORM_DATABASE_URL": url}
        healthy = invoke("doctor", **production | urls)
        database = Database(url)
        with database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE marketplace.payments DROP COLUMN due_date")
        database.close()
        ailing = invoke("doctor", **production | urls)

    assert healthy.exit_code == 0, healthy.output
    assert "problem" not in healthy.output
    assert ailing.exit_code == 2
    [problem] = [line for line in ailing.output.splitlines() if "problem" in line]
    assert "marketplace.payments.due_date is missing: date" in problem


def test_the_doctor_tells_each_service_that_does_not_answer(invoke, production):
    with serve(
        lambda _: Reply(401, {"message": "Bad credentials", "error": {"message": "Invalid API Key"}})
    ) as url:
        result = invoke("doctor", **production | dict.fromkeys(SERVICE_URLS, url))

    problems = [line for line in result.output.splitlines() if "problem" in line]
    assert any("github" in line and "the token is invalid" in line for line in problems), result.output
    assert any("stripe" in line and "the API key is invalid" in line for line in problems), result.output
    assert any("gemini" in line and "the API key is invalid" in line for line in problems), result.output


def test_the_doctor_calls_a_service_off_that_was_switched_off(invoke, production):
    result = invoke(
        "doctor",
        **production
        | {
            "PLATFORM_GITHUB_TOKEN": "off",
            "PLATFORM_STRIPE_API_KEY": "off",
            "PLATFORM_GEMINI_API_KEY": "off",
        },
    )

    assert "github: switched off by PLATFORM_GITHUB_TOKEN=off" in result.output
    assert "stripe: switched off by PLATFORM_STRIPE_API_KEY=off" in result.output
    assert "gemini: switched off by PLATFORM_GEMINI_API_KEY=off" in result.output
    assert "notifications: switched off by PLATFORM_NOTIFICATIONS=off" in result.output


def test_matching_is_evaluated_as_one_json_object_and_the_rankings_are_written(invoke, tmp_path):
    contributions = [
        GOOD_CONTRIBUTION | {"developer": f"dev-{n}", "repo": repo}
        for n in range(3)
        for repo in ("owner/name", "owner/other")
    ]
    folder = write_data(tmp_path / "data", contributions=contributions)
    (folder / "qrels.csv").write_text("project,developer,grade\nowner/other,dev-1,2\n")
    rankings = tmp_path / "run.csv"

    with_labels = invoke("evaluate", "matching", "--data", str(folder), "--json", "--run", str(rankings))
    (folder / "qrels.csv").unlink()
    without = invoke("evaluate", "matching", "--data", str(folder), "--json")

    assert with_labels.exit_code == without.exit_code == 0, with_labels.output
    measured = json.loads(with_labels.stdout)
    assert measured["queries"] == 1
    assert set(measured) >= {"queries", "ndcg@10", "mrr", "recall@100", "per_query"}
    assert 0 < measured["mrr"] <= 1
    assert json.loads(without.stdout)["mrr"] is None
    lines = rankings.read_text().splitlines()
    assert lines[0] == "query,rank,item,score"
    assert {line.split(",")[2] for line in lines[1:]} == {"dev-0", "dev-1", "dev-2"}


def test_an_evaluation_without_its_data_says_what_is_missing(invoke, tmp_path):
    for name in ("matching", "skills", "confidence"):
        result = invoke("evaluate", name, "--data", str(tmp_path), "--json")
        assert_refused(result, str(tmp_path.name))


def test_stopping_what_never_ran_is_no_error_and_makes_no_folder(invoke, home):
    result = invoke("stop")

    assert (result.exit_code, result.output) == (0, "Nothing was running.\n")
    assert not home.exists()


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from platform_assets.cli import main; main(['--help'], standalone_mode=False); "
        "print(sorted({'dagster', 'torch', 'pandas', 'stripe'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert result.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in result.stdout


def test_payment_totals_are_one_json_object_and_mixed_currencies_stop_with_2(invoke, tmp_path):
    header = "id,amount,currency,status,created"
    (tmp_path / "charge_data.csv").write_text(
        f"{header}\nch_1,700,usd,failed,2026-03-04 10:00:00\nch_2,5,jpy,failed,2026-03-04\nch_3,,usd,failed,2026-03-04\n"
    )

    mixed = invoke("evaluate", "payments", "--data", str(tmp_path), "--json")
    one = invoke("evaluate", "payments", "--data", str(tmp_path), "--json", "--currency", "JPY")

    assert mixed.exit_code == 2
    assert "choose one with --currency" in mixed.stderr
    assert one.exit_code == 0
    assert json.loads(one.stdout)["total"]["failed_charge_amount_minor"] == 5
    assert "Set aside: ch_3: amount is null" in one.stderr


def test_a_bad_file_of_rates_stops_with_2_and_a_good_one_is_loaded(invoke, production, tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("date,base,quote,rate\n2026-10-30,EUR,USD,zero\n")
    bad = invoke("rates", "import", str(path), **production)
    path.write_text("date,base,quote,rate\n2026-10-30,EUR,USD,1.0842\n")
    good = invoke("rates", "import", str(path), **production)
    again = invoke("rates", "import", str(path), **production)

    assert bad.exit_code == 2
    assert "line 2: 'zero' is no number" in bad.stderr
    assert (good.exit_code, good.stdout) == (0, "1 rates loaded, 0 were there already.\n")
    assert again.stdout == "0 rates loaded, 1 were there already.\n"


def test_a_pair_that_does_not_exist_is_answered_with_similar_ones(invoke, production, database_url):
    database = Database(database_url)
    load_marketplace(
        database, generate_world(seed=3, developers_count=3, projects_count=2, anchor=dt.date(2026, 11, 1))
    )
    database.close()
    pair = ("explain", "match", "--project", "prj_00001", "--developer")

    assert_refused(invoke(*pair, "dev_1", **production), "no developer 'dev_1'", "Did you mean dev_00001")
    told = invoke(*pair, "dev_00001", "--json", **production)

    assert told.exit_code == 0
    assert json.loads(told.output)["standing"] == "Not matched: refused by project_not_open."
    assert invoke("explain", "match", **production).exit_code == 2
