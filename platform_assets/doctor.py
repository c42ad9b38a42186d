"""`platform-assets doctor`: what stands in the way, and what to do about it. Changes nothing but starting servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import sqlalchemy as sa
from rich.console import Console

from platform_assets.clients.contract import contract_problems
from platform_assets.clients.database import MINIMUM_POSTGRES, Database
from platform_assets.failures import explain
from platform_assets.monitoring.services.probes import LOOK_LIMIT_S, probe_services
from platform_assets.monitoring.services.probing import Look, Probe
from platform_assets.notification_settings import Channel
from platform_assets.resources import database_url, open_channels, service_openers
from platform_assets.settings import Settings

SERVICES = ("github", "stripe", "neo4j", "gemini", "embedder")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer.

    Attributes:
        subject: What was looked at.
        state: `ok`, `off` (switched off by name) or `problem`.
        message: What was found, and what to do about a problem.
    """

    subject: str
    state: Literal["ok", "off", "problem"]
    message: str


def _attempt(subject: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except Exception as error:
        # A doctor reports whatever ails; what it can't explain is shown by type, since a text could hold a secret.
        return [Finding(subject, "problem", explain(error) or f"failed with {type(error).__name__}")]


def examine(settings: Settings) -> list[Finding]:
    """Look at everything the platform needs, one thing failing never hiding another."""
    mode = (
        "sandbox: everything embedded" if settings.is_sandbox else "production: PLATFORM_DATABASE_URL is set"
    )
    return [
        Finding("mode", "ok", f"{mode} (state in {settings.home})"),
        *_attempt("database", lambda: _database(settings)),
        *_attempt("dagster storage", lambda: _dagster_storage(settings)),
        *_services(settings),
        *_attempt("notifications", lambda: _notifications(settings)),
    ]


def _database(settings: Settings) -> list[Finding]:
    from platform_assets.migrations import migrate

    database = Database(database_url(settings))
    try:
        version = int(database.read(sa.text("SHOW server_version_num"))["server_version_num"].iloc[0])
        findings = [
            Finding("database", "ok", f"answers; Postgres {version // 10_000}")
            if version >= MINIMUM_POSTGRES * 10_000
            else Finding(
                "database",
                "problem",
                f"is Postgres {version // 10_000}; {MINIMUM_POSTGRES} or newer is needed",
            )
        ]
        has_vector = not database.read(
            sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        ).empty
        if not has_vector:
            findings.append(
                Finding("database", "problem", "has no extension `vector`: install pgvector on the server")
            )
        current, head = migrate.current_revision(database), migrate.head_revision()
        findings.append(
            Finding("schema", "ok", f"at revision {head}")
            if current == head
            else Finding(
                "schema",
                "problem",
                f"at revision {current or 'none'}, needed is {head}: platform-assets migrate",
            )
        )
        problems = contract_problems(database)
        findings += [Finding("marketplace contract", "problem", problem) for problem in problems]
        if not problems:
            findings.append(Finding("marketplace contract", "ok", "every table and column is there"))
        return findings
    finally:
        database.close()


def _dagster_storage(settings: Settings) -> list[Finding]:
    from platform_assets.instance import require_storage

    require_storage(settings)
    return [Finding("dagster storage", "ok", "answers")]


def _services(settings: Settings) -> list[Finding]:
    openers = service_openers(settings, timeout_s=settings.request_timeout_s)
    # A look may be two calls; loading the libraries comes on top.
    limit_s = LOOK_LIMIT_S + 2 * settings.request_timeout_s
    probes = probe_services(openers, services=SERVICES, limit_s=limit_s)
    return [_finding(probe) for probe in probes]


def _finding(probe: Probe) -> Finding:
    match probe.look:
        case Look.OK:
            return Finding(probe.service, "ok", probe.message)
        case Look.OFF:
            return Finding(probe.service, "off", probe.message)
        case _:
            return Finding(probe.service, "problem", probe.message)


def _notifications(settings: Settings) -> list[Finding]:
    """One finding for each channel; nothing is sent."""
    from platform_assets.clients.notifier import Notifier

    notifier = Notifier(timeout_s=settings.request_timeout_s)

    def look(channel: Channel) -> list[Finding]:
        kind = notifier.kind(channel.address())
        return [
            Finding(
                f"channel {channel.name}",
                "ok",
                f"its address is one of {kind}; try it with: platform-assets notifications test {channel.name}",
            )
        ]

    book = open_channels(settings).book
    if not book.channels:
        return [Finding("notifications", "off", "switched off by PLATFORM_NOTIFICATIONS=off")]
    return [
        finding
        for channel in book.channels.values()
        for finding in _attempt(f"channel {channel.name}", partial(look, channel))
    ]


def print_findings(findings: list[Finding]) -> bool:
    """Print the findings; returns whether any is a problem."""
    console = Console(soft_wrap=True)
    signs = {
        "ok": "[green]✓ ok[/green]     ",
        "off": "[dim]– off[/dim]    ",
        "problem": "[red]✗ problem[/red]",
    }
    for finding in findings:
        console.print(f"{signs[finding.state]} [bold]{finding.subject}[/bold]: ", end="", highlight=False)
        console.print(finding.message, markup=False, highlight=False)
    return any(finding.state == "problem" for finding in findings)
