"""`platform-assets match` as a person uses it: an answer with its reasons, or one message that says what to do."""

import json
import os

import pytest
from click.testing import CliRunner

from platform_assets.cli import main
from platform_assets.clients.database import Database


@pytest.fixture
def match(settled_template, new_database, endpoints, monkeypatch, tmp_path):
    """Runs the command over a copy of the small world that a statement may change first."""
    for name in list(os.environ):
        if name.startswith("PLATFORM_"):
            monkeypatch.delenv(name)

    def run(*arguments, prepared_by=None, stdin=None):
        with new_database(template=settled_template) as url:
            if prepared_by is not None:
                database = Database(url)
                with database.transaction() as connection:
                    connection.exec_driver_sql(prepared_by)
                database.close()
            production = {
                "PLATFORM_HOME": str(tmp_path),
                "PLATFORM_DATABASE_URL": url,
                "PLATFORM_DAGSTER_DATABASE_URL": url,
                "PLATFORM_GITHUB_TOKEN": "off",
                "PLATFORM_STRIPE_API_KEY": "off",
                "PLATFORM_NEO4J_URI": "off",
                "PLATFORM_GEMINI_API_KEY": "off",
                "PLATFORM_NOTIFICATIONS": "off",
                "PLATFORM_AS_OF": "2026-11-01",
            }
            return CliRunner().invoke(main, ["match", *arguments], env=production, input=stdin)

    return run


TEXT = "Python developer for a data pipeline\nPostgres, Docker, and some machine learning."


def test_developers_are_named_best_first_with_reasons_that_add_up(match):
    result = match(TEXT, "--limit", "5", "--json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert {"Python", "PostgreSQL", "Docker"} <= set(answer["skills"])
    found = answer["developers"]
    assert [each["place"] for each in found] == [1, 2, 3, 4, 5]
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    for each in found:
        assert sum(part or 0 for part in each["reasons"].values()) == pytest.approx(each["score"], abs=1e-6)


def test_a_person_gets_a_table_and_may_pipe_the_text_in(match):
    shown, piped = match(TEXT, "--limit", "3"), match("-", "--limit", "3", stdin=TEXT)

    assert shown.exit_code == piped.exit_code == 0
    assert shown.stdout == piped.stdout
    assert "The text asks for: " in shown.stdout
    assert "mostly for" in shown.stdout


def test_nobody_is_named_who_asks_for_more_or_in_another_currency(match):
    result = match(TEXT, "--max-rate", "90", "--currency", "eur", "--limit", "500", "--json")

    found = json.loads(result.stdout)["developers"]
    assert found
    assert all(each["hourly_rate_minor"] is None or each["hourly_rate_minor"] <= 9_000 for each in found)
    assert {each["currency"] for each in found if each["hourly_rate_minor"] is not None} <= {"EUR"}


def test_when_nobody_is_left_the_reason_is_told_and_the_status_is_1(match):
    rated = "UPDATE marketplace.developers SET hourly_rate_minor = 9000, currency = 'USD'"

    by_rate = match(TEXT, "--max-rate", "5", "--currency", "KWD", prepared_by=rated)
    by_time = match(TEXT, prepared_by="UPDATE marketplace.developers SET available_from = NULL")

    assert by_rate.exit_code == by_time.exit_code == 1
    assert "none of them asks for at most 5.000 KWD an hour" in by_rate.output
    assert "No developer is active and free for new work by 2026-11-15" in by_time.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((" \n ",), "There is no text"),
        (("🤖 — !",), "The text has no words"),
        (("x", "--max-rate", "80"), "give both"),
        (("x", "--currency", "EUR"), "give both"),
        (("x", "--max-rate", "80", "--currency", "XBT"), "is no currency"),
        (("x", "--max-rate", "80.505", "--currency", "EUR"), "at most 2 decimals"),
        (("x", "--max-rate", "1.5", "--currency", "JPY"), "at most 0 decimals"),
        (("x", "--max-rate", "lots", "--currency", "EUR"), "is no hourly rate"),
        (("x", "--max-rate", "1e30", "--currency", "EUR"), "is no hourly rate"),
        (("x", "--max-rate", "-1", "--currency", "EUR"), "is no hourly rate"),
        (("x", "--limit", "0"), "not in the range"),
    ],
)
def test_what_means_nothing_is_refused_in_one_sentence(match, arguments, told):
    result = match(*arguments)

    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_before_anything_is_derived_the_remedy_is_named(match):
    result = match(TEXT, prepared_by="DELETE FROM platform.developer_vectors")

    assert result.exit_code == 2
    assert "platform-assets run" in result.output


def test_a_text_of_any_length_and_script_is_read(match):
    for text in (
        "数据工程师 Python",
        "Python " * 60_000,
        "'); DROP TABLE platform.skills; --",
        "[/red] {x} \x00 Rust",
    ):
        result = match(text, "--limit", "2")
        assert result.exit_code == 0, (text[:40], result.output)
