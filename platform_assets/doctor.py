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
from platform_assets.notification_settings import Channel
from platform_assets.resources import (
    database_url,
    open_channels,
    open_gateway,
    open_gemini,
    open_github,
    open_graph,
)
from platform_assets.settings import Settings


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
        *_attempt("github", lambda: _github(settings)),
        *_attempt("stripe", lambda: _gateway(settings)),
        *_attempt("neo4j", lambda: _graph(settings)),
        *_attempt("gemini", lambda: _gemini(settings)),
        *_attempt("embedder", _embedder),
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


def _github(settings: Settings) -> list[Finding]:
    client = open_github(settings)
    if client is None:
        return [Finding("github", "off", "switched off by PLATFORM_GITHUB_TOKEN=off")]
    with client:
        budget = client.read_budget()
    return [
        Finding("github", "ok", f"answers; {budget.remaining:,} of {budget.limit:,} points left this hour")
    ]


def _gateway(settings: Settings) -> list[Finding]:
    client = open_gateway(settings)
    if client is None:
        return [Finding("stripe", "off", "switched off by PLATFORM_STRIPE_API_KEY=off")]
    with client:
        client.verify_key()
    return [Finding("stripe", "ok", "answers and accepts the key")]


def _graph(settings: Settings) -> list[Finding]:
    client = open_graph(settings)
    if client is None:
        why = (
            "switched off by PLATFORM_NEO4J_URI=off"
            if settings.neo4j_uri
            else "off: PLATFORM_NEO4J_URI is not set"
        )
        return [Finding("neo4j", "off", why)]
    with client:
        return [Finding("neo4j", "ok", f"answers as {client.read_agent()} and accepts the user")]


def _gemini(settings: Settings) -> list[Finding]:
    client = open_gemini(settings)
    if client is None:
        return [Finding("gemini", "off", "switched off by PLATFORM_GEMINI_API_KEY=off")]
    with client:
        client.verify_model()
    return [Finding("gemini", "ok", f"answers, accepts the key and has {client.model}")]


def _embedder() -> list[Finding]:
    from platform_assets.clients.embedder import verify_packaged_model

    return [Finding("embedder", "ok", f"weights of {verify_packaged_model()} verified")]


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
