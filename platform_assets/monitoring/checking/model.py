"""What a report knows of an asset check: its state, what was measured, and what that means for the exit status.

Pure data and rules: reading them from Dagster is `states.py`, showing them is `report.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from platform_assets.thresholds import Severity

NOT_EVALUATED = "not_evaluated"
"""Name of the detail that says why there is nothing to measure yet; such a check has not passed, and alerts nobody."""

TOLD_BY = "told_by"
"""Name of the detail that says which alerts of their own tell of what a check sums up; the check itself then alerts nobody."""

DEFAULT_HISTORY = 12
"""Evaluations of each check that a report shows: two hours of the schedule's looks, in a column that a terminal has room for."""

OVERRIDE = "override"
"""Name of the detail that says who set the bound in place of the release's."""


class State(StrEnum):
    """What became of the latest execution of a check."""

    FAILED = "failed"
    """It was evaluated and the service level is not kept."""
    EXECUTION_FAILED = "execution_failed"
    """Its run failed before it was evaluated."""
    NEVER_EVALUATED = "never_evaluated"
    """No evaluation has ever completed, and none is under way."""
    IN_PROGRESS = "in_progress"
    """A run that will evaluate it is queued or going on."""
    SKIPPED = "skipped"
    """Its latest run was cancelled, deleted, or ended without evaluating it."""
    NOT_EVALUATED = "not_evaluated"
    """It was looked at, and there was nothing to measure yet: no pass, and no failure."""
    PASSED = "passed"
    """It was evaluated and the service level is kept."""


@dataclass(frozen=True)
class Evaluation:
    """One completed evaluation of a check, among others.

    Attributes:
        evaluated_at: When (UTC).
        passed: Its verdict; None when there was nothing to measure.
        value: What was measured; None when unknown.
    """

    evaluated_at: dt.datetime
    passed: bool | None
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckState:
    """One check as it stands.

    Attributes:
        asset: Key of the asset that it is about, parts joined by `/`.
        check: Its name, unique for the asset.
        group: The asset's group, which is the domain.
        owner: Who answers for the asset, such as `team:matching`; None when nobody is named.
        description: What is measured.
        state: What became of its latest execution.
        severity: How serious a broken service level is.
        value: The last measured value, in `unit`; None when unknown. When the latest execution did not complete, this
            is the value of the last one that did.
        threshold: The bound to keep, in `unit`; None when the check states none.
        direction: Which side of the bound is kept; None when the check states none.
        unit: Unit of value and threshold; None when the check states none.
        reason: Why this bound; None when not recorded.
        evaluated_at: When the last completed evaluation was (UTC); None when there is none.
        last_passed: Verdict of the last completed evaluation; None when there is none, or it had nothing to measure.
        error: Why the latest execution did not complete, where Dagster knows.
        details: Everything else that the evaluation recorded, as JSON values.
        run_id: Run of the latest execution; None when there is none.
        history: The last completed evaluations, from the oldest; empty when they were not read.
    """

    asset: str
    check: str
    group: str
    state: State
    severity: Severity
    owner: str | None = None
    description: str | None = None
    value: float | None = None
    threshold: float | None = None
    direction: Literal["at_least", "at_most"] | None = None
    unit: str | None = None
    reason: str | None = None
    evaluated_at: dt.datetime | None = None
    last_passed: bool | None = None
    error: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    history: tuple[Evaluation, ...] = ()

    @property
    def is_unfinished(self) -> bool:
        """Whether the latest execution has given no verdict, and none can be held against it."""
        return self.state in (State.IN_PROGRESS, State.SKIPPED)

    @property
    def is_failing(self) -> bool:
        """Whether the service level is known to be broken, or could not be looked at.

        A run that is under way or was cancelled does not clear the failure before it.
        """
        if self.is_unfinished:
            return self.last_passed is False
        return self.state in (State.FAILED, State.EXECUTION_FAILED)

    @property
    def is_unknown(self) -> bool:
        """Whether no evaluation has ever told how the service level stands."""
        return self.last_passed is None and not self.is_failing


def _urgency(check: CheckState) -> int:
    is_error = check.severity is Severity.ERROR
    if check.state is State.EXECUTION_FAILED:
        return 1 if is_error else 2
    if check.is_failing:
        return 0 if is_error else 3
    order = (State.NEVER_EVALUATED, State.NOT_EVALUATED, State.IN_PROGRESS, State.SKIPPED, State.PASSED)
    return 4 + order.index(check.state)


def worst_first(checks: Iterable[CheckState]) -> list[CheckState]:
    """Sort by how much a check wants attention, and within that by group, asset and check."""
    return sorted(checks, key=lambda check: (_urgency(check), check.group, check.asset, check.check))


def exit_code(states: Iterable[CheckState]) -> int:
    """Exit status of a command that reports on checks.

    A check that was never evaluated, or had nothing to measure, counts as no failure: on a fresh installation nothing is broken yet. The reports say
    how many there are, and none of them calls such a platform healthy.

    Returns:
        1 when a check of severity ERROR failed or could not be executed, otherwise 0.
    """
    return int(any(check.is_failing and check.severity is Severity.ERROR for check in states))
