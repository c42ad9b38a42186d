"""Environment → settings: every variable and secret of the platform is named here, once.

Knows nothing of Dagster and connects to nothing. Only variables that begin with `PLATFORM_` are read.
"""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from platform_assets.errors import PlatformError
from platform_assets.notification_settings import NOBODY, ChannelBook, read_channel_book

PROJECT_ROOT = Path(__file__).resolve().parent.parent

RecoveryMode = Literal["on", "dry-run", "off"]

OFF = "off"
"""The value that switches a service off by name."""


class ConfigurationError(PlatformError):
    """The environment asks for something that can't work; the message lists every problem and its remedy."""


def _default_home() -> Path:
    # An editable install keeps its state beside the sources; an installed package beside the user's work.
    base = PROJECT_ROOT if (PROJECT_ROOT / "dagster.yaml").exists() else Path.cwd()
    return base / ".platform"


class Settings(BaseSettings):
    """The platform's settings.

    Attributes:
        home: Folder of everything embedded: servers, state, reports.
        database_url: The user's Postgres. Unset means sandbox mode.
        dagster_database_url: Dagster's own storage, a database of its own.
        github_token: GitHub token, or `off`.
        github_url: REST root of GitHub or of an Enterprise server.
        stripe_api_key: Stripe secret or restricted key, or `off`.
        stripe_mode: `live`, or `test` to allow a test key in production.
        stripe_url: Root of the Stripe API.
        neo4j_uri: Bolt or neo4j URI of the graph database, or `off`; unset means off in sandbox mode.
        neo4j_user: Whom to log in there as.
        neo4j_password: Their password.
        gemini_api_key: Key of the Gemini API, or `off`.
        gemini_model: Gemini model that reads project texts. The default is the smallest that does this well; it does
            not think before it answers unless asked to, which our client library can neither ask nor forbid.
        gemini_url: Root of the Gemini API.
        gemini_tokens_per_day: Most tokens to spend on a UTC day. A project takes about 1,000, so the default reads some
            2,000 new or changed projects a day, which costs less than a dollar.
        payment_retries: `on` or `off`: whether failed payments are charged again; unset means on in sandbox mode, else off.
        payment_retry_holdout: Share of due payments that are left alone, from 0 to 1, so that what retries recover can be
            told from what comes in by itself.
        payment_reminders: `on` or `off`: whether clients are reminded by mail; in sandbox mode into a local folder.
        payment_reminder_smtp_url: Mail server, such as `smtps://user:password@host`.
        payment_reminder_sender: Address that reminders come from.
        report_currency: ISO 4217 code that the payment report converts to, at rates that the user has loaded; unset
            means that nothing is converted.
        gemini_input_price_usd: What Gemini takes for a million tokens that it reads, in US dollars; with the next one, the
            performance report shows the cost. No price is shipped: it depends on model and contract, and changes.
        gemini_output_price_usd: What it takes for a million tokens that it answers.
        notifications: TOML file with the channels and routes of alerts (`docs/notifications.md`), or `off`; in sandbox mode
            they end at a local webhook unless a file is given.
        deadman_url: Address that is asked for as long as all is well, so that whoever watches it notices silence.
        ui_url: Where people reach Dagster's UI; messages link there.
        recovery: `on`, `dry-run` or `off`: whether stuck work is freed, only named, or not even looked for.
        as_of: UTC day for which derived values are computed; unset means today.
        request_timeout_s: Limit of every HTTP call, in seconds.
        sandbox_seed: Seed of the generated marketplace.
        sandbox_developers: Size of the generated marketplace.
        sandbox_projects: Size of the generated marketplace.
        sandbox_anchor: Day before which generated history lies; unset means the day of loading.
        sandbox_error_rate: Share of local API calls that fail with a 5xx, from 0 to 1.
        sandbox_latency_ms: Delay of every local API call, in milliseconds.
        sandbox_timeout_rate: Share of local API calls that never answer, from 0 to 1.
        sandbox_github_limit: Primary GitHub limit of the local API, in points or calls an hour.
        sandbox_gemini_limit: Limit of the local Gemini API, in calls a minute.
    """

    model_config = SettingsConfigDict(
        env_prefix="PLATFORM_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    home: Path = Field(default_factory=_default_home)
    database_url: SecretStr | None = None
    dagster_database_url: SecretStr | None = None
    github_token: SecretStr | None = None
    github_url: str = "https://api.github.com"
    stripe_api_key: SecretStr | None = None
    stripe_mode: Literal["live", "test"] = "live"
    stripe_url: str = "https://api.stripe.com"
    neo4j_uri: str | None = None
    neo4j_user: str = "neo4j"
    neo4j_password: SecretStr | None = None
    gemini_api_key: SecretStr | None = None
    gemini_model: str = Field(default="gemini-2.5-flash-lite", pattern=r"^[\w.-]+$")
    gemini_url: str = "https://generativelanguage.googleapis.com"
    gemini_tokens_per_day: int = Field(default=2_000_000, ge=0)
    payment_retries: Literal["on", "off"] | None = None
    payment_retry_holdout: float = Field(default=0.0, ge=0, le=1)
    payment_reminders: Literal["on", "off"] = "off"
    payment_reminder_smtp_url: SecretStr | None = None
    payment_reminder_sender: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    report_currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    gemini_input_price_usd: Decimal | None = Field(default=None, ge=0)
    gemini_output_price_usd: Decimal | None = Field(default=None, ge=0)
    notifications: str | None = None
    deadman_url: SecretStr | None = None
    ui_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    recovery: RecoveryMode = "on"
    as_of: dt.date | None = None
    request_timeout_s: float = Field(default=20.0, gt=0)
    sandbox_seed: int = 20261101
    sandbox_developers: int = Field(default=1_000, ge=1)
    sandbox_projects: int = Field(default=200, ge=0)
    sandbox_anchor: dt.date | None = None
    sandbox_error_rate: float = Field(default=0.0, ge=0, le=1)
    sandbox_latency_ms: float = Field(default=0.0, ge=0)
    sandbox_timeout_rate: float = Field(default=0.0, ge=0, le=1)
    sandbox_github_limit: int = Field(default=5_000, ge=1)
    sandbox_gemini_limit: int = Field(default=4_000, ge=0)

    @property
    def is_sandbox(self) -> bool:
        """Whether everything is embedded, because no database was given."""
        return self.database_url is None

    @property
    def is_retrying_payments(self) -> bool:
        """Whether failed payments are charged again."""
        return self.payment_retries == "on" or (self.payment_retries is None and self.is_sandbox)

    @property
    def as_of_day(self) -> dt.date:
        """UTC day for which derived values are computed."""
        return self.as_of or dt.datetime.now(dt.UTC).date()


def is_off(value: SecretStr | str | None) -> bool:
    """Whether a service was switched off by name."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return text is not None and text.strip().lower() == OFF


_SERVICES = {
    "PLATFORM_DAGSTER_DATABASE_URL": (
        "dagster_database_url",
        "Postgres URL of a database for Dagster's own storage",
    ),
    "PLATFORM_GITHUB_TOKEN": ("github_token", "GitHub token, or `off`"),
    "PLATFORM_STRIPE_API_KEY": ("stripe_api_key", "Stripe secret or restricted key, or `off`"),
    "PLATFORM_NEO4J_URI": ("neo4j_uri", "URI of the Neo4j database that the skill graph goes to, or `off`"),
    "PLATFORM_GEMINI_API_KEY": ("gemini_api_key", "Gemini API key, or `off`"),
    "PLATFORM_NOTIFICATIONS": (
        "notifications",
        "TOML file with the channels that alerts are sent through (docs/notifications.md), or `off`",
    ),
}

_LIVE_KEYS = ("sk_live_", "rk_live_")
_TEST_KEYS = ("sk_test_", "rk_test_")

_NEO4J_SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


def _neo4j_problems(settings: Settings) -> list[str]:
    if settings.neo4j_uri is None or is_off(settings.neo4j_uri):
        return []
    problems = []
    scheme, _, rest = settings.neo4j_uri.partition("://")
    if scheme not in _NEO4J_SCHEMES or not rest:
        problems.append(
            f"PLATFORM_NEO4J_URI is no address of a Neo4j: it begins with one of {', '.join(_NEO4J_SCHEMES)} and `://`"
        )
    if "@" in rest:
        # An address is shown in logs.
        problems.append(
            "PLATFORM_NEO4J_URI holds a user or a password: give them as PLATFORM_NEO4J_USER and PLATFORM_NEO4J_PASSWORD"
        )
    if settings.neo4j_password is None:
        problems.append("PLATFORM_NEO4J_PASSWORD is not set: password of PLATFORM_NEO4J_USER in Neo4j")
    return problems


def _reminder_problems(settings: Settings) -> list[str]:
    if settings.is_sandbox or settings.payment_reminders == "off":
        return []
    problems = []
    if settings.payment_reminder_sender is None:
        problems.append(
            "PLATFORM_PAYMENT_REMINDER_SENDER is not set: address that payment reminders come from"
        )
    url = settings.payment_reminder_smtp_url
    if url is None:
        problems.append("PLATFORM_PAYMENT_REMINDER_SMTP_URL is not set: mail server for payment reminders")
    elif not url.get_secret_value().startswith(("smtp://", "smtps://")):
        problems.append("PLATFORM_PAYMENT_REMINDER_SMTP_URL must begin with smtps:// or smtp://")
    return problems


def _notification_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.deadman_url is not None:
        url = settings.deadman_url.get_secret_value()
        if not url.startswith(("https://", "http://")):
            problems.append("PLATFORM_DEADMAN_URL must begin with https:// or http://")
    if settings.notifications is not None and not is_off(settings.notifications):
        problems += _read_channels(settings.notifications)[1]
    return problems


def load_channel_book(settings: Settings) -> ChannelBook:
    """The channels and routes in the file that the settings name.

    Raises:
        ConfigurationError: The file is not usable; lists every problem, and shows no address.
    """
    if settings.notifications is None or is_off(settings.notifications):
        return NOBODY
    book, problems = _read_channels(settings.notifications)
    if problems:
        raise ConfigurationError(_list_problems(problems))
    return book


def _read_channels(name: str) -> tuple[ChannelBook, list[str]]:
    book, problems = read_channel_book(Path(name), os.environ)
    return book, [f"PLATFORM_NOTIFICATIONS ({name}): {problem}" for problem in problems]


def _mode_problems(settings: Settings) -> list[str]:
    stripe_key = settings.stripe_api_key.get_secret_value() if settings.stripe_api_key else ""
    if settings.is_sandbox:
        problems = []
        if stripe_key.startswith(_LIVE_KEYS):
            problems.append(
                "PLATFORM_STRIPE_API_KEY is a live key, but the platform is in sandbox mode: unset the key, or set "
                "PLATFORM_DATABASE_URL for production"
            )
        if settings.sandbox_error_rate + settings.sandbox_timeout_rate > 1:
            problems.append(
                "PLATFORM_SANDBOX_ERROR_RATE and PLATFORM_SANDBOX_TIMEOUT_RATE together exceed 1: a call meets one fault"
            )
        return problems
    problems = [
        f"{variable} is not set: {meaning}"
        for variable, (field, meaning) in _SERVICES.items()
        if getattr(settings, field) is None
    ]
    if stripe_key.startswith(_TEST_KEYS) and settings.stripe_mode != "test":
        problems.append(
            "PLATFORM_STRIPE_API_KEY is a test key: set PLATFORM_STRIPE_MODE=test if that is meant"
        )
    if stripe_key.startswith(_LIVE_KEYS) and settings.stripe_mode == "test":
        problems.append("PLATFORM_STRIPE_API_KEY is a live key, but PLATFORM_STRIPE_MODE is test")
    return problems


def load_settings() -> Settings:
    """Read and check the environment.

    Returns:
        The settings.

    Raises:
        ConfigurationError: A value is malformed, something is missing for production, or a key has the wrong mode.
            All problems are listed at once; no value of a secret is shown.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        # `msg` and `loc` only: `input` would print the value, and the value may be a secret.
        problems = [
            f"PLATFORM_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)
        ]
        raise ConfigurationError(_list_problems(problems)) from None
    problems = [
        problem
        for find in (_mode_problems, _neo4j_problems, _reminder_problems, _notification_problems)
        for problem in find(settings)
    ]
    if problems:
        raise ConfigurationError(_list_problems(problems))
    return settings


def _list_problems(problems: list[str]) -> str:
    return "The environment is not usable:\n" + "\n".join(f"  - {problem}" for problem in problems)
