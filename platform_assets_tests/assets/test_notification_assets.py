"""The asset of deliveries, its checks and the sensor that delivers, as Dagster runs them."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import httpx
import pytest
import sqlalchemy as sa
from dagster._daemon.types import DaemonHeartbeat
from scripted_http import Call, Reply, serve
from small_world import NOW, Platform, local_channels

from platform_assets.clients.deadman import DeadmanSwitch
from platform_assets.communications.channels import Channels
from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.monitoring_thresholds import CRITICAL_PATIENCE, GROUP_WAIT
from platform_assets.notification_settings import NOBODY, Channel
from platform_assets.resources import Clock
from platform_assets.schedules import DELIVERIES_JOB
from platform_assets.tables.monitoring import notification_outbox
from platform_assets.tables.notifications import notification_deliveries

ASSET = "notification_deliveries"
CHECKS = {"undelivered_age", "told_in_time", "failed_messages", "canary_latency"}


@dataclasses.dataclass
class Delivering:
    """A platform whose delivery sensor is evaluated as the daemon would, with a cursor that is kept."""

    platform: Platform
    channels: Channels
    deadman: DeadmanSwitch | None = None
    cursor: str | None = None

    def tick(self, *, now: dt.datetime = NOW) -> Any:
        repository = self.platform.definitions(now=now).get_repository_def()
        resources = {
            "database": self.platform.database,
            "channels": self.channels,
            "deadman": self.deadman,
            "clock": Clock(as_of=now.date(), read=lambda: now),
        }
        with dg.build_sensor_context(
            instance=self.platform.instance,
            repository_def=repository,
            cursor=self.cursor,
            resources=resources,
        ) as context:
            result = repository.get_sensor_def("deliver_notifications").evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def happen(self, *, now: dt.datetime = NOW, **changes: Any) -> None:
        alert = {
            "fingerprint": "run:a_job",
            "severity": "high",
            "source": "run",
            "subject": "a_job",
            "owner": "team:matching",
            "title": "a_job failed",
            "details": {},
        }
        with self.platform.database.transaction() as connection:
            raise_alert(connection, **(alert | changes), now=now)

    def received(self) -> list[dict[str, Any]]:
        url = f"{self.platform.endpoints.notifications_url}/"
        return httpx.get(url, timeout=10).json()["messages"]


@pytest.fixture
def delivering(fresh: Platform, tmp_path) -> Iterator[Delivering]:
    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        platform = dataclasses.replace(fresh, instance=instance)
        yield Delivering(platform, local_channels(fresh.endpoints.notifications_url))


def test_a_run_sends_the_canary_and_every_check_passes(fresh):
    outcome = fresh.run(ASSET, job=DELIVERIES_JOB)

    assert outcome.is_success
    assert outcome.metadata(ASSET)["rows_measured"] == 1
    checks = outcome.checks()
    assert {name for _, name in checks} == CHECKS | {"freshness"}
    assert all(check.passed for check in checks.values()), checks
    assert checks[ASSET, "canary_latency"].metadata["value"].value < 60
    again = fresh.run(ASSET, job=DELIVERIES_JOB)
    assert again.metadata(ASSET)["rows_measured"] == 0


def test_switched_off_nothing_is_sent_and_the_canary_is_not_evaluated(fresh):
    off = dataclasses.replace(local_channels("http://127.0.0.1:1"), book=NOBODY)

    outcome = fresh.run(ASSET, job=DELIVERIES_JOB, channels=off)

    assert outcome.is_success
    assert "off" in outcome.metadata(ASSET)["channels"]
    canary = outcome.checks()[ASSET, "canary_latency"]
    assert not canary.passed
    assert "names no channel as `canary`" in (canary.description or "")


def test_checks_tell_of_events_that_nobody_is_told_of(fresh):
    nowhere = local_channels("http://127.0.0.1:1")
    delivering = Delivering(fresh, nowhere)
    delivering.happen()
    late = NOW + dt.timedelta(minutes=10)

    outcome = fresh.run(ASSET, job=DELIVERIES_JOB, channels=nowhere, now=late)

    assert outcome.is_success
    broken = {name for _, name in outcome.broken_checks(dg.AssetCheckSeverity.ERROR)}
    assert broken == {"undelivered_age", "told_in_time"}
    age = outcome.checks()[ASSET, "undelivered_age"]
    assert age.metadata["value"].value == pytest.approx(600)
    assert "refused" in str(age.metadata["errors"].value)


def test_checks_tell_of_messages_that_are_refused_for_good(fresh):
    with serve(lambda _: Reply(404)) as url:
        Delivering(fresh, local_channels(url)).happen(now=NOW - GROUP_WAIT)
        outcome = fresh.run(ASSET, job=DELIVERIES_JOB, channels=local_channels(url))

    failed = outcome.checks()[ASSET, "failed_messages"]
    assert not failed.passed
    assert "HTTP 404" in str(failed.metadata["messages"].value)


def test_the_sensor_tells_within_a_minute_and_asks_for_a_report_once_an_hour(delivering):
    first = delivering.tick()
    delivering.happen()
    for second in range(15, 61, 15):
        later = delivering.tick(now=NOW + dt.timedelta(seconds=second))
        assert not later.run_requests

    assert [request.tags["platform/queue"] for request in first.run_requests] == ["communications"]
    events = delivering.platform.database.read(
        sa.select(notification_outbox).order_by(notification_outbox.c.notification_id)
    )
    assert events["kind"].tolist() == ["canary", "opened"]
    assert events["state"].tolist() == ["sent", "sent"]
    assert (events["sent_at"] - events["created_at"]).max() < dt.timedelta(minutes=1)
    titles = [message["title"] for message in delivering.received()[:2]]
    assert titles[0] == "🟠 high: a_job failed"
    assert titles[1].startswith("🐤 Canary of 2026-11-01 12:00 UTC")
    assert delivering.tick(now=NOW + dt.timedelta(hours=1)).run_requests


def test_a_message_that_comes_twice_is_kept_once_by_the_webhook(delivering):
    delivering.tick()
    [before, *_] = delivering.received()
    with delivering.platform.database.transaction() as connection:
        connection.execute(sa.update(notification_deliveries).values(state="pending"))

    delivering.tick(now=NOW + dt.timedelta(minutes=1))

    [after, *_] = delivering.received()
    assert after["message_id"] == before["message_id"]
    assert after["received_count"] == 2


def heartbeat(instance: dg.DagsterInstance, daemon: str, at: dt.datetime) -> None:
    instance.add_daemon_heartbeat(
        DaemonHeartbeat(timestamp=at.timestamp(), daemon_type=daemon, daemon_id="1", errors=[])
    )


@pytest.fixture
def watcher() -> Iterator[tuple[str, list[Call]]]:
    calls: list[Call] = []

    def answer(call: Call) -> Reply:
        calls.append(call)
        return Reply(200)

    with serve(answer) as url:
        yield url, calls


def test_the_watcher_outside_hears_of_us_once_a_minute_while_all_is_well(delivering, watcher):
    url, calls = watcher
    delivering.deadman = DeadmanSwitch(f"{url}/ping", timeout_s=2)
    heartbeat(delivering.platform.instance, "SCHEDULER", NOW)
    for second in range(0, 121, 15):
        delivering.tick(now=NOW + dt.timedelta(seconds=second))

    assert len(calls) == 3


def test_the_watcher_hears_nothing_while_a_critical_event_waits(delivering, watcher):
    url, calls = watcher
    delivering.deadman = DeadmanSwitch(f"{url}/ping", timeout_s=2)
    heartbeat(delivering.platform.instance, "SCHEDULER", NOW)
    delivering.tick()
    assert len(calls) == 1
    delivering.channels = local_channels("http://127.0.0.1:1")
    delivering.happen(severity="critical")

    delivering.tick(now=NOW + GROUP_WAIT + CRITICAL_PATIENCE)

    assert len(calls) == 1


def test_the_watcher_hears_nothing_when_a_daemon_is_silent_or_no_canary_arrives(delivering, watcher):
    url, calls = watcher
    delivering.deadman = DeadmanSwitch(f"{url}/ping", timeout_s=2)
    delivering.tick()
    heartbeat(delivering.platform.instance, "SCHEDULER", NOW - dt.timedelta(minutes=6))
    delivering.tick(now=NOW + dt.timedelta(minutes=1))
    assert calls == []
    heartbeat(delivering.platform.instance, "SCHEDULER", NOW + dt.timedelta(hours=3))
    book = delivering.channels.book
    delivering.channels = dataclasses.replace(
        delivering.channels,
        book=dataclasses.replace(
            book, channels={"webhook": Channel("webhook", lambda: "json://127.0.0.1:1/")}
        ),
    )

    delivering.tick(now=NOW + dt.timedelta(hours=3))

    assert calls == []


def test_a_watcher_that_is_away_stops_no_message(delivering):
    delivering.deadman = DeadmanSwitch("http://127.0.0.1:1/hidden", timeout_s=2)
    heartbeat(delivering.platform.instance, "SCHEDULER", NOW)

    result = delivering.tick()

    assert "pinged_at" not in json.loads(result.cursor)
    assert delivering.received()
