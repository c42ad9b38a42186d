"""Failed runs and failed checks are noticed once, told once, and run again when that can help."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from sandbox_server import change_behaviour
from small_world import NOW, Platform, gateway_client

from platform_assets.monitoring.alerting.alerts import raise_alert
from platform_assets.resources import Clock
from platform_assets.schedules import CHECKS_JOB
from platform_assets.tables.monitoring import notification_outbox, system_alerts
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.supervision import process_incidents

GATEWAY_JOB = "reconcile_gateway_payments_job"


@dataclasses.dataclass
class Watched:
    """A platform whose sensors are evaluated as the daemon would, with a cursor that is kept."""

    platform: Platform
    cursor: str | None = None

    def watch_runs(self, *, now: dt.datetime = NOW) -> list[dg.RunRequest]:
        result = self._evaluate("watch_runs", now, self.cursor)
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def watch_checks(self, *, now: dt.datetime = NOW) -> None:
        self._evaluate("watch_checks", now, None)

    def _evaluate(self, name: str, now: dt.datetime, cursor: str | None) -> Any:
        repository = self.platform.definitions(now=now).get_repository_def()
        resources = {"database": self.platform.database, "clock": Clock(as_of=now.date(), read=lambda: now)}
        with dg.build_sensor_context(
            instance=self.platform.instance, repository_def=repository, cursor=cursor, resources=resources
        ) as context:
            return repository.get_sensor_def(name).evaluate_tick(context)

    def launch(self, request: dg.RunRequest, *, now: dt.datetime = NOW) -> None:
        """What the daemon does with a request."""
        definition = self.platform.definitions(now=now).resolve_job_def(request.job_name)
        if request.asset_selection:
            definition = definition.get_subset(asset_selection=set(request.asset_selection))
        definition.execute_in_process(
            instance=self.platform.instance,
            raise_on_error=False,
            tags=dict(request.tags),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def rows(self, table: sa.Table) -> list[dict]:
        return self.platform.database.read(sa.select(table)).to_dict("records")

    def alerts(self, state: str = "open") -> dict[str, dict]:
        return {row["fingerprint"]: row for row in self.rows(system_alerts) if row["state"] == state}


@pytest.fixture
def watched(fresh: Platform, tmp_path) -> Iterator[Watched]:
    """An instance on disk: the sensors are given a reference to it, which an ephemeral one has not."""
    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        yield Watched(dataclasses.replace(fresh, instance=instance))


def soon(**minutes: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**minutes)


def fail_at_the_gateway(watched: Watched, **options: object) -> None:
    change_behaviour(watched.platform.endpoints, stripe={"error_rate": 1.0})
    outcome = watched.platform.run(job=GATEWAY_JOB, **options)
    change_behaviour(watched.platform.endpoints, stripe={"error_rate": 0.0})
    assert not outcome.is_success


def test_a_transient_failure_is_run_again_after_a_wait_and_its_alert_goes_by_itself(watched):
    fail_at_the_gateway(watched)

    assert watched.watch_runs(now=soon()) == []
    [outcome] = watched.rows(run_outcomes)
    assert (outcome["status"], outcome["cause"], outcome["failed_steps"]) == (
        "failure",
        "transient",
        ["gateway_transactions"],
    )
    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["severity"] == "medium"

    [request] = watched.watch_runs(now=soon(minutes=5))
    assert request.run_key == f"{outcome['run_id']}:1"
    assert request.job_name == GATEWAY_JOB
    assert dg.AssetKey("gateway_transactions") in request.asset_selection
    watched.launch(request)

    assert watched.watch_runs(now=soon(minutes=6)) == []
    assert watched.alerts() == {}
    assert {row["status"] for row in watched.rows(run_outcomes)} == {"failure", "success"}
    [retry] = watched.rows(run_retries)
    assert retry["state"] == "requested"


def test_what_a_run_finished_is_not_done_again(watched):
    change_behaviour(watched.platform.endpoints, stripe={"error_rate": 1.0})
    outcome = watched.platform.run(with_checks=False)
    change_behaviour(watched.platform.endpoints, stripe={"error_rate": 0.0})
    assert outcome.failed_steps() == {"gateway_transactions"}
    watched.watch_runs(now=soon())

    [request] = watched.watch_runs(now=soon(minutes=5))

    names = {key.to_user_string() for key in request.asset_selection}
    assert "gateway_transactions" in names
    assert not names & {"developer_profiles", "skill_profiles", "matches"}


def test_a_request_is_repeated_until_its_run_is_there(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())

    first, second = watched.watch_runs(now=soon(minutes=5)), watched.watch_runs(now=soon(minutes=5))

    # Dagster takes each run key once; a daemon that died in between has taken none.
    assert [request.run_key for request in first] == [request.run_key for request in second]


def test_looking_twice_counts_once(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())
    watched.cursor = None
    watched.watch_runs(now=soon())

    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["occurrences_count"] == 1
    assert len(watched.rows(run_outcomes)) == len(watched.rows(run_retries)) == 1
    assert len(watched.rows(notification_outbox)) == 1


def test_a_run_that_keeps_failing_is_given_up_with_a_critical_alert(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())
    for number in range(4):
        [request] = watched.watch_runs(now=soon(hours=number + 1))
        change_behaviour(watched.platform.endpoints, stripe={"error_rate": 1.0})
        watched.launch(request)
        change_behaviour(watched.platform.endpoints, stripe={"error_rate": 0.0})
        watched.watch_runs(now=soon(hours=number + 1))

    assert watched.watch_runs(now=soon(hours=10)) == []
    alert = watched.alerts()[f"run:{GATEWAY_JOB}"]
    assert (alert["severity"], alert["occurrences_count"]) == ("critical", 5)
    assert [row["attempt"] for row in watched.rows(run_outcomes)] == [0, 1, 2, 3, 4]


def test_a_success_in_between_makes_an_attempt_needless(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())
    assert watched.platform.run(job=GATEWAY_JOB).is_success
    watched.watch_runs(now=soon())

    assert watched.watch_runs(now=soon(minutes=5)) == []
    [retry] = watched.rows(run_retries)
    assert retry["state"] == "superseded"


def test_a_refused_key_is_told_and_never_run_again(watched):
    outcome = watched.platform.run(
        job=GATEWAY_JOB,
        gateway=gateway_client(watched.platform.endpoints.stripe_url, api_key="sk_wrong_key"),
    )
    assert not outcome.is_success
    watched.watch_runs(now=soon())

    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["severity"] == "high"
    assert watched.rows(run_retries) == []
    assert "sk_wrong_key" not in str(watched.alerts())


def test_a_failed_check_is_one_alert_until_it_passes_again(watched):
    outcome = watched.platform.run()
    assert outcome.is_success
    with watched.platform.database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE public.kept AS TABLE platform.match_candidates")
        connection.exec_driver_sql("DELETE FROM platform.match_candidates")
    watched.platform.run_checks("match_candidates")
    watched.watch_checks()
    watched.watch_checks()

    alert = watched.alerts()["check:match_candidates:coverage"]
    assert (alert["severity"], alert["occurrences_count"], alert["owner"]) == ("high", 1, "team:matching")
    assert "service level ≥ 0.95" in alert["title"]
    watched.platform.run_checks("match_candidates")
    watched.watch_checks()
    assert watched.alerts()["check:match_candidates:coverage"]["occurrences_count"] == 2

    with watched.platform.database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO platform.match_candidates TABLE public.kept")
    watched.platform.run_checks("match_candidates")
    watched.watch_checks()
    assert "check:match_candidates:coverage" not in watched.alerts()
    assert "check:match_candidates:coverage" in watched.alerts("resolved")


def test_a_check_that_was_not_reached_raises_nothing_beside_the_alert_of_its_run(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())
    watched.watch_checks()

    assert set(watched.alerts()) == {f"run:{GATEWAY_JOB}"}


def test_a_failed_run_of_checks_alone_is_run_again_whole(watched):
    # No worker has touched it: a run whose process was killed before its first step.
    run = watched.platform.instance.create_run_for_job(
        watched.platform.definitions().resolve_job_def(CHECKS_JOB), status=dg.DagsterRunStatus.STARTED
    )
    watched.platform.instance.report_run_failed(run, "the worker is gone")

    [request] = watched.watch_runs(now=soon())

    assert (request.job_name, request.asset_selection) == (CHECKS_JOB, None)
    assert watched.rows(run_outcomes)[0]["cause"] == "infrastructure"


def process_ended(watched: Watched, process: str, *, at: dt.datetime, for_s: float = 5.0) -> None:
    with watched.platform.database.transaction() as connection:
        connection.execute(
            sa.insert(process_incidents).values(
                process=process,
                noticed_at=at,
                reason="ended or hung",
                last_seen_at=at - dt.timedelta(seconds=2),
                recovered_at=at + dt.timedelta(seconds=for_s),
                recorded_at=at + dt.timedelta(seconds=for_s),
            )
        )


def test_work_that_failed_because_a_server_had_ended_is_run_again_at_once_and_told_by_that_server_alone(
    watched,
):
    process_ended(watched, "local_apis", at=soon())
    fail_at_the_gateway(watched)

    [request] = watched.watch_runs(now=soon())

    assert request.job_name == GATEWAY_JOB
    assert watched.alerts() == {}
    [outcome] = watched.rows(run_outcomes)
    assert outcome["cause"] == "infrastructure"
    assert outcome["message"].startswith("local_apis ended or hung and was started again.")


def test_a_server_that_ended_long_before_explains_nothing(watched):
    process_ended(watched, "local_apis", at=soon(minutes=-10))
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())

    assert set(watched.alerts()) == {f"run:{GATEWAY_JOB}"}


def test_a_worker_that_was_killed_is_told_even_when_the_code_server_had_ended(watched):
    process_ended(watched, "code_server", at=soon())
    process_ended(watched, "local_apis", at=soon())
    run = watched.platform.instance.create_run_for_job(
        watched.platform.definitions().resolve_job_def(CHECKS_JOB), status=dg.DagsterRunStatus.STARTING
    )
    watched.platform.instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name), run_id=run.run_id
    )
    watched.platform.instance.report_run_failed(run, "the worker is gone")
    watched.watch_runs(now=soon())

    assert set(watched.alerts()) == {f"run:{CHECKS_JOB}"}


def test_what_a_failed_run_leaves_broken_is_not_told_beside_it_and_lifts_it(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())
    watched.platform.run_checks("gateway_transactions")
    watched.watch_checks(now=soon())

    alerts = watched.alerts()
    cause, effect = alerts[f"run:{GATEWAY_JOB}"], alerts["check:gateway_transactions:freshness"]
    assert effect["inhibited_by"] == cause["alert_id"]
    assert (cause["severity"], cause["told_severity"]) == (effect["severity"], effect["severity"])
    told = [(row["alert_id"], row["kind"]) for row in watched.rows(notification_outbox)]
    assert told == [(cause["alert_id"], "opened"), (cause["alert_id"], "escalated")]


def test_an_alert_tells_how_its_severity_follows_from_who_waits(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())

    impact = watched.alerts()[f"run:{GATEWAY_JOB}"]["impact"]
    assert impact["problem"] == "run_retried"
    assert {"overdue_payments", "payment_analytics"} <= set(impact["downstream"])
    at_risk = watched.platform.database.read(
        sa.text(
            "SELECT currency, sum(amount_minor)::bigint AS minor FROM marketplace.payments"
            " WHERE status IN ('pending', 'processing', 'failed') GROUP BY currency"
        )
    )
    assert {code: money["amount_minor"] for code, money in impact["money_at_risk"].items()} == dict(
        zip(at_risk["currency"], at_risk["minor"])
    )
    assert impact["clients_count"] > 0


def test_a_watcher_that_fails_loses_no_run(watched):
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon(minutes=-1))
    cursor = watched.cursor
    fail_at_the_gateway(watched)
    watched.platform.execute("ALTER TABLE monitoring.system_alerts RENAME TO elsewhere")
    with pytest.raises(sa.exc.ProgrammingError):
        watched.watch_runs(now=soon())
    assert watched.cursor == cursor

    watched.platform.execute("ALTER TABLE monitoring.elsewhere RENAME TO system_alerts")
    watched.watch_runs(now=soon())

    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["occurrences_count"] == 2


def test_a_run_that_cannot_be_recorded_keeps_nobody_from_the_others_and_is_told(watched):
    fail_at_the_gateway(watched)
    [refused] = [run.run_id for run in watched.platform.instance.get_runs()]
    watched.platform.execute(
        "ALTER TABLE monitoring.run_outcomes ADD CONSTRAINT refuses CHECK (run_id <> "
        f"'{refused}')"  # DDL takes no parameters
    )
    fail_at_the_gateway(watched)
    watched.watch_runs(now=soon())

    assert len(watched.rows(run_outcomes)) == 1
    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["occurrences_count"] == 1
    told = watched.alerts()["sensor:watch_runs:refused_runs"]
    assert refused in told["details"]["errors"]

    watched.platform.execute("ALTER TABLE monitoring.run_outcomes DROP CONSTRAINT refuses")
    watched.watch_runs(now=soon())
    assert watched.alerts()[f"run:{GATEWAY_JOB}"]["occurrences_count"] == 2
    assert "sensor:watch_runs:refused_runs" not in watched.alerts()


def test_an_alert_on_a_check_that_is_gone_or_was_written_by_an_older_release_harms_nothing(watched):
    with watched.platform.database.transaction() as connection:
        for check in ("matches:no_such_check", "matches:freshness"):
            raise_alert(
                connection,
                fingerprint=f"check:{check}",
                severity="high",
                source="asset_check",
                subject=check,
                owner="team:matching",
                title="raised by an older release",
                details={},
                now=NOW,
            )
    watched.watch_checks(now=soon())

    assert set(watched.alerts()) == {"check:matches:freshness"}
    [gone] = watched.alerts("resolved").values()
    assert gone["resolved_reason"] == "there is no such check any more"
