"""Embeddings by content: each distinct text is computed once per model and kept in `platform.text_embeddings`.

Which texts stand for a skill, developer or project is `vectors`; the model is `clients.embedder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedder import DIMENSIONS, text_sha256
from platform_assets.profiles.extraction import SkillIndex, index_skills, label_text
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.tables import platform as tables

if TYPE_CHECKING:
    from platform_assets.clients.embedder import Embedder

# A crash loses at most this many texts' work.
_TEXTS_PER_COMMIT = 5_000


@dataclass(frozen=True)
class EmbeddedTexts:
    """Vectors of texts.

    Attributes:
        vectors: Unit vectors, float32, shape (number of texts, 384), in the order of the texts.
        computed_count: Texts that the model had to compute; the others were kept from before.
    """

    vectors: npt.NDArray[np.float32]
    computed_count: int


def embed_texts(
    database: Database,
    embedder: Embedder,
    texts: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedTexts:
    """Vectors of the texts, from the table where they are known, else from the model.

    The model is not even loaded when every text is known.
    """
    hashes = [text_sha256(text) for text in texts]
    text_of = dict(zip(hashes, texts))
    known = _read_known(database, embedder.model_name, sorted(text_of))
    missing = [key for key in sorted(text_of) if key not in known]
    for start in range(0, len(missing), _TEXTS_PER_COMMIT):
        chunk = missing[start : start + _TEXTS_PER_COMMIT]
        vectors = embedder.encode([text_of[key] for key in chunk])
        known.update(zip(chunk, vectors))
        database.upsert(
            tables.text_embeddings,
            pd.DataFrame({"model": embedder.model_name, "text_sha256": chunk, "vector": list(vectors)}),
        )
        if progress is not None:
            progress(start + len(chunk), len(missing))
    rows = [known[key] for key in hashes]
    return EmbeddedTexts(
        vectors=np.stack(rows) if rows else np.empty((0, DIMENSIONS), dtype=np.float32),
        computed_count=len(missing),
    )


def skill_index(database: Database, embedder: Embedder, vocabulary: Vocabulary) -> SkillIndex:
    """The vocabulary's skills by id, prepared for scoring; a name that was never embedded is."""
    skills = list(vocabulary.by_id)
    names = [vocabulary.by_id[skill].name for skill in skills]
    embedded = embed_texts(database, embedder, [label_text(name) for name in names])
    return index_skills(skills, names, embedded.vectors)


def _read_known(database: Database, model: str, hashes: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    table = tables.text_embeddings
    query = sa.select(table.c.text_sha256, table.c.vector).where(
        table.c.model == model,
        table.c.text_sha256 == sa.func.any(sa.bindparam("hashes", type_=sa.ARRAY(sa.Text))),
    )
    found = database.read(query, {"hashes": list(hashes)})
    return dict(zip(found["text_sha256"], found["vector"]))
