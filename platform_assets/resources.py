"""Settings → clients, and the Dagster resources that hand them out.

A resource is the plain client itself, opened when a step first needs it: nothing connects at import or at load.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg
from sqlalchemy.engine import make_url

from platform_assets.clients.database import Database
from platform_assets.settings import RecoveryMode, Settings, is_off

if TYPE_CHECKING:
    from platform_assets.clients.embedder import Embedder
    from platform_assets.clients.gemini import GeminiClient
    from platform_assets.clients.github import GithubClient
    from platform_assets.clients.graph import GraphClient
    from platform_assets.clients.mailer import Mailer
    from platform_assets.clients.payment_gateway import PaymentGateway
    from platform_assets.payments.retry_policy import RetryPolicy


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Clock:
    """The one place where a run reads time.

    Attributes:
        as_of: UTC day for which derived values are computed.
        read: Gives the present moment (UTC).
    """

    as_of: dt.date
    read: Callable[[], dt.datetime] = _now


@dataclass(frozen=True)
class ReportOptions:
    """How the payment report is made.

    Attributes:
        folder: Where its files go.
        currency: What it converts to; None converts nothing.
    """

    folder: Path
    currency: str | None


def database_url(settings: Settings) -> str:
    """SQLAlchemy URL of the platform's database; in sandbox mode the embedded server is started if need be."""
    if settings.database_url is None:
        from platform_assets.clients.embedded_postgres import ensure_postgres

        return ensure_postgres(settings.home).url("platform")
    url = make_url(settings.database_url.get_secret_value())
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def open_database(settings: Settings) -> Database:
    """A client of the migrated database, with a marketplace in it.

    In sandbox mode the server is started, the schema migrated and the demo marketplace loaded where that has not
    happened yet. In production nothing is changed.

    Raises:
        SchemaBehindError: The schema's version is not this release's (production).
    """
    import platform_assets.migrations.migrate as migrate

    url = database_url(settings)
    database = Database(url)
    try:
        if settings.is_sandbox:
            from platform_assets.sandbox.demo import deliver_webhooks, ensure_marketplace

            migrate.upgrade(url)
            ensure_marketplace(settings, database)
            deliver_webhooks(settings, database)
        else:
            migrate.require_current(database)
    except BaseException:
        database.close()
        raise
    return database


def open_github(settings: Settings) -> GithubClient | None:
    """A GitHub client, of the local API in sandbox mode; None when GitHub is switched off."""
    from platform_assets.clients.github import GithubClient

    if is_off(settings.github_token):
        return None
    if settings.is_sandbox:
        from platform_assets.sandbox.process import SANDBOX_GITHUB_TOKEN, ensure_sandbox

        return GithubClient(
            url=ensure_sandbox(settings).github_url,
            token=SANDBOX_GITHUB_TOKEN,
            timeout_s=settings.request_timeout_s,
        )
    assert settings.github_token is not None  # load_settings has seen to it
    return GithubClient(
        url=settings.github_url,
        token=settings.github_token.get_secret_value(),
        timeout_s=settings.request_timeout_s,
    )


def open_gateway(settings: Settings) -> PaymentGateway | None:
    """A payment gateway client, of the local API in sandbox mode; None when the gateway is switched off."""
    from platform_assets.clients.payment_gateway import PaymentGateway

    if is_off(settings.stripe_api_key):
        return None
    if settings.is_sandbox:
        from platform_assets.sandbox.process import SANDBOX_STRIPE_KEY, ensure_sandbox

        return PaymentGateway(
            url=ensure_sandbox(settings).stripe_url,
            api_key=SANDBOX_STRIPE_KEY,
            timeout_s=settings.request_timeout_s,
        )
    assert settings.stripe_api_key is not None  # load_settings has seen to it
    return PaymentGateway(
        url=settings.stripe_url,
        api_key=settings.stripe_api_key.get_secret_value(),
        timeout_s=settings.request_timeout_s,
    )


def open_graph(settings: Settings) -> GraphClient | None:
    """A Neo4j client; None when Neo4j is switched off, as it is in sandbox mode unless a URI is given."""
    from platform_assets.clients.graph import GraphClient

    if settings.neo4j_uri is None or is_off(settings.neo4j_uri):
        return None
    assert settings.neo4j_password is not None  # load_settings has seen to it
    return GraphClient(
        uri=settings.neo4j_uri,
        user=settings.neo4j_user,
        password=settings.neo4j_password.get_secret_value(),
        timeout_s=settings.request_timeout_s,
    )


def open_gemini(settings: Settings) -> GeminiClient | None:
    """A Gemini client, of the local API in sandbox mode; None when Gemini is switched off."""
    from platform_assets.clients.gemini import GeminiClient

    if is_off(settings.gemini_api_key):
        return None
    if settings.is_sandbox:
        from platform_assets.sandbox.process import SANDBOX_GEMINI_KEY, ensure_sandbox

        url, api_key = ensure_sandbox(settings).gemini_url, SANDBOX_GEMINI_KEY
    else:
        assert settings.gemini_api_key is not None  # load_settings has seen to it
        url, api_key = settings.gemini_url, settings.gemini_api_key.get_secret_value()
    return GeminiClient(
        url=url,
        api_key=api_key,
        model=settings.gemini_model,
        timeout_s=settings.request_timeout_s,
        tokens_per_day=settings.gemini_tokens_per_day,
    )


SANDBOX_SENDER = "payments@marketplace.example"


@dataclass(frozen=True)
class PaymentRules:
    """What the platform may do about payments by itself.

    Attributes:
        retry_policy: How failed payments are charged again; None when they are not.
        mailer: Where reminders go; None when there are none.
        sender: Address that they come from.
    """

    retry_policy: RetryPolicy | None = None
    mailer: Mailer | None = None
    sender: str = SANDBOX_SENDER


def payment_rules(settings: Settings) -> PaymentRules:
    """What the settings allow; reminders of the sandbox end in `<home>/mail`."""
    from platform_assets.clients.mailer import FolderMailer, SmtpMailer
    from platform_assets.payments.retry_policy import RetryPolicy

    policy = (
        RetryPolicy(holdout_share=settings.payment_retry_holdout) if settings.is_retrying_payments else None
    )
    if settings.payment_reminders == "off":
        return PaymentRules(policy)
    if settings.is_sandbox:
        return PaymentRules(policy, FolderMailer(settings.home / "mail"))
    # load_settings has seen to both.
    assert settings.payment_reminder_smtp_url is not None
    assert settings.payment_reminder_sender is not None
    mailer = SmtpMailer(
        settings.payment_reminder_smtp_url.get_secret_value(), timeout_s=settings.request_timeout_s
    )
    return PaymentRules(policy, mailer, settings.payment_reminder_sender)


def open_embedder() -> Embedder:
    """The embedder; its model is loaded when the first text is encoded."""
    from platform_assets.clients.embedder import Embedder

    return Embedder()


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
        description="Where the payment report goes (PLATFORM_HOME) and what it converts to (PLATFORM_REPORT_CURRENCY)."
    )
    def report_options(_: dg.InitResourceContext) -> ReportOptions:
        return ReportOptions(folder=settings.home / "report", currency=settings.report_currency)

    @dg.resource(
        description="Whether stuck work is freed, only named, or not looked for (PLATFORM_RECOVERY)."
    )
    def recovery_mode(_: dg.InitResourceContext) -> RecoveryMode:
        return settings.recovery

    @dg.resource(description="Raises and resolves alerts in a transaction of the caller.")
    def alerts(_: dg.InitResourceContext) -> ModuleType:
        import platform_assets.monitoring.alerting.alerts

        return platform_assets.monitoring.alerting.alerts

    return {
        "alerts": alerts,
        "database": database,
        "github": github,
        "gateway": gateway,
        "graph": graph,
        "gemini": gemini,
        "embedder": embedder,
        "payment_rules": rules,
        "clock": clock,
        "recovery_mode": recovery_mode,
        "report_options": report_options,
    }
