"""What every local API is handed: the state, the faults, the limits and the request counters of one server process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from platform_assets.sandbox.faults import FaultSettings, FaultSource
from platform_assets.sandbox.github_limits import Limiter
from platform_assets.sandbox.state import SandboxState

SERVICES = ("github", "stripe")


@dataclass(frozen=True)
class ServerConfig:
    """How a server behaves, as its starter says.

    Attributes:
        faults: What goes wrong, per service.
        github_limit: GitHub's primary limit, in calls (REST) or points (GraphQL) an hour.
        seed: Seed of the faults.
    """

    faults: Mapping[str, FaultSettings]
    github_limit: int
    seed: int

    def as_json(self) -> dict[str, Any]:
        """The form in which it travels to the server."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the form that `as_json` gives."""
        return cls(
            faults={service: FaultSettings(**value["faults"][service]) for service in SERVICES},
            github_limit=value["github_limit"],
            seed=value["seed"],
        )


@dataclass
class Sandbox:
    """One server's parts.

    Attributes:
        state: The open state.
        faults: What goes wrong, per service.
        limiter: GitHub's primary limit.
        seed: Seed of the faults.
        requests: Calls so far, by (service, method and route).
        in_flight_keys: Idempotency keys of Stripe calls that have not been answered.
    """

    state: SandboxState
    faults: dict[str, FaultSource]
    limiter: Limiter
    seed: int
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight_keys: set[str] = field(default_factory=set)

    @classmethod
    def create(cls, state: SandboxState, config: ServerConfig) -> Self:
        """Join the parts for a configuration."""
        return cls(
            state=state,
            faults={
                service: FaultSource.seeded(config.faults[service], service=service, seed=config.seed)
                for service in SERVICES
            },
            limiter=Limiter(config.github_limit),
            seed=config.seed,
        )
