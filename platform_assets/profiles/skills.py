"""Who can do what: the ledger of evidence → one confidence per developer and skill, from its rows alone.

What is evidence and what it counts is `skill_evidence`; the probability of a commit history is `confidence`; all sources
are joined here. Pure.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.profiles.confidence import Model, confidence
from platform_assets.profiles.skill_evidence import (
    CONTRACT,
    GITHUB,
    KEYS,
    MIN_COMMITS,
    SOURCES,
    Evidence,
    bio_texts,
    collect_evidence,
)
from platform_assets.profiles.vocabulary import Vocabulary

CONTRACT_DOUBT = 0.6
"""A fresh, well rated contract that used a skill leaves this part of the doubt about it."""

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

_DAYS_PER_MONTH = 30.4


def skill_profiles(
    repositories: pd.DataFrame,
    developers: pd.DataFrame,
    contracts: pd.DataFrame | None,
    vocabulary: Vocabulary,
    *,
    as_of: dt.date,
) -> pd.DataFrame:
    """Collect the evidence and weigh it: `collect_evidence`, then `profiles_from_evidence`, by the shipped model."""
    texts = bio_texts(developers, vocabulary)
    return profiles_from_evidence(
        collect_evidence(repositories, developers, contracts, texts, vocabulary, as_of=as_of)
    )


def profiles_from_evidence(evidence: Evidence, *, model: Model | None = None) -> pd.DataFrame:
    """Say for each developer and skill how sure it is that they use it in the next year.

    Own commits go through the calibrated model. A claim (declared, or named in a text) has a confidence of its own, and
    counts where commits do not say more. Then each contract that used the skill takes away part of the remaining doubt:
    all but `CONTRACT_DOUBT` of it at full strength. What is discounted to nothing supports nothing.

    Args:
        evidence: The developers' rows of the ledger, and the wholes of their work.
        model: Coefficients for histories; default is the shipped model.

    Returns:
        Rows of `platform.skill_profiles` with `COLUMNS`, sorted by key.
    """
    # A database orders texts in its own way, and the last bits of sums depend on the order.
    ledger = evidence.ledger[evidence.ledger["weight"] > 0].sort_values([*KEYS, "source", "reference"])
    histories = skill_histories(evidence)
    github = histories.assign(github_confidence=confidence(histories, model=model))
    # Half a commit is too little, whatever is left of more.
    ledger = ledger[(ledger["source"] != GITHUB) | _is_among(ledger, github)]
    by_skill = ledger.groupby(KEYS, sort=True)
    rows = by_skill.agg(last_used_on=("last_used_on", "max"), as_of=("as_of", "first")).reset_index()
    rows = rows.merge(
        github[[*KEYS, "github_confidence", "commits_count", "commits_share"]], on=KEYS, how="left"
    )
    claims = ledger[~ledger["source"].isin([GITHUB, CONTRACT])]
    contracts = ledger[ledger["source"] == CONTRACT]
    prior = _of(rows, claims.groupby(KEYS)["weight"].max())
    strength = _of(rows, contracts.groupby(KEYS)["weight"].sum())
    base = np.maximum(prior, rows["github_confidence"].fillna(0.0).to_numpy(dtype=np.float64))
    return pd.DataFrame(
        {
            "developer_id": rows["developer_id"],
            "skill_id": rows["skill_id"],
            "confidence": 1 - (1 - base) * CONTRACT_DOUBT**strength,
            "sources": pd.Series(_source_lists(rows, ledger), dtype=object),
            "commits_count": rows["commits_count"].fillna(0.0).astype(float),
            "commits_share": rows["commits_share"].fillna(0.0).astype(float),
            "last_used_on": rows["last_used_on"]
            .dt.date.astype(object)
            .where(rows["last_used_on"].notna(), None),
            "as_of": pd.to_datetime(rows["as_of"]).dt.date,
        },
        columns=list(COLUMNS),
    )


def _is_among(ledger: pd.DataFrame, known: pd.DataFrame) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pd.MultiIndex.from_frame(ledger[KEYS]).isin(
        pd.MultiIndex.from_frame(known[KEYS])
    )
    return found


def _of(rows: pd.DataFrame, values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """The value of each row's developer and skill; 0 where there is none."""
    return values.reindex(pd.MultiIndex.from_frame(rows[KEYS])).fillna(0.0).to_numpy(dtype=np.float64)


def _source_lists(rows: pd.DataFrame, ledger: pd.DataFrame) -> list[list[str]]:
    found = set(zip(ledger["developer_id"], ledger["skill_id"], ledger["source"]))
    return [
        [source for source in SOURCES if (*key, source) in found]
        for key in zip(rows["developer_id"], rows["skill_id"])
    ]


def skill_histories(evidence: Evidence) -> pd.DataFrame:
    """Histories of developers with skills, from the ledger's commits.

    Months with a commit are not known and estimated: n commits spread evenly over m months touch m · (1 − (1 − 1/m)ⁿ)
    of them. What speaks for a skill is what counts of the commits after discounts; what it is measured against is all
    of the developer's own work.

    Returns:
        `developer_id`, `as_of`, the columns of `confidence.HISTORY_COLUMNS`, and `commits_share`; one row per developer
        and skill with at least `MIN_COMMITS` commits that count, sorted by key.
    """
    ledger = evidence.ledger
    commits = ledger[ledger["source"] == GITHUB]
    # Sums of fractions differ in the last bits with the order of their parts, and a database has another one.
    commits = commits.sort_values([*KEYS, "reference"], ignore_index=True)
    count, last_year = (
        commits[name].to_numpy(dtype=np.float64) for name in ("commits_count", "commits_last_year_count")
    )
    months = ((commits["last_used_on"] - commits["first_used_on"]).dt.days / _DAYS_PER_MONTH).clip(
        lower=0
    ) + 1
    used = commits[[*KEYS, "weight", "as_of"]].assign(
        last_year=_counted_last_year(commits),
        months=np.minimum(months * (1 - (1 - 1 / months) ** commits["weight"]), commits["weight"]),
        before=commits["share"] * (count - last_year),
        last_used_on=commits["last_used_on"].where(commits["weight"] > 0),
    )
    skills = used.groupby(KEYS, as_index=False).agg(
        as_of=("as_of", "first"),
        commits_count=("weight", "sum"),
        commits_last_year_count=("last_year", "sum"),
        commits_before_last_year_count=("before", "sum"),
        active_months=("months", "sum"),
        last_used_on=("last_used_on", "max"),
    )
    wholes = evidence.wholes.rename(
        columns={
            "commits_count": "commits_total_count",
            "counted_last_year_count": "commits_total_last_year_count",
        }
    ).drop(columns=["as_of", "commits_last_year_count"])
    skills = skills[skills["commits_count"] >= MIN_COMMITS].merge(wholes, on="developer_id")
    day = pd.to_datetime(skills["as_of"])
    for name, since in (
        ("days_since_last_use", "last_used_on"),
        ("days_since_last_commit", "last_contributed_on"),
        ("tenure_days", "counted_from_on"),
        ("career_days", "first_contributed_on"),
    ):
        skills[name] = (day - pd.to_datetime(skills[since])).dt.days
    skills["commits_share"] = (skills["commits_count"] / skills["commits_total_count"]).clip(upper=1)
    return skills.drop(
        columns=["last_used_on", "last_contributed_on", "counted_from_on", "first_contributed_on"]
    )


def used_last_year(evidence: Evidence) -> pd.Series[float]:
    """Developer and skill → what counts of the commits of the 365 days before the account was read."""
    ledger = evidence.ledger
    commits = ledger[ledger["source"] == GITHUB].sort_values([*KEYS, "reference"], ignore_index=True)
    return _counted_last_year(commits).groupby([commits[key] for key in KEYS]).sum()


def _counted_last_year(commits: pd.DataFrame) -> pd.Series[float]:
    last_year, count = (
        commits[name].astype("float64") for name in ("commits_last_year_count", "commits_count")
    )
    return commits["weight"] * (last_year / count)
