"""Skills that developers' own texts show: which texts there are, which want reading, what was found, as rows.

Pure but for the embedder. How a text is read is `extraction`, or `gemini_answers` and `grounding`; READMEs are `readmes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from platform_assets.clients.embedder import text_sha256
from platform_assets.clients.gemini import sent_text
from platform_assets.profiles.extraction import (
    Requirement,
    SkillIndex,
    TextEmbedder,
    extract_requirements,
)
from platform_assets.profiles.gemini_answers import GeminiReading
from platform_assets.profiles.grounding import ground_answers
from platform_assets.profiles.vectors import inputs_sha256
from platform_assets.profiles.vocabulary import Vocabulary
from platform_assets.tables import skill_texts as tables

EXTRACTOR = "spelling+embedding/1"
"""Name and version of how texts are read without Gemini; a new version reads every text again."""

BIO, README = "bio", "readme"

MEANT_SENTENCES = 4
"""Sentences that are read for what they mean without spelling it: what a person or a repository is stands first. What is
spelled counts everywhere."""

MET_SOURCES = ("declared", "github")
"""Sources of names that are met on the way. They come every day and are no reason to read every text again; a release's or
an import's are."""

KEY = ["developer_id", "source", "repository"]
TEXT_COLUMNS = [*KEY, "text", "text_sha256", "inputs_sha256"]
READING_COLUMNS = [
    column.name for column in tables.developer_text_readings.columns if column.name != "updated_at"
]
SKILL_COLUMNS = [
    column.name for column in tables.developer_text_skills.columns if column.name != "updated_at"
]


@dataclass(frozen=True)
class TextReading:
    """Rows to write.

    Attributes:
        skills: Rows of `platform.developer_text_skills` of the texts that were read.
        readings: Rows of `platform.developer_text_readings`: one per text that was read, and per text that still waits
            for Gemini, whose skills stay as they are.
        read_keys: Keys of the texts that were read.
        gemini_count: Of these, the texts that Gemini read.
        rejected_count: Skills of Gemini's answers that the texts do not support.
    """

    skills: pd.DataFrame
    readings: pd.DataFrame
    read_keys: tuple[tuple[str, str, str], ...]
    gemini_count: int
    rejected_count: int


def developer_texts(
    developers: pd.DataFrame,
    profiles: pd.DataFrame,
    own_repositories: pd.DataFrame,
    readmes: pd.DataFrame,
    vocabulary: Vocabulary,
    *,
    model: str,
) -> pd.DataFrame:
    """The texts that developers wrote: one bio each, from the marketplace and from GitHub, and their READMEs.

    Args:
        developers: Rows of `marketplace.developers`.
        profiles: Rows of `platform.developer_profiles`.
        own_repositories: See `readmes.own_repositories`.
        readmes: Rows of `platform.readme_texts`.
        vocabulary: The vocabulary.
        model: Name of the embedding model.

    Returns:
        `TEXT_COLUMNS`, ordered by key; a text without words is none.
    """
    released = inputs_sha256(
        EXTRACTOR,
        model,
        *(
            f"{alias} {skill_id}"
            for alias, skill_id in sorted(vocabulary.by_alias.items())
            if vocabulary.by_id[skill_id].source not in MET_SOURCES
        ),
    )
    on_github = dict(zip(profiles["developer_id"], profiles["bio"]))
    bios = [
        (developer_id, BIO, "", _joined(bio, on_github.get(developer_id)))
        for developer_id, bio in zip(developers["developer_id"], developers["bio"])
    ]
    known = frozenset(developers["developer_id"])
    has_text = readmes[readmes["text"].notna()]
    words = dict(zip(has_text["repository"], has_text["text"]))
    of_repositories = [
        (developer_id, README, repository, words[repository])
        for developer_id, repository in zip(own_repositories["developer_id"], own_repositories["repository"])
        if developer_id in known and repository in words
    ]
    rows = [
        (*key, text, text_sha256(text), inputs_sha256(released, text))
        for *key, whole in sorted([*bios, *of_repositories])
        # Nobody reads further: a megabyte would cost a minute, and says what it says at the beginning.
        if (text := sent_text(whole)).strip()
    ]
    return pd.DataFrame(rows, columns=TEXT_COLUMNS)


def due_texts(
    texts: pd.DataFrame, known: pd.DataFrame, *, extractor: str | None, most_waiting: int
) -> pd.DataFrame:
    """Those texts that want reading.

    Args:
        texts: See `developer_texts`.
        known: Rows of `platform.developer_text_readings`.
        extractor: Name and version of Gemini's reading; None when it is switched off.
        most_waiting: How many texts that only Gemini has not read are asked about again.

    Returns:
        The texts that were never read or read in another state, and some that Gemini has not read, with `is_changed`
        False, since the other extractor need not read them again.
    """
    rows = texts.merge(
        known[[*KEY, "inputs_sha256", "extractor"]], on=KEY, how="left", suffixes=("", "_known")
    )
    is_changed = (rows["inputs_sha256"] != rows["inputs_sha256_known"]).to_numpy(dtype=bool)
    is_waiting = ~is_changed
    is_waiting &= np.array(
        [extractor is not None and each != extractor for each in rows["extractor"]], dtype=bool
    )
    is_waiting &= np.cumsum(is_waiting) <= most_waiting
    due: pd.DataFrame = rows[TEXT_COLUMNS].assign(is_changed=is_changed)[is_changed | is_waiting]
    return due.reset_index(drop=True)


def gone_keys(
    texts: pd.DataFrame, known: pd.DataFrame, *, set_aside: frozenset[str]
) -> list[tuple[str, str, str]]:
    """Keys of readings whose text is no more; those of developers whose row is set aside are not gone.

    Args:
        texts: See `developer_texts`.
        known: Rows of `platform.developer_text_readings`.
        set_aside: Developers whose row could not be read.
    """
    present = set(texts[KEY].itertuples(index=False, name=None))
    return sorted(
        key
        for key in known[KEY].itertuples(index=False, name=None)
        if key not in present and key[0] not in set_aside
    )


def read_developer_texts(
    due: pd.DataFrame,
    reading: GeminiReading,
    vocabulary: Vocabulary,
    index: SkillIndex,
    embedder: TextEmbedder,
    *,
    extractor: str | None,
) -> TextReading:
    """Read texts: by Gemini where it answered, else by spelling and embedding.

    Args:
        due: See `due_texts`.
        reading: What Gemini said about them.
        vocabulary: Spellings.
        index: Skills by id with vectors.
        embedder: Embeds pieces of texts.
        extractor: Name and version of Gemini's reading; None when it is switched off.
    """
    has_answer = due["text"].isin(list(reading.skills)).to_numpy(dtype=bool)
    by_gemini, rest = due[has_answer], due[~has_answer]
    by_spelling = rest[rest["is_changed"].to_numpy(dtype=bool)]
    found, rejected_count = _by_gemini(
        list(dict.fromkeys(by_gemini["text"])), reading, vocabulary, index, embedder
    )
    without = list(dict.fromkeys(by_spelling["text"]))
    if without:
        found |= dict(
            zip(
                without,
                extract_requirements(without, vocabulary, index, embedder, meant_sentences=MEANT_SENTENCES),
            )
        )
    read = due[has_answer | due["is_changed"].to_numpy(dtype=bool)]
    keys = list(read[KEY].itertuples(index=False, name=None))
    skills = [
        (developer_id, own.skill_id, source, repository, own.extractor, own.evidence)
        for (developer_id, source, repository), text in zip(keys, read["text"])
        for own in found[text]
    ]
    readings = [
        (
            *key,
            row.text_sha256,
            row.inputs_sha256,
            extractor if row.text in reading.skills else EXTRACTOR,
            len(found[row.text]),
            None if row.text in reading.skills else str(reading.reasons[row.text]),
        )
        for key, row in zip(keys, read.itertuples(index=False))
    ]
    return TextReading(
        skills=pd.DataFrame(sorted(skills), columns=SKILL_COLUMNS),
        readings=pd.DataFrame(readings, columns=READING_COLUMNS),
        read_keys=tuple(keys),
        gemini_count=len(by_gemini),
        rejected_count=rejected_count,
    )


def still_waiting(due: pd.DataFrame, known: pd.DataFrame, reading: GeminiReading) -> pd.DataFrame:
    """Readings of texts that Gemini has still not read, with the reason of this time.

    Those that an older model or prompt has read are left alone: they are no fallback.
    """
    waiting = due[~due["is_changed"].to_numpy(dtype=bool) & due["text"].isin(list(reading.reasons))]
    rows = waiting[[*KEY, "text"]].merge(known[known["extractor"] == EXTRACTOR], on=KEY)
    rows["fallback_reason"] = [str(reading.reasons[text]) for text in rows["text"]]
    return rows[READING_COLUMNS]


def _by_gemini(
    texts: Sequence[str],
    reading: GeminiReading,
    vocabulary: Vocabulary,
    index: SkillIndex,
    embedder: TextEmbedder,
) -> tuple[dict[str, Sequence[Requirement]], int]:
    answers = [reading.skills[text] for text in texts]
    grounded = ground_answers([sent_text(text) for text in texts], answers, vocabulary, index, embedder)
    found: Mapping[str, Sequence[Requirement]] = {
        text: each.requirements for text, each in zip(texts, grounded)
    }
    return dict(found), sum(each.rejected_count for each in grounded)


def _joined(*bios: object) -> str:
    """Both bios, each once; a frame has NaN where a nullable column has none."""
    stated = [bio.strip() for bio in bios if isinstance(bio, str)]
    return "\n".join(dict.fromkeys(bio for bio in stated if bio))
