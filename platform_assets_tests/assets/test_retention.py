"""Old rows go only when their roll-up says the same; payments never go; Dagster keeps the last of everything."""

import datetime as dt
import math
import os
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import dagster as dg
import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from small_world import NOW

from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.retention import rollup
from platform_assets.monitoring.retention.dagster_history import purge_history
from platform_assets.monitoring.retention.policies import POLICIES, RUN_HISTORY_KEPT, Purged, RolledUp
from platform_assets.monitoring.retention.rollup import RollUpDiffersError, roll_up
from platform_assets.monitoring.retention.sweep import sweep_tables
from platform_assets.tables import payment_operations, payments
from platform_assets.tables.monitoring import ai_calls, alert_silences, notification_outbox, system_alerts
from platform_assets.tables.retention import metric_rollups

ASSET = "metrics_cleanup"
DAY = dt.timedelta(days=1)

POLICY = next(each for each in POLICIES if isinstance(each, RolledUp) and each.table is ai_calls)
OLD = (NOW - POLICY.keep - 30 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)


def call(at, *, latency_ms=1.0, outcome="ok", prompt_tokens=None, reserved_tokens=0):
    return {
        "service": "gemini",
        "model": "m",
        "purpose": "p",
        "started_at": at,
        "latency_ms": latency_ms,
        "prompt_tokens": prompt_tokens,
        "output_tokens": None,
        "reserved_tokens": reserved_tokens,
        "outcome": outcome,
    }


def store(database, calls):
    with database.transaction() as connection:
        connection.execute(sa.delete(ai_calls))
        connection.execute(sa.delete(metric_rollups))
        if calls:
            connection.execute(sa.insert(ai_calls), calls)


def rolled_up(database, metric):
    with database.transaction() as connection:
        return connection.execute(
            sa.select(metric_rollups).where(metric_rollups.c.metric == metric).order_by(metric_rollups.c.hour)
        ).all()


def rows_left(database):
    with database.transaction() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(ai_calls))


calls = st.lists(
    st.builds(
        call,
        st.integers(0, 3 * 24 * 3600 - 1).map(lambda seconds: OLD + dt.timedelta(seconds=seconds)),
        latency_ms=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9),
        outcome=st.sampled_from(["ok", "failed"]),
        prompt_tokens=st.none() | st.integers(0, 2**31 - 1),
        reserved_tokens=st.integers(0, 2**31 - 1),
    ),
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=calls, late=calls)
def test_a_roll_up_says_by_hour_and_label_what_the_rows_said_late_ones_included(module_database, rows, late):
    store(module_database, rows)
    sweep_tables(module_database, now=NOW, policies=[POLICY])
    with module_database.transaction() as connection:
        if late:
            connection.execute(sa.insert(ai_calls), late)

    swept = sweep_tables(module_database, now=NOW, policies=[POLICY])[0]

    assert rows_left(module_database) == 0
    assert (swept.rows_purged, swept.rows_differing) == (len(late), 0)
    expected = defaultdict(list)
    for row in rows + late:
        hour = row["started_at"].replace(minute=0, second=0, microsecond=0)
        expected[hour, row["outcome"]].append(row)
    tokens = {(row.hour, row.labels["outcome"]): row for row in rolled_up(module_database, "prompt_tokens")}
    latency = {(row.hour, row.labels["outcome"]): row for row in rolled_up(module_database, "latency_ms")}
    assert tokens.keys() == latency.keys() == expected.keys()
    for key, of_hour in expected.items():
        known = [row["prompt_tokens"] for row in of_hour if row["prompt_tokens"] is not None]
        assert tokens[key].values_count == len(known)
        assert tokens[key].nulls_count == len(of_hour) - len(known)
        assert tokens[key].value_sum == (sum(known) if known else None)
        assert tokens[key].value_max == max(known, default=None)
        total = math.fsum(row["latency_ms"] for row in of_hour)
        assert float(latency[key].value_sum) == pytest.approx(total, rel=1e-9, abs=1e-3)


def test_what_is_young_enough_stays(database):
    store(database, [call(NOW - POLICY.keep + DAY), call(NOW - POLICY.keep - 2 * DAY), call(NOW + DAY)])

    swept = sweep_tables(database, now=NOW, policies=[POLICY])[0]

    assert (swept.rows_purged, rows_left(database)) == (1, 2)
    assert swept.bytes_freed > 50
    assert swept.oldest_at == NOW - POLICY.keep + DAY


def test_rows_whose_roll_up_would_differ_stay_and_are_counted(database):
    """A trigger loses a hundredth of each sum, as a faulty roll-up would."""
    store(database, [call(OLD, reserved_tokens=100), call(OLD + DAY, reserved_tokens=0, latency_ms=0.0)])
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION monitoring.lose() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.value_sum := trunc(NEW.value_sum * 0.99); RETURN NEW; END $$;"
            "CREATE TRIGGER lose BEFORE INSERT ON monitoring.metric_rollups FOR EACH ROW EXECUTE FUNCTION monitoring.lose()"
        )

    swept = sweep_tables(database, now=NOW, policies=[POLICY])[0]

    assert (swept.rows_purged, swept.rows_differing) == (0, 2)
    assert rows_left(database) == 2
    assert rolled_up(database, rollup.ROWS) == []


def test_a_row_that_comes_between_the_proof_and_the_deletion_breaks_the_step_off(database):
    store(database, [call(OLD)])
    other = database.engine.connect()
    try:
        with pytest.raises(RollUpDiffersError, match="deleted"), database.transaction() as connection:
            late = call(OLD)

            @sa.event.listens_for(connection, "before_cursor_execute")
            def insert_late(_conn, _cursor, statement, *_):
                if "DELETE" in statement:
                    with other.begin():
                        other.execute(sa.insert(ai_calls), late)

            roll_up(connection, POLICY, OLD, OLD + DAY)
    finally:
        other.close()
    assert rows_left(database) == 2
    assert rolled_up(database, rollup.ROWS) == []


def test_payments_and_attempts_at_charging_are_never_purged():
    of_money = {
        each.name
        for module in (payments, payment_operations)
        for each in vars(module).values()
        if isinstance(each, sa.Table)
    }
    assert {"payment_retry_attempts", "gateway_transactions", "payment_reminders"} <= of_money

    assert {each.table.name for each in POLICIES} & of_money == {"gateway_calls", "gateway_metrics"}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.table.name)
def test_old_rows_are_found_by_an_index(policy):
    firsts = {next(iter(index.columns)).name for index in policy.table.indexes}
    firsts.add(next(iter(policy.table.primary_key.columns)).name)

    assert policy.at.name in firsts


@pytest.mark.parametrize(
    "policy", [p for p in POLICIES if isinstance(p, RolledUp)], ids=lambda p: p.table.name
)
def test_every_table_that_is_rolled_up_can_be(policy, module_database):
    with module_database.transaction() as connection:
        assert roll_up(connection, policy, OLD, OLD + DAY) == (0, 0)


def test_retries_that_are_still_due_are_not_purged(database):
    with database.transaction() as connection:
        for state, settled_at in (("due", None), ("requested", OLD - 100 * DAY)):
            connection.execute(
                sa.text(
                    "INSERT INTO monitoring.run_retries (root_run_id, attempt, failed_run_id, job_name, assets, tags, cause, "
                    "due_at, state, settled_at) VALUES (:s, 1, :s, 'j', '{}', '{}', 'transient', :d, :s, :settled)"
                ),
                {"s": state, "d": OLD - 100 * DAY, "settled": settled_at},
            )

    policy = next(each for each in POLICIES if isinstance(each, Purged) and each.table.name == "run_retries")
    swept = sweep_tables(database, now=NOW, policies=[policy])[0]

    assert swept.rows_purged == 1
    left = database.read(sa.text("SELECT root_run_id FROM monitoring.run_retries"))
    assert list(left["root_run_id"]) == ["due"]


def test_old_alerts_go_with_their_news_their_cause_and_their_silence_and_open_ones_stay(database):
    old = OLD - 200 * DAY
    with database.transaction() as connection:
        silence = connection.scalar(
            sa.insert(alert_silences)
            .values(
                author="a",
                reason="r",
                subject_glob="effect",
                created_at=old,
                starts_at=old,
                ends_at=old + DAY,
            )
            .returning(alert_silences.c.silence_id)
        )
        raised = [
            raise_alert(
                connection,
                fingerprint=name,
                severity="high",
                source="test",
                subject=name,
                owner="team:x",
                title=name,
                details={},
                now=old,
            )
            for name in ("cause", "effect", "open")
        ]
        links = {"inhibited_by": raised[0].alert_id, "silenced_by": silence}
        of_effect = system_alerts.c.alert_id == raised[1].alert_id
        connection.execute(sa.update(system_alerts).where(of_effect).values(links))
        for name in ("cause", "effect"):
            assert resolve_alert(connection, fingerprint=name, now=old + DAY)
    of_alerts = [
        each
        for each in POLICIES
        if each.table.metadata is system_alerts.metadata and isinstance(each, Purged)
    ]

    swept = {each.source: each.rows_purged for each in sweep_tables(database, now=NOW, policies=of_alerts)}
    again = {each.source: each.rows_purged for each in sweep_tables(database, now=NOW, policies=of_alerts)}

    # A cause waits for its effects: what hangs together takes two sweeps.
    assert swept["monitoring.system_alerts"] + again["monitoring.system_alerts"] == 2
    assert swept["monitoring.alert_silences"] + again["monitoring.alert_silences"] == 1
    assert swept["monitoring.notification_outbox"] > 0
    left = database.read(sa.select(system_alerts.c.fingerprint))
    assert list(left["fingerprint"]) == ["open"]
    assert len(database.read(sa.select(notification_outbox))) == 1


def test_the_asset_tells_what_went_and_its_checks_pass(settled):
    store(settled.database, [call(OLD) for _ in range(5)])

    outcome = settled.run(ASSET, now=NOW)

    assert outcome.metadata(ASSET)["rows_purged"] == 5
    assert outcome.metadata(ASSET)["rows_rolled_up"] == 5
    assert settled.values("SELECT sum(value_sum) FROM monitoring.metric_rollups WHERE metric = 'rows'") == [
        Decimal(5)
    ]
    assert all(check.passed for (asset, _), check in outcome.checks().items() if asset == ASSET)
    assert len(outcome.checks()) == 3


@pytest.fixture
def instance(new_database, tmp_path):
    """A Dagster instance on Postgres, with compute logs on disk."""
    with (
        new_database(migrated=False) as url,
        dg.instance_for_test(
            temp_dir=str(tmp_path),
            overrides={
                "storage": {
                    "postgres": {"postgres_url": url.replace("postgresql+psycopg:", "postgresql+psycopg2:")}
                }
            },
        ) as instance,
    ):
        yield instance


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["one", "two"]))
def parts():
    return dg.MaterializeResult(metadata={"n": 1})


@dg.asset_check(asset=parts)
def holds():
    return dg.AssetCheckResult(passed=True)


@dg.job
def nothing():
    pass


def materialize(instance, partition):
    return dg.materialize([parts, holds], instance=instance, partition_key=partition).run_id


def history_rows(instance, run_id):
    with instance.event_log_storage.index_connection() as connection:
        return {
            table: connection.scalar(
                sa.text(f"SELECT count(*) FROM {table} WHERE run_id = :run_id"), {"run_id": run_id}
            )
            for table in ("runs", "run_tags", "event_logs", "asset_check_executions")
        }


def log_folder(instance, run_id):
    return Path(instance.compute_log_manager.get_captured_local_path([run_id, "step"], "out")).parent


def test_of_dagsters_history_the_last_of_each_partition_and_check_stays(instance):
    first, two, last = (materialize(instance, partition) for partition in ("one", "two", "one"))
    unfinished = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED).run_id
    later = dt.datetime.now(dt.UTC) + RUN_HISTORY_KEPT + DAY

    swept = {each.source: each for each in purge_history(instance, now=later, keep=RUN_HISTORY_KEPT)}

    assert set(history_rows(instance, first).values()) == {0}
    assert instance.get_materialized_partitions(dg.AssetKey("parts")) == {"one", "two"}
    assert instance.get_run_by_id(two) is not None
    assert instance.get_run_by_id(unfinished).status is dg.DagsterRunStatus.STARTED
    assert history_rows(instance, last)["asset_check_executions"] == 1
    assert swept["dagster.runs"].rows_purged == 1
    assert swept["dagster.event_logs"].bytes_freed > 1_000
    again = purge_history(instance, now=later, keep=RUN_HISTORY_KEPT)
    assert sum(each.rows_purged for each in again) == 0


def test_dagsters_history_stays_while_it_is_young(instance):
    runs = [materialize(instance, "one") for _ in range(2)]

    swept = purge_history(instance, now=dt.datetime.now(dt.UTC), keep=RUN_HISTORY_KEPT)

    assert sum(each.rows_purged for each in swept) == 0
    assert all(instance.get_run_by_id(run_id) for run_id in runs)


def test_logs_go_with_their_run_whoever_deleted_it(instance):
    purged, deleted, kept = (materialize(instance, "one") for _ in range(3))
    old = dt.datetime.now(dt.UTC).timestamp() - (RUN_HISTORY_KEPT + DAY).total_seconds()
    for run_id in (purged, deleted, kept):
        folder = log_folder(instance, run_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.out").write_text("x" * 1_000, encoding="utf-8")
        os.utime(folder, (old, old))
    instance.delete_run(deleted)
    with instance.run_storage.connect() as connection:
        connection.execute(sa.text("UPDATE runs SET end_time = :old"), {"old": old})

    swept = purge_history(instance, now=dt.datetime.now(dt.UTC), keep=RUN_HISTORY_KEPT)

    assert [log_folder(instance, run_id).exists() for run_id in (purged, deleted, kept)] == [
        False,
        False,
        True,
    ]
    logs = next(each for each in swept if each.source == "dagster.compute_logs")
    assert logs.rows_purged == 2
    assert logs.bytes_freed >= 2_000
