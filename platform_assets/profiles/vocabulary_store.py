"""The vocabulary in the database: read, and refreshed with the names that were met. How it grows is `vocabulary_growth`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.profiles.vocabulary import Vocabulary, vocabulary_from_frames
from platform_assets.profiles.vocabulary_growth import grow_vocabulary
from platform_assets.tables.platform import skill_aliases, skills


def read_vocabulary(database: Database) -> Vocabulary:
    """The vocabulary as stored; empty before the first run."""
    # By id: where two skills claim a spelling, the first one has it.
    return vocabulary_from_frames(
        database.read(sa.select(skills).order_by(skills.c.skill_id)),
        database.read(sa.select(skill_aliases).order_by(*skill_aliases.primary_key.columns)),
    )


def refresh_vocabulary(
    database: Database, repositories: pd.DataFrame, declared: Iterable[Sequence[str]]
) -> Vocabulary:
    """Add the release's list and every name met in the marketplace and on GitHub.

    Args:
        database: Where it is stored.
        repositories: `platform.developer_repositories`: `repository`, `languages`, `topics`.
        declared: Lists of skills as developers, clients and contracts name them.

    Returns:
        The vocabulary as it is now stored.
    """
    grown = grow_vocabulary(read_vocabulary(database), repositories, declared)
    with database.transaction() as connection:
        database.upsert(skills, grown.skills, connection=connection)
        database.upsert(skill_aliases, grown.aliases, connection=connection)
    return read_vocabulary(database)
