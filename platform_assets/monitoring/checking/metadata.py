"""What the metadata of a check or an evaluation says, as plain values, understood as far as it can be.

Older releases and other people's checks record other things; nothing here fails on them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import dagster as dg


@dataclass(frozen=True)
class ServiceLevel:
    """What a value is compared with."""

    threshold: float
    direction: Literal["at_least", "at_most"]
    unit: str


LEVEL_KEYS = ("threshold", "direction", "unit")


def service_level(metadata: Mapping[str, Any]) -> ServiceLevel | None:
    """The service level that plain metadata tells of; None when it tells of none."""
    threshold, direction, unit = (metadata.get(name) for name in LEVEL_KEYS)
    bound = finite(threshold)
    if bound is None or direction not in ("at_least", "at_most") or not isinstance(unit, str):
        return None
    return ServiceLevel(bound, direction, unit)


def finite(value: object) -> float | None:
    """A finite number as a float; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Dagster's metadata values as JSON values."""
    return {name: _plain(value) for name, value in metadata.items()}


def _plain(value: object) -> Any:
    """A metadata value as JSON: what has no JSON form becomes text, and a number that is not finite too."""
    if isinstance(value, dg.TimestampMetadataValue):
        return dt.datetime.fromtimestamp(value.value, tz=dt.UTC).isoformat(timespec="seconds")
    if isinstance(value, dg.TableMetadataValue):
        return [_plain(record.data) for record in value.records]
    if isinstance(value, dg.MetadataValue):
        return _plain(value.value) if value.value is not value else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if type(value) in (list, tuple):  # Dagster's own records are tuples too, and forbid iteration
        return [_plain(item) for item in cast("Sequence[object]", value)]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value.to_user_string() if isinstance(value, dg.AssetKey) else str(value)
