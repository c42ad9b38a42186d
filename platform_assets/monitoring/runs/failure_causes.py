"""Why a run failed, from what its events kept of the errors, and whether and when a rerun can help. Pure.

Reading the events is `history.py`'s business, what follows from a cause `reexecution.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

# The clients' own errors must be known to be recognized by name; neither module imports anything heavy.
from platform_assets.clients import gemini  # noqa: F401
from platform_assets.clients.database import is_transient_report
from platform_assets.clients.http_errors import Kind, ServiceError, stated_retry_at
from platform_assets.monitoring.redaction import redact_text

_TOLD_TO_END = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})
"""What a worker raises when its machine or the platform is stopped under it; a cancelled run never gets here."""

MESSAGE_CHARS = 500
"""Characters of a failure's text that are kept; the whole of it stands in the run's log."""


class Cause(StrEnum):
    """Why a run failed, by what can be done about it."""

    PERMANENT = "permanent"
    """The same run never succeeds: a person or a change is needed."""
    TRANSIENT = "transient"
    """A rerun with backoff may succeed."""
    RATE_LIMITED = "rate_limited"
    """A rerun after the stated moment may succeed."""
    INFRASTRUCTURE = "infrastructure"
    """The process that ran it was killed: no step of it failed, which is how this is known; or it was told to end."""


_GRAVITY = (Cause.INFRASTRUCTURE, Cause.TRANSIENT, Cause.RATE_LIMITED, Cause.PERMANENT)
"""When steps of one run fail for several causes, the last of these decides: it is what a rerun would meet."""


@dataclass(frozen=True)
class SeenError:
    """An error as an event keeps it.

    Attributes:
        class_name: Name of its class, without the module.
        message: Its text.
    """

    class_name: str
    message: str


@dataclass(frozen=True)
class FailedStep:
    """A step that failed.

    Attributes:
        step: Its key; empty for a failure of the run itself, such as a resource that can't be opened.
        errors: The chain of errors, outermost first.
    """

    step: str
    errors: tuple[SeenError, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Why a run failed.

    Attributes:
        cause: What can be done about it.
        message: One line for a person, without secrets.
        retry_at: Not to be run again before (UTC); None when no service named a moment.
    """

    cause: Cause
    message: str
    retry_at: dt.datetime | None = None


def diagnose(failed: Sequence[FailedStep]) -> Diagnosis:
    """Say why a run failed.

    Args:
        failed: What failed in it, in order; nothing when its process was killed.

    Returns:
        The gravest of the causes, with the message of the first step that failed for it. An error that nobody foresaw
        is permanent: a rerun would only repeat it.
    """
    if not failed:
        return Diagnosis(Cause.INFRASTRUCTURE, "The process that ran it was killed or lost.")
    diagnoses = [_diagnose_step(step) for step in failed]
    worst = max((each.cause for each in diagnoses), key=_GRAVITY.index)
    message = next(each.message for each in diagnoses if each.cause is worst)
    moments = [each.retry_at for each in diagnoses if each.retry_at is not None]
    return Diagnosis(worst, message, max(moments, default=None) if worst is not Cause.PERMANENT else None)


def _diagnose_step(failed: FailedStep) -> Diagnosis:
    name = f"{failed.step}: " if failed.step else ""
    # The innermost error says most: outer ones are wrapped around it by libraries.
    for error in reversed(failed.errors):
        cause = _cause_of(error)
        if cause is not None:
            return Diagnosis(cause, _line(name + error.message), stated_retry_at(error.message))
    text = failed.errors[-1] if failed.errors else SeenError("", "no error was recorded")
    return Diagnosis(Cause.PERMANENT, _line(name + text.message))


def _cause_of(error: SeenError) -> Cause | None:
    if error.class_name in _TOLD_TO_END:
        return Cause.INFRASTRUCTURE
    kind = _service_kinds().get(error.class_name)
    if kind is not None:
        return Cause(kind.value)
    is_transient = is_transient_report(error.class_name, error.message)
    if is_transient is None:
        return None
    return Cause.TRANSIENT if is_transient else Cause.PERMANENT


def _service_kinds() -> dict[str, Kind]:
    return {cls.__name__: cls.kind for cls in _descendants(ServiceError) if hasattr(cls, "kind")}


def _descendants(cls: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


def _line(text: str) -> str:
    # Redacted before it is cut: half a secret has no form that is recognized.
    line = " ".join(redact_text(text).split())
    return line if len(line) <= MESSAGE_CHARS else line[: MESSAGE_CHARS - 1] + "…"
