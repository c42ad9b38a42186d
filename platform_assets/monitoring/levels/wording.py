"""Service levels as a person reads them. Pure; the numbers are rows of `monitoring.service_level_measurements`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platform_assets.monitoring.checking.format import format_number
from platform_assets.monitoring.levels.levels import ServiceLevel

UNKNOWN = "–"
SHOWN_WINDOWS = ("1h", "6h", "1d", "3d")


def levels_table(levels: Iterable[ServiceLevel], rows: Sequence[Mapping[str, Any]]) -> str:
    """How the levels stand, as a table in Markdown; those that spend their budget fastest first."""
    of = {level.name: level for level in levels}
    lines = [
        "| service level | promise | good of all events | budget left | burn rate "
        + " | ".join(SHOWN_WINDOWS)
        + " |",
        "|---|---|---|---:|" + "---:|" * len(SHOWN_WINDOWS),
    ]
    for row in sorted(rows, key=_urgency):
        level = of[row["level"]]
        burning = f"**{level.name}** burns" if row["burning_at"] else level.name
        events = f"{row['good_count']:,} of {row['total_count']:,}" if row["total_count"] else "none yet"
        cells = [
            burning,
            f"{percent(row['objective_ratio'])}: {level.description}",
            events,
            percent(row["budget_left_ratio"]),
            *(_rate(row[f"burn_rate_{window}"]) for window in SHOWN_WINDOWS),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _urgency(row: Mapping[str, Any]) -> tuple[float, float, str]:
    left = row["budget_left_ratio"]
    return -(row["pace_ratio"] or 0.0), 1.0 if left is None else left, row["level"]


def percent(ratio: float | None) -> str:
    """A ratio as a percentage, never rounded onto 100 % or 0 %."""
    if ratio is None:
        return UNKNOWN
    return f"{format_number(ratio * 100, bound=100.0 if ratio < 1 else 0.0)} %"


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else format_number(rate, bound=1.0)
