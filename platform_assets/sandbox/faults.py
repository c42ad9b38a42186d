"""Faults of the local APIs: which share of calls fails, how late they answer, and which never do.

Decides only; what a fault looks like on the wire is each API's own. Decisions come from a seeded generator, so that
the same calls in the same order meet the same faults.
"""

from __future__ import annotations

import asyncio
import enum
import random
from dataclasses import asdict, dataclass
from typing import Any, Self

from starlette.requests import Request

HOLD_S = 120.0
"""A call that is never answered is held this long; every client's own limit is meant to be shorter."""

STATUSES = (500, 502, 503)


@dataclass(frozen=True)
class FaultSettings:
    """What goes wrong at one service.

    Attributes:
        error_rate: Share of calls that fail with a 5xx, from 0 to 1.
        latency_ms: Delay of every call, in milliseconds.
        timeout_rate: Share of calls that are never answered, from 0 to 1.
        invalid_rate: Share of calls whose answer is well-formed but no good, from 0 to 1: Gemini's breaks off within
            its JSON. Services whose answers a program makes fail with a 5xx instead.
        limited_rate: Share of calls refused with a 429, from 0 to 1, before anything was done.
        after_effect_ratio: Of the faults that strike a call with an effect (Stripe's POSTs), the share that strikes
            after it: the caller can't know that the money moved. The others strike before anything was done.
    """

    error_rate: float = 0.0
    latency_ms: float = 0.0
    timeout_rate: float = 0.0
    invalid_rate: float = 0.0
    limited_rate: float = 0.0
    after_effect_ratio: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, not {value!r}")  # noqa: TRY004  (one error for any bad value)
            limit = 600_000.0 if name == "latency_ms" else 1.0
            if not 0 <= value <= limit:
                raise ValueError(f"{name} must be between 0 and {limit:g}, not {value!r}")
        if self.error_rate + self.timeout_rate + self.invalid_rate + self.limited_rate > 1:
            raise ValueError(
                "error_rate, timeout_rate, invalid_rate and limited_rate together must not exceed 1"
            )


class FaultKind(enum.Enum):
    """How a call goes wrong."""

    ERROR = "error"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    LIMITED = "limited"


@dataclass(frozen=True)
class Fault:
    """One call's fault; `status` is the answer's when it is an error."""

    kind: FaultKind
    status: int
    is_after_effect: bool


class FaultSource:
    """Draws the faults of one service."""

    def __init__(self, settings: FaultSettings, seed: str) -> None:
        self.settings = settings
        self._random = random.Random(seed)  # noqa: S311  (repeatable, no secret)

    def changed(self, changes: dict[str, Any]) -> FaultSettings:
        """The settings with some changed.

        Raises:
            ValueError: A name is unknown or a value is not allowed.
        """
        known = asdict(self.settings)
        if unknown := sorted(set(changes) - set(known)):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return FaultSettings(**{**known, **changes})

    def draw(self) -> Fault | None:
        """What happens to the next call; None when nothing does."""
        share = self._random.random()
        for kind in FaultKind:
            share -= getattr(self.settings, f"{kind.value}_rate")
            if share < 0:
                break
        else:
            return None
        if kind is FaultKind.LIMITED:
            return Fault(kind=kind, status=429, is_after_effect=False)
        return Fault(
            kind=kind,
            status=self._random.choice(STATUSES),
            is_after_effect=self._random.random() < self.settings.after_effect_ratio,
        )

    async def delay(self) -> None:
        """Wait as long as every call does."""
        if self.settings.latency_ms:
            await asyncio.sleep(self.settings.latency_ms / 1000)

    @classmethod
    def seeded(cls, settings: FaultSettings, *, service: str, seed: int) -> Self:
        """The faults of a service for a seed; services don't share a sequence."""
        return cls(settings, f"{service}:{seed}")


async def hold(request: Request) -> None:
    """Leave the caller without an answer until it hangs up, or `HOLD_S` have passed."""
    await request.body()
    try:
        async with asyncio.timeout(HOLD_S):
            while (await request.receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return
