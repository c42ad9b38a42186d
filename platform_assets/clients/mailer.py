"""Hands mails over: to an SMTP server, or into a folder (a Maildir) where nobody is reached. What they say is elsewhere."""

from __future__ import annotations

import mailbox
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from platform_assets.errors import PlatformError

_DEFAULT_PORTS = {"smtp": 587, "smtps": 465}


class MailerError(PlatformError):
    """The mail server can't be used.

    Attributes:
        may_have_sent: Whether the mail at hand may have gone out all the same.
    """

    def __init__(self, message: str, *, may_have_sent: bool) -> None:
        super().__init__(message)
        self.may_have_sent = may_have_sent


class MailRefusedError(PlatformError):
    """The mail server refused this mail for good; others may pass."""


class Mailer(Protocol):
    """Something that takes mails."""

    def send(self, mail: EmailMessage) -> None:
        """Hand over one mail.

        Raises:
            MailRefusedError: It was refused.
            MailerError: It is not known whether it went out.
        """


class FolderMailer:
    """Puts mails into a Maildir.

    Args:
        folder: Made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage) -> None:
        """Keep one mail, all of it or nothing."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        mailbox.Maildir(self._folder).add(mail)


class SmtpMailer:
    """Sends mails through a server, each over a connection of its own.

    Args:
        url: `smtps://user:password@host[:465]` (TLS from the start) or `smtp://user:password@host[:587]` (STARTTLS, which
            only a server on this machine may lack). It appears in no message.
        timeout_s: Limit of each step, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("The mail server's URL must look like smtps://user:password@host")
        self._parts = parts
        self._host = parts.hostname
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._timeout_s = timeout_s

    def send(self, mail: EmailMessage) -> None:
        """Hand one mail over to the server."""
        has_session = False
        try:
            with self._connect() as server:
                has_session = True
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code = max(code for code, _ in error.recipients.values())
            raise _refusal("the address", code) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise _refusal("the mail", error.smtp_code) from None
        except smtplib.SMTPAuthenticationError as error:
            raise MailerError(
                f"The mail server refused user or password ({error.smtp_code}).", may_have_sent=False
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            # The library's texts may quote what was sent.
            raise MailerError(
                f"The mail server {self._host}:{self._port} can't be used: {type(error).__name__}. A rerun may help.",
                may_have_sent=has_session,
            ) from None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        try:
            server.ehlo()
            # Away from this machine a server without it is an error, which the library raises.
            if self._parts.scheme == "smtp" and (
                server.has_extn("starttls") or self._host not in ("localhost", "127.0.0.1", "::1")
            ):
                server.starttls(context=context)
            if self._parts.username:
                server.login(unquote(self._parts.username), unquote(self._parts.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def _refusal(what: str, code: int) -> PlatformError:
    # RFC 5321, 4.2.1: 5yz is for good, 4yz for now.
    message = f"The mail server refused {what} ({code})."
    return MailRefusedError(message) if code >= 500 else MailerError(message, may_have_sent=False)
