"""From an exception to what its reader needs: one sentence on what happened and what to do."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from platform_assets.errors import PlatformError

_FOLDER_ERRORS = (PermissionError, NotADirectoryError, FileExistsError)

_READ_ONLY_SQLSTATE = "25006"
_UNREACHABLE_SQLSTATES = (
    "08",  # connection exceptions
    "28",  # the role or its password is refused
    "3D",  # no such database
    "53",  # too many connections, disk full
    "57P",  # the server stops, starts or has crashed
)


def explain(error: BaseException) -> str | None:
    """The message for a person, without a traceback; None for what nobody expected.

    Looks through the chain of causes, since Dagster and SQLAlchemy wrap what we raise.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        message = _explain_one(current)
        if message is not None:
            return message
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return None


def _explain_one(error: BaseException) -> str | None:
    if isinstance(error, PlatformError):
        return str(error)
    if isinstance(error, DBAPIError):
        # `orig` is the server's own message; SQLAlchemy's adds the statement, whose parameters may be private.
        return _explain_database(error.orig, is_lost=error.connection_invalidated)
    if isinstance(error, psycopg.Error):
        return _explain_database(error, is_lost=False)
    if isinstance(error, _FOLDER_ERRORS) and error.filename is not None:
        return (
            f"{error.filename} can't be read or written by this user: {error.strerror}. Change its owner or move "
            "it away, or set PLATFORM_HOME to another folder."
        )
    return None


def _explain_database(error: BaseException | None, *, is_lost: bool) -> str:
    message = " ".join(str(error).split()).rstrip("?.")
    # psycopg and psycopg2, which Dagster's storage uses, name it differently; without a session there is none.
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state == _READ_ONLY_SQLSTATE:
        return f"The database refuses to be written: {message}. Give the platform a role that may write its schemas."
    is_unreachable = (
        state.startswith(_UNREACHABLE_SQLSTATES) if state else type(error).__name__ == "OperationalError"
    )
    if is_lost or is_unreachable:
        return f"The database can't be reached: {message}. `platform-assets doctor` says more; a rerun helps once it is back."
    return f"The database refused a statement: {message}."
