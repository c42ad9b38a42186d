"""Instants as GitHub reads and writes them."""

from __future__ import annotations

import datetime as dt


def parse_instant(value: str) -> dt.datetime:
    """An ISO 8601 date or date-time; UTC when it names no offset.

    Raises:
        ValueError: It is neither.
    """
    moment = dt.datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def format_instant(moment: dt.datetime) -> str:
    """Such as `2024-05-01T12:00:00Z`."""
    return f"{moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def year_later(moment: dt.datetime) -> dt.datetime:
    """The same moment of the next year; the 29th of February becomes the 1st of March."""
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:
        return moment.replace(year=moment.year + 1, month=3, day=1)
