"""From an exception to what its reader needs: one sentence on what happened and what to do."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from platform_assets.errors import PlatformError


def explain(error: BaseException) -> str | None:
    """The message for a person, without a traceback; None for what nobody expected.

    Looks through the chain of causes, since Dagster and SQLAlchemy wrap what we raise.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, PlatformError):
            return str(current)
        if isinstance(current, DBAPIError):
            return _explain_database(current)
        current = current.__cause__ or current.__context__
    if isinstance(error, PermissionError):
        return (
            f"{error.filename} can't be read or written by this user. Change its owner, or set PLATFORM_HOME."
        )
    return None


def _explain_database(error: DBAPIError) -> str:
    # `orig` is the server's own message; SQLAlchemy's adds the statement, whose parameters may be private.
    message = str(error.orig).strip()
    if "read-only" in message:
        return f"The database refuses to be written: {message}. Give the platform a role that may write its schemas."
    if error.connection_invalidated or "connection" in message:
        return f"The database can't be reached: {message}. `platform-assets doctor` says more; a rerun helps once it is back."
    return f"The database refused a statement: {message}"
