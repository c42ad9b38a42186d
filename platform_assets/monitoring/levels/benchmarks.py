"""The release's numbers as rows and as text. What holds in their place is `bounds.py`'s. No Dagster here."""

from __future__ import annotations

import pandas as pd

from platform_assets.bounds import Bounds, catalogue, kind_of


def benchmark_rows() -> pd.DataFrame:
    """The catalogue as rows of `monitoring.performance_benchmarks`."""
    return pd.DataFrame(
        [
            {
                "benchmark": name,
                "kind": kind_of(name),
                "default_bound": float(threshold.bound),
                "direction": threshold.direction,
                "unit": threshold.unit,
                "severity": threshold.severity.value,
                "reason": threshold.reason,
            }
            for name, threshold in catalogue().items()
        ]
    )


def overrides_table(bounds: Bounds) -> str:
    """What somebody has set, as a table in Markdown."""
    if not bounds.overrides:
        return "Every number is the release's."
    lines = ["| benchmark | default | holds | who | until | why |", "|---|---|---|---|---|---|"]
    for name, override in sorted(bounds.overrides.items()):
        default = catalogue().get(name)
        told = (
            name,
            "no such benchmark" if default is None else f"{default.bound:g} {default.unit}",
            f"{override.bound:g}",
            override.author,
            f"{override.until_at:%Y-%m-%d %H:%M} UTC" if override.until_at else "taken back",
            override.reason,
        )
        lines.append(f"| {' | '.join(_cell(text) for text in told)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
