"""The assets of skills: the ledger of evidence, the confidences computed from it, and whether these came true."""

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, WriteCounts, is_among
from platform_assets.profiles.evidence_refresh import (
    evidence_inputs,
    in_parts,
    read_evidence,
    refresh_evidence,
)
from platform_assets.profiles.forecasts import ForecastRound, model_in_use, validate_forecasts
from platform_assets.profiles.skills import profiles_from_evidence
from platform_assets.profiles.text_assets import GROUP
from platform_assets.profiles.vocabulary_store import read_vocabulary
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables import skill_evidence as evidence_tables


@table_asset(
    evidence_tables.skill_evidence,
    group=GROUP,
    kinds={"pandas"},
    deps=["developer_profiles", "developer_text_skills"],
)
def skill_evidence(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Own commits, declared skills, texts and past contracts, each with what it counts and what is discounted.

    Only developers are read whose commits, claims, texts, contracts or spellings changed.
    """
    developers = read_contract(database, marketplace.developers)
    contracts = read_contract(database, marketplace.contracts).rows
    vocabulary = read_vocabulary(database)
    inputs = evidence_inputs(database, developers.rows, contracts, vocabulary, as_of=clock.as_of)
    done = refresh_evidence(database, developers, contracts, vocabulary, inputs, as_of=clock.as_of)
    return written(
        database,
        evidence_tables.skill_evidence,
        done.counts,
        as_of=clock.as_of,
        developers_computed=done.developers_count,
    )


@table_asset(
    tables.skill_profiles,
    group=GROUP,
    kinds={"pandas"},
    deps=["skill_evidence"],
)
def skill_profiles(database: dg.ResourceParam[Database]) -> dg.MaterializeResult[None]:
    """The ledger's rows are weighed into one calibrated confidence, from nothing else, by the model in use.

    Only developers whose evidence changed are weighed again, or everybody when the model did.
    """
    profiles, wholes = tables.skill_profiles, evidence_tables.developer_evidence
    model = model_in_use(database)
    is_current = sa.exists().where(
        profiles.c.developer_id == wholes.c.developer_id,
        profiles.c.evidence_sha256 == wholes.c.inputs_sha256,
        profiles.c.model_id == model.model_id,
    )
    due = database.read(
        sa.select(wholes.c.developer_id, wholes.c.inputs_sha256)
        .where(~is_current)
        .order_by(wholes.c.developer_id)
    )
    digests = dict(zip(due["developer_id"], due["inputs_sha256"]))
    counts = _delete_gone_profiles(database)
    for part in in_parts(list(due["developer_id"])):
        frame = profiles_from_evidence(read_evidence(database, part), model=model)
        frame = frame.assign(evidence_sha256=frame["developer_id"].map(digests), model_id=model.model_id)
        counts += database.upsert(
            profiles,
            frame,
            delete_missing=is_among(profiles.c.developer_id, part),
            quarantine_as="skill_profiles",
        )
    summary = database.read(
        sa.select(
            sa.func.count(profiles.c.developer_id.distinct()).label("developers"),
            sa.func.coalesce(sa.func.avg(profiles.c.confidence), 0.0).label("confidence"),
        )
    ).iloc[0]
    return written(
        database,
        profiles,
        counts,
        developers_count=int(summary["developers"]),
        developers_computed=len(due),
        mean_confidence=float(summary["confidence"]),
        model_id=model.model_id,
    )


def _delete_gone_profiles(database: Database) -> WriteCounts:
    profiles, wholes = tables.skill_profiles, evidence_tables.developer_evidence
    is_gone = ~sa.exists().where(wholes.c.developer_id == profiles.c.developer_id)
    with database.transaction() as connection:
        return WriteCounts(deleted=connection.execute(sa.delete(profiles).where(is_gone)).rowcount)


@table_asset(
    evidence_tables.skill_forecasts,
    name="skill_confidence",
    group=GROUP,
    kinds={"scikitlearn"},
    deps=["skill_profiles"],
)
def skill_confidence(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Each month a sample of the confidences is kept; a year later they are held against what developers did next.

    They count under the condition that the model was fitted under: at least 3 commits of any kind in that year. A
    correction of the model is used only when it beats the one in use on developers it has not seen.
    """
    done = validate_forecasts(database, now=clock.read(), as_of=clock.as_of)
    if done.recalibration is not None:
        context.log.info(
            "A correction of the confidence model was %s: Brier score %.4f, in use %.4f.",
            "adopted" if done.recalibration.is_better else "rejected",
            done.recalibration.brier,
            done.recalibration.brier_in_use,
        )
    return measured(
        database,
        evidence_tables.skill_forecasts,
        done.made_count + done.resolved_count,
        forecasts_made=done.made_count,
        forecasts_settled=done.resolved_count,
        **_quality_numbers(database, done),
    )


def _quality_numbers(database: Database, done: ForecastRound) -> dict[str, str | float | int]:
    """The latest measurement; a young marketplace has none, and says so."""
    table = evidence_tables.confidence_measurements
    latest = database.read(sa.select(table).order_by(table.c.measured_on.desc()).limit(1))
    if latest.empty:
        return {"calibration": "not evaluated"}
    numbers = {name: float(latest[name].iloc[0]) for name in ("brier", "auc", "ece", "ece_reference_high")}
    told: dict[str, str | float | int] = {
        name: value for name, value in numbers.items() if not pd.isna(value)
    }
    if done.recalibration is not None:
        told["correction"] = "adopted" if done.recalibration.is_better else "rejected"
    return {"calibration": f"measured on {int(latest['forecasts_count'].iloc[0])} forecasts", **told}


ASSETS = [skill_evidence, skill_profiles, skill_confidence]
