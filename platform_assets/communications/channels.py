"""Everything that delivering needs beside the database: channels, what sends, and whom to tell when a channel fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from platform_assets.clients.notifier import Message, Receipt
from platform_assets.notification_settings import ChannelBook

OWNER = "team:platform"
"""Answers for the channels; the owner of the assets of this domain as well."""


class Alerts(Protocol):
    """What raises and resolves alerts in a transaction of the caller."""

    raise_alert: Callable[..., Any]
    resolve_alert: Callable[..., Any]


@dataclass(frozen=True)
class Channels:
    """Everything that delivering needs beside the database.

    Attributes:
        book: Channels and routes.
        send: Hands a message to a channel's address; raises a `ServiceError`.
        alerts: Where a channel that does not work is told.
        ui_url: Root of Dagster's UI; None leaves links out.
    """

    book: ChannelBook
    send: Callable[[str, str, Message], Receipt]
    alerts: Alerts
    ui_url: str | None = None
