"""What was measured as Markdown tables, for the metadata that a person looks at. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

_SIGNS = {"healthy": "🟢", "degraded": "🟡", "down": "🔴", "off": "⚪", "unknown": "⚪"}

Row = Mapping[str, Any]


def health_table(rows: Sequence[Row]) -> str:
    """How every service stands.

    Args:
        rows: Rows of `monitoring.service_health_metrics`.
    """
    return _table(
        ("service", "state", "since (UTC)", "latency", "errors, last hour", "found"),
        [
            (
                row["service"],
                f"{_SIGNS[row['state']]} {row['state']}",
                _moment(row["state_since"]),
                _number(row["latency_ms"], "{:,.0f} ms"),
                _number(row["error_ratio"], "{:.1%}"),
                row["message"],
            )
            for row in rows
        ],
    )


def ai_table(rows: Sequence[Row]) -> str:
    """How every model does.

    Args:
        rows: Rows of `monitoring.ai_service_metrics`.
    """
    return _table(
        (
            "service",
            "model",
            "window",
            "calls",
            "p50",
            "p95",
            "p99",
            "failed",
            "tokens",
            "left today",
            "runs out (UTC)",
            "RP@5",
        ),
        [
            (
                row["service"],
                row["model"],
                f"{row['window_hours']} h",
                f"{row['calls_count']:,}",
                *(_number(row[f"latency_p{percent}_ms"], "{:,.0f} ms") for percent in (50, 95, 99)),
                _number(failed_ratio(row), "{:.1%}"),
                f"{row['prompt_tokens_count'] + row['output_tokens_count']:,}",
                _number(row["tokens_left_count"], "{:,}"),
                _moment(row["runs_out_at"]),
                _number(row["rp_at_5"], "{:.2f}"),
            )
            for row in rows
        ],
    )


def failed_ratio(row: Row) -> float | None:
    """Share of calls without an answer, for whatever reason; None without calls."""
    ratios = (row["error_ratio"], row["timeout_ratio"], row["rate_limited_ratio"])
    return None if ratios[0] is None else sum(ratios)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    # A bar would begin a new cell, and what a service answers may hold markup.
    return " ".join(text.replace("|", "/").replace("<", "&lt;").split())


def _number(value: float | None, shown: str) -> str:
    return "–" if value is None else shown.format(value)


def _moment(value: dt.datetime | None) -> str:
    return "–" if value is None else f"{value:%m-%d %H:%M}"
