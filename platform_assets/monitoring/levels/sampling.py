"""Looks at what leaves no events of its own: how fresh assets are, and whether their checks pass.

Every look is a sample; together they make up the share of time in which the promise was kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import dagster as dg
import pandas as pd

from platform_assets.bounds import Bounds
from platform_assets.clients.database import Database
from platform_assets.monitoring.checking.history import read_latest_verdicts
from platform_assets.tables.service_levels import service_level_samples
from platform_assets.thresholds import FRESHNESS_HOURS, Severity


@dataclass(frozen=True)
class Sample:
    """A row of `monitoring.service_level_samples`."""

    sampled_at: dt.datetime
    level: str
    subject: str
    good_count: int
    total_count: int


def sample(
    instance: dg.DagsterInstance, queue_of: Mapping[str, str], *, bounds: Bounds, now: dt.datetime
) -> list[Sample]:
    """One look at every asset.

    What was never materialized or evaluated is not looked at: there is nothing yet that could be stale or broken.

    Args:
        instance: Where materializations and evaluations are recorded.
        queue_of: The assets with their queues, which are the levels'.
        bounds: The bounds that hold.
        now: The present moment.
    """
    return [
        *_freshness(instance, queue_of, bounds=bounds, now=now),
        *_checks(instance, queue_of, now=now),
    ]


def _freshness(
    instance: dg.DagsterInstance, queue_of: Mapping[str, str], *, bounds: Bounds, now: dt.datetime
) -> Iterator[Sample]:
    records = instance.get_asset_records([dg.AssetKey(name) for name in queue_of])
    for record in records:
        name = record.asset_entry.asset_key.to_user_string()
        materialized = record.asset_entry.last_materialization_record
        if materialized is None or name not in FRESHNESS_HOURS:
            continue
        age_hours = max(0.0, (now.timestamp() - materialized.timestamp) / 3600)
        is_fresh = bounds.of(FRESHNESS_HOURS[name]).holds(age_hours)
        yield Sample(now, f"freshness_{queue_of[name]}", name, int(is_fresh), 1)


def _checks(
    instance: dg.DagsterInstance, queue_of: Mapping[str, str], *, now: dt.datetime
) -> Iterator[Sample]:
    passed: dict[str, list[bool]] = {}
    for key, verdict in read_latest_verdicts(instance).items():
        name = key.asset_key.to_user_string()
        if name in queue_of and verdict.severity is Severity.ERROR and verdict.passed is not None:
            passed.setdefault(name, []).append(verdict.passed)
    for name, verdicts in sorted(passed.items()):
        yield Sample(now, f"checks_{queue_of[name]}", name, sum(verdicts), len(verdicts))


def write_samples(database: Database, samples: Sequence[Sample]) -> None:
    """Keep what was seen; seen again at the same moment, the last look holds."""
    if samples:
        database.upsert(service_level_samples, pd.DataFrame([asdict(each) for each in samples]))
