"""Messages to real receivers on this machine: what goes out, what comes back, and what happens when nothing does."""

import contextlib
import dataclasses
import datetime as dt
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_http import Call, Reply, serve

from platform_assets.clients.database import Database
from platform_assets.clients.notifier import Message, Notifier, Receipt
from platform_assets.communications.channels import Channels
from platform_assets.communications.delivery import DeliveryReport, deliver_due
from platform_assets.communications.outbox import route_events
from platform_assets.monitoring.alerting import alerts
from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.monitoring_thresholds import DIVERT_AFTER, GROUP_WAIT, LEASE
from platform_assets.notification_settings import NOBODY, Channel, ChannelBook, Route
from platform_assets.tables.monitoring import notification_outbox, system_alerts
from platform_assets.tables.notifications import notification_channels, notification_deliveries

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
READY = NOON + GROUP_WAIT
UI = "http://ui.example:3000"


@dataclasses.dataclass
class Receiver:
    """A webhook that keeps what it is told and answers by a script."""

    status: int = 200
    calls: list[Call] = dataclasses.field(default_factory=list)
    url: str = ""

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        return Reply(self.status)

    @property
    def address(self) -> str:
        return f"json://{self.url.partition('://')[2]}/hook"

    def messages(self) -> list[dict[str, Any]]:
        return [call.json() for call in self.calls]

    def ids(self) -> list[str]:
        return [call.headers["Idempotency-Key"] for call in self.calls]


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with serve(made.answer) as made.url:
        yield made


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def mail() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"json://127.0.0.1:{free.getsockname()[1]}/hook"


def channels_to(
    addresses: dict[str, str],
    *routes: Route,
    send: Callable[[str, str, Message], Receipt] | None = None,
    **options: dict[str, Any],
) -> Channels:
    """Channels by name; without routes everything goes to the first. Options are those of the channel of the name."""
    book = ChannelBook(
        {
            name: Channel(name, lambda address=address: address, **options.get(name, {}))
            for name, address in addresses.items()
        },
        routes or (Route((next(iter(addresses)),)),),
    )
    return Channels(book, send or Notifier(timeout_s=5).send, alerts, ui_url=UI)


def happen(database: Database, number: int = 1, **changes: Any) -> None:
    alert = {
        "fingerprint": f"check:matches:{number}",
        "severity": "high",
        "source": "asset_check",
        "subject": "matches:freshness",
        "owner": "team:matching",
        "title": f"Matches are {number} hours old",
        "details": {},
        "now": NOON,
    }
    with database.transaction() as connection:
        raise_alert(connection, **(alert | changes))


def rows(database: Database, table: sa.Table) -> list[Any]:
    key = next(iter(table.primary_key.columns))
    with database.transaction() as connection:
        return list(connection.execute(sa.select(table).order_by(key)))


def states(database: Database) -> list[tuple[str, str]]:
    return [(row.channel, row.state) for row in rows(database, notification_deliveries)]


def open_alerts(database: Database) -> dict[str, Any]:
    return {row.fingerprint: row for row in rows(database, system_alerts) if row.state == "open"}


def test_what_happens_together_is_told_in_one_message_to_each_team(database, chat):
    for number in range(3):
        happen(database, number)
    happen(database, 3, owner="team:finance-data", severity="critical", title="Money is missing")
    to_chat = channels_to({"chat": chat.address})

    assert deliver_due(database, to_chat, now=NOON) == DeliveryReport()
    assert deliver_due(database, to_chat, now=READY) == DeliveryReport(routed_events=4, sent=2)

    first, second = chat.messages()
    assert first["title"] == "🔴 critical: Money is missing"
    assert second["title"] == "🟠 high: Matches are 0 hours old (and 2 more for team:matching)"
    assert "For team:matching: 3 alerts (3 high)." in second["message"]
    assert f"{UI}/assets/matches?view=checks&checkDetail=freshness" in second["message"]
    assert {row.state for row in rows(database, notification_outbox)} == {"sent"}
    assert all(row.sent_at >= READY for row in rows(database, notification_outbox))
    assert deliver_due(database, to_chat, now=READY) == DeliveryReport()
    assert len(chat.calls) == 2


def test_an_event_goes_by_owner_and_severity_to_every_channel_that_wants_it(database, chat, mail):
    routes = (Route(("mail",), min_severity="critical"), Route(("chat",), owner="team:matching"))
    happen(database, 1)
    happen(database, 2, severity="critical")
    happen(database, 3, severity="low", owner="team:talent-data")

    report = deliver_due(
        database, channels_to({"chat": chat.address, "mail": mail.address}, *routes), now=READY
    )

    assert report == DeliveryReport(routed_events=2, dropped_events=1, sent=2)
    assert "2 alerts (1 critical, 1 high)" in chat.messages()[0]["message"]
    assert "1 alert (1 critical)" in mail.messages()[0]["message"]
    assert [row.state for row in rows(database, notification_outbox)] == ["sent", "sent", "dropped"]


def test_switched_off_nobody_is_told_then_or_later(database, chat):
    happen(database)
    off = Channels(NOBODY, Notifier(timeout_s=5).send, alerts)

    assert deliver_due(database, off, now=READY).dropped_events == 1
    assert deliver_due(database, channels_to({"chat": chat.address}), now=READY) == DeliveryReport()


def test_a_channel_that_is_away_for_an_hour_loses_nothing_and_its_fallback_is_used(database, chat, nowhere):
    addresses = {"chat": nowhere, "mail": chat.address}
    broken = channels_to(addresses, chat={"fallback": "mail"})
    happen(database)

    for second in range(0, 3_600, 15):
        now = READY + dt.timedelta(seconds=second)
        if second % 300 == 0:
            happen(database, 10 + second, now=now)
        deliver_due(database, broken, now=now)

    assert {row.state for row in rows(database, notification_outbox)} == {"sent"}
    waits = [row.sent_at - row.created_at for row in rows(database, notification_outbox)]
    # Even the first, which waits until the channel counts as down.
    assert max(waits) < dt.timedelta(minutes=1)
    assert "Sent here because the channel chat could not be reached." in chat.messages()[0]["message"]
    alert = open_alerts(database)["channel:chat"]
    assert (alert.severity, alert.owner, alert.source) == ("high", "team:platform", "notification_channel")
    assert "127.0.0.1" not in str(alert.details)


def test_without_a_fallback_messages_wait_and_are_told_together_when_the_channel_is_back(
    database, chat, nowhere
):
    happen(database)
    for minute in range(60):
        now = READY + dt.timedelta(minutes=minute)
        happen(database, 100 + minute, now=now)
        deliver_due(database, channels_to({"chat": nowhere}), now=now)
    assert chat.calls == []
    back = READY + dt.timedelta(minutes=75)

    deliver_due(database, channels_to({"chat": chat.address}), now=back)

    untold = [row for row in rows(database, notification_outbox) if row.state != "sent"]
    # The channel can't tell of itself, and there is no other, until it is back.
    assert [(row.body["source"], row.kind, row.state) for row in untold] == [
        ("notification_channel", "opened", "dropped"),
        ("notification_channel", "resolved", "pending"),
    ]
    # One for each try, since its text is fixed then, and one for what gathered while the channel rested.
    assert len(chat.calls) == len(set(chat.ids())) < 10
    assert "channel:chat" not in open_alerts(database)
    [channel] = rows(database, notification_channels)
    assert (channel.failures_count, channel.resting_until) == (0, None)
    deliver_due(database, channels_to({"chat": chat.address}), now=back + 2 * GROUP_WAIT)
    assert chat.messages()[-1]["title"].startswith("✅ resolved: Messages can't be delivered through")


def test_an_address_that_is_refused_goes_to_the_fallback_at_once_and_is_told_elsewhere(database, chat, mail):
    chat.status = 404
    both = channels_to({"chat": chat.address, "mail": mail.address}, chat={"fallback": "mail"})
    happen(database)

    report = deliver_due(database, both, now=READY)

    assert (report.sent, report.diverted) == (1, 1)
    assert states(database) == [("chat", "diverted"), ("mail", "sent")]
    deliver_due(database, both, now=READY + 2 * GROUP_WAIT)
    assert len(chat.calls) == 1
    assert "Messages can't be delivered through the channel chat" in mail.messages()[1]["title"]
    assert "platform-assets notifications test chat" in mail.messages()[1]["message"]


def test_a_refused_message_without_a_fallback_is_kept_for_a_person(database, chat):
    chat.status = 403
    alone = channels_to({"chat": chat.address})
    happen(database)

    assert deliver_due(database, alone, now=READY).failed == 1

    [delivery] = rows(database, notification_deliveries)
    assert delivery.state == "failed"
    assert "HTTP 403" in delivery.error
    assert rows(database, notification_outbox)[0].state == "failed"


def test_a_channel_that_rests_is_used_again_when_it_has_come_back(database, chat):
    chat.status = 503
    alone = channels_to({"chat": chat.address})
    happen(database)

    assert deliver_due(database, alone, now=READY).retried == 1
    assert deliver_due(database, alone, now=READY + dt.timedelta(seconds=5)) == DeliveryReport()
    chat.status = 200
    assert deliver_due(database, alone, now=READY + dt.timedelta(seconds=16)).sent == 1

    assert len(set(chat.ids())) == 1
    assert rows(database, notification_deliveries)[0].attempts_count == 2


def test_what_happens_after_a_message_was_tried_is_told_in_another(database, chat):
    chat.status = 503
    alone = channels_to({"chat": chat.address})
    happen(database, 1)
    deliver_due(database, alone, now=READY)
    happen(database, 2)
    chat.status = 200

    for second in (16, 31):
        deliver_due(database, alone, now=READY + dt.timedelta(seconds=second))

    told = {message["title"] for message in chat.messages()}
    assert told == {"🟠 high: Matches are 1 hours old", "🟠 high: Matches are 2 hours old"}


def test_a_rate_limit_puts_what_follows_into_one_message(database, chat):
    slow = channels_to({"chat": chat.address}, chat={"messages_per_minute": 1})
    for number in range(6):
        happen(database, number, now=NOON + number * GROUP_WAIT)
        deliver_due(database, slow, now=READY + number * GROUP_WAIT)

    # Whether the second minute has begun at the fifth or the sixth look is the machine's to say.
    deliver_due(database, slow, now=NOON + dt.timedelta(minutes=5))

    assert len(chat.calls) <= 3
    assert [row.state for row in rows(database, notification_outbox)] == ["sent"] * 6
    assert re.search("For team:matching: [45] alerts", chat.messages()[1]["message"])


def test_deliverers_that_work_at_once_send_each_message_once(database, chat):
    for number in range(40):
        happen(database, number, owner=f"team:{number}")
    quick = channels_to({"chat": chat.address}, chat={"messages_per_minute": 600})
    # Else the first to come would route, and the others find nothing.
    assert route_events(database, quick.book, now=READY).routed_count == 40
    start = threading.Barrier(4)

    def deliver(_: int) -> DeliveryReport:
        start.wait()
        return deliver_due(database, quick, now=READY)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(deliver, range(4)))

    assert len(chat.calls) == len(set(chat.ids())) == 40
    assert sum(report.sent for report in reports) == 40
    assert sum(report.sent > 0 for report in reports) > 1


def test_routers_that_work_at_once_put_each_event_into_one_message(database, chat):
    for number in range(200):
        happen(database, number, owner=f"team:{number % 7}")
    book = channels_to({"chat": chat.address}).book
    start = threading.Barrier(4)

    def route(_: int) -> int:
        start.wait()
        return route_events(database, book, now=READY).routed_count

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(route, range(4))) == 200

    with database.transaction() as connection:
        links = connection.execute(
            sa.text(
                "SELECT count(*), count(DISTINCT notification_id) FROM monitoring.notification_delivery_events"
            )
        ).one()
    assert tuple(links) == (200, 200)


class Killed(BaseException):
    """A process that is gone: nobody catches it."""


def test_a_deliverer_that_dies_after_sending_leaves_a_message_that_is_sent_again_under_the_same_id(
    database, chat
):
    notifier = Notifier(timeout_s=5)

    def send_and_die(*arguments: Any) -> Receipt:
        notifier.send(*arguments)
        raise Killed

    happen(database)
    with pytest.raises(Killed):
        deliver_due(database, channels_to({"chat": chat.address}, send=send_and_die), now=READY)
    survivor = channels_to({"chat": chat.address})

    assert deliver_due(database, survivor, now=READY + LEASE / 2) == DeliveryReport()
    assert deliver_due(database, survivor, now=READY + LEASE + dt.timedelta(seconds=1)).sent == 1

    assert len(chat.calls) == 2
    assert len(set(chat.ids())) == 1
    assert chat.messages()[0] == chat.messages()[1]


def test_one_slow_channel_delays_no_other(database, chat, mail):
    is_released = threading.Event()

    def held(call: Call) -> Reply:
        is_released.wait(20)
        return chat.answer(call)

    with serve(held) as url:
        addresses = {"chat": f"json://{url.partition('://')[2]}/hook", "mail": mail.address}
        happen(database)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                deliver_due, database, channels_to(addresses, Route(("chat", "mail"))), now=READY
            )
            while not mail.calls:
                assert not running.done()
            is_released.set()
            assert running.result().sent == 2


def test_a_clock_that_is_put_back_holds_nothing_up(database, chat):
    happen(database, now=NOON + dt.timedelta(hours=3))

    assert deliver_due(database, channels_to({"chat": chat.address}), now=NOON).sent == 1


def test_a_channel_that_left_the_settings_keeps_no_message(database, chat, nowhere):
    happen(database)
    deliver_due(database, channels_to({"old": nowhere}), now=READY)

    deliver_due(database, channels_to({"chat": chat.address}), now=READY + GROUP_WAIT)

    assert states(database)[0] == ("old", "diverted")
    assert "Matches are 1 hours old" in chat.messages()[0]["title"]


def test_what_waits_for_more_than_an_hour_goes_to_the_fallback_whatever_it_waits_for(database, chat, mail):
    both = channels_to(
        {"chat": chat.address, "mail": mail.address}, chat={"fallback": "mail", "messages_per_minute": 1}
    )
    happen(database)
    deliver_due(database, both, now=READY)
    with database.transaction() as connection:
        # A limit that another process has used up for a long time.
        connection.execute(
            sa.update(notification_channels).values(
                resting_until=READY + DIVERT_AFTER + dt.timedelta(minutes=5)
            )
        )
    happen(database, 2, now=READY)
    deliver_due(database, both, now=READY + GROUP_WAIT)
    with database.transaction() as connection:
        connection.execute(sa.update(notification_deliveries).values(created_at=READY))
        connection.execute(
            sa.update(notification_deliveries)
            .where(notification_deliveries.c.state == "sent", notification_deliveries.c.channel == "chat")
            .values(created_at=NOON)
        )

    deliver_due(database, both, now=READY + DIVERT_AFTER)

    assert {row.state for row in rows(database, notification_outbox)} == {"sent"}


def test_thousands_of_events_are_one_message_with_their_count(database, chat):
    with database.transaction() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.system_alerts (fingerprint, severity, source, subject, owner, title, details,"
                " occurrences_count, first_seen_at, last_seen_at) SELECT 'f' || n, 'high', 'run', 'job', 'team:matching',"
                " 'Problem ' || n, '{}', 1, :now, :now FROM generate_series(1, 5000) n"
            ),
            {"now": NOON},
        )
        connection.execute(
            sa.text(
                "INSERT INTO monitoring.notification_outbox (dedupe_key, alert_id, owner, severity, body, created_at, due_at)"
                " SELECT 'alert:' || alert_id, alert_id, owner, severity, jsonb_build_object('title', title, 'source', source,"
                " 'subject', subject, 'details', details), :now, :now FROM monitoring.system_alerts"
            ),
            {"now": NOON},
        )

    report = deliver_due(database, channels_to({"chat": chat.address}), now=READY)

    assert (report.routed_events, report.sent) == (5_000, 1)
    [message] = chat.messages()
    assert "5,000 alerts (5000 high)" in message["message"]
    assert "… and 4,980 more" in message["message"]
    assert len(message["message"]) < 6_000
    assert {row.state for row in rows(database, notification_outbox)} == {"sent"}
