"""Hands one message to one address through Apprise, and says whether it was taken, and if not whether another try helps.

Apprise tells a failure as text in its log, so reading that log is done here and nowhere else. Its addresses are secrets:
no text that leaves this module holds a part of one. What messages say and when they are sent is elsewhere.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from platform_assets.clients.http_errors import (
    DEFAULT_WAIT,
    PermanentError,
    RateLimited,
    ServiceError,
    TransientError,
    shown,
)

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase

LONGEST_TIMEOUT_S = 20.0
"""However long other calls may take: a message that is not taken by then is tried again or goes elsewhere."""

_APP = "platform-assets"
_SECRET_CHARS = 6
"""Shorter parts of an address are words such as `mail` or `com`."""

_STATUS = re.compile(r"\berror=(\d{3})\b")
"""How Apprise's plugins log the HTTP status of a refusal."""

_SMTP_STATUS = re.compile(r"\((\d{3}), b")
"""How smtplib's errors print the server's answer."""

_PASSING_STATUSES = (408, 425)
_NO_ADDRESS = re.compile(
    r"NameResolutionError|Name or service not known|nodename nor servname", re.IGNORECASE
)
_PARTS = re.compile(r"[/?&=@:#+,;\s]+")

_loading = threading.Lock()


@dataclass(frozen=True)
class Message:
    """What is sent.

    Attributes:
        message_id: The receiver can tell by it that it has this message already.
        title: One line of plain text.
        text: The body as plain text.
        html: The same as HTML, for receivers that show it; converted for those that want Markdown.
        mood: Colour and icon where the receiver has any.
    """

    message_id: str
    title: str
    text: str
    html: str
    mood: Literal["info", "success", "warning", "failure"] = "info"


@dataclass(frozen=True)
class Receipt:
    """What is known of a message that was taken.

    Attributes:
        answer: What the receiver, or Apprise for it, said.
        elapsed_ms: How long it took, in milliseconds.
    """

    answer: str
    elapsed_ms: float


class Notifier:
    """Sends messages. Safe to share between threads; Apprise is imported when it is first needed.

    Args:
        timeout_s: Limit of a send, in seconds; at most `LONGEST_TIMEOUT_S`.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = min(timeout_s, LONGEST_TIMEOUT_S)

    def kind(self, address: str) -> str:
        """Name of the service that an address belongs to, such as `Slack`.

        Raises:
            PermanentError: Apprise does not understand the address.
        """
        return str(self._service(address, channel="the channel").service_name)

    def send(self, channel: str, address: str, message: Message) -> Receipt:
        """Send one message.

        Args:
            channel: What the address is called in texts.
            address: An Apprise URL.
            message: What to send.

        Raises:
            PermanentError: The address or the message is refused: the same attempt never succeeds.
            RateLimited: The receiver wants fewer messages.
            TransientError: No answer, or one that may pass. The message may have arrived all the same.
        """
        service = self._service(address, channel=channel)
        from apprise import Apprise, NotifyFormat, NotifyType

        headers = getattr(service, "headers", None)
        if isinstance(headers, dict):
            # Webhooks can suppress duplicates by it; in a mail it is a header of ours.
            headers["Idempotency-Key"] = message.message_id
        sender = Apprise(asset=service.asset)
        sender.add(service)
        formats: Any = service.notify_format
        # An address may ask for one by `?format=`; of several that a service knows, the first is its own.
        wants_text = (formats[0] if isinstance(formats, tuple) else formats) is NotifyFormat.TEXT
        started_at = time.monotonic()
        result = sender.notify(
            title=message.title,
            body=message.text if wants_text else message.html,
            body_format="text" if wants_text else "html",
            notify_type=NotifyType(message.mood),
            timeout=self._timeout_s,
            log_level=logging.DEBUG,
        )
        elapsed_ms = (time.monotonic() - started_at) * 1000
        log = [(entry.level, entry.message) for entry in result.logs()]
        if not result:
            text = " ".join(line for level, line in log if level != "DEBUG" or _tells_why(line))
            raise _classify(
                _without(address, text), channel=channel, is_late=result.status.name == "TIMEOUT", now=_now()
            )
        answers = [line for level, line in log if level == "INFO"]
        return Receipt(shown(_without(address, " ".join(answers) or "taken")), elapsed_ms)

    def _service(self, address: str, *, channel: str) -> NotifyBase:
        asset = self._asset()
        from apprise import Apprise, OverflowMode

        with _loading, warnings.catch_warnings():
            # Its plugins, loaded with the first address, import what Python 3.13 no longer has.
            warnings.simplefilter("ignore", DeprecationWarning)
            service = Apprise.instantiate(address, asset=asset)
        if service is None:
            raise PermanentError(
                service=channel, action="send a message", detail="Apprise does not understand its address"
            )
        service.socket_connect_timeout = service.socket_read_timeout = self._timeout_s
        if "overflow=" not in address:
            # A text that is too long is cut here rather than refused there.
            service.overflow_mode = OverflowMode.TRUNCATE
        return service

    def _asset(self) -> AppriseAsset:
        with _loading:
            from apprise import AppriseAsset

            logger = logging.getLogger("apprise")
            # It says at debug level why a mail failed; that is for us to read, and holds secrets that no log may.
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
        return AppriseAsset(
            app_id=_APP,
            app_desc=_APP,
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            http_redirects=False,
            default_service_retry=0,
            service_timeout=self._timeout_s,
            allow_templates=False,
            storage_mode="memory",
        )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _tells_why(line: str) -> bool:
    return line.startswith(("Socket Exception", "Response Details", "SMTP"))


def _classify(log: str, *, channel: str, is_late: bool, now: dt.datetime) -> ServiceError:
    """What a failure means, by what Apprise logged of it."""
    http, smtp = _STATUS.search(log), _SMTP_STATUS.search(log)
    status = int(http[1]) if http else None
    fields: dict[str, Any] = {"service": channel, "action": "send a message", "status": status}
    detail = log or "Apprise gave no reason"
    if is_late:
        return TransientError(**fields, detail="no answer in time; it may have arrived")
    if status == 429:
        return RateLimited(**fields, detail=detail, retry_at=now + DEFAULT_WAIT, is_wait_stated=False)
    if status is not None:
        is_passing = status >= 500 or status in _PASSING_STATUSES
        return (TransientError if is_passing else PermanentError)(**fields, detail=detail)
    if smtp is not None:
        # RFC 5321, 4.2.1: 5yz is for good, 4yz for now.
        return (PermanentError if smtp[1].startswith("5") else TransientError)(**fields, detail=detail)
    if _NO_ADDRESS.search(log):
        return TransientError(**fields, detail="its host has no address (DNS)")
    return TransientError(**fields, detail=detail)


def _without(address: str, text: str) -> str:
    """The text without any part of the address that could be a secret."""
    parts = {unquote(part) for part in _PARTS.split(address.partition("://")[2])} | set(_PARTS.split(address))
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SECRET_CHARS:
            text = text.replace(part, "…")
    return text
