"""The skill vocabulary: how spellings are normalized, which skill a spelling stands for, and new skills met on the way.

Reading texts for skills is `extraction`; what a developer can do is `skills`. Pure but for reading the packaged list.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import pandas as pd

from platform_assets.spelling import normalize_alias

PACKAGED = "packaged"
KINDS = ("language", "framework", "tool", "platform", "concept", "other")

_SLUG_SIGNS = str.maketrans({"+": " plus", "#": " sharp"})


def skill_slug(name: str) -> str:
    """The id of a skill of this name: `C++` → `c-plus-plus`, `.NET` → `dot-net`, `Node.js` → `node-js`.

    A name without a letter or digit gets a slug made of its hash, so that it still has one.
    """
    words = normalize_alias(name).translate(_SLUG_SIGNS)
    words = re.sub(r"(^|\s)\.", r"\1dot ", words)
    slug = re.sub(r"[\W_]+", "-", words).strip("-")
    return slug or f"skill-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill of the vocabulary; `aliases` are normalized spellings, the name's own included.

    `ambiguous` are those aliases that are also everyday words (`go`, `rust`): in a text they count only beside
    something that speaks of technology.
    """

    skill_id: str
    name: str
    kind: str
    aliases: frozenset[str]
    ambiguous: frozenset[str] = frozenset()
    source: str = PACKAGED


@dataclass(frozen=True)
class Vocabulary:
    """Skills and the spellings that stand for them.

    Args:
        skills: Skills with distinct ids. Where two claim a spelling, the first one has it.
    """

    skills: tuple[Skill, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Skill]:
        """Skill id → skill."""
        return {skill.skill_id: skill for skill in self.skills}

    @cached_property
    def by_alias(self) -> Mapping[str, str]:
        """Normalized spelling → skill id."""
        spellings: dict[str, str] = {}
        for skill in self.skills:
            for alias in sorted(skill.aliases):
                spellings.setdefault(alias, skill.skill_id)
        return spellings

    @cached_property
    def ambiguous(self) -> frozenset[str]:
        """Normalized spellings that are also everyday words."""
        return frozenset(alias for skill in self.skills for alias in skill.ambiguous)

    @cached_property
    def max_alias_words(self) -> int:
        """Number of words of the longest spelling."""
        return max((alias.count(" ") + 1 for alias in self.by_alias), default=0)

    def resolve(self, spelling: str) -> str | None:
        """The skill that a spelling stands for when it is known to name a skill; None when there is none."""
        return self.by_alias.get(normalize_alias(spelling))

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of `platform.skills` and `platform.skill_aliases`, sorted by key."""
        skills = pd.DataFrame(
            sorted((skill.skill_id, skill.name, skill.kind, skill.source) for skill in self.skills),
            columns=["skill_id", "name", "kind", "source"],
        )
        aliases = pd.DataFrame(
            sorted((alias, sid, self.by_id[sid].source) for alias, sid in self.by_alias.items()),
            columns=["alias", "skill_id", "source"],
        )
        return skills, aliases


def vocabulary_from_frames(skills: pd.DataFrame, aliases: pd.DataFrame) -> Vocabulary:
    """The vocabulary from rows of `platform.skills` and `platform.skill_aliases`.

    Which spellings are ambiguous is taken from the packaged list; of those from elsewhere every single word is, since
    a declared "leadership" or a topic "website" may be any word of a text.
    """
    everyday = packaged_vocabulary().ambiguous
    known = packaged_vocabulary().by_alias
    spellings = aliases.groupby("skill_id")["alias"].agg(frozenset).to_dict()
    rows = zip(skills["skill_id"], skills["name"], skills["kind"], skills["source"])
    return Vocabulary(
        tuple(
            Skill(
                skill_id=skill_id,
                name=name,
                kind=kind,
                aliases=(own := spellings.get(skill_id, frozenset())),
                ambiguous=frozenset(a for a in own if a in everyday or (a not in known and " " not in a)),
                source=source,
            )
            for skill_id, name, kind, source in rows
        )
    )


@cache
def packaged_vocabulary() -> Vocabulary:
    """The list of technologies that ships with the product."""
    text = resources.files("platform_assets.profiles").joinpath("technologies.csv").read_text("utf-8")
    return Vocabulary(tuple(_packaged_skill(row) for row in csv.DictReader(text.splitlines())))


def _packaged_skill(row: Mapping[str, str]) -> Skill:
    spellings = [row["name"], *row["aliases"].split("|")]
    return Skill(
        skill_id=row["skill_id"],
        name=row["name"],
        kind=row["kind"],
        aliases=frozenset(alias for text in spellings if (alias := normalize_alias(text))),
        ambiguous=frozenset(
            alias for text in row["ambiguous"].split("|") if (alias := normalize_alias(text))
        ),
    )


def new_skills(
    names: Iterable[str], known: Vocabulary, *, source: str, kind: str = "other"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Skills for names that the vocabulary does not know, so that nothing declared is lost.

    Args:
        names: Names as met; several spellings that normalize alike become one skill, named by the first of them
            in alphabetical order. Names without a letter or digit are left out.
        known: The vocabulary so far.
        source: Where the names were met: `declared` or `github`.
        kind: Kind of the new skills.

    Returns:
        Rows of `platform.skills` and `platform.skill_aliases`, sorted by key; empty when all are known.
    """
    found: dict[str, Skill] = {}
    aliases: dict[str, str] = {}
    for name in sorted(set(names)):
        alias = normalize_alias(name)
        if not alias or alias in known.by_alias or alias in aliases:
            continue
        # `node-js` may spell a known skill's very id; then only the spelling is new.
        skill = Skill(skill_slug(name), name.strip(), kind, frozenset({alias}), source=source)
        aliases[alias] = skill.skill_id
        if skill.skill_id not in known.by_id:
            found.setdefault(skill.skill_id, skill)
    skills = pd.DataFrame(
        sorted((skill.skill_id, skill.name, skill.kind, skill.source) for skill in found.values()),
        columns=["skill_id", "name", "kind", "source"],
    )
    return skills, pd.DataFrame(
        sorted((alias, skill_id, source) for alias, skill_id in aliases.items()),
        columns=["alias", "skill_id", "source"],
    )
