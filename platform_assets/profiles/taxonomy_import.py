"""From what a file names to rows of the vocabulary and of the labelled samples: what is new, what is known, what is taken.

Reading files is `taxonomy_files`; spellings are `vocabulary`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from platform_assets.clients.embedder import text_sha256
from platform_assets.clients.quarantine import BadRow
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.taxonomy_files import ImportedSkill, LabelledSample
from platform_assets.profiles.vocabulary import Vocabulary, skill_slug
from platform_assets.spelling import normalize_alias


@dataclass(frozen=True)
class SkillImport:
    """What an import adds.

    Attributes:
        skills: New rows of `platform.skills`.
        aliases: New rows of `platform.skill_aliases`.
        rows_count: Rows of the file, bad ones included.
        known_count: Rows whose skill the vocabulary has already.
        repeated_count: Rows whose skill an earlier row of the file has named.
        taken_aliases: Spellings that stand for another skill and are left as they are → that skill.
        bad_rows: Rows that name no skill.
    """

    skills: pd.DataFrame
    aliases: pd.DataFrame
    rows_count: int
    known_count: int
    repeated_count: int
    taken_aliases: dict[str, str]
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True)
class SampleImport:
    """What an import of labelled samples adds.

    Attributes:
        samples: Rows of `platform.labelled_samples`; of a text that stands twice the last row counts.
        rows_count: Rows of the file, bad ones included.
        unknown_labels: Labels that the vocabulary does not know → in how many samples they stand.
        bad_rows: Rows that are no samples.
    """

    samples: pd.DataFrame
    rows_count: int
    unknown_labels: dict[str, int]
    bad_rows: tuple[BadRow, ...]


def plan_skills(entries: Iterable[ImportedSkill | BadRow], known: Vocabulary, *, source: str) -> SkillImport:
    """What of a file is new to the vocabulary.

    A name that the vocabulary resolves, with or without what stands in parentheses after it (`Java (computer
    programming)`), is that skill, and gets the new spellings. A spelling that stands for another skill is left to it.

    Args:
        entries: What the file names.
        known: The vocabulary.
        source: Name of the import, kept with every row.
    """
    skills: dict[str, tuple[str, str, str, str]] = {}
    aliases: dict[str, str] = {}
    taken: dict[str, str] = {}
    bad_rows: list[BadRow] = []
    rows_count = known_count = repeated_count = 0
    for entry in entries:
        rows_count += 1
        if isinstance(entry, BadRow):
            bad_rows.append(entry)
            continue
        skill_id = _known_id(entry.name, known, aliases) or skill_slug(entry.name)
        if skill_id in known.by_id:
            known_count += 1
        elif skill_id in skills:
            repeated_count += 1
        else:
            skills[skill_id] = (skill_id, entry.name, entry.kind, source)
        for spelling in (entry.name, *entry.aliases):
            alias = normalize_alias(spelling)
            owner = known.by_alias.get(alias) or aliases.setdefault(alias, skill_id)
            if owner != skill_id:
                taken[alias] = owner
    return SkillImport(
        skills=pd.DataFrame(sorted(skills.values()), columns=["skill_id", "name", "kind", "source"]),
        aliases=pd.DataFrame(
            sorted((alias, skill_id, source) for alias, skill_id in aliases.items()),
            columns=["alias", "skill_id", "source"],
        ),
        rows_count=rows_count,
        known_count=known_count,
        repeated_count=repeated_count,
        taken_aliases=taken,
        bad_rows=tuple(bad_rows),
    )


def plan_samples(entries: Iterable[LabelledSample | BadRow], known: Vocabulary) -> SampleImport:
    """Rows of labelled samples.

    Args:
        entries: What the file holds.
        known: The vocabulary, to tell which labels it lacks.
    """
    samples: dict[str, LabelledSample] = {}
    bad_rows: list[BadRow] = []
    rows_count = 0
    for entry in entries:
        rows_count += 1
        if isinstance(entry, BadRow):
            bad_rows.append(entry)
        else:
            samples[text_sha256(entry.text)] = entry
    unknown: dict[str, int] = {}
    for sample in samples.values():
        for label in sample.skills:
            if label not in known.by_id and known.resolve(label) is None:
                unknown[label] = unknown.get(label, 0) + 1
    return SampleImport(
        samples=pd.DataFrame(
            [
                (sample_id, each.text, list(each.skills), each.source, each.split)
                for sample_id, each in sorted(samples.items(), key=lambda item: item[0])
            ],
            columns=["sample_id", "text", "skills", "source", "split"],
        ),
        rows_count=rows_count,
        unknown_labels=dict(sorted(unknown.items(), key=lambda item: (-item[1], item[0]))),
        bad_rows=tuple(bad_rows),
    )


def _known_id(name: str, known: Vocabulary, new: dict[str, str]) -> str | None:
    for spelling in (name, label_text(name)):
        alias = normalize_alias(spelling)
        skill_id = known.by_alias.get(alias) or new.get(alias)
        if skill_id is not None:
            return skill_id
    return None
