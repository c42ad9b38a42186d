import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqlEventLogStorage
from rich.console import Console

from platform_assets.asset_checks import Measurement, check_result
from platform_assets.monitoring.checking.history import Verdict, read_latest_verdicts
from platform_assets.monitoring.checking.junit import render_junit
from platform_assets.monitoring.checking.markdown import render_markdown
from platform_assets.monitoring.checking.report import render_html, render_json, render_table
from platform_assets.monitoring.checking.states import (
    CheckState,
    State,
    UnknownGroupError,
    exit_code,
    read_check_states,
)
from platform_assets.thresholds import Severity, Threshold

COVERAGE = Threshold(0.95, "at_least", "ratio", Severity.ERROR, "one in twenty may be missing")
STALENESS = Threshold(2, "at_most", "hours", Severity.WARN, "three ticks missed")

Outcome = dg.AssetCheckResult | Exception


def static(threshold: Threshold) -> dict[str, Any]:
    return {
        "threshold": threshold.bound,
        "direction": threshold.direction,
        "unit": threshold.unit,
        "severity": threshold.severity.value,
    }


class Platform:
    """Two assets whose checks give what the test says next; runs go through Dagster itself."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.outcomes: dict[str, Outcome] = {}
        self.asset_error: Exception | None = None

        @dg.asset(group_name="matching", owners=["team:matching"])
        def matches() -> None:
            if self.asset_error:
                raise self.asset_error

        @dg.asset(group_name="payments")
        def payment_analytics() -> None: ...

        checks = [
            self._check("matches", "coverage", metadata=static(COVERAGE)),
            self._check("matches", "staleness", metadata=static(STALENESS)),
            self._check("payment_analytics", "totals", metadata={}),
        ]
        self.definitions = dg.Definitions(
            assets=[matches, payment_analytics],
            asset_checks=checks,
            jobs=[dg.define_asset_job("everything")],
            executor=dg.in_process_executor,
        )

    def _check(self, asset: str, name: str, *, metadata: Mapping[str, Any]) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=asset, name=name, description=f"Measures the {name} of {asset}.", metadata=metadata
        )
        def check() -> dg.AssetCheckResult:
            outcome = self.outcomes.get(name, dg.AssetCheckResult(passed=True))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return check

    def run(self, **outcomes: Outcome) -> str:
        """Materialize and check everything; returns the run's id."""
        self.outcomes = outcomes
        job = self.definitions.resolve_job_def("everything")
        return job.execute_in_process(instance=self.instance, raise_on_error=False).run_id

    def plan(self) -> dg.DagsterRun:
        """A run of everything that has been planned and has not come to the checks."""
        return self.instance.create_run_for_job(
            self.definitions.resolve_job_def("everything"), status=dg.DagsterRunStatus.STARTED
        )

    def read(self, **options: Any) -> list[CheckState]:
        return read_check_states(self.definitions.resolve_asset_graph(), self.instance, **options)

    def state(self, check: str) -> CheckState:
        return next(state for state in self.read() if state.check == check)


@pytest.fixture
def platform() -> Iterator[Platform]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(instance)


def measured(threshold: Threshold, value: float | None, **details: Any) -> dg.AssetCheckResult:
    return check_result(threshold, Measurement(value, details))


def test_what_was_never_evaluated_shows_the_service_level_of_its_definition(platform: Platform) -> None:
    coverage = platform.state("coverage")

    assert coverage == CheckState(
        asset="matches",
        check="coverage",
        group="matching",
        owner="team:matching",
        description="Measures the coverage of matches.",
        state=State.NEVER_EVALUATED,
        severity=Severity.ERROR,
        threshold=0.95,
        direction="at_least",
        unit="ratio",
    )
    assert platform.state("staleness").severity is Severity.WARN
    assert exit_code(platform.read()) == 0


def test_a_passed_and_a_failed_evaluation_show_what_was_measured(platform: Platform) -> None:
    before = dt.datetime.now(dt.UTC)
    run_id = platform.run(
        coverage=measured(COVERAGE, 0.9, missing=["p-1", "p-2"], open_projects=20),
        staleness=measured(STALENESS, 0.5),
    )

    failed, passed = platform.state("coverage"), platform.state("staleness")

    assert (failed.state, failed.last_passed, failed.value, failed.severity) == (
        State.FAILED,
        False,
        0.9,
        Severity.ERROR,
    )
    assert (failed.threshold, failed.direction, failed.unit) == (0.95, "at_least", "ratio")
    assert failed.reason == COVERAGE.reason
    assert failed.details == {"missing": ["p-1", "p-2"], "open_projects": 20}
    assert failed.run_id == run_id
    assert failed.evaluated_at is not None
    assert before <= failed.evaluated_at <= dt.datetime.now(dt.UTC)
    assert (passed.state, passed.last_passed, passed.value, passed.severity) == (
        State.PASSED,
        True,
        0.5,
        Severity.WARN,
    )
    assert exit_code(platform.read()) == 1


def test_a_value_that_could_not_be_measured_is_listed_as_failed_without_a_value(platform: Platform) -> None:
    platform.run(coverage=measured(COVERAGE, None), staleness=measured(STALENESS, float("nan")))

    assert (platform.state("coverage").state, platform.state("coverage").value) == (State.FAILED, None)
    staleness = platform.state("staleness")
    assert (staleness.state, staleness.value, staleness.details) == (State.FAILED, None, {"value": "nan"})


def test_the_latest_evaluation_counts(platform: Platform) -> None:
    platform.run(coverage=measured(COVERAGE, 0.5))
    platform.run(coverage=measured(COVERAGE, 1.0))

    assert (platform.state("coverage").state, platform.state("coverage").value) == (State.PASSED, 1.0)


def test_a_check_that_raised_says_why_and_keeps_its_last_value(platform: Platform) -> None:
    platform.run(coverage=measured(COVERAGE, 0.97))
    evaluated_at = platform.state("coverage").evaluated_at
    run_id = platform.run(coverage=ValueError("no column named `score`"), staleness=measured(STALENESS, 1.0))

    coverage = platform.state("coverage")

    assert (coverage.state, coverage.value, coverage.last_passed) == (State.EXECUTION_FAILED, 0.97, True)
    assert coverage.error == "ValueError: no column named `score`"
    assert (coverage.run_id, coverage.evaluated_at) == (run_id, evaluated_at)
    assert platform.state("staleness").state is State.PASSED
    assert exit_code(platform.read()) == 1


def test_a_check_that_was_not_reached_names_the_step_that_failed(platform: Platform) -> None:
    platform.asset_error = RuntimeError("disk full")
    platform.run()

    coverage = platform.state("coverage")

    assert (coverage.state, coverage.value) == (State.EXECUTION_FAILED, None)
    assert coverage.error == "not reached, because matches failed: RuntimeError: disk full"
    assert platform.state("totals").state is State.PASSED


def test_a_run_that_died_without_a_failed_step_tells_what_is_known(platform: Platform) -> None:
    run = platform.plan()
    platform.instance.report_run_failed(run, "The run worker is gone.")

    assert platform.state("coverage").state is State.EXECUTION_FAILED
    assert platform.state("coverage").error == "The run worker is gone."


def test_an_error_text_is_shown_without_its_secrets(platform: Platform) -> None:
    platform.run(coverage=ConnectionError("no answer from postgresql://app:hunter2@db/app"))

    error = platform.state("coverage").error

    assert error is not None
    assert error.startswith("ConnectionError: no answer from postgresql://app:")
    assert "hunter2" not in error


@pytest.mark.parametrize(("value", "status"), [(0.99, 0), (0.5, 1)])
def test_a_run_under_way_shows_the_last_value_and_does_not_clear_a_failure(
    platform: Platform, value: float, status: int
) -> None:
    platform.run(coverage=measured(COVERAGE, value))
    run = platform.plan()

    coverage = platform.state("coverage")

    assert (coverage.state, coverage.value, coverage.run_id) == (State.IN_PROGRESS, value, run.run_id)
    assert coverage.last_passed is (status == 0)
    assert exit_code(platform.read()) == status


def test_a_first_run_under_way_is_in_progress_and_has_no_value(platform: Platform) -> None:
    platform.plan()

    coverage = platform.state("coverage")

    assert (coverage.state, coverage.value, coverage.evaluated_at) == (State.IN_PROGRESS, None, None)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda instance, run: instance.report_run_canceled(run), id="cancelled"),
        pytest.param(lambda instance, run: instance.delete_run(run.run_id), id="deleted"),
    ],
)
def test_a_run_that_ended_without_a_verdict_is_skipped_or_leaves_the_check_unevaluated(
    platform: Platform, end: Callable[[dg.DagsterInstance, dg.DagsterRun], None]
) -> None:
    end(platform.instance, platform.plan())
    assert platform.state("coverage").state is State.NEVER_EVALUATED

    platform.run(coverage=measured(COVERAGE, 0.99))
    end(platform.instance, platform.plan())
    assert (platform.state("coverage").state, platform.state("coverage").value) == (State.SKIPPED, 0.99)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"value": 0.97},
        {"value": "0.97", "threshold": "0.9", "direction": "at_least", "unit": "ratio"},
        {"value": 0.97, "threshold": 0.9, "direction": ">=", "unit": "ratio"},
        {"value": True, "threshold": True, "direction": "at_least", "unit": "ratio"},
        {"value": 0.97, "threshold": float("inf"), "direction": "at_least", "unit": "ratio"},
        {"value": [0.97], "threshold": {"bound": 0.9}, "direction": None, "unit": 3},
    ],
)
def test_metadata_of_another_release_is_listed_under_the_present_service_level(
    platform: Platform, metadata: dict[str, Any]
) -> None:
    platform.run(coverage=dg.AssetCheckResult(passed=True, description="97 of 100", metadata=metadata))

    coverage = platform.state("coverage")

    assert (coverage.state, coverage.value) == (State.PASSED, None)
    assert (coverage.threshold, coverage.direction, coverage.unit) == (0.95, "at_least", "ratio")
    assert set(coverage.details) == {*metadata, "description"}
    assert coverage.details["description"] == "97 of 100"
    render_json([coverage], generated_at=dt.datetime.now(dt.UTC))


def test_a_bound_that_has_changed_since_is_shown_as_it_was_compared_with(platform: Platform) -> None:
    old = Threshold(0.5, "at_least", "ratio", Severity.WARN, "early days")
    platform.run(coverage=measured(old, 0.4))

    coverage = platform.state("coverage")

    assert (coverage.value, coverage.threshold, coverage.severity) == (0.4, 0.5, Severity.WARN)


def test_a_check_without_our_metadata_is_an_error_check_as_dagster_has_it(platform: Platform) -> None:
    totals = platform.state("totals")
    assert (totals.severity, totals.threshold, totals.owner) == (Severity.ERROR, None, None)

    platform.run(totals=dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN))
    assert (platform.state("totals").state, platform.state("totals").severity) == (
        State.FAILED,
        Severity.WARN,
    )


def test_every_kind_of_metadata_becomes_json(platform: Platform) -> None:
    table = dg.MetadataValue.table([dg.TableRecord({"key": "p-1", "share": 0.5})])
    platform.run(
        coverage=measured(
            COVERAGE,
            1.0,
            at=dg.MetadataValue.timestamp(0.0),
            rows=table,
            deep={"of": [1, {"a": None}]},
            page=dg.MetadataValue.url("https://example.org"),
            note=dg.MetadataValue.md("**bold**"),
            table=dg.MetadataValue.asset(dg.AssetKey(["a", "b"])),
            off=False,
            not_a_number=float("inf"),
            nothing=dg.MetadataValue.null(),
            columns=dg.MetadataValue.table_schema(dg.TableSchema(columns=[dg.TableColumn("key")])),
        )
    )

    details = dict(platform.state("coverage").details)

    assert isinstance(details.pop("columns"), str)
    assert json.loads(json.dumps(details, allow_nan=False)) == {
        "at": "1970-01-01T00:00:00+00:00",
        "rows": [{"key": "p-1", "share": 0.5}],
        "deep": {"of": [1, {"a": None}]},
        "page": "https://example.org",
        "note": "**bold**",
        "table": "a/b",
        "off": False,
        "not_a_number": "inf",
        "nothing": None,
    }


def test_a_report_can_be_of_one_group_and_of_the_failing_alone(platform: Platform) -> None:
    platform.run(coverage=measured(COVERAGE, 0.5), staleness=measured(STALENESS, 1.0))

    assert [state.check for state in platform.read()] == ["coverage", "staleness", "totals"]
    assert [state.check for state in platform.read(group="payments")] == ["totals"]
    assert [state.check for state in platform.read(failed_only=True)] == ["coverage"]
    assert platform.read(group="payments", failed_only=True) == []


def test_a_misspelt_group_is_an_error_and_not_an_empty_healthy_report(platform: Platform) -> None:
    with pytest.raises(UnknownGroupError, match=r"'paymnets'\. The groups are: matching, payments"):
        platform.read(group="paymnets")


def test_checks_that_completed_are_read_in_one_query_however_many_they_are() -> None:
    def count_statements(checks_count: int, *, history: int = 0) -> int:
        @dg.multi_asset_check(specs=[dg.AssetCheckSpec(f"check_{n}", asset="a") for n in range(checks_count)])
        def checks() -> Iterator[dg.AssetCheckResult]:
            for n in range(checks_count):
                yield dg.AssetCheckResult(asset_key="a", check_name=f"check_{n}", passed=True)

        definitions = dg.Definitions(assets=[dg.AssetSpec("a")], asset_checks=[checks])
        statements: list[str] = []

        def listen(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not statement.startswith("PRAGMA"):  # SQLite's own, at every connection
                statements.append(statement)

        with dg.DagsterInstance.ephemeral() as instance:
            definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
            sa.event.listen(sa.Engine, "before_cursor_execute", listen)
            try:
                states = read_check_states(definitions.resolve_asset_graph(), instance, history=history)
            finally:
                sa.event.remove(sa.Engine, "before_cursor_execute", listen)
        assert [state.state for state in states] == [State.PASSED] * checks_count
        return len(statements)

    assert count_statements(1) == count_statements(30) == 1
    assert count_statements(1, history=5) == count_statements(30, history=5) == 2


def test_the_history_tells_the_last_evaluations_from_the_oldest(platform: Platform) -> None:
    for value in (0.90, 0.96, 0.97, 0.98):
        platform.run(coverage=measured(COVERAGE, value))
    platform.run(coverage=ValueError("not evaluated at all"))

    [coverage] = [check for check in platform.read(history=3) if check.check == "coverage"]

    assert [(each.passed, each.value) for each in coverage.history] == [
        (True, 0.96),
        (True, 0.97),
        (True, 0.98),
    ]
    times = [each.evaluated_at for each in coverage.history]
    assert times == sorted(times)
    assert abs(times[-1] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert platform.state("coverage").history == ()


def test_a_history_of_odd_evaluations_is_told_as_far_as_it_is_known(platform: Platform) -> None:
    young = check_result(COVERAGE, Measurement(None, not_evaluated_because="there is nothing yet"))
    for outcome in (
        measured(COVERAGE, float("nan")),
        measured(COVERAGE, None),
        young,
        dg.AssetCheckResult(passed=True, metadata={"value": 0.97, "bound": 0.9}),
        dg.AssetCheckResult(passed=False, metadata={"value": "0.1", "threshold": "0.9"}),
    ):
        platform.run(coverage=outcome)
    # What another release may have left: a class that there is no more, and no text at all.
    execute(platform, "UPDATE asset_check_executions SET evaluation_event = NULL WHERE id = 1")
    platform.run(coverage=measured(COVERAGE, 0.97))
    states = platform.read(history=10)
    [coverage] = [check for check in states if check.check == "coverage"]

    assert [(each.passed, each.value) for each in coverage.history] == [
        (False, None),
        (False, None),
        (None, None),
        (True, None),
        (False, None),
        (True, 0.97),
    ]
    for render in (render_json, render_html, render_markdown, render_junit):
        assert render(states, generated_at=dt.datetime.now(dt.UTC))


@pytest.mark.parametrize(
    "text", ['{"__class__": "EventLogOfTomorrow", "level": 1}', '{"__class__": "EventLogEntry"}', "{"]
)
def test_an_evaluation_that_another_release_wrote_has_a_verdict_and_no_value(
    platform: Platform, text: str
) -> None:
    platform.run(coverage=measured(COVERAGE, 0.5))
    execute(platform, "UPDATE asset_check_executions SET evaluation_event = :text", text=text)
    platform.run(coverage=measured(COVERAGE, 0.97))

    [coverage] = [check for check in platform.read(history=10) if check.check == "coverage"]

    assert [(each.passed, each.value) for each in coverage.history] == [(False, None), (True, 0.97)]
    assert dg.AssetCheckKey(dg.AssetKey("matches"), "coverage") in read_latest_verdicts(platform.instance)


def test_nothing_to_measure_is_neither_a_failure_nor_a_pass(platform: Platform) -> None:
    young = check_result(COVERAGE, Measurement(None, not_evaluated_because="there is nothing yet"))
    platform.run(coverage=young)
    coverage = platform.state("coverage")

    assert (coverage.state, coverage.last_passed) == (State.NOT_EVALUATED, None)
    assert not coverage.is_failing
    assert coverage.is_unknown
    assert coverage.details == {"not_evaluated": "there is nothing yet"}
    assert exit_code(platform.read()) == 0
    assert "coverage" not in {check.check for check in platform.read(failed_only=True)}
    platform.plan()
    assert platform.state("coverage").state is State.IN_PROGRESS
    assert not platform.state("coverage").is_failing


def test_the_latest_verdicts_are_of_completed_evaluations_whatever_is_planned(platform: Platform) -> None:
    platform.run(coverage=measured(COVERAGE, 0.5), staleness=measured(STALENESS, 1.0))
    platform.run(coverage=measured(COVERAGE, 1.0), staleness=ValueError("no"))
    platform.plan()

    verdicts = {key.name: verdict for key, verdict in read_latest_verdicts(platform.instance).items()}

    assert verdicts == {
        "coverage": Verdict(True, Severity.ERROR),
        "staleness": Verdict(True, Severity.WARN),
        "totals": Verdict(True, Severity.ERROR),
    }


def execute(platform: Platform, statement: str, **parameters: str) -> None:
    storage = platform.instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        connection.execute(sa.text(statement), parameters)


def test_every_form_of_the_report_can_be_made_of_what_was_read(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.run(coverage=measured(COVERAGE, 0.9), staleness=ValueError("<b>boom</b>"))
    states, now = platform.read(), dt.datetime.now(dt.UTC)

    render_table(states, Console(width=100), generated_at=now)

    assert "1 service level of 3 broken; 1 warning" in capsys.readouterr().out
    assert "&lt;b&gt;boom&lt;/b&gt;" in render_html(states, generated_at=now)
    assert [check["state"] for check in json.loads(render_json(states, generated_at=now))["checks"]] == [
        "failed",
        "execution_failed",
        "passed",
    ]
