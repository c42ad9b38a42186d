"""`platform-assets notifications` over a fresh database and real receivers."""

import datetime as dt
import os

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from scripted_http import Reply, serve

from platform_assets.cli import main
from platform_assets.communications.delivery import deliver_due
from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.resources import open_channels
from platform_assets.settings import load_settings
from platform_assets.tables.monitoring import notification_outbox
from platform_assets.tables.notifications import notification_deliveries

STATUS = {"now": 200}


@pytest.fixture
def invoke(database_url, tmp_path, monkeypatch):
    """Runs a command with one channel, whose receiver answers what `STATUS` says."""
    for name in list(os.environ):
        if name.startswith("PLATFORM_"):
            monkeypatch.delenv(name)
    file = tmp_path / "channels.toml"
    file.write_text(
        '[channels.chat]\nurl_env = "PLATFORM_CHAT_URL"\n[[routes]]\nchannels = ["chat"]\n', "utf-8"
    )
    STATUS["now"] = 200
    with serve(lambda _: Reply(STATUS["now"])) as url:
        for name, value in {
            "PLATFORM_HOME": str(tmp_path / "home"),
            "PLATFORM_DATABASE_URL": database_url,
            "PLATFORM_DAGSTER_DATABASE_URL": database_url,
            **{
                f"PLATFORM_{name}": "off"
                for name in ("GITHUB_TOKEN", "STRIPE_API_KEY", "NEO4J_URI", "GEMINI_API_KEY")
            },
            "PLATFORM_NOTIFICATIONS": str(file),
            "PLATFORM_CHAT_URL": f"json://user:hidden-password@{url.partition('://')[2]}/hidden-path",
            "COLUMNS": "200",
        }.items():
            monkeypatch.setenv(name, value)
        yield lambda *arguments: CliRunner().invoke(main, ["notifications", *map(str, arguments)])


def deliver(database, *, status):
    STATUS["now"] = status
    deliver_due(
        database, open_channels(load_settings()), now=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    )


def happen(database, title="Matches are old"):
    with database.transaction() as connection:
        raise_alert(
            connection,
            fingerprint="run:a_job",
            severity="high",
            source="run",
            subject="a_job",
            owner="team:matching",
            title=title,
            details={},
            now=dt.datetime.now(dt.UTC),
        )


def state_of_events(database):
    return database.read(sa.select(notification_outbox.c.state))["state"].tolist()


def test_what_was_sent_is_listed_and_shown_as_it_was_written(invoke, database):
    assert "No messages." in invoke("list").output
    happen(database, title="[bold]Matches[/bold] are old")
    deliver(database, status=200)

    listed, shown = invoke("list", "--state", "sent"), invoke("show", 1)

    assert "[bold]Matches[/bold] are old" in listed.output
    assert "team:matching" in listed.output
    assert "Sent JSON POST notification." in shown.output
    assert "🟠 high: [bold]Matches[/bold] are old" in shown.output
    assert "hidden" not in listed.output + shown.output
    assert "No messages that are failed." in invoke("list", "--state", "failed").output


def test_a_failed_message_is_sent_again_by_hand(invoke, database):
    happen(database)
    deliver(database, status=404)
    assert "failed" in state_of_events(database)

    assert "HTTP 404" in invoke("show", 1).output
    retried = invoke("retry", "--failed")
    assert retried.exit_code == 0, retried.output
    assert "1 message is due again" in retried.output
    deliver(database, status=200)

    states = database.read(sa.select(notification_deliveries.c.state))["state"].tolist()
    assert states[0] == "sent"


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", 7),
        ("retry", 7),
        ("retry",),
        ("retry", 1, "--failed"),
        ("test", "nobody"),
        ("list", "--received"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(invoke, arguments):
    result = invoke(*arguments)

    assert result.exit_code == 2
    assert "Error: " in result.output
    assert "Traceback" not in result.output


def test_a_channel_is_tried_by_hand(invoke):
    taken = invoke("test", "chat")
    STATUS["now"] = 403
    refused = invoke("test", "chat")

    assert taken.exit_code == 0
    assert "chat took it in" in taken.output
    assert refused.exit_code == 2
    assert "chat: could not send a message: HTTP 403" in refused.output
    assert "hidden" not in taken.output + refused.output
