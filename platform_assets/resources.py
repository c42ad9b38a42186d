"""Settings → clients: how each service is opened. Nothing connects at import. No Dagster here.

The Dagster resources that hand clients out are in `dagster_resources.py`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from platform_assets.clients.database import Database
from platform_assets.notification_settings import Channel, ChannelBook, Route
from platform_assets.settings import Settings, is_off, load_channel_book

if TYPE_CHECKING:
    from platform_assets.clients.deadman import DeadmanSwitch
    from platform_assets.clients.embedder import Embedder
    from platform_assets.clients.gemini import GeminiClient
    from platform_assets.clients.github import GithubClient
    from platform_assets.clients.graph import GraphClient
    from platform_assets.clients.mailer import Mailer
    from platform_assets.clients.payment_gateway import PaymentGateway
    from platform_assets.communications.channels import Channels
    from platform_assets.monitoring.performance.sections import TokenPrice
    from platform_assets.monitoring.services.probes import ServiceOpeners
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
    """How reports are made.

    Attributes:
        folder: Where their files go.
        currency: What the payment report converts to; None converts nothing.
        token_price: What Gemini's tokens cost; None shows no cost.
    """

    folder: Path
    currency: str | None
    token_price: TokenPrice | None = None


def token_price(settings: Settings) -> TokenPrice | None:
    """What Gemini's tokens cost, where both prices are set."""
    from platform_assets.monitoring.performance.sections import TokenPrice

    prices = settings.gemini_input_price_usd, settings.gemini_output_price_usd
    return None if prices[0] is None or prices[1] is None else TokenPrice(prices[0], prices[1])


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

            # Asked on the connection that is needed anyway: every run and every tick of a sensor comes through here.
            if migrate.current_revision(database) != migrate.head_revision():
                migrate.upgrade(url)
            ensure_marketplace(settings, database)
            deliver_webhooks(settings, database)
        else:
            migrate.require_current(database)
    except BaseException:
        database.close()
        raise
    return database


def open_github(settings: Settings, **options: Any) -> GithubClient | None:
    """A GitHub client, of the local API in sandbox mode; None when GitHub is switched off.

    `options` are more of the client's arguments.
    """
    from platform_assets.clients.github import GithubClient

    if is_off(settings.github_token):
        return None
    if settings.is_sandbox:
        from platform_assets.sandbox.process import SANDBOX_GITHUB_TOKEN, ensure_sandbox

        return GithubClient(
            url=ensure_sandbox(settings).github_url,
            token=SANDBOX_GITHUB_TOKEN,
            timeout_s=settings.request_timeout_s,
            **options,
        )
    assert settings.github_token is not None  # load_settings has seen to it
    return GithubClient(
        url=settings.github_url,
        token=settings.github_token.get_secret_value(),
        timeout_s=settings.request_timeout_s,
        **options,
    )


def open_gateway(settings: Settings, **options: Any) -> PaymentGateway | None:
    """A payment gateway client, of the local API in sandbox mode; None when the gateway is switched off.

    `options` are more of the client's arguments.
    """
    from platform_assets.clients.payment_gateway import PaymentGateway

    if is_off(settings.stripe_api_key):
        return None
    if settings.is_sandbox:
        from platform_assets.sandbox.process import SANDBOX_STRIPE_KEY, ensure_sandbox

        return PaymentGateway(
            url=ensure_sandbox(settings).stripe_url,
            api_key=SANDBOX_STRIPE_KEY,
            timeout_s=settings.request_timeout_s,
            **options,
        )
    assert settings.stripe_api_key is not None  # load_settings has seen to it
    return PaymentGateway(
        url=settings.stripe_url,
        api_key=settings.stripe_api_key.get_secret_value(),
        timeout_s=settings.request_timeout_s,
        **options,
    )


def open_graph(settings: Settings, **options: Any) -> GraphClient | None:
    """A Neo4j client; None when Neo4j is switched off, as it is in sandbox mode unless a URI is given.

    `options` are more of the client's arguments.
    """
    from platform_assets.clients.graph import GraphClient

    if settings.neo4j_uri is None or is_off(settings.neo4j_uri):
        return None
    assert settings.neo4j_password is not None  # load_settings has seen to it
    return GraphClient(
        uri=settings.neo4j_uri,
        user=settings.neo4j_user,
        password=settings.neo4j_password.get_secret_value(),
        timeout_s=settings.request_timeout_s,
        **options,
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


def service_openers(settings: Settings, *, timeout_s: float | None = None) -> ServiceOpeners:
    """How to open a client of each service for one look at it: with short limits and without repeats.

    Args:
        settings: The settings.
        timeout_s: Limit of each call, in seconds; by default that of regular looks.
    """
    from platform_assets.monitoring.services.probes import PROBE_TIMEOUT_S, ServiceOpeners

    limit_s = timeout_s or PROBE_TIMEOUT_S
    brief = settings.model_copy(update={"request_timeout_s": limit_s})
    whole_s = math.ceil(limit_s)
    return ServiceOpeners(
        database=lambda: Database(
            database_url(brief), connect_timeout_s=whole_s, statement_timeout_s=whole_s
        ),
        github=lambda: open_github(brief, attempts_count=1),
        gateway=lambda: open_gateway(brief, retries_count=0),
        graph=lambda: open_graph(brief, transaction_limit_s=limit_s, retry_limit_s=0.0),
        gemini=lambda: open_gemini(brief),
    )


def open_embedder() -> Embedder:
    """The embedder; its model is loaded when the first text is encoded."""
    from platform_assets.clients.embedder import Embedder

    return Embedder()


def open_deadman(settings: Settings) -> DeadmanSwitch | None:
    """The dead man's switch; None when no address is set."""
    from platform_assets.clients.deadman import DeadmanSwitch

    if settings.deadman_url is None:
        return None
    return DeadmanSwitch(settings.deadman_url.get_secret_value(), timeout_s=settings.request_timeout_s)


SANDBOX_CHANNEL = "webhook"
SANDBOX_UI_URL = "http://127.0.0.1:3000"


def open_channels(settings: Settings) -> Channels:
    """Where notifications go: in sandbox mode a local webhook, unless a file of channels is given."""
    import platform_assets.monitoring.alerting.alerts as alerts
    from platform_assets.clients.notifier import Notifier
    from platform_assets.communications.channels import Channels

    return Channels(
        book=_channel_book(settings),
        send=Notifier(timeout_s=settings.request_timeout_s).send,
        alerts=alerts,
        ui_url=settings.ui_url or (SANDBOX_UI_URL if settings.is_sandbox else None),
    )


def _channel_book(settings: Settings) -> ChannelBook:
    if settings.notifications is not None or not settings.is_sandbox:
        return load_channel_book(settings)

    def webhook() -> str:
        from platform_assets.sandbox.process import ensure_sandbox

        return f"json://{ensure_sandbox(settings).notifications_url.partition('://')[2]}/"

    return ChannelBook(
        {SANDBOX_CHANNEL: Channel(SANDBOX_CHANNEL, webhook)},
        (Route((SANDBOX_CHANNEL,)),),
        canary=SANDBOX_CHANNEL,
    )
