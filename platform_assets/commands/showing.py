"""What commands show people and programs alike: moments, lengths of time, foreign texts, JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.markup import escape

from platform_assets.clients.jsonable import to_jsonable


def moment_text(at: dt.datetime) -> str:
    """A moment for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def length_text(time: dt.timedelta) -> str:
    """A length of time for people, in one unit."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def say(text: str) -> None:
    """Print a line, of which a terminal obeys nothing."""
    click.echo("".join(char if char.isprintable() else " " for char in text))


def plain(text: str) -> str:
    """A foreign text for a table of rich."""
    # Neither rich's markup nor a terminal's escape sequences of a foreign text are obeyed.
    return escape("".join(char if char.isprintable() else " " for char in text))


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a value, whose moments and the like become texts."""
    click.echo(json.dumps(to_jsonable(value), indent=2, ensure_ascii=False))
