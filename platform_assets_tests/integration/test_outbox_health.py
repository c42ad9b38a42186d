"""How the notifications stand as a service: what waits, and which channel is down."""

import datetime as dt

import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.monitoring.services.probing import Look
from platform_assets.monitoring.services.records import ask_outbox
from platform_assets.monitoring_thresholds import DOWN_AFTER_FAILURES, UNDELIVERED_FAILED_S
from platform_assets.tables.monitoring import notification_outbox
from platform_assets.tables.notifications import notification_channels

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def happen(database: Database) -> None:
    with database.transaction() as connection:
        raise_alert(
            connection,
            fingerprint="check:matches:freshness",
            severity="high",
            source="asset_check",
            subject="matches:freshness",
            owner="team:matching",
            title="Matches are old",
            details={},
            now=NOON,
        )


def fail(
    database: Database, channel: str, *, times: int = DOWN_AFTER_FAILURES, at: dt.datetime = NOON
) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.insert(notification_channels).values(
                channel=channel, failures_count=times, last_failed_at=at, last_error="HTTP 503"
            )
        )


def deliver(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(sa.update(notification_outbox).values(state="sent", sent_at=NOON))


@pytest.mark.parametrize("is_told", [True, False])
def test_a_channel_that_is_down_is_told_by_name_though_its_fallback_stands_in(database, is_told):
    if is_told:
        happen(database)
        deliver(database)
    fail(database, "chat")
    fail(database, "mail", times=DOWN_AFTER_FAILURES - 1)

    answer = ask_outbox(database, now=NOON + HOUR, is_delivered=True)

    assert answer.look is Look.POOR
    assert answer.details["channels_down"] == {"chat": "HTTP 503"}
    assert "down: chat (HTTP 503)" in answer.message
    assert "mail" not in answer.message


def test_what_waits_too_long_is_a_failure_that_names_the_channel(database):
    happen(database)
    fail(database, "chat")

    answer = ask_outbox(
        database, now=NOON + dt.timedelta(seconds=2 * UNDELIVERED_FAILED_S + 60), is_delivered=True
    )

    assert answer.look is Look.FAILED
    assert answer.message.endswith("down: chat (HTTP 503)")


def test_a_channel_that_nobody_has_tried_for_a_day_is_no_news(database):
    happen(database)
    deliver(database)
    fail(database, "former", at=NOON - 24 * HOUR)

    answer = ask_outbox(database, now=NOON + HOUR, is_delivered=True)

    assert answer.look is Look.OK
    assert "channels_down" not in answer.details


def test_with_nothing_told_and_every_channel_well_nothing_is_known(database):
    fail(database, "chat", times=0)

    assert ask_outbox(database, now=NOON, is_delivered=True).look is Look.UNKNOWN
