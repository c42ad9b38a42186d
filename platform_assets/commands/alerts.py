"""`platform-assets alerts`: what is broken, and who is told of it. The work is in `alert_work.py`."""

from __future__ import annotations

import datetime as dt
import getpass
import re
from collections.abc import Callable
from typing import Any, Literal

import click

from platform_assets.monitoring.alerting.severity import SEVERITIES, Severity
from platform_assets.settings import load_settings

SEVERITY = click.Choice(SEVERITIES)

LONGEST = dt.timedelta(days=90)
"""What is to be quiet for longer than a quarter wants another threshold."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Duration(click.ParamType[dt.timedelta]):
    """A length of time such as `90m`, `2h`, `1h30m`, `3d` or `1w`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        """The length that a text says."""
        if isinstance(value, dt.timedelta):
            return value
        if not re.fullmatch(r"(\d{1,6}[mhdw])+", value):
            self.fail(f"{value!r} is no length of time; write 90m, 2h, 1h30m, 3d or 1w.", param, ctx)
        parts = {_UNITS[unit]: int(number) for number, unit in re.findall(r"(\d+)([mhdw])", value)}
        length = dt.timedelta(**parts)
        if not dt.timedelta() < length <= LONGEST:
            self.fail(f"{value!r} is not between one minute and {LONGEST.days} days.", param, ctx)
        return length


class Line(click.ParamType[str]):
    """A text of one line that says something."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without what surrounds it."""
        line = " ".join(str(value).split())
        if not line or not line.isprintable():
            self.fail("it must say something, in letters that can be printed.", param, ctx)
        return line


def _author() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise click.UsageError("This user has no name here: say who you are with --by.") from None


_ID = click.IntRange(min=1, max=2**63 - 1)
_by = click.option(
    "--by", "author", type=Line(), default=_author, show_default="your user's name", help="Who does it."
)
_reason = click.option("--reason", type=Line(), required=True, help="Why, for those who look later.")
_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
_ids = click.argument("alert_ids", metavar="ID...", type=_ID, nargs=-1, required=True)


def _matchers(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--subject",
            "subject_glob",
            type=Line(),
            help="Only alerts whose subject fits this pattern, such as 'matches:*'.",
        ),
        click.option(
            "--source", type=Line(), help="Only alerts raised by this, such as run, asset_check or service."
        ),
        click.option("--owner", type=Line(), help="Only alerts of this team, such as team:matching."),
    ):
        command = option(command)
    return command


@click.group()
def alerts() -> None:
    """What is broken, how bad it is, and who is told of it.

    Each problem is one alert, however often it is noticed. It is told once, again when it grows worse, and when it is
    over, which the platform notices by itself. What has a known cause is not told beside it.
    """


@alerts.command("list")
@click.option(
    "--state",
    type=click.Choice(["open", "resolved", "all"]),
    default="open",
    show_default=True,
    help="Open ones come by severity, others by when they were last seen.",
)
@click.option(
    "--severity",
    "min_severity",
    type=SEVERITY,
    default="low",
    show_default=True,
    help="Only alerts at least this severe.",
)
@_matchers
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Most alerts to show."
)
@_json
def list_command(
    state: Literal["open", "resolved", "all"],
    min_severity: Severity,
    owner: str | None,
    source: str | None,
    subject_glob: str | None,
    limit: int,
    as_json: bool,
) -> None:
    r"""The alerts, the worst first.

    \b
    platform-assets alerts list --severity high --owner team:finance-data
    platform-assets alerts list --state all --subject 'matches:*'
    """
    from platform_assets.commands.alert_work import show_list
    from platform_assets.monitoring.alerting.handling import Filters

    filters = Filters(
        state=None if state == "all" else state,
        min_severity=min_severity,
        owner=owner,
        source=source,
        subject_glob=subject_glob,
    )
    show_list(load_settings(), filters, limit=limit, as_json=as_json)


@alerts.command("show")
@click.argument("alert_id", metavar="ID", type=_ID)
@_json
def show_command(alert_id: int, as_json: bool) -> None:
    """Everything known of an alert: what was measured, how its severity follows, its cause and effects, who was told."""
    from platform_assets.commands.alert_work import show_alert

    show_alert(load_settings(), alert_id, as_json=as_json)


@alerts.command("ack")
@_ids
@click.option(
    "--for",
    "length",
    type=Duration(),
    default="8h",
    show_default=True,
    help="How long nobody is reminded of it.",
)
@_reason
@_by
def ack_command(alert_ids: tuple[int, ...], length: dt.timedelta, reason: str, author: str) -> None:
    r"""Take alerts on: nobody is reminded of them for a while.

    When one grows worse, or is over, that is told all the same.

    \b
    platform-assets alerts ack 12 13 --for 4h --reason "Stripe rotates our key, see ticket 4711"
    """
    from platform_assets.commands.alert_work import acknowledge

    acknowledge(load_settings(), alert_ids, length=length, reason=reason, author=author)


@alerts.command("resolve")
@_ids
@_reason
@_by
def resolve_command(alert_ids: tuple[int, ...], reason: str, author: str) -> None:
    """Close alerts by hand.

    The platform resolves what it sees mended; this is for what it can't see. A problem that is still there is a new
    alert as soon as it is noticed again.
    """
    from platform_assets.commands.alert_work import resolve

    resolve(load_settings(), alert_ids, reason=reason, author=author)


@alerts.command("silence")
@click.argument("alert_id", metavar="[ID]", type=_ID, required=False)
@_matchers
@click.option(
    "--max-severity",
    type=SEVERITY,
    help="Only alerts up to this severity, so that what grows worse is told.",
)
@click.option(
    "--for", "length", type=Duration(), required=True, help="How long, such as 90m, 2h, 1h30m, 3d or 1w."
)
@click.option("--in", "delay", type=Duration(), help="Begin only after this long; by default now.")
@_reason
@_by
def silence_command(
    alert_id: int | None,
    owner: str | None,
    source: str | None,
    subject_glob: str | None,
    max_severity: Severity | None,
    length: dt.timedelta,
    delay: dt.timedelta | None,
    reason: str,
    author: str,
) -> None:
    r"""Tell nobody of some alerts for a time; they are recorded all the same.

    Give the id of an alert to silence its subject, or say which alerts are meant: all that is given must fit. What is
    still broken when the silence ends is told then.

    \b
    platform-assets alerts silence 12 --for 2h --reason "known, mended tonight"
    platform-assets alerts silence --subject 'gateway_*' --max-severity high --for 1d --reason "Stripe moves"
    """
    from platform_assets.commands.alert_work import silence
    from platform_assets.monitoring.alerting.silences import Matchers

    matchers = Matchers(owner=owner, source=source, subject_glob=subject_glob, max_severity=max_severity)
    if alert_id is None and matchers == Matchers():
        raise click.UsageError(
            "Say which alerts: an ID, or --owner, --source, --subject or --max-severity. --subject '*' is all of them."
        )
    if alert_id is not None and (owner or source or subject_glob):
        raise click.UsageError(
            "An ID says which alerts are meant: leave --owner, --source and --subject out."
        )
    silence(
        load_settings(),
        alert_id,
        matchers,
        length=length,
        delay=delay or dt.timedelta(),
        reason=reason,
        author=author,
    )


@alerts.command("silences")
@_json
def silences_command(as_json: bool) -> None:
    """The silences that hold or are to come, and how many open alerts each keeps quiet."""
    from platform_assets.commands.alert_work import show_silences

    show_silences(load_settings(), as_json=as_json)


@alerts.command("unsilence")
@click.argument("silence_ids", metavar="ID...", type=_ID, nargs=-1, required=True)
@_by
def unsilence_command(silence_ids: tuple[int, ...], author: str) -> None:
    """Take silences back before their end; what is still broken is told."""
    from platform_assets.commands.alert_work import unsilence

    unsilence(load_settings(), silence_ids, author=author)


@alerts.command("test")
@click.option(
    "--severity",
    type=SEVERITY,
    default="low",
    show_default=True,
    help="How severe; it decides which channels hear of it.",
)
@click.option(
    "--owner", type=Line(), default="team:platform", show_default=True, help="The team that is to hear of it."
)
@click.option(
    "--wait",
    type=Duration(),
    help="Wait up to this long for its delivery; exits with 1 when it does not come.",
)
@_by
def test_command(severity: Severity, owner: str, wait: dt.timedelta | None, author: str) -> None:
    """Raise an alert that means nothing, to see that it arrives.

    It goes the way of every alert, through the outbox and the channels of its team, while the daemon (platform-assets ui) or
    the supervisor is there to deliver. Close it with: platform-assets alerts resolve ID --reason test
    """
    import sys

    from platform_assets.commands.alert_work import test_delivery

    sys.exit(test_delivery(load_settings(), severity=severity, owner=owner, wait=wait, author=author))
