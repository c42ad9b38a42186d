"""The Dagster resources: each hands out a plain client, opened when a step first needs it. How is `resources.py`'s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg

from platform_assets.clients.database import Database
from platform_assets.resources import (
    Clock,
    PaymentRules,
    ReportOptions,
    open_channels,
    open_database,
    open_deadman,
    open_embedder,
    open_gateway,
    open_gemini,
    open_github,
    open_graph,
    payment_rules,
    service_openers,
    token_price,
)
from platform_assets.settings import RecoveryMode, Settings

if TYPE_CHECKING:
    from platform_assets.clients.deadman import DeadmanSwitch
    from platform_assets.clients.embedder import Embedder
    from platform_assets.clients.gemini import GeminiClient
    from platform_assets.clients.github import GithubClient
    from platform_assets.clients.graph import GraphClient
    from platform_assets.clients.payment_gateway import PaymentGateway
    from platform_assets.communications.channels import Channels
    from platform_assets.monitoring.services.probes import ServiceOpeners


def resource_definitions(settings: Settings) -> dict[str, Any]:
    """The Dagster resources, by the name under which assets ask for them."""

    @dg.resource(description="Postgres: the marketplace's tables and the derived ones.")
    @contextmanager
    def database(_: dg.InitResourceContext) -> Iterator[Database]:
        with open_database(settings) as client:
            yield client

    @dg.resource(description="GitHub (PLATFORM_GITHUB_TOKEN, PLATFORM_GITHUB_URL); none when off.")
    @contextmanager
    def github(_: dg.InitResourceContext) -> Iterator[GithubClient | None]:
        with open_github(settings) or nullcontext() as client:
            yield client

    @dg.resource(description="Stripe (PLATFORM_STRIPE_API_KEY, PLATFORM_STRIPE_URL); none when off.")
    @contextmanager
    def gateway(_: dg.InitResourceContext) -> Iterator[PaymentGateway | None]:
        with open_gateway(settings) or nullcontext() as client:
            yield client

    @dg.resource(description="Neo4j (PLATFORM_NEO4J_URI, _USER, _PASSWORD); none when off.")
    @contextmanager
    def graph(_: dg.InitResourceContext) -> Iterator[GraphClient | None]:
        with open_graph(settings) or nullcontext() as client:
            yield client

    @dg.resource(description="Gemini (PLATFORM_GEMINI_API_KEY, PLATFORM_GEMINI_URL); none when off.")
    @contextmanager
    def gemini(_: dg.InitResourceContext) -> Iterator[GeminiClient | None]:
        with open_gemini(settings) or nullcontext() as client:
            yield client

    @dg.resource(description="The packaged sentence-transformers model.")
    def embedder(_: dg.InitResourceContext) -> Embedder:
        return open_embedder()

    @dg.resource(
        description="What may be done about payments (PLATFORM_PAYMENT_RETRIES, PLATFORM_PAYMENT_REMINDERS)."
    )
    def rules(_: dg.InitResourceContext) -> PaymentRules:
        return payment_rules(settings)

    @dg.resource(description="The day for which values are computed (PLATFORM_AS_OF, or else today in UTC).")
    def clock(_: dg.InitResourceContext) -> Clock:
        return Clock(as_of=settings.as_of_day)

    @dg.resource(
        description="Where reports go (PLATFORM_HOME), what they convert to (PLATFORM_REPORT_CURRENCY), and the price of tokens."
    )
    def report_options(_: dg.InitResourceContext) -> ReportOptions:
        return ReportOptions(settings.home / "report", settings.report_currency, token_price(settings))

    @dg.resource(
        description="Whether stuck work is freed, only named, or not looked for (PLATFORM_RECOVERY)."
    )
    def recovery_mode(_: dg.InitResourceContext) -> RecoveryMode:
        return settings.recovery

    @dg.resource(description="How to open each service for a look at its health.")
    def services(_: dg.InitResourceContext) -> ServiceOpeners:
        return service_openers(settings)

    return {
        **_notification_resources(settings),
        "database": database,
        "github": github,
        "gateway": gateway,
        "graph": graph,
        "gemini": gemini,
        "embedder": embedder,
        "payment_rules": rules,
        "clock": clock,
        "report_options": report_options,
        "services": services,
        "recovery_mode": recovery_mode,
    }


def _notification_resources(settings: Settings) -> dict[str, Any]:
    @dg.resource(description="Raises and resolves alerts in a transaction of the caller.")
    def alerts(_: dg.InitResourceContext) -> ModuleType:
        import platform_assets.monitoring.alerting.alerts

        return platform_assets.monitoring.alerting.alerts

    @dg.resource(description="Where notifications go (PLATFORM_NOTIFICATIONS); nowhere when off.")
    def channels(_: dg.InitResourceContext) -> Channels:
        return open_channels(settings)

    @dg.resource(
        description="What is asked for as long as all is well (PLATFORM_DEADMAN_URL); none when not set."
    )
    def deadman(_: dg.InitResourceContext) -> DeadmanSwitch | None:
        return open_deadman(settings)

    return {"alerts": alerts, "channels": channels, "deadman": deadman}
