"""The ledger of evidence: commits, claims, texts and contracts → one row per developer, skill, source and reference.

What a row counts is decided here, with `discounts`; what the rows of a skill come to together is `skills`. Pure.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.profiles.discounts import (
    Discounts,
    combined,
    is_bot,
    language_discounts,
    repository_discounts,
)
from platform_assets.profiles.mentions import find_mentions
from platform_assets.profiles.vocabulary import PACKAGED, Vocabulary, skill_slug
from platform_assets.spelling import normalize_alias
from platform_assets.tables.skill_evidence import developer_evidence, skill_evidence

DECLARED, GITHUB, TEXT, CONTRACT = SOURCES = ("declared", "github", "text", "contract")

MIN_COMMITS = 0.5
"""Fewer attributed commits than half a one are no evidence: the language came with the repository."""

TOPIC_PART = 0.5
"""Part of a repository's commits that counts for each of its topics: they say what it is about, not what each commit
touches."""

DECLARED_PRIOR = 0.3
"""Confidence in a skill that is declared and shows nowhere. Low, since a claim costs nothing."""

TEXT_PRIOR = 0.2
"""Confidence in a skill that only a text names, the bio or a README: not even a claim."""

CONTRACT_HALF_LIFE_DAYS = 365
UNRATED = 0.8
"""What a finished contract without a rating counts, beside 1 for five stars."""

TEXT_COLUMNS = ("developer_id", "skill_id", "source", "repository", "quote")
"""Of a skill that a text names: `source` is `bio` or `readme`, `repository` the README's, empty for the bio."""

LEDGER_COLUMNS = [column.name for column in skill_evidence.columns if not column.info.get("bookkeeping")]
WHOLE_COLUMNS = [
    column.name
    for column in developer_evidence.columns
    if not column.info.get("bookkeeping") and column.name != "inputs_sha256"
]
KEYS = ["developer_id", "skill_id"]

_OWN_WORK = ["developer_id", "repository"]
# Terms beside a repository name technologies, but `core` or `move` also folders: everyday words count only where they
# would be the very subject of a repository.
_TOPIC_KINDS = ("language", "framework")
_BURSTY = "bursty"
_DTYPES = {
    **dict.fromkeys(("developer_id", "skill_id", "source", "reference", "quote", "discounts"), "object"),
    **dict.fromkeys(("share", "weight"), "float64"),
    **dict.fromkeys(("commits_count", "commits_last_year_count", "age_days"), "Int64"),
    **dict.fromkeys(("first_used_on", "last_used_on"), "datetime64[s]"),
}


@dataclass(frozen=True)
class Evidence:
    """What is known of some developers' skills.

    Attributes:
        ledger: Rows of `platform.skill_evidence` with `LEDGER_COLUMNS`, sorted by key.
        wholes: Rows of `platform.developer_evidence` with `WHOLE_COLUMNS`, one for each developer, sorted.
    """

    ledger: pd.DataFrame
    wholes: pd.DataFrame


def collect_evidence(
    repositories: pd.DataFrame,
    developers: pd.DataFrame,
    contracts: pd.DataFrame | None,
    texts: pd.DataFrame,
    vocabulary: Vocabulary,
    *,
    as_of: dt.date,
) -> Evidence:
    """Everything that speaks for a skill, and what it counts.

    Args:
        repositories: Rows of `platform.developer_repositories`.
        developers: Rows of `marketplace.developers`; only their evidence is collected.
        contracts: Rows of `marketplace.contracts`, or None; those `active` or `completed` count.
        texts: Skills that texts name, with `TEXT_COLUMNS`.
        vocabulary: Spellings; a name that it lacks gets the id that `new_skills` would give it.
        as_of: Day (UTC) for which the rows hold; work dated later counts as of that day.
    """
    work = _own_work(repositories, developers, as_of)
    parts = [
        _commits(work, vocabulary),
        _declared(developers, vocabulary),
        _texts(texts, work, frozenset(developers["developer_id"])),
        _contracts(contracts, developers, vocabulary, as_of),
    ]
    ledger = pd.concat([part.reindex(columns=list(_DTYPES)).astype(_DTYPES) for part in parts])
    ledger["age_days"] = (pd.Timestamp(as_of) - ledger["last_used_on"]).dt.days.astype("Int64")
    ledger["as_of"] = as_of
    ledger = ledger.sort_values([*KEYS, "source", "reference"], ignore_index=True)
    wholes = _wholes(work, developers).assign(as_of=as_of)
    rows_count = ledger["developer_id"].value_counts()
    wholes["evidence_count"] = wholes["developer_id"].map(rows_count).fillna(0).astype("int64")
    return Evidence(ledger[LEDGER_COLUMNS], wholes[WHOLE_COLUMNS])


def bio_texts(developers: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """Skills that bios spell, with `TEXT_COLUMNS`."""
    with_bio = developers[developers["bio"].notna()]
    found = {
        bio: {mention.skill_id: mention.written for mention in reversed(find_mentions(bio, vocabulary))}
        for bio in with_bio["bio"].unique()
    }
    rows = [
        (developer, skill, "bio", "", written)
        for developer, bio in zip(with_bio["developer_id"], with_bio["bio"])
        for skill, written in found[bio].items()
    ]
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS), dtype=object)


def _own_work(repositories: pd.DataFrame, developers: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Repositories of the developers, with their discounts and the product of these, `counted`."""
    logins = developers.reindex(columns=["github_login"])["github_login"]
    is_program = {
        developer: is_bot(login if isinstance(login, str) else None)
        for developer, login in zip(developers["developer_id"], logins)
    }
    day = pd.Timestamp(as_of)
    is_own = repositories["developer_id"].isin(is_program) & (repositories["commits_count"] > 0)
    work = repositories[is_own].sort_values(_OWN_WORK, ignore_index=True)
    first, last = (_days(work[f"{end}_contributed_on"], latest=day) for end in ("first", "last"))
    work = work.assign(first=first.where(first <= last, last), last=last)
    span_days = (work["last"] - work["first"]).dt.days + 1
    discounts = [
        repository_discounts(
            repository,
            is_fork=bool(is_fork),
            description=description if isinstance(description, str) else None,
            topics=topics,
            commits_count=commits,
            span_days=span,
            by_bot=is_program[developer],
        )
        for developer, repository, is_fork, description, topics, commits, span in zip(
            work["developer_id"],
            work["repository"],
            work["is_fork"],
            work["description"],
            work["topics"],
            work["commits_count"],
            span_days,
        )
    ]
    return work.assign(
        discounts=pd.Series(discounts, dtype=object),
        counted=np.array(combined(discounts), dtype=np.float64),
        last_year=np.minimum(work["commits_last_year_count"], work["commits_count"]),
    )


def _commits(work: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """A repository's commits are shared out to its languages by their weight; each topic has `TOPIC_PART` of them."""
    parts = _attributed(work, vocabulary)
    own = work.iloc[parts["row"]].reset_index(drop=True)
    discounts: list[Discounts] = [
        {**of_repository, **of_part} for of_repository, of_part in zip(own["discounts"], parts["discounts"])
    ]
    rows = pd.DataFrame(
        {
            "developer_id": own["developer_id"],
            "skill_id": parts["skill_id"],
            "source": GITHUB,
            "reference": own["repository"],
            "share": parts["part"],
            "commits_count": own["commits_count"],
            "commits_last_year_count": own["last_year"],
            "first_used_on": own["first"],
            "last_used_on": own["last"],
            "discounts": pd.Series(discounts, dtype=object),
            "weight": own["commits_count"] * parts["part"] * np.array(combined(discounts), dtype=np.float64),
        }
    )
    attributed = rows["commits_count"] * rows["share"]
    return rows[attributed.groupby([rows[key] for key in KEYS]).transform("sum") >= MIN_COMMITS]


def _attributed(work: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """`row` (position of the repository), `skill_id`, `part` of its commits from 0 to 1, and the part's `discounts`."""
    languages = [
        (row, name, float(weight))
        for row, weights in enumerate(work["languages"])
        for name, weight in weights.items()
        if weight > 0
    ]
    frame = pd.DataFrame(languages, columns=["row", "name", "weight"]).astype({"weight": float, "row": int})
    frame["part"] = frame["weight"] / frame.groupby("row")["weight"].transform("sum")
    frame["skill_id"] = _ids(frame["name"], vocabulary)
    factors = {name: combined([language_discounts(name)])[0] for name in frame["name"].unique()}
    frame["written"] = frame["part"] * frame["name"].map(factors).astype(float)
    # Two dialects of a language add up.
    by_language = frame.groupby(["row", "skill_id"])[["part", "written"]].sum()
    topics = [(row, topic) for row, own in enumerate(work["topics"]) for topic in own]
    named = pd.DataFrame(topics, columns=["row", "name"]).astype({"row": int})
    spelled = {name: _topic_skill(name, vocabulary) for name in named["name"].unique()}
    named["skill_id"] = named["name"].map(spelled)
    by_topic = named.dropna(subset="skill_id").groupby(["row", "skill_id"]).size()
    # A topic and its language are the same commits.
    both = by_language.join(by_topic.rename("topics"), how="outer").reset_index()
    topic_part = np.where(both["topics"].notna(), TOPIC_PART, 0.0)
    written = (both["written"] / both["part"]).fillna(1.0)
    return pd.DataFrame(
        {
            "row": both["row"].astype(int),
            "skill_id": both["skill_id"],
            "part": np.clip(np.maximum(both["part"].fillna(0.0), topic_part), 0.0, 1.0),
            "discounts": pd.Series(
                [{"generated": factor} if factor < 1 else {} for factor in written], dtype=object
            ),
        }
    )


def _topic_skill(topic: str, vocabulary: Vocabulary) -> str | None:
    skill_id = vocabulary.resolve(topic)
    if skill_id is None:
        return None
    skill = vocabulary.by_id[skill_id]
    if skill.source != PACKAGED or skill.kind in _TOPIC_KINDS:
        return skill_id
    return None if normalize_alias(topic) in skill.ambiguous else skill_id


def _ids(names: pd.Series[str], vocabulary: Vocabulary) -> pd.Series[str]:
    """The skill of each name; a name without a letter or digit has none."""
    ids = {
        name: vocabulary.resolve(name) or skill_slug(name) for name in names.unique() if normalize_alias(name)
    }
    return names.map(ids)


def _declared(developers: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    said = _exploded(developers[["developer_id", "declared_skills"]], "declared_skills", vocabulary)
    rows = said.drop_duplicates(KEYS)
    return rows.assign(source=DECLARED, reference="", discounts=_none(rows), weight=DECLARED_PRIOR)


def _texts(texts: pd.DataFrame, work: pd.DataFrame, known: frozenset[str]) -> pd.DataFrame:
    """A README counts as far as its repository does; how fast commits came there is another matter."""
    rows = texts[texts["developer_id"].isin(known)]
    rows = rows.drop_duplicates([*KEYS, "repository"]).reset_index(drop=True)
    of_repository = {
        (developer, repository): {name: factor for name, factor in found.items() if name != _BURSTY}
        for developer, repository, found in zip(work["developer_id"], work["repository"], work["discounts"])
    }
    discounts = [of_repository.get(key, Discounts()) for key in zip(rows["developer_id"], rows["repository"])]
    return pd.DataFrame(
        {
            **{name: rows[name] for name in (*KEYS, "quote")},
            "source": TEXT,
            "reference": rows["repository"],
            "discounts": pd.Series(discounts, dtype=object),
            "weight": TEXT_PRIOR * np.array(combined(discounts), dtype=np.float64),
        }
    )


def _contracts(
    contracts: pd.DataFrame | None, developers: pd.DataFrame, vocabulary: Vocabulary, as_of: dt.date
) -> pd.DataFrame:
    """A contract's strength is 1 when fresh and rated with five stars, and less with age and a lower rating."""
    if contracts is None:
        return pd.DataFrame()
    day = pd.Timestamp(as_of)
    counted = contracts["status"].isin(["active", "completed"]) & contracts["developer_id"].isin(
        developers["developer_id"]
    )
    used = contracts[counted & (pd.to_datetime(contracts["started_on"]) <= day)].reset_index(drop=True)
    first, last = (_days(used[f"{end}_on"], latest=day) for end in ("started", "ended"))
    rating = (pd.to_numeric(used["client_rating"]) / 5).fillna(UNRATED).astype(float)
    age = 0.5 ** ((day - last).dt.days / CONTRACT_HALF_LIFE_DAYS)
    discounts = [
        {name: factor for name, factor in (("rating", rated), ("age", aged)) if factor < 1}
        for rated, aged in zip(rating, age)
    ]
    rows = _exploded(
        used[["developer_id", "skills_used"]].assign(
            reference=used["contract_id"],
            first_used_on=first,
            last_used_on=last,
            discounts=pd.Series(discounts, dtype=object),
            weight=rating * age,
        ),
        "skills_used",
        vocabulary,
    )
    return rows.drop_duplicates([*KEYS, "reference"]).assign(source=CONTRACT)


def _exploded(rows: pd.DataFrame, names: str, vocabulary: Vocabulary) -> pd.DataFrame:
    """A row for each name in the lists of a column, as `quote`, with the skill that it stands for."""
    each = rows.explode(names, ignore_index=True).rename(columns={names: "quote"}).dropna(subset="quote")
    each["skill_id"] = _ids(each["quote"], vocabulary)
    return each.dropna(subset="skill_id")


def _none(rows: pd.DataFrame) -> pd.Series[Any]:
    return pd.Series([Discounts()] * len(rows), index=rows.index, dtype=object)


def _wholes(work: pd.DataFrame, developers: pd.DataFrame) -> pd.DataFrame:
    """The whole of each developer's own work, and what of it counts."""
    rows = work.assign(
        counted_last_year=work["last_year"] * work["counted"],
        counted_first=work["first"].where(work["counted"] > 0),
    )
    wholes = rows.groupby("developer_id").agg(
        commits_count=("commits_count", "sum"),
        commits_last_year_count=("last_year", "sum"),
        first_contributed_on=("first", "min"),
        last_contributed_on=("last", "max"),
        counted_last_year_count=("counted_last_year", "sum"),
        counted_from_on=("counted_first", "min"),
    )
    wholes = wholes.reindex(sorted(developers["developer_id"])).rename_axis("developer_id").reset_index()
    counts = wholes[["commits_count", "commits_last_year_count", "counted_last_year_count"]].fillna(0)
    wholes[counts.columns] = counts
    return wholes.astype({"commits_count": "int64", "commits_last_year_count": "int64"})


def _days(dates: pd.Series[Any], *, latest: pd.Timestamp) -> pd.Series[pd.Timestamp]:
    """Dates as timestamps; those after the latest day, and those still open, are that day."""
    days = pd.to_datetime(dates)
    return days.where(days <= latest, latest)
