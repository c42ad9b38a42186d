"""Keeps forecasts, reads what became of them, and keeps the models that were tried: the tables behind calibration.

A forecast comes of age after 365 days. Its outcome is read from the account as GitHub then shows it, under the same
condition as the label that the model was fitted on. The measures themselves are `calibration`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, is_among
from platform_assets.profiles.calibration import (
    Line,
    Quality,
    Recalibration,
    consider_recalibration,
    measure_quality,
)
from platform_assets.profiles.confidence import HISTORY_COLUMNS, Model, log_odds, shipped_model
from platform_assets.profiles.evidence_refresh import in_parts, read_evidence
from platform_assets.profiles.skill_evidence import KEYS, MIN_COMMITS, Evidence
from platform_assets.profiles.skills import skill_histories, used_last_year
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_evidence import confidence_measurements, confidence_models, skill_forecasts

WINDOW = dt.timedelta(days=365)
"""How long a forecast waits for its outcome."""

GRACE = dt.timedelta(days=30)
"""How late the account may be read; the outcome is then that of the 365 days before it was read."""

MIN_ACTIVE_COMMITS = 3
"""Whoever has fewer commits of any kind in the window says nothing about a skill: the condition of the label."""

DEVELOPERS_PER_MONTH = 2_000
"""Developers whose forecasts are kept each month, drawn anew. Some 50,000 forecasts measure a calibration error to
0.002; everybody's would fill the database for no more."""

_PENDING = "pending"


@dataclass(frozen=True)
class ForecastRound:
    """What one round of validation did.

    Attributes:
        made_count: Forecasts that were kept.
        resolved_count: Forecasts whose outcome was read, or that turned out to say nothing.
        quality: How well forecasts came true, where that was measured anew.
        recalibration: The correction that was tried, if any.
    """

    made_count: int
    resolved_count: int
    quality: Quality | None
    recalibration: Recalibration | None


def model_in_use(database: Database) -> Model:
    """The shipped model with the latest correction that was adopted for it."""
    base, table = shipped_model(), confidence_models
    rows = database.read(
        sa.select(table.c.calibration_intercept, table.c.calibration_slope)
        .where(table.c.base_model_id == base.model_id, table.c.decision == "adopted")
        .order_by(table.c.decided_on.desc())
        .limit(1)
    )
    if rows.empty:
        return base
    intercept, slope = rows.iloc[0]
    return dataclasses.replace(base, calibration_intercept=float(intercept), calibration_slope=float(slope))


def validate_forecasts(database: Database, *, now: dt.datetime, as_of: dt.date) -> ForecastRound:
    """Keep this month's forecasts, read the outcomes that are due, and measure and correct where there are new ones."""
    made_count = make_forecasts(database, as_of=as_of)
    resolved_count = resolve_forecasts(database, as_of=as_of)
    if not _has_news(database):
        return ForecastRound(made_count, resolved_count, None, None)
    resolved = _read(database, "resolved")
    quality = measure_quality(resolved["was_used"], resolved["probability"], list(resolved["developer_id"]))
    if quality is None:
        return ForecastRound(made_count, resolved_count, None, None)
    database.upsert(
        confidence_measurements, pd.DataFrame([{"measured_on": as_of, **dataclasses.asdict(quality)}])
    )
    return ForecastRound(made_count, resolved_count, quality, _recalibrate(database, resolved, now, as_of))


def make_forecasts(database: Database, *, as_of: dt.date) -> int:
    """Keep the confidences of this month's sample of developers; returns how many were kept just now.

    Only who has a GitHub account that was read can ever be held to a forecast.
    """
    profiles, accounts, table = tables.skill_profiles, tables.developer_profiles, skill_forecasts
    known = sa.select(table.c.developer_id).where(table.c.forecast_on >= as_of.replace(day=1))
    candidates = database.read(
        sa.select(profiles.c.developer_id)
        .distinct()
        .join(accounts, accounts.c.developer_id == profiles.c.developer_id)
        .where(profiles.c.as_of == as_of, accounts.c.fetched_at.is_not(None))
    )["developer_id"]
    taken = set(database.read(known.distinct())["developer_id"])
    drawn = [name for name in draw_sample(list(candidates), as_of) if name not in taken]
    made_count = 0
    for part in in_parts(drawn):
        rows = database.read(
            sa.select(
                *(profiles.c[name] for name in (*KEYS, "sources", "model_id")),
                profiles.c.confidence.label("probability"),
            ).where(is_among(profiles.c.developer_id, part), profiles.c.as_of == as_of)
        )
        histories = skill_histories(read_evidence(database, part))
        kept = rows.merge(_as_json(histories), on=KEYS, how="left").assign(forecast_on=as_of, state=_PENDING)
        made_count += database.upsert(table, kept).inserted
    return made_count


def draw_sample(developer_ids: Sequence[str], day: dt.date) -> list[str]:
    """The month's developers: another sample each month, the same one all month, whoever else comes or goes."""
    month = day.strftime("%Y-%m")
    ranked = sorted(developer_ids, key=lambda name: hashlib.sha256(f"{month}:{name}".encode()).digest())
    return ranked[:DEVELOPERS_PER_MONTH]


def _as_json(histories: pd.DataFrame) -> pd.DataFrame:
    numbers = histories[list(HISTORY_COLUMNS)].to_dict(orient="records")
    return histories[KEYS].assign(history=pd.Series(numbers, index=histories.index, dtype=object))


def resolve_forecasts(database: Database, *, as_of: dt.date) -> int:
    """Read the outcomes of forecasts that have come of age; returns how many were settled."""
    pending = _read(database, _PENDING, until=as_of - WINDOW)
    accounts = tables.developer_profiles
    settled_count = 0
    for part in in_parts(sorted(set(pending["developer_id"]))):
        read_at = database.read(
            sa.select(accounts.c.developer_id, accounts.c.fetched_at).where(
                is_among(accounts.c.developer_id, part), accounts.c.fetched_at.is_not(None)
            )
        )
        read_on = dict(zip(read_at["developer_id"], read_at["fetched_at"].dt.date))
        settled = settle(
            pending[pending["developer_id"].isin(part)], read_on, read_evidence(database, part), as_of=as_of
        )
        settled_count += database.upsert(skill_forecasts, settled).updated
    return settled_count


def settle(
    pending: pd.DataFrame, read_on: Mapping[str, dt.date], evidence: Evidence, *, as_of: dt.date
) -> pd.DataFrame:
    """Forecasts with what became of them; those that must wait are left out.

    Used means that what counts of the commits with the skill in the 365 days before the account was read comes to
    `MIN_COMMITS`: GitHub tells languages by repository, not by commit.

    Args:
        pending: Rows of `monitoring.skill_forecasts` that are 365 days old.
        read_on: Developer → day on which the account was last read.
        evidence: The developers' evidence as it is now.
        as_of: Today (UTC).
    """
    active = evidence.wholes.loc[
        evidence.wholes["commits_last_year_count"] >= MIN_ACTIVE_COMMITS, "developer_id"
    ]
    used = used_last_year(evidence)
    used_keys = set(used[used >= MIN_COMMITS].index)
    rows: list[dict[Hashable, Any]] = []
    for row in pending.to_dict(orient="records"):
        due_on = pd.Timestamp(row["forecast_on"]).date() + WINDOW
        seen_on = read_on.get(row["developer_id"])
        if seen_on is not None and due_on <= seen_on <= due_on + GRACE:
            is_active = row["developer_id"] in set(active)
            was_used = (row["developer_id"], row["skill_id"]) in used_keys if is_active else None
            rows.append(
                {
                    **row,
                    "state": "resolved" if is_active else "inactive",
                    "was_used": was_used,
                    "resolved_on": as_of,
                }
            )
        elif as_of > due_on + GRACE:
            rows.append({**row, "state": "unread", "resolved_on": as_of})
    return pd.DataFrame(rows, columns=list(pending.columns)).astype({"was_used": "boolean"})


def _read(database: Database, state: str, *, until: dt.date = dt.date.max) -> pd.DataFrame:
    table = skill_forecasts
    return database.read(
        sa.select(table)
        .where(table.c.state == state, table.c.forecast_on <= until)
        .order_by(*table.primary_key.columns)
    )


def _has_news(database: Database) -> bool:
    """Whether outcomes were read since the last measurement."""
    resolved = sa.select(sa.func.count()).where(skill_forecasts.c.state == "resolved").scalar_subquery()
    table = confidence_measurements
    measured = (
        sa.select(table.c.forecasts_count).order_by(table.c.measured_on.desc()).limit(1).scalar_subquery()
    )
    return bool(database.read(sa.select(resolved.is_distinct_from(measured).label("news")))["news"].iloc[0])


def _recalibrate(
    database: Database, resolved: pd.DataFrame, now: dt.datetime, as_of: dt.date
) -> Recalibration | None:
    """Try a correction on forecasts that came from commits, and keep the decision."""
    base, in_use = shipped_model(), model_in_use(database)
    # A history that was kept by a release with other columns can't be forecast again.
    can = [isinstance(kept, dict) and kept.keys() == HISTORY_COLUMNS.keys() for kept in resolved["history"]]
    rows = resolved[can]
    if rows.empty:
        return None
    found = consider_recalibration(
        log_odds(pd.DataFrame(list(rows["history"])), model=base),
        rows["was_used"].astype(float),
        list(rows["developer_id"]),
        in_use=Line(in_use.calibration_intercept, in_use.calibration_slope),
    )
    if found is None:
        return None
    corrected = dataclasses.replace(
        base, calibration_intercept=found.line.intercept, calibration_slope=found.line.slope
    )
    decision = {
        "base_model_id": base.model_id,
        "decided_on": as_of,
        "model_id": corrected.model_id,
        "calibration_intercept": found.line.intercept,
        "calibration_slope": found.line.slope,
        "forecasts_count": found.forecasts_count,
        "developers_count": found.developers_count,
        "brier_in_use": found.brier_in_use,
        "brier": found.brier,
        "gain_low": found.gain.low,
        "gain_high": found.gain.high,
        "decision": "adopted" if found.is_better else "rejected",
        "decided_at": now,
    }
    database.upsert(confidence_models, pd.DataFrame([decision]))
    return found
