import datetime as dt

import psycopg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.clients.http_errors import (
    PermanentError,
    QueryTooLargeError,
    RateLimited,
    ServiceError,
    TransientError,
    stated_retry_at,
)
from platform_assets.monitoring.runs.failure_causes import Cause, FailedStep, SeenError, diagnose
from platform_assets.monitoring.runs.reexecution import MAX_ATTEMPTS, decide

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
LATER = dt.datetime(2026, 11, 1, 12, 40, 30, tzinfo=dt.UTC)


def seen(error: BaseException) -> SeenError:
    return SeenError(type(error).__name__, str(error))


def service_error(cls: type[ServiceError], **fields: object) -> ServiceError:
    return cls(service="GitHub", action="read 20 accounts", detail="it was refused", **fields)


def step(*errors: BaseException, name: str = "developer_profiles") -> FailedStep:
    # Dagster wraps every error of a step in one of its own.
    return FailedStep(
        name, (SeenError("DagsterExecutionStepExecutionError", "Error occurred"), *map(seen, errors))
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (service_error(PermanentError, status=401), Cause.PERMANENT),
        (service_error(QueryTooLargeError), Cause.PERMANENT),
        (service_error(TransientError, status=502), Cause.TRANSIENT),
        (service_error(RateLimited, status=403, retry_at=LATER), Cause.RATE_LIMITED),
        (psycopg.errors.AdminShutdown("terminating connection"), Cause.TRANSIENT),
        (psycopg.errors.DeadlockDetected("deadlock detected"), Cause.TRANSIENT),
        (psycopg.OperationalError("server closed the connection unexpectedly"), Cause.TRANSIENT),
        (psycopg.OperationalError('FATAL: password authentication failed for user "app"'), Cause.PERMANENT),
        (psycopg.errors.UniqueViolation("duplicate key"), Cause.PERMANENT),
        (psycopg.errors.QueryCanceled("statement timeout"), Cause.PERMANENT),
        (ZeroDivisionError("division by zero"), Cause.PERMANENT),
        # The platform was stopped under it, or its machine.
        (DagsterExecutionInterruptedError("interrupted"), Cause.INFRASTRUCTURE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_a_failure_is_classified_by_what_a_rerun_would_meet(error: BaseException, cause: Cause) -> None:
    diagnosis = diagnose([step(error)])

    assert diagnosis.cause is cause
    assert str(error).split(".")[0] in diagnosis.message
    assert diagnosis.message.startswith("developer_profiles: ")


def test_a_killed_process_leaves_no_failed_step() -> None:
    assert diagnose([]).cause is Cause.INFRASTRUCTURE


def test_the_innermost_known_error_decides() -> None:
    wrapped = step(RuntimeError("the step failed"), psycopg.OperationalError("connection is bad"))

    assert diagnose([wrapped]).cause is Cause.TRANSIENT


def test_a_limit_tells_when_it_ends() -> None:
    limited = service_error(RateLimited, status=429, retry_at=LATER)

    assert diagnose([step(limited)]).retry_at == LATER
    assert stated_retry_at(str(limited)) == LATER
    assert stated_retry_at(str(service_error(TransientError))) is None


def test_the_gravest_of_several_causes_decides_since_a_rerun_would_meet_it() -> None:
    limited = step(service_error(RateLimited, retry_at=LATER), name="skill_profiles")
    failed = [step(service_error(TransientError)), limited, step(service_error(TransientError))]

    assert (diagnose(failed).cause, diagnose(failed).retry_at) == (Cause.RATE_LIMITED, LATER)
    assert diagnose(failed).message.startswith("skill_profiles: ")
    failed.append(step(KeyError("x")))
    assert (diagnose(failed).cause, diagnose(failed).retry_at) == (Cause.PERMANENT, None)


def test_a_message_is_one_line_without_secrets() -> None:
    error = ValueError("can't reach\npostgresql://app:hunter2@db/prod " + "x" * 2_000)

    message = diagnose([step(error)]).message

    assert "hunter2" not in message
    assert "\n" not in message
    assert len(message) == 500


def test_a_permanent_failure_is_never_run_again() -> None:
    decision = decide(diagnose([step(KeyError("x"))]), root_run_id="root", attempts_made=0, now=NOON)

    assert (decision.attempt, decision.due_at, decision.is_quarantined) == (None, None, False)


def test_a_killed_worker_is_run_again_at_once() -> None:
    decision = decide(diagnose([]), root_run_id="root", attempts_made=0, now=NOON)

    assert (decision.attempt, decision.due_at) == (1, NOON)


def test_a_limited_run_waits_for_the_end_of_the_limit() -> None:
    diagnosis = diagnose([step(service_error(RateLimited, retry_at=LATER))])

    due_at = decide(diagnosis, root_run_id="root", attempts_made=0, now=NOON).due_at

    assert due_at is not None
    assert LATER < due_at <= LATER + dt.timedelta(minutes=1)


@given(root=st.text(max_size=40), cause=st.sampled_from([Cause.TRANSIENT, Cause.RATE_LIMITED]))
def test_waits_grow_and_end_in_quarantine(root: str, cause: Cause) -> None:
    error = service_error(TransientError if cause is Cause.TRANSIENT else RateLimited, retry_at=None)
    diagnosis = diagnose([step(error)])
    decisions = [
        decide(diagnosis, root_run_id=root, attempts_made=made, now=NOON)
        for made in range(MAX_ATTEMPTS[cause])
    ]

    waits = [decision.due_at - NOON for decision in decisions if decision.due_at is not None]
    assert [decision.attempt for decision in decisions] == list(range(1, MAX_ATTEMPTS[cause] + 1))
    assert waits == sorted(waits)
    assert min(waits) >= dt.timedelta(minutes=1)
    assert max(waits) <= dt.timedelta(minutes=30) * 1.25
    last = decide(diagnosis, root_run_id=root, attempts_made=MAX_ATTEMPTS[cause], now=NOON)
    assert (last.attempt, last.is_quarantined) == (None, True)
    assert decisions[0] == decide(diagnosis, root_run_id=root, attempts_made=0, now=NOON)
