"""How the vocabulary grows: the packaged list first, then names met in profiles, projects and contracts. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from platform_assets.profiles.vocabulary import (
    Vocabulary,
    new_skills,
    packaged_vocabulary,
    vocabulary_from_frames,
)

TOPIC_MIN_OWNERS = 5
"""A topic becomes a skill once repositories of so many owners carry it: most topics are the name of one project, and
one owner may put it on all of theirs."""

TOPIC_MAX_RATIO = 0.05
"""…and no more than this part of all repositories: what nearly each of them carries tells nobody apart."""


@dataclass(frozen=True)
class GrownVocabulary:
    """Rows of `platform.skills` and `platform.skill_aliases` to write."""

    skills: pd.DataFrame
    aliases: pd.DataFrame


def grow_vocabulary(
    known: Vocabulary, repositories: pd.DataFrame, declared: Iterable[Sequence[str]]
) -> GrownVocabulary:
    """The packaged list, and whatever was met that neither it nor the known vocabulary has.

    Args:
        known: The vocabulary so far, as stored; may be empty.
        repositories: `platform.developer_repositories`: `repository`, `languages`, `topics`.
        declared: Lists of skills as developers, clients and contracts name them.

    Returns:
        Rows to write; the packaged ones are always among them, so that a release's corrections arrive.
    """
    vocabulary = with_release(known)
    new_rows = [packaged_vocabulary().frames()]
    # All rows: a repository may have been read at several times, in several states.
    languages = {language for used in repositories["languages"] for language in used}
    met = (
        (languages, "github", "language"),
        ({name for names in declared for name in names}, "declared", "other"),
        (_telling_topics(repositories), "github", "other"),
    )
    for names, source, kind in met:
        rows = new_skills(names, vocabulary, source=source, kind=kind)
        new_rows.append(rows)
        vocabulary = _joined(vocabulary, *rows)
    return GrownVocabulary(
        skills=pd.concat([skills for skills, _ in new_rows], ignore_index=True),
        aliases=pd.concat([aliases for _, aliases in new_rows], ignore_index=True),
    )


def with_release(known: Vocabulary) -> Vocabulary:
    """The vocabulary and the packaged list, which wins where both know a skill or a spelling."""
    skills, aliases = (
        pd.concat([old, new]) for old, new in zip(known.frames(), packaged_vocabulary().frames())
    )
    return vocabulary_from_frames(
        skills.drop_duplicates("skill_id", keep="last"), aliases.drop_duplicates("alias", keep="last")
    )


def _joined(vocabulary: Vocabulary, skills: pd.DataFrame, aliases: pd.DataFrame) -> Vocabulary:
    known_skills, known_aliases = vocabulary.frames()
    return vocabulary_from_frames(pd.concat([known_skills, skills]), pd.concat([known_aliases, aliases]))


def _telling_topics(repositories: pd.DataFrame) -> set[str]:
    carriers: defaultdict[str, set[str]] = defaultdict(set)
    for repository, topics in zip(repositories["repository"], repositories["topics"]):
        for topic in topics:
            carriers[topic].add(repository)
    most = TOPIC_MAX_RATIO * repositories["repository"].nunique()
    return {
        topic
        for topic, names in carriers.items()
        if len(names) <= most and len({name.partition("/")[0] for name in names}) >= TOPIC_MIN_OWNERS
    }
