"""A small generated marketplace and the platform over it, for tests of the Dagster shell.

Everything is real: Postgres, the local API server, the clients, the embedder. Fixtures are `conftest.py`'s.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedder import Embedder
from platform_assets.clients.gemini import GeminiClient
from platform_assets.clients.github import GithubClient
from platform_assets.clients.notifier import Notifier
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.communications.channels import Channels
from platform_assets.definitions import build_definitions
from platform_assets.monitoring.alerting import alerts
from platform_assets.monitoring.alerting.check_alerts import alert_on_checks
from platform_assets.monitoring.alerting.exposure import ImpactReader
from platform_assets.monitoring.alerting.topology import read_topology
from platform_assets.monitoring.checking.states import read_check_states
from platform_assets.monitoring.services.probes import ServiceOpeners
from platform_assets.notification_settings import Channel, ChannelBook, Route
from platform_assets.payments.assets import analytics_run_tags
from platform_assets.resources import Clock
from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.process import SandboxEndpoints
from platform_assets.schedules import ANALYTICS_JOB, CHECKS_JOB, MAIN_JOB
from platform_assets.settings import Settings
from platform_assets.tables import payments
from platform_assets.tables import platform as tables
from platform_assets.tables.matching import match_spares
from platform_assets.tables.skill_graph import skill_graph_projection
from platform_assets.tables.skill_texts import labelled_samples

AS_OF = dt.date(2026, 11, 1)
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

# With five open projects, payments, and two linked accounts that GitHub does not know.
WORLD = generate_world(seed=3, developers_count=30, projects_count=8, anchor=AS_OF)

# What the main job derives.
DERIVED = {
    table.name: table
    for table in tables.metadata.sorted_tables
    # Analytics by day are computed by a job of their own; there is no Neo4j; lists are too short for spare places; samples
    # are the user's to label, rates the user's to load.
    if table
    not in (
        payments.gateway_cursors,
        payments.payment_analytics,
        payments.exchange_rates,
        skill_graph_projection,
        match_spares,
        labelled_samples,
    )
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    result: dg.ExecuteInProcessResult

    @property
    def is_success(self) -> bool:
        return self.result.success

    def metadata(self, asset: str) -> dict[str, Any]:
        """What the asset's materialization says, as plain values."""
        [event] = [
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(asset)
        ][:1]
        return {name: value.value for name, value in event.materialization.metadata.items()}

    def rows_written(self, asset: str) -> int:
        counts = self.metadata(asset)
        return int(sum(counts[f"rows_{name}"] for name in ("inserted", "updated", "deleted")))

    def failed_steps(self) -> set[str]:
        return {event.step_key or "" for event in self.result.get_step_failure_events()}

    def failure(self, step: str) -> str:
        """The text of the error that made a step fail, without what Dagster wraps around it."""
        [event] = [event for event in self.result.get_step_failure_events() if event.step_key == step]
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        return error.message if error else ""

    def checks(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        return {
            (evaluation.asset_key.to_user_string(), evaluation.check_name): evaluation
            for evaluation in self.result.get_asset_check_evaluations()
        }

    def broken_checks(self, severity: dg.AssetCheckSeverity) -> set[tuple[str, str]]:
        return {
            key for key, check in self.checks().items() if not check.passed and check.severity is severity
        }


@dataclasses.dataclass
class Platform:
    """The definitions over one database, with clients of the local APIs."""

    database: Database
    instance: dg.DagsterInstance
    endpoints: SandboxEndpoints
    embedder: Embedder
    settings: Settings

    def definitions(self, *, now: dt.datetime = NOW, **overrides: Any) -> dg.Definitions:
        resources = {
            "database": self.database,
            "github": github_client(self.endpoints.github_url),
            "gateway": gateway_client(self.endpoints.stripe_url),
            "gemini": gemini_client(self.endpoints.gemini_url),
            "embedder": self.embedder,
            "channels": local_channels(self.endpoints.notifications_url),
            "services": self.service_openers(),
            "clock": Clock(as_of=now.date(), read=lambda: now),
            **overrides,
        }
        return build_definitions(
            self.settings,
            **{name: dg.ResourceDefinition.hardcoded_resource(value) for name, value in resources.items()},
        )

    def service_openers(self) -> ServiceOpeners:
        """Clients for looks at the services' health; there is no Neo4j."""
        url = self.database.engine.url
        return ServiceOpeners(
            database=lambda: Database(url),
            github=lambda: github_client(self.endpoints.github_url),
            gateway=lambda: gateway_client(self.endpoints.stripe_url),
            graph=lambda: None,
            gemini=lambda: gemini_client(self.endpoints.gemini_url),
        )

    def run(
        self,
        *assets: str,
        job: str = MAIN_JOB,
        tags: Mapping[str, str] | None = None,
        now: dt.datetime = NOW,
        with_checks: bool = True,
        **overrides: Any,
    ) -> Outcome:
        """Materialize some assets, or everything that a job does."""
        definition = self.definitions(now=now, **overrides).resolve_job_def(job)
        if assets or not with_checks:
            keys = {dg.AssetKey(name) for name in assets} or definition.asset_layer.executable_asset_keys
            definition = definition.get_subset(
                asset_selection=keys, asset_check_selection=None if with_checks else set()
            )
        return self._execute(definition, tags)

    def run_checks(self, *assets: str, now: dt.datetime = NOW) -> Outcome:
        """Evaluate the checks of some assets, or all checks."""
        definitions = self.definitions(now=now)
        definition = definitions.resolve_job_def(CHECKS_JOB)
        if assets:
            known = definitions.resolve_asset_graph().asset_check_keys
            keys = {key for key in known if key.asset_key.to_user_string() in assets}
            definition = definition.get_subset(asset_check_selection=keys)
        return self._execute(definition)

    def _execute(self, definition: dg.JobDefinition, tags: Mapping[str, str] | None = None) -> Outcome:
        # Dagster prints every event otherwise.
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return Outcome(
            definition.execute_in_process(
                instance=self.instance, raise_on_error=False, tags=dict(tags or {}), run_config=quiet
            )
        )

    def run_analytics(self, *, now: dt.datetime = NOW) -> Outcome | None:
        """Compute the days that want it; None when none does."""
        tags = analytics_run_tags(self.database, self.instance, now.date())
        return self.run(job=ANALYTICS_JOB, tags=tags, now=now) if tags else None

    def tell_of_checks(self, *, now: dt.datetime) -> None:
        """Bring the alerts in line with the checks, as the sensor does."""
        graph = self.definitions(now=now).resolve_asset_graph()
        alert_on_checks(
            self.database,
            read_check_states(graph, self.instance),
            ImpactReader(self.database, read_topology(graph), now=now),
            now=now,
        )

    def rows(self, table: sa.Table) -> list[list[Any]]:
        """A table's rows by key as plain values."""
        return plain_rows(rows_of(self.database, table))

    def execute(self, statement: str, **parameters: Any) -> None:
        with self.database.transaction() as connection:
            connection.execute(sa.text(statement), parameters)

    def values(self, query: str, **parameters: Any) -> list[Any]:
        """The first column of a query's rows."""
        frame = self.database.read(sa.text(query), parameters)
        return frame.iloc[:, 0].tolist()


def rows_of(database: Database, table: sa.Table) -> pd.DataFrame:
    """A table's rows by key, without what tells when they were written."""
    columns = [column for column in table.columns if not column.info.get("bookkeeping")]
    return database.read(sa.select(*columns).order_by(*table.primary_key.columns))


def derived_rows(database: Database) -> dict[str, list[list[Any]]]:
    """Every derived table's rows as plain values; vectors as lists."""
    return {name: plain_rows(rows_of(database, table)) for name, table in DERIVED.items()}


def plain_rows(frame: pd.DataFrame) -> list[list[Any]]:
    return [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if not isinstance(value, list | dict) and pd.isna(value) else value


def local_channels(url: str) -> Channels:
    """Everything goes to a webhook."""
    address = f"json://{url.partition('://')[2]}/"
    book = ChannelBook(
        {"webhook": Channel("webhook", lambda: address)}, (Route(("webhook",)),), canary="webhook"
    )
    return Channels(book, Notifier(timeout_s=5).send, alerts)


def github_client(url: str, *, timeout_s: float = 10.0) -> GithubClient:
    return GithubClient(url=url, token="sandbox-token", timeout_s=timeout_s, backoff_s=0.01)


def gateway_client(
    url: str, *, api_key: str = "sk_test_sandbox", retries_count: int = 0, timeout_s: float = 10.0
) -> PaymentGateway:
    return PaymentGateway(url=url, api_key=api_key, timeout_s=timeout_s, retries_count=retries_count)


def gemini_client(url: str, *, timeout_s: float = 10.0, tokens_per_day: int = 2_000_000) -> GeminiClient:
    return GeminiClient(
        url=url,
        api_key="AIza-sandbox",
        model="gemini-2.5-flash-lite",
        timeout_s=timeout_s,
        tokens_per_day=tokens_per_day,
    )
