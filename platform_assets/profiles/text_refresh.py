"""Brings the skills of developers' texts up to date: what is due is read and written in parts, so that a break loses little.

Which texts there are and what was found in them is `developer_texts`; asking Gemini is `gemini_answers`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts, are_among
from platform_assets.clients.gemini import DEVELOPER_PROMPT, GeminiClient
from platform_assets.profiles.developer_texts import (
    due_texts,
    gone_keys,
    read_developer_texts,
    still_waiting,
)
from platform_assets.profiles.embeddings import skill_index
from platform_assets.profiles.gemini_answers import GeminiReading, read_texts
from platform_assets.profiles.requirements import gemini_extractor
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.tables import skill_texts as tables

if TYPE_CHECKING:
    from platform_assets.clients.embedder import Embedder

TEXTS_PER_COMMIT = 500

GEMINI_BUDGET_RATIO = 0.5
"""Part of the day's tokens that developers' texts may use up. There are many more of them than projects, and a project that
waits is a match that waits."""

WAITING_TEXTS = 2_000
"""Texts about which Gemini is asked again in a run: about as many as a day's tokens pay for."""


@dataclass(frozen=True)
class TextRefresh:
    """What a refresh did.

    Attributes:
        counts: Rows of skills and of readings that were written.
        read_count: Texts that were read.
        gemini_count: Of these, the texts that Gemini read.
        rejected_count: Skills of Gemini's answers that the texts do not support.
        reading: What asking Gemini came to.
    """

    counts: WriteCounts
    read_count: int
    gemini_count: int
    rejected_count: int
    reading: GeminiReading

    @property
    def reasons(self) -> dict[str, int]:
        """Why Gemini has not read texts that were due → their number."""
        return {str(reason): count for reason, count in Counter(self.reading.reasons.values()).items()}


def refresh_text_skills(
    database: Database,
    gemini: GeminiClient | None,
    embedder: Embedder,
    texts: pd.DataFrame,
    vocabulary: Vocabulary,
    *,
    known: pd.DataFrame,
    set_aside: frozenset[str],
    purpose: str,
    now: Callable[[], dt.datetime],
    tell: Callable[[int, int], None],
) -> TextRefresh:
    """Read the texts that are due, and write what they show.

    Args:
        database: Where skills and readings are kept.
        gemini: The client; None when Gemini is switched off.
        embedder: Embeds pieces of texts; not used when nothing is read.
        texts: See `developer_texts.developer_texts`.
        vocabulary: Spellings.
        known: Rows of `platform.developer_text_readings`.
        set_aside: Developers whose row could not be read; what is known of them stays.
        purpose: Who asks Gemini, for the log.
        now: Gives the present moment (UTC).
        tell: Called after each part with the texts read and those due.
    """
    extractor = gemini_extractor(gemini.model, DEVELOPER_PROMPT) if gemini else None
    counts = _delete(database, gone_keys(texts, known, set_aside=set_aside))
    due = due_texts(texts, known, extractor=extractor, most_waiting=WAITING_TEXTS)
    reading = read_texts(
        database,
        gemini,
        list(due["text"]),
        purpose=purpose,
        now=now,
        prompt=DEVELOPER_PROMPT,
        budget_ratio=GEMINI_BUDGET_RATIO,
    )
    counts += database.upsert(tables.developer_text_readings, still_waiting(due, known, reading))
    is_read = due["is_changed"].to_numpy(dtype=bool) | due["text"].isin(list(reading.skills)).to_numpy(
        dtype=bool
    )
    to_read = due[is_read]
    gemini_count = rejected_count = 0
    if len(to_read):
        index = skill_index(database, embedder, vocabulary)
    for start in range(0, len(to_read), TEXTS_PER_COMMIT):
        part = to_read.iloc[start : start + TEXTS_PER_COMMIT]
        found = read_developer_texts(part, reading, vocabulary, index, embedder, extractor=extractor)
        with database.transaction() as connection:
            counts += database.upsert(
                tables.developer_text_skills,
                found.skills,
                delete_missing=_is_one_of(tables.developer_text_skills, found.read_keys),
                connection=connection,
            )
            counts += database.upsert(tables.developer_text_readings, found.readings, connection=connection)
        gemini_count += found.gemini_count
        rejected_count += found.rejected_count
        tell(start + len(part), len(to_read))
    return TextRefresh(counts, len(to_read), gemini_count, rejected_count, reading)


def _delete(database: Database, keys: Sequence[tuple[str, str, str]]) -> WriteCounts:
    with database.transaction() as connection:
        deleted = [
            connection.execute(sa.delete(table).where(_is_one_of(table, keys))).rowcount
            for table in (tables.developer_text_skills, tables.developer_text_readings)
        ]
    return WriteCounts(deleted=sum(deleted))


def _is_one_of(table: sa.Table, keys: Sequence[tuple[str, str, str]]) -> sa.ColumnElement[bool]:
    return are_among([table.c.developer_id, table.c.source, table.c.repository], keys)
