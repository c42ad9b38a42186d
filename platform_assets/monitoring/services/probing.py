"""Asks services side by side how they are: each within its own limit, so that one that hangs delays no other.

Knows no service; what is asked of each is `probes.py`, what an answer means for its state `health.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from platform_assets.clients.http_errors import RateLimited
from platform_assets.failures import explain

T = TypeVar("T")


class Look(StrEnum):
    """What one look at a service says."""

    OK = "ok"
    POOR = "poor"
    """It answers, but slowly, refusing some, or near a limit."""
    FAILED = "failed"
    """No usable answer."""
    OFF = "off"
    """Switched off by name: nobody misses it."""
    UNKNOWN = "unknown"
    """There is nothing to look at, which says neither that it is well nor that it is not."""


@dataclass(frozen=True)
class Answer:
    """What came back from a service.

    Attributes:
        message: What was found, in one line; no secrets.
        latency_ms: Time to the answer, in milliseconds; None where none was asked for.
        details: Numbers that it gave, by name.
        look: What it comes to.
    """

    message: str
    latency_ms: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    look: Look = Look.OK


@dataclass(frozen=True)
class Probe:
    """One look at one service; the attributes are those of `Answer`, and whose it is."""

    service: str
    message: str
    latency_ms: float | None
    details: Mapping[str, Any]
    look: Look


Ask = Callable[[], Answer]
"""Asks one service; what it raises is a failed look."""


def ask_all(asks: Mapping[str, Ask], *, limit_s: float) -> list[Probe]:
    """Ask every service at once.

    Args:
        asks: Service → how to ask it.
        limit_s: Longest wait for an answer; who has not answered by then has failed. Its thread is left behind, and
            ends with the process at the latest.

    Returns:
        One look per service, in the order of `asks`, at most `limit_s` after the call.
    """
    deadline = time.monotonic() + limit_s
    answers = {service: _in_thread(service, ask) for service, ask in asks.items()}
    return [_probe(service, answer, deadline, limit_s) for service, answer in answers.items()]


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and how long it took, in milliseconds."""
    started = time.perf_counter()
    value = call()
    return value, (time.perf_counter() - started) * 1000


def _in_thread(service: str, ask: Ask) -> Future[Answer]:
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    # Not a pool: Python would wait at its end for a thread that waits for ever.
    threading.Thread(target=run, name=f"probe-{service}", daemon=True).start()
    return answer


def _probe(service: str, future: Future[Answer], deadline: float, limit_s: float) -> Probe:
    try:
        answer = future.result(timeout=max(0.0, deadline - time.monotonic()))
    except Exception as error:
        answer = _failed(error) if future.done() else _silent(limit_s)
    return Probe(service, answer.message, answer.latency_ms, answer.details, answer.look)


def _failed(error: Exception) -> Answer:
    # What nobody expected is shown by its type, since a text could hold a secret.
    message = explain(error) or f"failed with {type(error).__name__}"
    return Answer(message, look=Look.POOR if isinstance(error, RateLimited) else Look.FAILED)


def _silent(limit_s: float) -> Answer:
    return Answer(f"did not answer within {limit_s:g} seconds", look=Look.FAILED)
