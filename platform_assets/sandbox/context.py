"""What every local API is handed: the state, the faults, the limits and the request counters of one server process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from platform_assets.sandbox.faults import FaultSettings, FaultSource
from platform_assets.sandbox.github.limits import Limiter
from platform_assets.sandbox.state import SandboxState

SERVICES = ("github", "stripe", "gemini")


@dataclass(frozen=True)
class ServerConfig:
    """How a server behaves, as its starter says.

    Attributes:
        faults: What goes wrong, per service.
        github_limit: GitHub's primary limit, in calls (REST) or points (GraphQL) an hour.
        gemini_limit: Gemini's limit, in calls a minute.
        seed: Seed of the faults.
    """

    faults: Mapping[str, FaultSettings]
    github_limit: int
    gemini_limit: int
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
            gemini_limit=value["gemini_limit"],
            seed=value["seed"],
        )


@dataclass
class MinuteLimit:
    """A limit of calls a minute, counted by the clock's minutes.

    Attributes:
        calls_per_minute: The limit.
    """

    calls_per_minute: int
    _minute: int = 0
    _calls_count: int = 0

    def take(self) -> float | None:
        """Count a call; gives the seconds until there is room when there is none."""
        now = time.time()
        if int(now // 60) != self._minute:
            self._minute, self._calls_count = int(now // 60), 0
        if self._calls_count >= self.calls_per_minute:
            return (self._minute + 1) * 60 - now
        self._calls_count += 1
        return None


@dataclass
class Sandbox:
    """One server's parts.

    Attributes:
        state: The open state.
        faults: What goes wrong, per service.
        limiter: GitHub's limits.
        gemini_limit: Gemini's limit.
        seed: Seed of the faults.
        requests: Calls so far, by (service, method and route).
        in_flight_keys: Idempotency keys of Stripe calls that have not been answered.
    """

    state: SandboxState
    faults: dict[str, FaultSource]
    limiter: Limiter
    gemini_limit: MinuteLimit
    seed: int
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight_keys: set[str] = field(default_factory=set)

    @classmethod
    def create(
        cls, state: SandboxState, config: ServerConfig, *, clock: Callable[[], float] = time.time
    ) -> Self:
        """Join the parts for a configuration; `clock` gives the seconds since 1970 by which GitHub's limits count."""
        return cls(
            state=state,
            faults={
                service: FaultSource.seeded(config.faults[service], service=service, seed=config.seed)
                for service in SERVICES
            },
            limiter=Limiter(config.github_limit, clock),
            gemini_limit=MinuteLimit(config.gemini_limit),
            seed=config.seed,
        )
