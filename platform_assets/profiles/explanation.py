"""Why a confidence is what it is: its evidence, and the log-odds that it is made of. Pure; showing it is `explain_skill`."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from platform_assets.profiles.confidence import HISTORY_COLUMNS, Model, log_odds_parts
from platform_assets.profiles.skill_evidence import CONTRACT, GITHUB, Evidence
from platform_assets.profiles.skills import CONTRACT_DOUBT, profiles_from_evidence, skill_histories


@dataclass(frozen=True)
class Piece:
    """One row of the ledger, as `platform.skill_evidence` describes it; None for what its source does not have."""

    source: str
    reference: str
    quote: str | None
    share: float | None
    commits_count: int | None
    last_used_on: dt.date | None
    age_days: int | None
    discounts: Mapping[str, float]
    weight: float


@dataclass(frozen=True)
class Part:
    """A part of the log-odds.

    Attributes:
        name: The feature of the model, or the source and reference of what it comes from.
        meaning: What it stands for, with the number behind it.
        log_odds: What it adds; negative where it speaks against the skill.
    """

    name: str
    meaning: str
    log_odds: float


@dataclass(frozen=True)
class Explanation:
    """A developer's confidence in one skill, taken apart.

    Attributes:
        developer_id: The developer.
        skill_id: The skill.
        skill_name: Its canonical name.
        confidence: Probability from 0 to 1; None when nothing that counts supports the skill.
        evidence: The rows of the ledger, those that count for nothing included.
        parts: What the log-odds are made of, in order; empty without a confidence.
        log_odds: Their sum, of which the confidence is the probability; None without a confidence.
        model_id: The confidence model.
        as_of: Day for which it holds.
    """

    developer_id: str
    skill_id: str
    skill_name: str
    confidence: float | None
    evidence: tuple[Piece, ...]
    parts: tuple[Part, ...]
    log_odds: float | None
    model_id: str
    as_of: dt.date


def explain_confidence(evidence: Evidence, skill_id: str, skill_name: str, *, model: Model) -> Explanation:
    """Take one confidence apart.

    Args:
        evidence: The whole evidence of one developer.
        skill_id: The skill.
        skill_name: Its name.
        model: The confidence model in use.
    """
    ledger = evidence.ledger[evidence.ledger["skill_id"] == skill_id]
    own = Evidence(ledger, evidence.wholes)
    profile = profiles_from_evidence(own, model=model)
    parts = _parts(own, model) if len(profile) else ()
    whole = evidence.wholes.iloc[0]
    return Explanation(
        developer_id=str(whole["developer_id"]),
        skill_id=skill_id,
        skill_name=skill_name,
        confidence=float(profile["confidence"].iloc[0]) if len(profile) else None,
        evidence=tuple(_piece(row) for row in ledger.to_dict(orient="records")),
        parts=parts,
        log_odds=math.fsum(part.log_odds for part in parts) if parts else None,
        model_id=model.model_id,
        as_of=pd.Timestamp(whole["as_of"]).date(),
    )


def _piece(row: Mapping[Any, Any]) -> Piece:
    def known(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    last_used_on = known("last_used_on")
    commits_count, age_days = known("commits_count"), known("age_days")
    return Piece(
        source=row["source"],
        reference=row["reference"],
        quote=known("quote"),
        share=known("share"),
        commits_count=None if commits_count is None else int(commits_count),
        last_used_on=None if last_used_on is None else pd.Timestamp(last_used_on).date(),
        age_days=None if age_days is None else int(age_days),
        discounts=dict(row["discounts"]),
        weight=float(row["weight"]),
    )


def _parts(evidence: Evidence, model: Model) -> tuple[Part, ...]:
    counted = evidence.ledger[evidence.ledger["weight"] > 0]
    claims = counted[~counted["source"].isin([GITHUB, CONTRACT])].sort_values(
        "weight", ascending=False, kind="stable"
    )
    history = skill_histories(evidence)
    by_commits: list[Part] = []
    if len(history):
        odds = log_odds_parts(history, model=model).iloc[0]
        by_commits = [
            Part(str(name), _meaning(str(name), history.iloc[0]), float(value))
            for name, value in odds.items()
        ]
    parts = by_commits
    if len(claims):
        claim = claims.iloc[0]
        prior = _log_odds_of_doubt(1 - float(claim["weight"]))
        if not by_commits or prior > math.fsum(part.log_odds for part in by_commits):
            parts = [
                Part(_name(claim), "a claim counts this much by itself, where commits say no more", prior)
            ]
    for row in counted[counted["source"] == CONTRACT].to_dict(orient="records"):
        before = math.fsum(part.log_odds for part in parts) if parts else None
        doubt = 1.0 if before is None else 1 / (1 + math.exp(before))
        after = _log_odds_of_doubt(doubt * CONTRACT_DOUBT ** float(row["weight"]))
        meaning = f"leaves {CONTRACT_DOUBT ** float(row['weight']):.0%} of the doubt"
        parts = [*parts, Part(_name(row), meaning, after if before is None else after - before)]
    return tuple(parts)


def _log_odds_of_doubt(doubt: float) -> float:
    return math.log1p(-doubt) - math.log(doubt)


def _name(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    return f"{row['source']} {row['reference']}".strip()


def _meaning(name: str, history: pd.Series[Any]) -> str:
    numbers = {column: history[column] for column in HISTORY_COLUMNS}
    return _MEANINGS[name].format(**numbers, share=float(history["commits_share"]))


_MEANINGS = {
    "start": "where every skill with commits starts",
    "share": "{share:.1%} of own commits",
    "log_share": "the same, so that small shares differ",
    "log_days_since_last_use": "last used {days_since_last_use:.0f} days ago",
    "recency_1000d": "latest commit of any kind {days_since_last_commit:.0f} days ago",
    "log_commits_last_year": "{commits_last_year_count:.1f} commits with it in the last year",
    "log_commits_total_last_year": "{commits_total_last_year_count:.1f} commits of any kind in the last year",
    "log_commits_before_last_year": "{commits_before_last_year_count:.1f} commits with it before that",
    "log_tenure_days": "first commit that counts {tenure_days:.0f} days ago",
    "log_active_months_ratio": "commits with it in {active_months:.1f} months of a career of {career_days:.0f} days",
    "skill": "how often people stay with this skill",
    "calibration": "correction by forecasts that have come of age",
}
