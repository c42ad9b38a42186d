"""Keeps a record of the embedder's calls in `monitoring.ai_calls`: one row a call, however many texts it was about.

Calls of Gemini are recorded by `gemini_answers`, which also pays for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.tables.monitoring import ai_calls

if TYPE_CHECKING:
    from platform_assets.clients.embedder import Embedder

SERVICE = "embedder"


@contextmanager
def recorded_calls(database: Database, embedder: Embedder, *, purpose: str) -> Iterator[None]:
    """Record the calls that are made in the block, those that fail too.

    Args:
        database: Keeps the record.
        embedder: Whose calls.
        purpose: The asset that asks.
    """
    embedder.take_calls()
    try:
        yield
    finally:
        rows = [
            {
                "service": SERVICE,
                "model": embedder.model_name,
                "purpose": purpose,
                "started_at": call.started_at,
                "latency_ms": call.latency_ms,
                "texts_count": call.texts_count,
                "prompt_tokens": call.tokens_count if call.is_answered else None,
                "output_tokens": 0 if call.is_answered else None,
                "reserved_tokens": 0,
                "outcome": "ok" if call.is_answered else "failed",
            }
            for call in embedder.take_calls()
        ]
        if rows:
            with database.transaction() as connection:
                connection.execute(sa.insert(ai_calls), rows)
