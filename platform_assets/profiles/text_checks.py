"""What is measured on developers' texts, extraction, embeddings and caches; bounds are in `thresholds.py`."""

from collections.abc import Iterator
from functools import partial

import dagster as dg
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from platform_assets import thresholds
from platform_assets.asset_checks import (
    Measurement,
    check_result,
    freshness_check,
    holding,
    share,
    static_metadata,
    table_check,
)
from platform_assets.clients.database import Database
from platform_assets.clients.embedder import DIMENSIONS, MODEL_NAME
from platform_assets.profiles.caches import CACHES
from platform_assets.resources import Clock
from platform_assets.tables import marketplace
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_texts import developer_text_readings, labelled_samples, readme_texts
from platform_assets.tables.text_measurements import cache_sweeps, embedding_audits, extraction_accuracy
from platform_assets.thresholds import Threshold

EMBEDDED = (tables.skill_embeddings, tables.developer_vectors, tables.project_vectors)

# What `budget` and `off` leave out is meant so.
_OUTAGES = ("rate_limited", "timeout", "invalid", "failed")


def _bio_coverage(database: Database, _: Clock) -> Measurement:
    """Share of developers with a bio whose bio was read."""
    developers, readings = marketplace.developers, developer_text_readings
    was_read = sa.exists().where(
        readings.c.developer_id == developers.c.developer_id, readings.c.source == "bio"
    )
    rows = database.read(
        sa.select(developers.c.developer_id, was_read.label("was_read")).where(
            sa.func.trim(developers.c.bio, " \t\r\n") != ""
        )
    )
    unread = rows["developer_id"][~rows["was_read"].astype(bool)]
    return share(len(rows) - len(unread), len(rows), {"developers_without": sorted(unread)[:20]}, of_none=1.0)


def _text_outages(database: Database, _: Clock) -> Measurement:
    reasons = database.read(sa.select(developer_text_readings.c.fallback_reason))["fallback_reason"]
    counts = {str(reason): int(count) for reason, count in reasons.dropna().value_counts().items()}
    failed = sum(counts.get(reason, 0) for reason in _OUTAGES)
    return share(failed, len(reasons), {"reasons": counts}, of_none=0.0)


def _failed_readmes(database: Database, _: Clock) -> Measurement:
    rows = database.read(
        sa.select(readme_texts.c.repository, readme_texts.c.state, readme_texts.c.is_truncated)
    )
    failed = rows["repository"][rows["state"] == "failed"]
    details = {
        "repositories": sorted(failed)[:20],
        "truncated": int(rows["is_truncated"].sum()),
        "states": {str(state): int(count) for state, count in rows["state"].value_counts().items()},
    }
    return share(len(failed), len(rows), details, of_none=0.0)


def _foreign_rows(table: sa.Table, database: Database, _: Clock) -> Measurement:
    is_foreign = (table.c.model != MODEL_NAME) | (sa.func.vector_dims(table.c.vector) != DIMENSIONS)
    rows = database.read(
        sa.select(table.c.model, sa.func.count().label("n")).where(is_foreign).group_by(table.c.model)
    )
    return Measurement(
        int(rows["n"].sum()), {"models": dict(zip(rows["model"], rows["n"].astype(int).tolist()))}
    )


def _latest_audit(database: Database, asset: str) -> pd.DataFrame:
    table = embedding_audits
    return database.read(
        sa.select(*(column for column in table.columns if column.name != "mean_vector"))
        .where(table.c.asset == asset, table.c.model == MODEL_NAME)
        .order_by(table.c.audit_id.desc())
        .limit(1)
    )


def _drift(asset: str, database: Database, _: Clock) -> Measurement:
    """Lowest cosine of stored to fresh vectors in the latest audit; full where there was nothing to sample."""
    audit = _latest_audit(database, asset)
    if audit.empty:
        return Measurement(None, {"audited_at": "never"})
    [row] = audit.to_dict("records")
    details = {
        "audited_on": str(row["as_of"].date()),
        "sample": int(row["sample_count"]),
        "recomputed": int(row["recomputed_count"]),
    }
    return Measurement(float(row["cosine_min"]) if row["sample_count"] else 1.0, details)


def _mean_shift(asset: str, database: Database, _: Clock) -> Measurement:
    """Cosine of the mean vector to the one of the audited day before; full while there is none to compare with."""
    audit = _latest_audit(database, asset)
    if audit.empty:
        return Measurement(None, {"audited_at": "never"})
    cosine = audit["mean_cosine"].iloc[0]
    if pd.isna(cosine):
        return Measurement(1.0, {"compared_with": "none: the first audited day by this model"})
    return Measurement(float(cosine))


def _cache_size(database: Database, _: Clock) -> Measurement:
    """The fullest cache's part of its bound after its latest sweep; unknown when one was never swept."""
    table = cache_sweeps
    rows = database.read(
        sa.select(table.c.cache, table.c.bytes_kept, table.c.bytes_on_disk, table.c.rows_kept)
        .ext(postgresql.distinct_on(table.c.cache))
        .order_by(table.c.cache, table.c.sweep_id.desc())
    )
    bytes_kept = dict(zip(rows["cache"], rows["bytes_kept"]))
    names = {cache.table.fullname: cache for cache in CACHES}
    if not names.keys() <= bytes_kept.keys():
        return Measurement(None, {"never_swept": sorted(names.keys() - bytes_kept.keys())})
    ratios = {name: int(bytes_kept[name]) / cache.max_bytes for name, cache in names.items()}
    return Measurement(max(ratios.values()), {"ratios": ratios})


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            "extraction_accuracy",
            asset="project_requirements",
            description="RP@5 of the extractor in use on the labelled samples (platform.labelled_samples, filled by "
            "`platform-assets skills labels import`); not evaluated while there are none.",
            metadata=static_metadata(thresholds.EXTRACTION_RP_AT_5),
        )
    ],
    # May yield nothing: without samples there is no verdict, and the report says that it was never evaluated.
    can_subset=True,
)
def _extraction_accuracy(
    database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> Iterator[dg.AssetCheckResult]:
    samples = database.read(
        sa.select(labelled_samples.c.sample_id).where(labelled_samples.c.split == "test").limit(1)
    )
    if samples.empty:
        return
    threshold = holding(database, clock, thresholds.EXTRACTION_RP_AT_5)
    table = extraction_accuracy
    latest = database.read(sa.select(table).order_by(table.c.measurement_id.desc()).limit(1))
    if latest.empty:
        yield _accuracy_result(threshold, Measurement(None, {"measured_at": "never"}))
        return
    [row] = latest.to_dict("records")
    value = row["rp_at_5"]
    told = {name: None if pd.isna(row[name]) else float(row[name]) for name in ("precision", "recall")}
    details = {
        **{name: number for name, number in told.items() if number is not None},
        "extractor": row["extractor"],
        "samples": int(row["samples_count"]),
        "unknown_labels": int(row["unknown_labels_count"]),
    }
    yield _accuracy_result(threshold, Measurement(None if pd.isna(value) else float(value), details))


def _accuracy_result(threshold: Threshold, measurement: Measurement) -> dg.AssetCheckResult:
    result = check_result(threshold, measurement)
    return result._replace(check_name="extraction_accuracy", asset_key=dg.AssetKey("project_requirements"))


CHECKS = [
    freshness_check("developer_text_skills"),
    freshness_check("cache_cleanup"),
    _extraction_accuracy,
    table_check(
        asset="developer_text_skills",
        name="bio_coverage",
        threshold=thresholds.BIO_READING_RATIO,
        description="Share of developers with a bio whose bio was read.",
        measure=_bio_coverage,
    ),
    table_check(
        asset="developer_text_skills",
        name="gemini_outages",
        threshold=thresholds.TEXT_OUTAGE_RATIO,
        description="Share of developers' texts that Gemini failed to read; off and over budget not counted.",
        measure=_text_outages,
    ),
    table_check(
        asset="developer_text_skills",
        name="failed_readmes",
        threshold=thresholds.README_FAILURE_RATIO,
        description="Share of READMEs whose last read failed.",
        measure=_failed_readmes,
    ),
    *(
        table_check(
            asset=table.name,
            name="one_space",
            threshold=thresholds.EMBEDDING_FOREIGN_ROWS,
            description="Vectors of another model or dimension than the one in use.",
            measure=partial(_foreign_rows, table),
        )
        for table in EMBEDDED
    ),
    *(
        table_check(
            asset=table.name,
            name="drift",
            threshold=thresholds.EMBEDDING_DRIFT_COSINE,
            description="Lowest cosine of stored vectors to fresh ones, in the latest daily sample.",
            measure=partial(_drift, table.name),
        )
        for table in EMBEDDED
    ),
    *(
        table_check(
            asset=table.name,
            name="mean_shift",
            threshold=thresholds.EMBEDDING_SHIFT_COSINE,
            description="Cosine of the mean vector to the one of the audited day before.",
            measure=partial(_mean_shift, table.name),
        )
        for table in EMBEDDED
    ),
    table_check(
        asset="cache_cleanup",
        name="size",
        threshold=thresholds.CACHE_SIZE_RATIO,
        description="The fullest cache's part of its bound, after its latest sweep.",
        measure=_cache_size,
    ),
]
