"""The doctor: everything looked at, one ailment never hiding another, no secret shown."""

import pytest
from scripted_http import Reply, serve

from platform_assets.clients.database import Database
from platform_assets.doctor import Finding, examine, print_findings
from platform_assets.settings import Settings

SUBJECTS = {
    "mode",
    "database",
    "dagster storage",
    "github",
    "stripe",
    "gemini",
    "embedder",
    "neo4j",
    "notifications",
}
OFF = {"github", "stripe", "gemini", "neo4j", "notifications"}


def settings(url, **more):
    return Settings(
        **{
            "database_url": url,
            "dagster_database_url": url,
            "github_token": "off",
            "stripe_api_key": "off",
            "gemini_api_key": "off",
            "request_timeout_s": 2,
            **more,
        }
    )


def findings(chosen, state):
    return {finding.subject: finding.message for finding in examine(chosen) if finding.state == state}


@pytest.fixture
def marketplace_url(new_database, loaded_template):
    with new_database(template=loaded_template) as url:
        yield url


def test_a_healthy_platform_has_no_problem(marketplace_url):
    chosen = settings(marketplace_url)

    assert findings(chosen, "problem") == {}
    assert set(findings(chosen, "off")) == OFF
    assert set(findings(chosen, "ok")) >= SUBJECTS - OFF | {
        "schema",
        "marketplace contract",
    }


def test_every_column_that_is_missing_is_a_finding_of_its_own(marketplace_url):
    database = Database(marketplace_url)
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE marketplace.projects DROP COLUMN status, DROP COLUMN title")
        connection.exec_driver_sql("DROP TABLE marketplace.blocks")
    database.close()

    problems = [
        finding.message for finding in examine(settings(marketplace_url)) if finding.state == "problem"
    ]

    assert len(problems) == 3
    for part in ("projects.status is missing", "projects.title is missing", "blocks is missing"):
        assert any(part in problem for problem in problems)


def test_each_channel_is_a_finding_and_its_address_is_not_shown(tmp_path, monkeypatch):
    file = tmp_path / "channels.toml"
    file.write_text(
        """
        [channels]
        mail = {url_env = "PLATFORM_MAIL_URL"}
        chat = {url_env = "PLATFORM_CHAT_URL"}
        [[routes]]
        channels = ["mail", "chat"]
        """
    )
    monkeypatch.setenv("PLATFORM_MAIL_URL", "mailtos://user:hidden-password@mail.example?to=a@example.com")
    monkeypatch.setenv("PLATFORM_CHAT_URL", "slack://hidden-token")

    found = [
        finding
        for finding in examine(settings("postgresql://127.0.0.1:1/none", notifications=str(file)))
        if finding.subject.startswith("channel ")
    ]

    assert [(finding.subject, finding.state) for finding in found] == [
        ("channel mail", "ok"),
        ("channel chat", "problem"),
    ]
    assert "hidden" not in str(found)


def test_when_nothing_can_be_used_each_of_them_is_told_and_no_secret_is(tmp_path):
    with serve(lambda _: Reply(401, {"message": "Bad credentials"})) as refusing:
        found = examine(
            settings(
                "postgresql://user:hidden-password@127.0.0.1:1/none",
                github_token="ghp_hiddentoken0123456789",
                github_url=refusing,
                stripe_api_key="sk_test_hiddenkey0123456789",
                stripe_url=refusing,
                gemini_api_key="AIza-hiddenkey0123456789",
                gemini_url=refusing,
                neo4j_uri="bolt://127.0.0.1:1",
                neo4j_password="hidden-password-of-the-graph",
                notifications=str(tmp_path / "missing.toml"),
            )
        )

    assert {finding.subject for finding in found} == SUBJECTS
    assert {finding.subject for finding in found if finding.state == "problem"} == SUBJECTS - {
        "mode",
        "embedder",
    }
    assert "hidden" not in str(found)


def test_a_doctor_changes_nothing_in_a_database_that_was_never_migrated(new_database):
    with new_database(migrated=False) as url:
        first, second = (findings(settings(url), "problem") for _ in range(2))

    assert first == second
    assert "platform-assets migrate" in first["schema"]


def test_a_problem_decides_the_answer_and_its_text_is_printed_as_it_is(capsys):
    assert print_findings([Finding("a", "ok", "well"), Finding("b", "problem", "text[] is [not] markup")])
    assert "text[] is [not] markup" in capsys.readouterr().out
    assert not print_findings([Finding("a", "ok", "well"), Finding("b", "off", "switched off")])
