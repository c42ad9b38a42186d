"""Missed and failing ticks of a real Dagster instance: each schedule and sensor is one alert, gone with a later good tick."""

import datetime as dt

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from platform_assets.definitions import build_definitions
from platform_assets.monitoring.alerting.check_alerts import alert_on_checks
from platform_assets.monitoring.alerting.exposure import ImpactReader
from platform_assets.monitoring.alerting.topology import read_topology
from platform_assets.monitoring.checking.model import CheckState, State
from platform_assets.monitoring.queues.checks import CHECKS
from platform_assets.monitoring.queues.measuring import measure_ticks
from platform_assets.monitoring.queues.tick_alerts import write_ticks
from platform_assets.monitoring.queues.timetable import code_timetable, owners_of_tickers
from platform_assets.resources import Clock
from platform_assets.tables.monitoring import system_alerts
from platform_assets.tables.queues import tick_metrics
from platform_assets.thresholds import Severity

# Due every hour at minute 12, and by money.
SCHEDULE, MINUTE = "check_overdue_payments", 12
START = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("platform_assets"), "__repository__")


class Watched:
    """An instance whose daemon is played: it beats, and it ticks where the test lets it."""

    def __init__(self, instance, database):
        self.instance, self.database = instance, database

    def switch_on(self, name, kind=InstigatorType.SCHEDULE, status=InstigatorStatus.DECLARED_IN_CODE):
        data = (
            ScheduleInstigatorData("12 * * * *", START.timestamp())
            if kind is InstigatorType.SCHEDULE
            else SensorInstigatorData(min_interval=15)
        )
        return self.instance.add_instigator_state(
            InstigatorState(RemoteInstigatorOrigin(REPOSITORY, name), kind, status, data)
        )

    def tick(self, state, at, status=TickStatus.SUCCESS, error=None):
        failed = error and SerializableErrorInfo(f"ValueError: {error}\n", [], "ValueError")
        return self.instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name=state.instigator_name,
                instigator_type=state.instigator_type,
                status=status,
                timestamp=at.timestamp(),
                end_timestamp=at.timestamp() + 1,
                selector_id=state.selector_id,
                run_ids=[],
                error=failed,
            )
        )

    def look(self, at, *, is_daemon_up=True):
        if is_daemon_up:
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), "SCHEDULER", "a", []))
        rows = measure_ticks(self.instance, self.database, code_timetable(), now=at)
        with self.database.transaction() as connection:
            write_ticks(connection, rows, owners=owners_of_tickers(), now=at)
        return {row.name: row for row in rows}

    def alerts(self):
        table = system_alerts
        rows = self.database.read(sa.select(table).order_by(table.c.alert_id))
        return [(row.fingerprint, row.state, row.occurrences_count) for row in rows.itertuples()]


@pytest.fixture
def watched(database, tmp_path):
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        yield Watched(instance, database)


def due(hours: int) -> dt.datetime:
    return START + hours * HOUR + dt.timedelta(minutes=MINUTE)


def after(hours: int, minutes: float = 5) -> dt.datetime:
    return due(hours) + dt.timedelta(minutes=minutes)


def test_a_missed_tick_is_one_alert_until_a_later_one_is_good(watched):
    state = watched.switch_on(SCHEDULE)
    watched.tick(state, due(0))
    assert watched.look(after(0))[SCHEDULE].missed_count == 0
    for minutes in range(10, 60, 5):
        watched.look(after(0, minutes))

    missed = watched.look(after(1))[SCHEDULE]
    again = watched.look(after(1, 10))[SCHEDULE]

    assert (missed.expected_count, missed.missed_count, missed.outstanding_since) == (1, 1, due(1))
    assert (again.expected_count, again.missed_count, again.outstanding_since) == (0, 0, due(1))
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "open", 1)]
    watched.tick(state, due(2))
    watched.look(after(2))
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "resolved", 1)]


def test_a_tick_that_fails_says_why_without_secrets_and_is_made_good_by_its_repetition(watched):
    state = watched.switch_on(SCHEDULE)
    watched.look(after(0) - dt.timedelta(minutes=8))
    tick = watched.tick(
        state,
        due(0),
        TickStatus.FAILURE,
        "no answer from postgresql://u:geheim@db/x for sk_live_0123456789abcdef",
    )
    failed = watched.look(after(0, 2))[SCHEDULE]

    assert (failed.failed_count, failed.missed_count, failed.outstanding_since) == (1, 0, due(0))
    assert "no answer" in failed.error
    assert "geheim" not in failed.error
    assert "sk_live" not in failed.error
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "open", 1)]
    watched.instance.update_tick(tick.with_status(TickStatus.SUCCESS, error=None))
    watched.look(after(0, 7))
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "resolved", 1)]


@pytest.mark.parametrize("silence", ["nothing", "failures"])
def test_a_sensor_that_stands_still_or_fails_is_one_alert(watched, silence):
    state = watched.switch_on("watch_runs", InstigatorType.SENSOR)
    good_until = START + dt.timedelta(minutes=10)
    for seconds in range(0, 600, 20):
        watched.tick(state, START + dt.timedelta(seconds=seconds), TickStatus.SKIPPED)
    watched.look(good_until)
    if silence == "failures":
        for seconds in range(600, 900, 20):
            watched.tick(state, START + dt.timedelta(seconds=seconds), TickStatus.FAILURE, "a broken body")

    row = watched.look(good_until + dt.timedelta(minutes=5))["watch_runs"]

    assert row.outstanding_since is not None
    assert (row.missed_count > 5, row.failed_count > 5) == (silence == "nothing", silence == "failures")
    assert watched.alerts() == [("sensor:watch_runs", "open", 1)]
    watched.tick(state, good_until + dt.timedelta(minutes=9, seconds=55))
    watched.look(good_until + dt.timedelta(minutes=10))
    assert watched.alerts() == [("sensor:watch_runs", "resolved", 1)]


def test_while_the_daemon_is_down_nothing_is_judged_and_afterwards_what_it_missed_is_counted(watched):
    state = watched.switch_on(SCHEDULE)
    watched.tick(state, due(0))
    watched.look(after(0))
    assert watched.look(after(2), is_daemon_up=False) == {}
    # Dagster makes up for the latest missed tick alone.
    watched.tick(state, due(4))

    back = watched.look(after(4))[SCHEDULE]

    assert (back.expected_count, back.missed_count, back.outstanding_since) == (4, 3, None)
    assert watched.alerts() == []


def test_what_the_daemon_has_yet_to_catch_up_with_is_told_at_the_next_look(watched):
    watched.tick(watched.switch_on(SCHEDULE), due(0))
    watched.look(after(0))

    watched.look(after(3))
    assert watched.alerts() == []
    watched.look(after(3, 10))

    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "open", 1)]


def test_a_schedule_that_is_switched_off_owes_nothing_and_its_alert_goes(watched):
    state = watched.switch_on(SCHEDULE)
    watched.look(after(0) - dt.timedelta(minutes=8))
    watched.look(after(0, 2))
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "open", 1)]

    watched.instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    row = watched.look(after(0, 7))[SCHEDULE]

    assert not row.is_on
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "resolved", 1)]


def test_a_clock_that_is_set_back_makes_no_tick_missed(watched):
    state = watched.switch_on(SCHEDULE)
    for hours in range(3):
        watched.tick(state, due(hours))
    watched.look(after(0))
    watched.look(after(2))
    watched.look(after(1))
    watched.look(after(2, 6))

    rows = watched.database.read(sa.select(tick_metrics).order_by(tick_metrics.c.measured_at))

    assert (rows["window_ended_at"] >= rows["window_started_at"]).all()
    assert rows["missed_count"].sum() == 0
    assert watched.alerts() == []


def test_the_check_that_sums_missed_ticks_up_alerts_nobody_a_second_time(watched):
    watched.switch_on(SCHEDULE)
    watched.look(after(0) - dt.timedelta(minutes=8))
    at = after(0, 2)
    watched.look(at)
    [check] = [check for check in CHECKS if "outstanding_ticks" in {key.name for key in check.check_keys}]
    clock = Clock(as_of=at.date(), read=lambda: at)

    evaluated = check(database=watched.database, clock=clock)

    assert not evaluated.passed
    state = CheckState(
        asset="task_queue_metrics",
        check="outstanding_ticks",
        group="monitoring",
        state=State.FAILED,
        severity=Severity.WARN,
        evaluated_at=at,
        last_passed=False,
        details={name: value.value for name, value in evaluated.metadata.items()},
        run_id="a",
    )
    assert state.details["schedules"] == [SCHEDULE]
    topology = read_topology(build_definitions().resolve_asset_graph())
    impacts = ImpactReader(watched.database, topology, now=at)
    assert alert_on_checks(watched.database, [state], impacts, now=at).raised_count == 0
    assert watched.alerts() == [(f"schedule:{SCHEDULE}", "open", 1)]


def test_what_the_code_no_longer_has_is_nobodys_alert(watched):
    watched.switch_on("a_schedule_of_yesterday")
    watched.switch_on("a_sensor_of_yesterday", InstigatorType.SENSOR)

    assert watched.look(after(5)) == {}
