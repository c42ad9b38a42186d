"""`platform-assets alerts`: what a person sees and does."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.monitoring.alerting.impact import Exposure, MoneyAtRisk, assess_impact
from platform_assets.monitoring.alerting.rules import Problem
from platform_assets.tables.monitoring import notification_outbox, system_alerts

Alerts = Callable[..., Result]


@pytest.fixture
def alerts(database_url: str, tmp_path) -> Alerts:
    """The commands in a production that has nothing but its database."""
    environment = {
        "PLATFORM_HOME": str(tmp_path),
        "PLATFORM_DATABASE_URL": database_url,
        "PLATFORM_DAGSTER_DATABASE_URL": database_url,
        "COLUMNS": "200",
        **{
            f"PLATFORM_{name}": "off"
            for name in ("GITHUB_TOKEN", "STRIPE_API_KEY", "NEO4J_URI", "GEMINI_API_KEY", "NOTIFICATIONS")
        },
    }

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["alerts", *map(str, arguments)], env=environment)

    return run


def fail(database: Database, subject: str = "matches:coverage", **changes: object) -> int:
    values = {
        "fingerprint": f"check:{subject}",
        "severity": "high",
        "source": "asset_check",
        "subject": subject,
        "owner": "team:matching",
        "title": f"{subject} is broken",
        "details": {"value": 0.5},
        "now": dt.datetime.now(dt.UTC),
    }
    with database.transaction() as connection:
        return raise_alert(connection, **(values | changes)).alert_id  # type: ignore[arg-type]


def row(database: Database, alert_id: int) -> sa.Row:
    with database.transaction() as connection:
        return connection.execute(sa.select(system_alerts).where(system_alerts.c.alert_id == alert_id)).one()


def test_the_list_shows_the_worst_first_and_what_was_asked_for(alerts, database):
    assert "There is no open alert" in alerts("list").output
    fail(database, severity="low")
    worst = fail(database, "gateway:balance", severity="critical", owner="team:finance-data")

    shown = alerts("list").output
    assert shown.index("gateway:balance is broken") < shown.index("matches:coverage is broken")
    listed = json.loads(alerts("list", "--json", "--severity", "high").output)
    assert [alert["alert_id"] for alert in listed["alerts"]] == [worst]
    for filters in (["--owner", "team:finance-data"], ["--subject", "gate*"], ["--limit", "1"]):
        found = json.loads(alerts("list", "--json", *filters).output)
        assert [alert["alert_id"] for alert in found["alerts"]] == [worst]
    assert "1 more are not shown" in alerts("list", "--limit", "1").output
    assert "There is no alert of this kind" in alerts("list", "--state", "all", "--source", "run").output


def test_an_alert_is_shown_with_how_its_severity_follows_and_who_was_told(alerts, database):
    impact = assess_impact(
        Problem.CHECK_ERROR,
        assets=["matches"],
        downstream=["matching_analytics"],
        exposure=Exposure((MoneyAtRisk("KWD", 600_005, 3, 1_000_000),), clients_count=1_234),
    )
    alert_id = fail(database, severity=impact.severity, impact=impact.as_json(), assets=["matches"])

    shown = alerts("show", alert_id).output

    assert "critical matches:coverage is broken" in shown
    assert "600.005 KWD in 3 payments, 60% of what 90 days requested" in shown
    assert "1,234" in shown
    assert "+1" in shown
    assert "opened as critical: pending" in shown
    told = json.loads(alerts("show", alert_id, "--json").output)
    assert told["impact"]["money_at_risk"]["KWD"]["amount_minor"] == 600_005
    assert told["told"][0]["kind"] == "opened"


def test_markup_and_escape_sequences_of_a_text_are_shown_as_they_are(alerts, database):
    alert_id = fail(
        database,
        title="[red]not red[/] \x1b[31mnor this",
        details={"text": "[bold]\x1b]0;title\x07", "[x": 1},
    )

    for shown in (alerts("list").output, alerts("show", alert_id).output):
        assert "[red]not red[/]" in shown
        assert "\x1b" not in shown


def test_an_alert_is_taken_on_with_author_reason_and_end(alerts, database):
    first, second = fail(database), fail(database, "profiles:coverage")

    done = alerts("ack", first, second, "--for", "1h30m", "--reason", "ticket 4711", "--by", "ada")

    assert done.exit_code == 0, done.output
    taken = row(database, second)
    assert (taken.acknowledged_by, taken.acknowledged_reason) == ("ada", "ticket 4711")
    assert taken.acknowledged_until - taken.acknowledged_at == dt.timedelta(minutes=90)
    assert "acknowledged by ada" in alerts("list").output


def test_an_alert_is_closed_by_hand_and_no_other_with_it(alerts, database):
    alert_id, other = fail(database), fail(database, "profiles:coverage")

    assert alerts("resolve", alert_id, "--reason", "switched off", "--by", "ada").exit_code == 0

    closed = row(database, alert_id)
    assert (closed.state, closed.resolved_by, closed.resolved_reason) == ("resolved", "ada", "switched off")
    assert row(database, other).state == "open"
    again = alerts("resolve", alert_id, "--reason", "again")
    assert again.exit_code == 2
    assert "was resolved" in again.stderr


def test_a_silence_of_an_alert_holds_at_once_is_listed_and_can_be_taken_back(alerts, database):
    alert_id = fail(database, "matches:[odd]*name")
    fail(database, "matches:oddname")

    done = alerts("silence", alert_id, "--for", "2h", "--reason", "known", "--by", "ada")
    assert done.exit_code == 0, done.output
    assert "keeps 1 open alert quiet" in done.output
    silence_id = row(database, alert_id).silenced_by
    [listed] = json.loads(alerts("silences", "--json").output)
    assert (listed["silence_id"], listed["author"], listed["quiet_alerts_count"]) == (silence_id, "ada", 1)
    assert f"quiet by silence {silence_id}" in alerts("list").output
    assert "known" in alerts("silences").output

    assert alerts("unsilence", silence_id).exit_code == 0
    assert row(database, alert_id).silenced_by is None
    assert "There is no silence." in alerts("silences").output
    with database.transaction() as connection:
        told = connection.execute(
            sa.select(notification_outbox).where(notification_outbox.c.alert_id == alert_id)
        ).all()
    assert [event.kind for event in told] == ["opened"]
    gone = alerts("unsilence", silence_id)
    assert gone.exit_code == 2
    assert "no silence" in gone.stderr


def test_a_silence_to_come_keeps_nothing_quiet_yet(alerts, database):
    alert_id = fail(database)
    done = alerts(
        "silence", "--owner", "team:matching", "--in", "1h", "--for", "1d", "--reason", "we move house"
    )

    assert done.exit_code == 0, done.output
    assert row(database, alert_id).silenced_by is None
    assert "owner team:matching" in alerts("silences").output


def test_secrets_in_a_reason_are_not_kept(alerts, database):
    alert_id = fail(database)
    alerts("ack", alert_id, "--reason", "password=hunter2 leaked")
    alerts("silence", alert_id, "--for", "1h", "--reason", "token: hunter2")

    assert "hunter2" not in alerts("show", alert_id, "--json").output + alerts("silences", "--json").output


def test_a_test_alert_goes_the_way_of_all_others(alerts, database):
    raised = alerts("test", "--severity", "high", "--owner", "team:finance-data", "--by", "ada")
    assert raised.exit_code == 0, raised.output
    [alert] = json.loads(alerts("list", "--json").output)["alerts"]
    assert f"platform-assets alerts show {alert['alert_id']}" in raised.output
    with database.transaction() as connection:
        [event] = connection.execute(sa.select(notification_outbox)).all()
        assert (event.kind, event.owner, event.severity) == ("opened", "team:finance-data", "high")
        connection.execute(sa.update(notification_outbox).values(state="sent", sent_at=event.created_at))

    assert alerts("resolve", alert["alert_id"], "--reason", "test").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "0"),
        ("show", "seven"),
        ("show", "9" * 30),
        ("ack", "1"),
        ("ack", "1", "--reason", "  "),
        ("ack", "1", "--reason", "r", "--for", "soon"),
        ("ack", "1", "--reason", "r", "--for", "0h"),
        ("ack", "1", "--reason", "r", "--for", "-2h"),
        ("ack", "1", "--reason", "r", "--for", "999999w"),
        ("silence", "--for", "2h", "--reason", "r"),
        ("silence", "1", "--owner", "team:x", "--for", "2h", "--reason", "r"),
        ("silence", "--subject", "*", "--reason", "r"),
        ("silence", "--subject", "*", "--for", "2h"),
        ("list", "--severity", "dire"),
        ("list", "--limit", "0"),
        ("resolve", "--reason", "r"),
    ],
)
def test_wrong_input_ends_with_2_before_anything_is_touched(alerts, arguments):
    result = alerts(*arguments)

    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "99"),
        ("ack", "99", "--reason", "r"),
        ("resolve", "99", "--reason", "r"),
        ("silence", "99", "--for", "1h", "--reason", "r"),
    ],
)
def test_an_alert_that_is_not_there_ends_with_2_and_says_where_to_look(alerts, arguments):
    result = alerts(*arguments)

    assert result.exit_code == 2
    assert "There is no alert 99" in result.stderr
    assert "alerts list --state all" in result.stderr
