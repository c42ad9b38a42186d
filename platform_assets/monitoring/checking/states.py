"""Reads from Dagster how every asset check stands.

What a state means is `model.py`'s to say; how it is shown, `report.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from platform_assets.errors import PlatformError
from platform_assets.monitoring.checking.history import read_histories
from platform_assets.monitoring.checking.metadata import LEVEL_KEYS, finite, plain_metadata, service_level
from platform_assets.monitoring.checking.model import (
    NOT_EVALUATED,
    CheckState,
    Evaluation,
    State,
    exit_code,
    worst_first,
)
from platform_assets.monitoring.redaction import redact, redact_text
from platform_assets.thresholds import Severity

__all__ = ["CheckState", "State", "UnknownGroupError", "exit_code", "read_check_states"]

ERROR_LENGTH = 500
"""Characters of an error text that a report shows; the whole of it stands in the run's log."""


class UnknownGroupError(PlatformError):
    """The group that was asked for is no asset's: a report on it would be empty, and look healthy."""


def read_check_states(
    graph: AssetGraph,
    instance: dg.DagsterInstance,
    *,
    group: str | None = None,
    failed_only: bool = False,
    history: int = 0,
) -> list[CheckState]:
    """Read how every check of the asset graph stands.

    Args:
        graph: Which checks there are.
        instance: Where their executions are recorded.
        group: Only the checks of this group's assets.
        failed_only: Only the failing ones, see `CheckState.is_failing`.
        history: How many of the last evaluations of each to read as well.

    Returns:
        The checks, worst first.

    Raises:
        UnknownGroupError: No asset belongs to `group`.
    """
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    if group is not None and group not in groups:
        raise UnknownGroupError(
            f"No asset belongs to the group {group!r}. The groups are: {', '.join(sorted(groups))}."
        )
    step_of = {
        key: graph.assets_def_for_key(key).node_def.name
        for key in graph.asset_check_keys
        if group is None or graph.get(key.asset_key).group_name == group
    }
    executions = _read_executions(instance, step_of)
    histories = read_histories(instance, step_of, limit=history) if history else {}
    checks = []
    for key in step_of:
        asset = graph.get(key.asset_key)
        checks.append(
            _check_state(
                graph.get_check_spec(key),
                executions[key],
                group=asset.group_name,
                owner=", ".join(asset.owners) or None,
                history=histories.get(key, ()),
            )
        )
    return worst_first(check for check in checks if check.is_failing or not failed_only)


@dataclass(frozen=True)
class _Execution:
    """A check's latest execution, and the evaluation of the last one that completed."""

    state: State
    evaluation: dg.AssetCheckEvaluation | None = None
    evaluated_at: dt.datetime | None = None
    run_id: str | None = None
    error: str | None = None


def _read_executions(
    instance: dg.DagsterInstance, step_of: Mapping[dg.AssetCheckKey, str]
) -> dict[dg.AssetCheckKey, _Execution]:
    """Read the executions of checks.

    The latest of all come in one query and the runs of those that did not complete in another. Each of the latter then
    costs one query for its last completed evaluation, and each failed run one for the cause.

    Args:
        instance: Where they are recorded.
        step_of: The checks, with the name of the step that executes each.
    """
    storage = instance.event_log_storage
    latest = storage.get_latest_asset_check_execution_by_key(list(step_of))
    open_run_ids = sorted({record.run_id for record in latest.values() if record.status not in COMPLETED})
    runs = instance.get_runs(dg.RunsFilter(run_ids=open_run_ids)) if open_run_ids else []
    run_status = {run.run_id: run.status for run in runs}
    errors = {
        run_id: _read_errors(instance, run_id)
        for run_id, status in run_status.items()
        if status is dg.DagsterRunStatus.FAILURE
    }
    executions = {}
    for key, step in step_of.items():
        record = latest.get(key)
        if record is None:
            executions[key] = _Execution(State.NEVER_EVALUATED)
        elif record.status in COMPLETED:
            executions[key] = _completed(record, run_id=record.run_id)
        else:
            history = storage.get_asset_check_execution_history(key, limit=1, status=COMPLETED)
            executions[key] = _completed(
                history[0] if history else None,
                run_id=record.run_id,
                state=_open_state(run_status.get(record.run_id), was_evaluated=bool(history)),
                error=_cause(errors.get(record.run_id, {}), step),
            )
    return executions


def _completed(
    record: AssetCheckExecutionRecord | None,
    *,
    run_id: str,
    state: State | None = None,
    error: str | None = None,
) -> _Execution:
    """An execution whose values come from a completed record; its state too, unless another is given."""
    if record is None or record.event is None or record.evaluation is None:
        return _Execution(state or State.NEVER_EVALUATED, run_id=run_id, error=error)
    return _Execution(
        state or _verdict(record.evaluation),
        evaluation=record.evaluation,
        evaluated_at=dt.datetime.fromtimestamp(record.event.timestamp, tz=dt.UTC),
        run_id=run_id,
        error=error,
    )


def _verdict(evaluation: dg.AssetCheckEvaluation) -> State:
    if NOT_EVALUATED in evaluation.metadata:
        return State.NOT_EVALUATED
    return State.PASSED if evaluation.passed else State.FAILED


def _open_state(run_status: dg.DagsterRunStatus | None, *, was_evaluated: bool) -> State:
    """State of an execution that was planned and has no result, by its run (None: the run was deleted).

    The storage keeps such an execution as planned for ever; the rule is the one by which Dagster's UI resolves it.
    """
    if run_status is dg.DagsterRunStatus.FAILURE:
        return State.EXECUTION_FAILED
    if run_status is None or run_status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED):
        return State.SKIPPED if was_evaluated else State.NEVER_EVALUATED
    return State.IN_PROGRESS


def _read_errors(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Error texts of a failed run, by step in the order of failing; the run's own error comes last, under ``""``."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    errors: dict[str, str] = {}
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        error = getattr(event.event_specific_data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        text = (error.message if error is not None else event.message) or ""
        # Redacted before it is cut: half a secret has no form that is recognized.
        errors[event.step_key or ""] = redact_text(text.strip())[:ERROR_LENGTH]
    return errors


def _cause(errors: Mapping[str, str], step: str) -> str | None:
    """Why a check was not evaluated: its own error, or else the first error of its run."""
    if step in errors:
        return errors[step]
    first = next(iter(errors.items()), None)
    if first is None:
        return None
    failed_step, text = first
    return f"not reached, because {failed_step} failed: {text}" if failed_step else text


def _check_state(
    spec: dg.AssetCheckSpec,
    execution: _Execution,
    *,
    group: str,
    owner: str | None,
    history: tuple[Evaluation, ...],
) -> CheckState:
    """What was recorded, understood as far as it can be.

    A measured value means something only beside the service level that it was compared with. An evaluation that
    records none, as of an older release, therefore shows the present one and no value; what it did record stays in
    the details.
    """
    static = plain_metadata(spec.metadata)
    evaluation = execution.evaluation
    recorded = plain_metadata(evaluation.metadata) if evaluation else {}
    recorded_level = service_level(recorded)
    level = recorded_level or service_level(static)
    value = finite(recorded.get("value")) if recorded_level else None
    reason = recorded.get("reason") if isinstance(recorded.get("reason"), str) else None

    understood = {*(LEVEL_KEYS if recorded_level else ())}
    understood |= {name for name, known in (("value", value), ("reason", reason)) if known is not None}
    details = {name: recorded[name] for name in recorded if name not in understood}
    if evaluation and evaluation.description and recorded_level is None:
        details["description"] = evaluation.description

    return CheckState(
        asset=spec.asset_key.to_user_string(),
        check=spec.name,
        group=group,
        owner=owner,
        description=spec.description,
        state=execution.state,
        severity=Severity(evaluation.severity.value) if evaluation else _severity(static),
        value=value,
        threshold=level.threshold if level else None,
        direction=level.direction if level else None,
        unit=level.unit if level else None,
        reason=reason,
        evaluated_at=execution.evaluated_at,
        last_passed=evaluation.passed if evaluation and NOT_EVALUATED not in recorded else None,
        error=execution.error,
        details=redact(details),
        run_id=execution.run_id,
        history=history,
    )


def _severity(static: Mapping[str, Any]) -> Severity:
    """Severity of a check without an evaluation; one that states none is an error, as in Dagster."""
    stated = static.get("severity")
    return Severity(stated) if stated in list(Severity) else Severity.ERROR
