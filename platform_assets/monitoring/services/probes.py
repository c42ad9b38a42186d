"""What is asked of each service: one cheap call through the client that the platform itself uses.

Asking side by side and within limits is `probing.py`. Dagster's own parts are asked by `dagster_parts.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from platform_assets.clients.embedder import verify_packaged_model
from platform_assets.monitoring.services.probing import Answer, Ask, Look, Probe, ask_all, timed

if TYPE_CHECKING:
    from platform_assets.clients.database import Database
    from platform_assets.clients.gemini import GeminiClient
    from platform_assets.clients.github import GithubClient
    from platform_assets.clients.graph import GraphClient
    from platform_assets.clients.payment_gateway import PaymentGateway

PROBE_TIMEOUT_S = 5.0
"""Limit of each call: whoever takes longer is no use to a run that makes hundreds."""

LOOK_LIMIT_S = 15.0
"""Limit of a whole look: loading the libraries, connecting, and the call; a body that drips in ends here, too."""

_POSTGRES_NUMBERS = sa.text(
    "SELECT current_setting('server_version_num')::int / 10000 AS version, pg_is_in_recovery() AS is_standby, "
    "(SELECT sum(numbackends) FROM pg_stat_database)::float / (current_setting('max_connections')::int "
    "- current_setting('superuser_reserved_connections')::int) AS connections_used_ratio, "
    "(SELECT count(*) FROM pg_stat_replication) AS standbys_count, "
    "(SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication)::float AS replication_lag_s"
)
"""Only what every role may see; the lag is null without a standby, or for a role that may not see it."""


@dataclass(frozen=True)
class ServiceOpeners:
    """How each service's client is opened, for one look; None is given for what is switched off.

    The clients have short limits and repeat nothing: a look tells how the service is, not how patient we are.
    """

    database: Callable[[], Database]
    github: Callable[[], GithubClient | None]
    gateway: Callable[[], PaymentGateway | None]
    graph: Callable[[], GraphClient | None]
    gemini: Callable[[], GeminiClient | None]


def probe_services(
    openers: ServiceOpeners,
    *,
    services: Collection[str] | None = None,
    more: Mapping[str, Ask] | None = None,
    limit_s: float = LOOK_LIMIT_S,
) -> list[Probe]:
    """Look at services, all at once.

    Args:
        openers: Open the clients.
        services: Names of those to look at: `postgres`, `github`, `stripe`, `neo4j`, `gemini`, `embedder`; None is all.
        more: Others, by name, with how to ask them.
        limit_s: Longest wait for any of them, in seconds.

    Returns:
        One look each; who does not answer is a failed look, not an error.
    """
    asks: dict[str, Ask] = {
        "postgres": lambda: _ask_postgres(openers.database()),
        "github": lambda: _ask_github(openers.github()),
        "stripe": lambda: _ask_gateway(openers.gateway()),
        "neo4j": lambda: _ask_graph(openers.graph()),
        "gemini": lambda: _ask_gemini(openers.gemini()),
        "embedder": _ask_embedder,
    }
    chosen = {name: ask for name, ask in asks.items() if services is None or name in services}
    return ask_all({**chosen, **(more or {})}, limit_s=limit_s)


# Libraries change the process's warning filters while they load, so they load one after another; before the clock starts.
_loading = threading.Lock()


def _off(why: str) -> Answer:
    return Answer(why, look=Look.OFF)


def _ask_postgres(database: Database) -> Answer:
    def ask() -> Mapping[str, Any]:
        with database.transaction() as connection:
            return connection.execute(_POSTGRES_NUMBERS).one()._asdict()

    with database:
        numbers, latency_ms = timed(ask)
    details = {name: value for name, value in numbers.items() if value is not None}
    if numbers["is_standby"]:
        return Answer("is a standby, which only reads", latency_ms, details, Look.FAILED)
    used = numbers["connections_used_ratio"]
    return Answer(f"answers; {used:.0%} of its connections are in use", latency_ms, details)


def _ask_github(client: GithubClient | None) -> Answer:
    if client is None:
        return _off("switched off by PLATFORM_GITHUB_TOKEN=off")
    with _loading:
        import github  # noqa: F401  (its loading is no part of the answer's time)
    with client:
        budget, latency_ms = timed(client.read_budget)
    return Answer(
        f"answers; {budget.remaining:,} of {budget.limit:,} points left this hour",
        latency_ms,
        {"points_left_count": budget.remaining, "points_limit_count": budget.limit},
    )


def _ask_gateway(client: PaymentGateway | None) -> Answer:
    if client is None:
        return _off("switched off by PLATFORM_STRIPE_API_KEY=off")
    with _loading:
        import stripe  # noqa: F401  (as above)
    with client:
        _, latency_ms = timed(client.verify_key)
    return Answer("answers and accepts the key", latency_ms)


def _ask_graph(client: GraphClient | None) -> Answer:
    if client is None:
        return _off("off: PLATFORM_NEO4J_URI is not set, or switches it off")
    with _loading:
        import neo4j  # noqa: F401  (as above)
    with client:
        agent = client.read_agent()
        _, latency_ms = timed(lambda: client.read("RETURN 1 AS one", action="ask for 1"))
    return Answer(f"answers as {agent} and accepts the user", latency_ms)


def _ask_gemini(client: GeminiClient | None) -> Answer:
    from platform_assets.clients.gemini import load_library

    if client is None:
        return _off("switched off by PLATFORM_GEMINI_API_KEY=off")
    with _loading:
        load_library()
    with client:
        _, latency_ms = timed(client.verify_model)
    return Answer(f"answers, accepts the key and has {client.model}", latency_ms)


def _ask_embedder() -> Answer:
    # Loading the model costs 5 seconds of CPU: how fast it is, is known from the calls that assets made of it.
    return Answer(f"weights of {verify_packaged_model()} verified")
