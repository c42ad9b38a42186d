"""What is measured on the ledger, on the confidences and on their forecasts; bounds are in `thresholds.py`."""

import datetime as dt
from functools import partial

import sqlalchemy as sa

from platform_assets import thresholds
from platform_assets.asset_checks import Measurement, freshness_check, share, table_check
from platform_assets.clients.database import Database
from platform_assets.profiles.calibration import MIN_MEASURED
from platform_assets.profiles.evidence_refresh import read_evidence
from platform_assets.profiles.forecasts import WINDOW, model_in_use
from platform_assets.profiles.skills import profiles_from_evidence
from platform_assets.resources import Clock
from platform_assets.tables import marketplace, monitoring
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_evidence import (
    confidence_measurements,
    developer_evidence,
    skill_forecasts,
)

_RECOMPUTED_DEVELOPERS = 50


def _evidence_coverage(database: Database, _: Clock) -> Measurement:
    """Share of developers of the marketplace whose evidence was collected; those set aside are not asked for."""
    developers, wholes, aside = marketplace.developers, developer_evidence, monitoring.quarantined_rows
    is_set_aside = sa.exists().where(
        aside.c.source == developers.fullname, aside.c.row_key == developers.c.developer_id
    )
    has_evidence = sa.exists().where(wholes.c.developer_id == developers.c.developer_id)
    counts = database.read(
        sa.select(
            sa.func.count().label("total"), sa.func.count().filter(has_evidence).label("covered")
        ).where(~is_set_aside)
    ).iloc[0]
    return share(int(counts["covered"]), int(counts["total"]), of_none=1.0)


def _ledger_residual(database: Database, _: Clock) -> Measurement:
    """Largest difference of stored confidences from those that their ledger gives, over a sample of developers."""
    profiles, wholes = tables.skill_profiles, developer_evidence
    model = model_in_use(database)
    current = sa.and_(
        profiles.c.developer_id == wholes.c.developer_id,
        profiles.c.evidence_sha256 == wholes.c.inputs_sha256,
        profiles.c.model_id == model.model_id,
    )
    sample = database.read(
        sa.select(wholes.c.developer_id)
        .where(sa.exists().where(current))
        # The digest is as good as a draw, and another one when anything changes.
        .order_by(wholes.c.inputs_sha256)
        .limit(_RECOMPUTED_DEVELOPERS)
    )["developer_id"]
    stored = database.read(
        sa.select(profiles.c.developer_id, profiles.c.skill_id, profiles.c.confidence).where(
            profiles.c.developer_id.in_(list(sample))
        )
    )
    again = profiles_from_evidence(read_evidence(database, list(sample)), model=model)
    both = stored.merge(again, on=["developer_id", "skill_id"], how="outer", suffixes=("", "_again"))
    # A row that only one side has differs by all of its confidence.
    residual = (both["confidence"].fillna(0.0) - both["confidence_again"].fillna(0.0)).abs()
    worst = both.loc[residual > thresholds.CONFIDENCE_RESIDUAL.bound, ["developer_id", "skill_id"]].head(20)
    return Measurement(
        float(residual.to_numpy().max(initial=0.0)),
        {
            "confidences": len(both),
            "differing": [f"{row.developer_id}: {row.skill_id}" for row in worst.itertuples()],
        },
    )


def _quality(measure: str, database: Database, _: Clock) -> Measurement:
    """The latest measurement; without one, why there is none yet."""
    table = confidence_measurements
    latest = database.read(sa.select(table).order_by(table.c.measured_on.desc()).limit(1))
    if latest.empty:
        return Measurement(None, not_evaluated_because=_why_not_evaluated(database))
    row = latest.iloc[0]
    value = row["ece"] - row["ece_reference_high"] if measure == "ece_excess" else row[measure]
    details = {
        "forecasts": int(row["forecasts_count"]),
        "developers": int(row["developers_count"]),
        "measured_on": row["measured_on"].date().isoformat(),
        "ece": float(row["ece"]),
        "ece_reference_high": float(row["ece_reference_high"]),
    }
    if value != value:
        return Measurement(None, details, not_evaluated_because="all outcomes are alike")
    return Measurement(max(0.0, float(value)), details)


def _why_not_evaluated(database: Database) -> str:
    table = skill_forecasts
    state = database.read(
        sa.select(
            sa.func.min(table.c.forecast_on).filter(table.c.state == "pending").label("oldest"),
            sa.func.count().filter(table.c.state == "resolved").label("resolved"),
        )
    ).iloc[0]
    if state["oldest"] != state["oldest"] or state["oldest"] is None:
        return "no forecast has been kept yet"
    due_on: dt.date = state["oldest"].date() + WINDOW
    return (
        f"{int(state['resolved'])} forecasts have an outcome, of the {MIN_MEASURED} that it takes; "
        f"the next come of age on {due_on}"
    )


CHECKS = [
    *(freshness_check(asset) for asset in ("skill_evidence", "skill_profiles", "skill_confidence")),
    table_check(
        asset="skill_evidence",
        name="coverage",
        threshold=thresholds.EVIDENCE_COVERAGE_RATIO,
        description="Share of developers whose evidence was collected.",
        measure=_evidence_coverage,
    ),
    table_check(
        asset="skill_profiles",
        name="follows_from_ledger",
        threshold=thresholds.CONFIDENCE_RESIDUAL,
        description=f"Largest difference from what the ledger gives, over {_RECOMPUTED_DEVELOPERS} developers.",
        measure=_ledger_residual,
    ),
    *(
        table_check(
            asset="skill_confidence",
            name=measure,
            threshold=threshold,
            description=description,
            measure=partial(_quality, measure),
        )
        for measure, threshold, description in (
            ("brier", thresholds.CONFIDENCE_BRIER, "Brier score of the confidences told a year before."),
            (
                "auc",
                thresholds.CONFIDENCE_AUC,
                "How well they tell skills that were used from those that were not.",
            ),
            (
                "ece_excess",
                thresholds.CONFIDENCE_ECE_EXCESS,
                "Calibration error above what chance alone would show on as many forecasts.",
            ),
        )
    ),
]
