"""Which texts Gemini is asked about: each once, within a day's tokens, never while it is blocked; every call is logged.

Answers are kept as they came. What they are worth is `grounding`; the call itself is `clients.gemini`.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import Database, is_among
from platform_assets.clients.embedder import text_sha256
from platform_assets.clients.gemini import (
    MAX_OUTPUT_TOKENS,
    PROJECT_PROMPT,
    GeminiAnswer,
    GeminiClient,
    InvalidAnswerError,
    NamedSkill,
    NoAnswerInTimeError,
    Prompt,
    sent_text,
)
from platform_assets.clients.http_errors import RateLimited, ServiceError, TransientError
from platform_assets.spelling import split_words
from platform_assets.tables import monitoring
from platform_assets.tables import platform as tables

SERVICE = "gemini"

ATTEMPTS_COUNT = 3
BACKOFF_S = 0.5
"""First wait before a call is repeated after a passing failure; it doubles. A call that ran out of time is not repeated:
it may have been billed, and the next run comes soon."""

OUTAGE_TEXTS_COUNT = 5
"""After so many texts in a row without an answer the rest is not asked for: Gemini is down, or refuses the key."""

WORKERS_COUNT = 4
"""Calls at once: an answer takes about a second, and hundreds of new projects should take a minute or two."""

INVALID_KEPT = dt.timedelta(days=1)
"""An invalid answer counts as an answer for so long, since the same question mostly gets the same answer."""


class Reason(StrEnum):
    """Why Gemini has not read a text."""

    OFF = "off"
    BUDGET = "budget"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    FAILED = "failed"


@dataclass(frozen=True)
class GeminiReading:
    """What Gemini said about texts.

    Attributes:
        skills: Text → what the model named, not yet verified.
        reasons: Text → why there is no answer; every text is in one of both.
        calls: Outcome of calls → their number.
        kept_count: Distinct texts whose answer was kept from before.
        tokens_count: Tokens that the calls cost.
        failure: What the first failed call said; None when none failed.
    """

    skills: Mapping[str, tuple[NamedSkill, ...]] = field(default_factory=dict)
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    kept_count: int = 0
    tokens_count: int = 0
    failure: str | None = None


def read_texts(
    database: Database,
    gemini: GeminiClient | None,
    texts: Sequence[str],
    *,
    purpose: str,
    now: Callable[[], dt.datetime],
    prompt: Prompt = PROJECT_PROMPT,
    budget_ratio: float = 1.0,
) -> GeminiReading:
    """Gemini's answers on texts, kept ones where there are any. A failing Gemini is a reason, never an error.

    Args:
        database: Keeps answers and the log of calls.
        gemini: The client; None when Gemini is switched off.
        texts: The texts; of long ones only the beginning is read.
        purpose: Who asks, for the log.
        now: Gives the present moment (UTC).
        prompt: What the texts are read for.
        budget_ratio: Part of the day's tokens up to which this reader may go; the rest is left to others.
    """
    distinct = dict.fromkeys(texts)
    if gemini is None:
        return GeminiReading(reasons=dict.fromkeys(distinct, Reason.OFF))
    # A text without words has no skills; nobody needs to be asked.
    results: dict[str, tuple[NamedSkill, ...] | Reason] = {
        text: () for text in distinct if not split_words(sent_text(text))
    }
    hashes = {text: text_sha256(sent_text(text)) for text in distinct if text not in results}
    kept = _read_kept(database, gemini.model, prompt, sorted(set(hashes.values())), now=now())
    missing = {sha: text for text, sha in hashes.items() if sha not in kept}
    asking = _Asking(database, gemini, purpose=purpose, now=now, prompt=prompt, budget_ratio=budget_ratio)
    with ThreadPoolExecutor(WORKERS_COUNT) as pool:
        answered = dict(zip(missing, pool.map(asking.ask, missing.values())))
    for sha, text in missing.items():
        if answered[sha] is Reason.BUDGET:
            # What was set aside for other calls is more than they cost: now there may be room.
            answered[sha] = asking.ask(text)
    results.update({text: kept[sha] if sha in kept else answered[sha] for text, sha in hashes.items()})
    return GeminiReading(
        skills={text: result for text, result in results.items() if not isinstance(result, Reason)},
        reasons={text: result for text, result in results.items() if isinstance(result, Reason)},
        calls=asking.calls,
        kept_count=len(kept),
        tokens_count=asking.tokens_count,
        failure=asking.failure,
    )


def estimated_tokens(text: str, prompt: Prompt = PROJECT_PROMPT) -> int:
    """What is set aside for a call: more than it costs. English has some four bytes a token, other scripts no less than two."""
    return math.ceil(len((prompt.instruction + sent_text(text)).encode()) / 2) + MAX_OUTPUT_TOKENS


def _read_kept(
    database: Database, model: str, prompt: Prompt, hashes: Sequence[str], *, now: dt.datetime
) -> dict[str, tuple[NamedSkill, ...] | Reason]:
    table = tables.ai_answers
    rows = database.read(
        sa.select(table.c.text_sha256, table.c.skills).where(
            table.c.model == model,
            table.c.prompt_version == prompt.version,
            is_among(table.c.text_sha256, hashes),
            table.c.skills.is_not(None) | (table.c.answered_at > now - INVALID_KEPT),
        )
    )
    return {
        sha: Reason.INVALID if skills is None else tuple(NamedSkill(**skill) for skill in skills)
        for sha, skills in zip(rows["text_sha256"], rows["skills"])
    }


class _Asking:
    """One run's calls, which its threads share: budget, outage and counters.

    Two runs at once would each see the same budget left; the pool of the asset's queue keeps it to one.
    """

    def __init__(
        self,
        database: Database,
        gemini: GeminiClient,
        *,
        purpose: str,
        now: Callable[[], dt.datetime],
        prompt: Prompt,
        budget_ratio: float,
    ) -> None:
        self._database = database
        self._gemini = gemini
        self._purpose = purpose
        self._now = now
        self._prompt = prompt
        self._lock = threading.Lock()
        self._left_tokens = int(gemini.tokens_per_day * budget_ratio) - self._spent_tokens()
        self._stopped = Reason.RATE_LIMITED if self._is_blocked() else None
        self._failures_in_row_count = 0
        self.calls: Counter[str] = Counter()
        self.tokens_count = 0
        self.failure: str | None = None

    def ask(self, text: str) -> tuple[NamedSkill, ...] | Reason:
        reserved = estimated_tokens(text, self._prompt)
        for attempt in range(1, ATTEMPTS_COUNT + 1):
            with self._lock:
                if self._stopped is not None:
                    return self._stopped
                if reserved > self._left_tokens:
                    return Reason.BUDGET
                self._left_tokens -= reserved
            try:
                return self._call(text, reserved).skills
            except ServiceError as error:
                reason = _reason(error)
                may_pass = isinstance(error, TransientError) and reason is not Reason.TIMEOUT
                if may_pass and attempt < ATTEMPTS_COUNT:
                    time.sleep(BACKOFF_S * 2 ** (attempt - 1))
                    continue
                self._note_failure(error, reason)
                return reason
        raise AssertionError("unreachable: the last attempt returns")

    def _call(self, text: str, reserved: int) -> GeminiAnswer:
        """One call, its log entry, and what it leaves of the budget."""
        started_at = self._now()
        started = time.monotonic()
        row: dict[str, Any] = {
            "outcome": Reason.FAILED.value,
            "retry_at": None,
            "prompt_tokens": None,
            "output_tokens": None,
        }
        skills: list[dict[str, str]] | None = None
        try:
            answer = self._gemini.extract_skills(text, self._prompt)
            skills = [asdict(skill) for skill in answer.skills]
            row |= {"prompt_tokens": answer.prompt_tokens, "output_tokens": answer.output_tokens}
            row |= {"outcome": "ok"}
        except InvalidAnswerError as error:
            row |= {"prompt_tokens": error.prompt_tokens, "output_tokens": error.output_tokens}
            row |= {"outcome": _reason(error).value}
            raise
        except ServiceError as error:
            row |= {"outcome": _reason(error).value, "retry_at": error.retry_at}
            raise
        finally:
            row |= {
                "service": SERVICE,
                "model": self._gemini.model,
                "purpose": self._purpose,
                "started_at": started_at,
                "latency_ms": (time.monotonic() - started) * 1000,
                "reserved_tokens": reserved,
            }
            self._log(row, text, skills)
        with self._lock:
            self._failures_in_row_count = 0
        return answer

    def _log(self, row: Mapping[str, Any], text: str, skills: list[dict[str, str]] | None) -> None:
        """Commit the call, and its answer with it: an interrupted run keeps what it has paid for."""
        outcome = row["outcome"]
        spent = _cost(row)
        with self._lock:
            self.calls[outcome] += 1
            self.tokens_count += spent
            self._left_tokens += row["reserved_tokens"] - spent
        with self._database.transaction() as connection:
            connection.execute(sa.insert(monitoring.ai_calls), row)
            if outcome not in ("ok", "invalid"):
                return
            insert = pg.insert(tables.ai_answers).values(
                model=self._gemini.model,
                prompt_version=self._prompt.version,
                text_sha256=text_sha256(sent_text(text)),
                skills=sa.null() if skills is None else skills,
                answered_at=row["started_at"],
            )
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=list(tables.ai_answers.primary_key.columns),
                    set_={
                        "skills": insert.excluded.skills,
                        "answered_at": insert.excluded.answered_at,
                        "updated_at": sa.func.now(),
                    },
                )
            )

    def _note_failure(self, error: ServiceError, reason: Reason) -> None:
        with self._lock:
            self.failure = self.failure or str(error)
            if reason is Reason.INVALID:
                self._failures_in_row_count = 0  # Gemini answers, just not to this text
                return
            self._failures_in_row_count += 1
            if reason is Reason.RATE_LIMITED:
                self._stopped = Reason.RATE_LIMITED
            elif self._failures_in_row_count >= OUTAGE_TEXTS_COUNT:
                self._stopped = self._stopped or reason

    def _spent_tokens(self) -> int:
        """Tokens of this UTC day, over all purposes and models: one budget, one bill."""
        calls = monitoring.ai_calls
        midnight = self._now().astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        rows = self._database.read(
            sa.select(
                sa.cast(sa.func.coalesce(sa.func.sum(monitoring.AI_CALL_TOKENS), 0), sa.BigInteger).label(
                    "tokens"
                )
            ).where(calls.c.service == SERVICE, calls.c.started_at >= midnight)
        )
        return int(rows["tokens"].iloc[0])

    def _is_blocked(self) -> bool:
        calls = monitoring.ai_calls
        rows = self._database.read(
            sa.select(sa.func.count().label("n")).where(
                calls.c.service == SERVICE,
                calls.c.model == self._gemini.model,
                calls.c.outcome == Reason.RATE_LIMITED.value,
                calls.c.retry_at > self._now(),
            )
        )
        return bool(rows["n"].iloc[0])


def _cost(row: Mapping[str, Any]) -> int:
    """What a call cost; one that ran out of time may have cost all that was set aside."""
    if row["prompt_tokens"] is not None:
        return int(row["prompt_tokens"]) + int(row["output_tokens"])
    return int(row["reserved_tokens"]) if row["outcome"] == Reason.TIMEOUT.value else 0


def _reason(error: ServiceError) -> Reason:
    match error:
        case InvalidAnswerError():
            return Reason.INVALID
        case NoAnswerInTimeError():
            return Reason.TIMEOUT
        case RateLimited():
            return Reason.RATE_LIMITED
        case _:
            return Reason.FAILED
