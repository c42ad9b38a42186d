"""Who can do what: own commits, declared skills, bios and contracts → one row per developer and skill.

The probability of a commit history is `confidence`; spellings are `vocabulary`; all sources are joined here. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.profiles.confidence import confidence
from platform_assets.profiles.mentions import find_mentions
from platform_assets.profiles.vocabulary import PACKAGED, Vocabulary, skill_slug
from platform_assets.spelling import normalize_alias

Floats = npt.NDArray[np.float64]

MIN_COMMITS = 0.5
"""Fewer attributed commits than half a one are no evidence: the language came with the repository."""

TOPIC_PART = 0.5
"""Part of a repository's commits that counts for each of its topics: they say what it is about, not what each commit
touches."""

DECLARED_PRIOR = 0.3
"""Confidence in a skill that is declared and shows nowhere. Low, since a claim costs nothing."""

BIO_PRIOR = 0.2
"""Confidence in a skill that only the bio names: not even a claim."""

CONTRACT_DOUBT = 0.6
"""A fresh, well rated contract that used a skill leaves this part of the doubt about it."""

CONTRACT_HALF_LIFE_DAYS = 365
UNRATED = 0.8
"""What a finished contract without a rating counts, beside 1 for five stars."""

COLUMNS = (
    "developer_id",
    "skill_id",
    "confidence",
    "sources",
    "commits_count",
    "commits_share",
    "last_used_on",
    "as_of",
)

_KEYS = ["developer_id", "skill_id"]
_SOURCES = ("declared", "github", "bio", "contract")
_DAYS_PER_MONTH = 30.4
# Terms beside a repository name technologies, but `core` or `move` also folders: everyday words count only where they
# would be the very subject of a repository.
_TOPIC_KINDS = ("language", "framework")


def skill_profiles(
    repositories: pd.DataFrame,
    developers: pd.DataFrame,
    contracts: pd.DataFrame | None,
    vocabulary: Vocabulary,
    *,
    as_of: dt.date,
) -> pd.DataFrame:
    """Say for each developer and skill how sure it is that they use it in the next year.

    Own commits decide where there are any: their history goes through the calibrated model, and a claim adds nothing
    to it. Without commits a declared skill has `DECLARED_PRIOR`, one named in the bio `BIO_PRIOR`. Then each contract
    that used the skill takes away part of the remaining doubt: all but `CONTRACT_DOUBT` of it when fresh and rated
    with five stars, less with age (`CONTRACT_HALF_LIFE_DAYS`) and with a lower rating.

    Args:
        repositories: Rows of `platform.developer_repositories`.
        developers: Rows of `marketplace.developers`; only their skills are computed.
        contracts: Rows of `marketplace.contracts`, or None; those `active` or `completed` count.
        vocabulary: Spellings; a name that it lacks gets the id that `new_skills` would give it.
        as_of: Day (UTC) for which the rows hold.

    Returns:
        Rows of `platform.skill_profiles` with `COLUMNS`, sorted by key.
    """
    known = frozenset(developers["developer_id"])
    own = repositories[repositories["developer_id"].isin(known)]
    histories = skill_histories(own, vocabulary, as_of=as_of)
    github = histories.assign(github=True, github_confidence=confidence(histories))
    parts = [
        github[[*_KEYS, "github", "github_confidence", "commits_count", "commits_share", "last_used_on"]],
        _declared(developers, vocabulary).assign(declared=True),
        _in_bios(developers, vocabulary).assign(bio=True),
        _contract_evidence(contracts, known, vocabulary, as_of).assign(contract=True),
    ]
    # An empty part has no type of its own, and keys of different types do not merge.
    rows, *others = (part.astype(dict.fromkeys(_KEYS, object)) for part in parts)
    for other in others:
        rows = rows.merge(other, on=_KEYS, how="outer")
    return _joined(rows, as_of)


def _joined(rows: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    rows = rows.sort_values(_KEYS, ignore_index=True)
    has = {source: rows[source].notna().to_numpy() for source in _SOURCES}
    prior = np.where(has["declared"], DECLARED_PRIOR, np.where(has["bio"], BIO_PRIOR, 0.0))
    base = rows["github_confidence"].to_numpy(dtype=np.float64)
    base = np.where(has["github"], base, prior)
    strength = rows["contract_strength"].fillna(0.0).to_numpy(dtype=np.float64)
    last_used = pd.concat([rows["last_used_on"], rows["contract_last_on"]], axis=1).max(axis=1)
    return pd.DataFrame(
        {
            "developer_id": rows["developer_id"],
            "skill_id": rows["skill_id"],
            "confidence": 1 - (1 - base) * CONTRACT_DOUBT**strength,
            "sources": pd.Series(_source_lists(has), dtype=object),
            "commits_count": rows["commits_count"].fillna(0.0).astype(float),
            "commits_share": rows["commits_share"].fillna(0.0).astype(float),
            "last_used_on": last_used.dt.date.astype(object).where(last_used.notna(), None),
            "as_of": as_of,
        },
        columns=list(COLUMNS),
    )


def _source_lists(has: Mapping[str, npt.NDArray[np.bool_]]) -> list[list[str]]:
    flags = np.column_stack([has[source] for source in _SOURCES])
    return [[source for source, flag in zip(_SOURCES, row) if flag] for row in flags]


def skill_histories(repositories: pd.DataFrame, vocabulary: Vocabulary, *, as_of: dt.date) -> pd.DataFrame:
    """Histories of developers with skills, from their work by repository.

    A repository's commits are shared out to its languages by their weight; each topic has `TOPIC_PART` of them. Months with a
    commit are not known and estimated: n commits spread evenly over m months touch m · (1 − (1 − 1/m)ⁿ) of them.

    Args:
        repositories: Rows of `platform.developer_repositories`.
        vocabulary: Spellings.
        as_of: Day of the forecast; work dated later counts as of that day.

    Returns:
        `developer_id`, the columns of `confidence.HISTORY_COLUMNS`, `commits_share` and `last_used_on` (timestamp);
        one row per developer and skill with at least `MIN_COMMITS` commits.
    """
    day = pd.Timestamp(as_of)
    # Sums of fractions differ in the last bits with the order of their parts, and rows come in any.
    repositories = repositories.sort_values(["developer_id", "repository"])
    work = pd.DataFrame(
        {
            "developer_id": repositories["developer_id"],
            "commits": repositories["commits_count"].astype(float),
            "last_year": repositories["commits_last_year_count"].astype(float),
            "first": _days(repositories["first_contributed_on"], latest=day),
            "last": _days(repositories["last_contributed_on"], latest=day),
        }
    ).reset_index(drop=True)
    totals = work.groupby("developer_id").agg(
        commits_total_count=("commits", "sum"),
        commits_total_last_year_count=("last_year", "sum"),
        first=("first", "min"),
        last=("last", "max"),
    )
    used = _attributed(repositories, vocabulary).merge(work, left_on="row", right_index=True)
    used["commits"] *= used["part"]
    used["last_year"] = (used["last_year"] * used["part"]).clip(upper=used["commits"])
    months = ((used["last"] - used["first"]).dt.days / _DAYS_PER_MONTH).clip(lower=0) + 1
    used["months"] = np.minimum(months * (1 - (1 - 1 / months) ** used["commits"]), used["commits"])
    skills = used.groupby(_KEYS, as_index=False).agg(
        commits_count=("commits", "sum"),
        commits_last_year_count=("last_year", "sum"),
        active_months=("months", "sum"),
        last_used_on=("last", "max"),
    )
    skills = skills[skills["commits_count"] >= MIN_COMMITS].merge(totals, on="developer_id")
    skills["days_since_last_use"] = (day - skills["last_used_on"]).dt.days
    skills["days_since_last_commit"] = (day - skills["last"]).dt.days
    skills["tenure_days"] = (day - skills["first"]).dt.days
    skills["commits_share"] = (skills["commits_count"] / skills["commits_total_count"]).clip(upper=1)
    return skills.drop(columns=["first", "last"])


def _attributed(repositories: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """`row` (position of the repository), `skill_id` and `part` of its commits, from 0 to 1."""
    languages = [
        (row, name, weight)
        for row, weights in enumerate(repositories["languages"])
        for name, weight in weights.items()
        if weight > 0
    ]
    frame = pd.DataFrame(languages, columns=["row", "name", "weight"]).astype({"weight": float, "row": int})
    frame["part"] = frame["weight"] / frame.groupby("row")["weight"].transform("sum")
    frame["skill_id"] = _ids(frame["name"], vocabulary)
    topics = [(row, topic) for row, own in enumerate(repositories["topics"]) for topic in own]
    named = pd.DataFrame(topics, columns=["row", "name"]).astype({"row": int})
    spelled = {name: _topic_skill(name, vocabulary) for name in named["name"].unique()}
    named["skill_id"] = named["name"].map(spelled)
    named["part"] = TOPIC_PART
    columns = ["row", "skill_id", "part"]
    both = pd.concat([frame[columns], named.dropna(subset="skill_id")[columns]], ignore_index=True)
    # Two dialects of a language add up; a topic and its language are the same commits.
    parts = pd.DataFrame(both.groupby(["row", "skill_id"], as_index=False)["part"].sum())
    return parts.assign(part=parts["part"].clip(upper=1.0))


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
    return _pairs(developers["developer_id"], developers["declared_skills"], vocabulary)


def _in_bios(developers: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    with_bio = developers[developers["bio"].notna()]
    found = {
        bio: {mention.skill_id for mention in find_mentions(bio, vocabulary)}
        for bio in with_bio["bio"].unique()
    }
    rows = [
        (developer, skill)
        for developer, bio in zip(with_bio["developer_id"], with_bio["bio"])
        for skill in found[bio]
    ]
    return pd.DataFrame(rows, columns=_KEYS, dtype=object)


def _pairs(
    developer_ids: Iterable[str], names: Iterable[Iterable[str]], vocabulary: Vocabulary
) -> pd.DataFrame:
    rows = [(developer, name) for developer, own in zip(developer_ids, names) for name in own]
    frame = pd.DataFrame(rows, columns=["developer_id", "name"], dtype=object)
    frame["skill_id"] = _ids(frame["name"], vocabulary)
    return frame.dropna(subset="skill_id")[_KEYS].drop_duplicates()


def _contract_evidence(
    contracts: pd.DataFrame | None, known: frozenset[str], vocabulary: Vocabulary, as_of: dt.date
) -> pd.DataFrame:
    """Strength of the contracts behind each developer's skill, and the latest day that one ran."""
    columns = [*_KEYS, "contract_strength", "contract_last_on"]
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in columns}).astype(
        {"contract_strength": float, "contract_last_on": "datetime64[ns]"}
    )
    if contracts is None:
        return empty
    day = pd.Timestamp(as_of)
    counted = contracts["status"].isin(["active", "completed"]) & contracts["developer_id"].isin(known)
    used = contracts[counted & (pd.to_datetime(contracts["started_on"]) <= day)].sort_values("contract_id")
    if used.empty:
        return empty
    last = _days(used["ended_on"], latest=day)
    rating = (pd.to_numeric(used["client_rating"]) / 5).fillna(UNRATED).astype(float)
    strength = rating * 0.5 ** ((day - last).dt.days / CONTRACT_HALF_LIFE_DAYS)
    rows = pd.DataFrame(
        {
            "developer_id": used["developer_id"],
            "name": used["skills_used"],
            "contract_strength": strength,
            "contract_last_on": last,
        }
    ).explode("name")
    rows = rows.dropna(subset="name")
    rows["skill_id"] = _ids(rows["name"], vocabulary)
    by_skill = rows.dropna(subset="skill_id").groupby(_KEYS, as_index=False)
    return by_skill.agg(
        contract_strength=("contract_strength", "sum"), contract_last_on=("contract_last_on", "max")
    )


def _days(dates: pd.Series[Any], *, latest: pd.Timestamp) -> pd.Series[pd.Timestamp]:
    """Dates as timestamps; those after the latest day, and those still open, are that day."""
    days = pd.to_datetime(dates)
    return days.where(days <= latest, latest)
