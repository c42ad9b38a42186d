"""What is told of an alert, and when it is quiet: causes, silences, acknowledgements, flapping, reminders."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.clients.database import Database
from platform_assets.monitoring.alerting import handling
from platform_assets.monitoring.alerting.alerts import RaisedAlert, raise_alert, resolve_alert
from platform_assets.monitoring.alerting.causes import Topology
from platform_assets.monitoring.alerting.rules import (
    AFTER_CAUSE_WAIT,
    FLAPPING_CALM,
    FLAPPING_RETURNS,
    FLAPPING_WINDOW,
    REMIND_AFTER,
)
from platform_assets.monitoring.alerting.silences import Matchers, add_silence, cancel_silence
from platform_assets.monitoring.alerting.upkeep import Upkeep, look_after_alerts
from platform_assets.supervision.incidents import Incident, IncidentBook
from platform_assets.tables.monitoring import notification_outbox, system_alerts

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

TOPOLOGY = Topology(
    parents={"profiles": frozenset(), "matches": frozenset({"profiles"})},
    kinds={"profiles": frozenset({"github"}), "matches": frozenset({"pandas"})},
)


def after(**length: float) -> dt.datetime:
    return NOON + dt.timedelta(**length)


class World:
    """Alerts on two assets, one made from the other, as those who raise and those who look see them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def fail(self, asset: str, *, now: dt.datetime = NOON, severity: str = "high") -> RaisedAlert:
        with self.database.transaction() as connection:
            return raise_alert(
                connection,
                fingerprint=f"check:{asset}:coverage",
                severity=severity,  # type: ignore[arg-type]
                source="asset_check",
                subject=f"{asset}:coverage",
                owner="team:matching",
                title=f"{asset} is broken",
                details={},
                now=now,
                assets=(asset,),
            )

    def mend(self, asset: str, *, now: dt.datetime) -> bool:
        with self.database.transaction() as connection:
            return resolve_alert(connection, fingerprint=f"check:{asset}:coverage", now=now)

    def look(self, now: dt.datetime) -> Upkeep:
        return look_after_alerts(self.database, TOPOLOGY, now=now)

    def silence(self, *, ends_at: dt.datetime, starts_at: dt.datetime = NOON, **matchers: Any) -> int:
        with self.database.transaction() as connection:
            return add_silence(
                connection,
                Matchers(**(matchers or {"subject_glob": "*"})),
                author="ada",
                reason="known",
                starts_at=starts_at,
                ends_at=ends_at,
                now=NOON,
            )

    def alert(self, asset: str) -> Any:
        with self.database.transaction() as connection:
            return connection.execute(
                sa.select(system_alerts)
                .where(system_alerts.c.fingerprint == f"check:{asset}:coverage")
                .order_by(system_alerts.c.alert_id.desc())
                .limit(1)
            ).one()

    def told(self) -> list[tuple[str, str]]:
        """Kind of news and asset, in the order in which they were queued."""
        table = notification_outbox
        with self.database.transaction() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.notification_id)).all()
        return [(row.kind, row.body["subject"].partition(":")[0]) for row in rows]

    def deliver(self) -> None:
        """Everything queued so far is on its way, and can't be taken back."""
        with self.database.transaction() as connection:
            connection.execute(sa.update(notification_outbox).values(state="routed"))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_an_effect_is_not_told_beside_its_cause(world):
    world.fail("matches")
    cause = world.fail("profiles", now=after(seconds=5))
    world.look(after(seconds=6))

    assert world.told() == [("opened", "profiles")]
    assert world.alert("matches").inhibited_by == cause.alert_id
    assert world.alert("matches").told_severity is None


def test_a_service_that_is_down_because_its_process_ended_is_not_told_beside_it(world, database):
    """The supervisor tells of the process, the health check of the service: one outage, told once."""
    book = IncidentBook()
    book.note(Incident("local_apis", "The server of the local APIs", NOON, NOON, "ended with status 1"))
    book.write(database, now=NOON)
    with database.transaction() as connection:
        down = raise_alert(
            connection,
            fingerprint="check:service_health_metrics:github_health",
            severity="critical",
            source="service",
            subject="service_health_metrics:github_health",
            owner="team:platform",
            title="service_health_metrics: github_health is 2 level",
            details={},
            now=after(minutes=5),
            assets=TOPOLOGY.assets_of_service("github"),
        )
    world.fail("matches", now=after(minutes=6))
    world.look(after(minutes=6))

    alerts = {row["subject"]: row for row in database.read(sa.select(system_alerts)).to_dict("records")}
    process = alerts["local_apis"]
    causes = {subject: row["inhibited_by"] for subject, row in alerts.items() if row is not process}
    assert causes == dict.fromkeys(
        ["service_health_metrics:github_health", "matches:coverage"], process["alert_id"]
    )
    assert process["severity"] == "critical", "as severe as what it brings about"
    assert alerts["service_health_metrics:github_health"]["alert_id"] == down.alert_id
    assert {subject for _, subject in world.told()} == {"local_apis"}


def test_what_is_on_its_way_is_not_taken_back_and_not_told_twice(world):
    world.fail("matches")
    world.deliver()
    world.fail("profiles", now=after(minutes=5))
    world.look(after(minutes=6))
    world.mend("profiles", now=after(minutes=10))
    world.look(after(minutes=60))

    assert world.told() == [("opened", "matches"), ("opened", "profiles"), ("resolved", "profiles")]


def test_an_effect_that_outlives_its_cause_is_told_once_it_is_seen_again(world):
    world.fail("profiles")
    world.fail("matches")
    world.look(NOON)
    world.mend("profiles", now=after(minutes=5))
    world.look(after(minutes=6))
    assert ("opened", "matches") not in world.told()

    world.fail("matches", now=after(minutes=7))
    world.look(after(minutes=7))

    assert world.told()[-1] == ("opened", "matches")
    assert world.alert("matches").inhibited_by is None


def test_an_effect_that_nobody_looks_at_again_is_told_after_a_while(world):
    world.fail("profiles")
    world.fail("matches")
    world.look(NOON)
    world.mend("profiles", now=after(minutes=5))
    world.look(after(minutes=5) + AFTER_CAUSE_WAIT)

    assert world.told()[-1] == ("opened", "matches")


def test_an_effect_that_goes_with_its_cause_is_never_told(world):
    world.fail("profiles")
    world.fail("matches")
    world.look(NOON)
    world.mend("profiles", now=after(minutes=5))
    world.mend("matches", now=after(minutes=6))
    world.look(after(hours=3))

    assert world.told() == [("opened", "profiles"), ("resolved", "profiles")]


def test_a_silenced_alert_is_recorded_and_told_when_the_silence_ends(world):
    silence_id = world.silence(ends_at=after(hours=2))
    world.fail("matches")
    world.look(after(hours=1))

    assert world.told() == []
    assert world.alert("matches").silenced_by == silence_id

    world.look(after(hours=2))
    assert world.told() == [("opened", "matches")]
    assert world.alert("matches").silenced_by is None
    world.look(after(hours=2, minutes=1))
    assert len(world.told()) == 1


def test_what_is_mended_under_a_silence_is_told_neither_then_nor_later(world):
    world.silence(ends_at=after(hours=2))
    world.fail("matches")
    world.mend("matches", now=after(hours=1))
    world.look(after(hours=3))

    assert world.told() == []


def test_overlapping_silences_hold_until_the_last_one_ends(world):
    first = world.silence(ends_at=after(hours=1))
    world.fail("matches")
    second = world.silence(starts_at=after(minutes=30), ends_at=after(hours=2), owner="team:matching")
    assert world.alert("matches").silenced_by == first
    world.look(after(minutes=45))
    assert world.alert("matches").silenced_by == second

    world.look(after(hours=1, minutes=30))
    assert world.told() == []
    world.look(after(hours=2))
    assert world.told() == [("opened", "matches")]


def test_a_silence_that_is_taken_back_ends_there(world):
    silence_id = world.silence(ends_at=after(hours=2))
    world.fail("matches")
    with world.database.transaction() as connection:
        assert cancel_silence(connection, silence_id, by="ada", now=after(minutes=1))
        assert not cancel_silence(connection, silence_id, by="ada", now=after(minutes=2))
    world.look(after(minutes=2))

    assert world.told() == [("opened", "matches")]


def test_a_silence_up_to_a_severity_lets_what_grows_worse_through(world):
    world.silence(ends_at=after(hours=2), max_severity="high")
    world.fail("matches")
    assert world.told() == []

    world.fail("matches", severity="critical", now=after(minutes=1))

    assert world.told() == [("opened", "matches")]


def test_a_silence_takes_back_what_nobody_has_delivered_yet(world):
    world.fail("matches")
    world.fail("profiles", severity="medium")
    world.silence(ends_at=after(hours=2), subject_glob="m*:cov?rage")
    world.look(NOON)

    assert world.told() == [("opened", "profiles")]
    world.look(after(hours=2))
    assert world.told() == [("opened", "profiles"), ("opened", "matches")]


@pytest.mark.parametrize(
    "matchers",
    [
        {"owner": "team:payments"},
        {"source": "run"},
        {"subject_glob": "profiles:*"},
        {"subject_glob": "MATCHES:*"},
        {"max_severity": "medium"},
        {"owner": "team:matching", "source": "run"},
    ],
)
def test_a_silence_holds_for_what_fits_in_everything(world, matchers):
    world.silence(ends_at=after(hours=2), **matchers)
    world.fail("matches")

    assert world.told() == [("opened", "matches")]


def test_a_silence_without_an_end_to_come_or_without_alerts_is_refused(world):
    with pytest.raises(ValueError, match="end"):
        world.silence(ends_at=NOON)
    with world.database.transaction() as connection, pytest.raises(ValueError, match="which alerts"):
        add_silence(
            connection, Matchers(), author="a", reason="r", starts_at=NOON, ends_at=after(hours=1), now=NOON
        )


def test_an_alert_that_comes_and_goes_is_told_once_as_flapping_and_once_when_it_is_calm(world):
    for minute in range(FLAPPING_RETURNS):
        world.fail("matches", now=after(minutes=10 * minute))
        world.mend("matches", now=after(minutes=10 * minute + 5))
    before = len(world.told())
    start = 10 * FLAPPING_RETURNS
    for minute in range(start, start + 50, 10):
        world.fail("matches", now=after(minutes=minute))
        assert not world.mend("matches", now=after(minutes=minute + 5))
        world.look(after(minutes=minute + 6))

    alert = world.alert("matches")
    assert (alert.state, alert.is_flapping, alert.occurrences_count) == ("open", True, 5)
    assert world.told()[before:] == [("opened", "matches")]

    calm_at = after(minutes=start + 45)
    assert world.look(calm_at + FLAPPING_CALM - dt.timedelta(seconds=1)).resolved_count == 0
    assert world.look(calm_at + FLAPPING_CALM).resolved_count == 1
    assert world.told()[before:] == [("opened", "matches"), ("resolved", "matches")]


def test_returns_over_a_long_time_are_no_flapping(world):
    for number in range(FLAPPING_RETURNS + 2):
        world.fail("matches", now=NOON + number * FLAPPING_WINDOW)
        assert world.mend("matches", now=NOON + number * FLAPPING_WINDOW + dt.timedelta(minutes=1))


def test_what_people_close_by_hand_is_no_flapping(world):
    for minute in range(FLAPPING_RETURNS + 1):
        raised = world.fail("matches", now=after(minutes=minute))
        with world.database.transaction() as connection:
            handling.close(connection, [raised.alert_id], by="ada", reason="seen", now=after(minutes=minute))

    assert not world.alert("matches").is_flapping


def test_a_person_closes_even_what_flaps(world):
    for minute in range(FLAPPING_RETURNS + 1):
        raised = world.fail("matches", now=after(minutes=minute))
        world.mend("matches", now=after(minutes=minute))
    with world.database.transaction() as connection:
        handling.close(connection, [raised.alert_id], by="ada", reason="switched off", now=after(minutes=9))

    alert = world.alert("matches")
    assert (alert.state, alert.resolved_by, alert.resolved_reason) == ("resolved", "ada", "switched off")


def test_people_are_reminded_of_what_nobody_has_taken_on(world):
    world.fail("matches", severity="critical")
    world.fail("profiles", severity="medium")
    due = NOON + REMIND_AFTER["critical"]
    assert world.look(due - dt.timedelta(seconds=1)).reminded_count == 0
    assert world.look(due).reminded_count == 1
    assert world.look(due + dt.timedelta(minutes=1)).reminded_count == 0

    assert world.told()[-1] == ("reminder", "matches")


def test_an_acknowledgement_keeps_reminders_away_until_it_ends_but_not_what_grows_worse(world):
    raised = world.fail("matches")
    end = NOON + 2 * REMIND_AFTER["high"]
    with world.database.transaction() as connection:
        handling.acknowledge(connection, [raised.alert_id], by="ada", reason="on it", until=end, now=NOON)
    assert world.look(end - dt.timedelta(minutes=1)).reminded_count == 0
    world.fail("matches", severity="critical", now=end - dt.timedelta(minutes=1))
    assert world.told()[-1] == ("escalated", "matches")

    assert world.look(end + REMIND_AFTER["critical"]).reminded_count == 1


def test_what_a_person_asks_of_an_alert_that_is_not_open_is_refused_as_a_whole(world):
    raised = world.fail("matches")
    with (
        world.database.transaction() as connection,
        pytest.raises(handling.UnknownAlertError, match="no alert 999"),
    ):
        handling.close(connection, [raised.alert_id, 999], by="ada", reason="r", now=NOON)
    assert world.alert("matches").state == "open"

    world.mend("matches", now=NOON)
    with (
        world.database.transaction() as connection,
        pytest.raises(handling.UnknownAlertError, match="was resolved"),
    ):
        handling.acknowledge(connection, [raised.alert_id], by="a", reason="r", until=NOON, now=NOON)


def test_a_clock_that_was_turned_back_harms_nothing(world):
    world.fail("matches", now=after(hours=2))
    world.look(NOON)
    world.fail("matches", now=NOON)
    assert world.mend("matches", now=NOON)

    alert = world.alert("matches")
    assert alert.resolved_at >= alert.last_seen_at >= alert.first_seen_at
    assert world.told() == [("opened", "matches"), ("resolved", "matches")]


def test_those_who_look_and_those_who_raise_may_race(world):
    world.silence(ends_at=after(hours=1), subject_glob="profiles:*")
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for step in range(10):
            if number % 2:
                world.look(after(seconds=step))
            else:
                world.fail(("matches", "profiles")[number // 2], now=after(seconds=step))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    world.look(after(hours=2))

    assert sum(kind == "opened" for kind, _ in world.told()) <= 2
    assert world.alert("matches").occurrences_count == world.alert("profiles").occurrences_count == 10


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["fail", "worsen", "mend", "look", "silence", "deliver"]),
        st.sampled_from(["profiles", "matches"]),
        st.integers(1, 90),
    ),
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_whatever_happens_openings_and_resolutions_are_told_in_pairs_and_nothing_is_forgotten(
    module_database, actions
):
    with module_database.transaction() as connection:
        connection.execute(
            sa.text("TRUNCATE monitoring.system_alerts, monitoring.alert_silences RESTART IDENTITY CASCADE")
        )
    world = World(module_database)
    now = NOON
    for action, asset, minutes in actions:
        now += dt.timedelta(minutes=minutes)
        match action:
            case "fail":
                world.fail(asset, now=now)
            case "worsen":
                world.fail(asset, severity="critical", now=now)
            case "mend":
                world.mend(asset, now=now)
            case "look":
                world.look(now)
            case "silence":
                world.silence(
                    subject_glob=f"{asset}:*", starts_at=now, ends_at=now + dt.timedelta(minutes=60)
                )
            case "deliver":
                world.deliver()
    # Long after, when every silence has ended and every cause is settled.
    world.look(now + dt.timedelta(hours=2))
    world.look(now + dt.timedelta(hours=3))

    with module_database.transaction() as connection:
        alerts = connection.execute(sa.select(system_alerts)).all()
        events = connection.execute(
            sa.select(notification_outbox).order_by(notification_outbox.c.notification_id)
        ).all()
    for alert in alerts:
        kinds = [event.kind for event in events if event.alert_id == alert.alert_id]
        assert kinds.count("opened") <= 1
        assert kinds.count("resolved") <= kinds.count("opened")
        assert kinds.count("escalated") <= 1
        if "resolved" in kinds:
            assert kinds[-1] == "resolved"
            assert alert.state == "resolved"
        if alert.state == "open":
            quiet = alert.inhibited_by is not None or alert.calm_since is not None
            assert alert.silenced_by is None
            assert quiet or "opened" in kinds
