"""The figures in words: what each section of the performance report says, the same for every form of it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from platform_assets.currencies import format_minor
from platform_assets.monitoring.levels.wording import percent
from platform_assets.monitoring.performance.reading import Figures

UNKNOWN = "–"
MIB = 1024**2
SHOWN_ALERTS = 15
SHOWN_JOBS = 12
SHOWN_LEVELS = 12


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds numbers."""

    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says what matters, and a table.

    Attributes:
        title: The heading.
        sentence: What the table comes to.
        columns: Columns of the table.
        rows: Its cells.
        bad_rows: Positions of rows that want attention.
    """

    title: str
    sentence: str
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    bad_rows: frozenset[int] = frozenset()


@dataclass(frozen=True)
class TokenPrice:
    """What a million tokens cost, in US dollars."""

    input_usd: Decimal
    output_usd: Decimal


def headline(figures: Figures) -> str:
    """How the platform stands, in one sentence."""
    alerts = figures.alerts
    serious = int(alerts["severity"].isin(["critical", "high"]).sum())
    runs, failed = int(figures.jobs["runs_count"].sum()), int(figures.jobs["failed_count"].sum())
    lefts = figures.levels["budget_left_ratio"].dropna()
    overspent = int((lefts < 0).sum())
    parts = [
        f"{_counted(len(alerts), 'open alert')}, {serious} of them serious"
        if len(alerts)
        else "No open alert",
        f"{failed:,} of {_counted(runs, 'run')} failed" if runs else "no run on record",
        f"{_counted(overspent, 'error budget')} overspent" if overspent else "every error budget is kept",
    ]
    return "; ".join(parts) + "."


def build_sections(figures: Figures, *, price: TokenPrice | None) -> list[Section]:
    """Every section, in the order of reading.

    Args:
        figures: What was measured.
        price: What Gemini's tokens cost; None shows tokens alone.
    """
    return [
        _levels(figures),
        _alerts(figures),
        _services(figures),
        _jobs(figures),
        _queues(figures),
        _recoveries(figures),
        _costs(figures, price),
    ]


def _levels(figures: Figures) -> Section:
    rows = sorted(_rows(figures.levels), key=_urgency)
    known = [row for row in rows if pd.notna(row["budget_left_ratio"])]
    burning = [row for row in rows if pd.notna(row["burning_at"])]
    if not known:
        return Section("Service levels", "None had an event in this time.")
    shown = known[:SHOWN_LEVELS]
    return Section(
        "Service levels",
        f"{_counted(len(known), 'service level')} with events of {len(rows)}, {len(burning)} burning; over 28 days. "
        f"The nearest to trouble first{_of_all(shown, known)}.",
        (
            Column("level"),
            Column("objective", True),
            Column("bad of all events", True),
            Column("budget left", True),
            Column("burn rate 1 h", True),
            Column("1 d", True),
        ),
        tuple(
            (
                row["level"],
                percent(row["objective_ratio"]),
                f"{row['total_count'] - row['good_count']:,} of {row['total_count']:,}",
                percent(_known(row["budget_left_ratio"])),
                _number(row["burn_rate_1h"]),
                _number(row["burn_rate_1d"]),
            )
            for row in shown
        ),
        _positions(
            pd.notna(row["burning_at"]) or (_known(row["budget_left_ratio"]) or 0) < 0 for row in shown
        ),
    )


def _urgency(row: dict[str, Any]) -> tuple[bool, float, str]:
    left = _known(row["budget_left_ratio"])
    return pd.isna(row["burning_at"]), 2.0 if left is None else left, row["level"]


def _alerts(figures: Figures) -> Section:
    rows = _rows(figures.alerts)
    delivery = figures.deliveries.iloc[0]
    told = (
        f"{int(delivery['sent_count']):,} of {_counted(int(delivery['queued_count']), 'notification')} delivered"
        f"{_after(delivery)}."
        if delivery["queued_count"]
        else "No notification was due."
    )
    shown = rows[:SHOWN_ALERTS]
    return Section(
        "Alerts",
        f"{figures.alerts_opened_count:,} opened and {figures.alerts_resolved_count:,} resolved; {len(rows):,} are open"
        f"{_of_all(shown, rows)}. {told}",
        (Column("severity"), Column("alert"), Column("owner"), Column("times", True), Column("since (UTC)")),
        tuple(
            (
                row["severity"] + (", acknowledged" if row["is_acknowledged"] else ""),
                f"{row['alert_id']}: {row['title']}",
                row["owner"],
                f"{row['occurrences_count']:,}",
                _minute(row["first_seen_at"]),
            )
            for row in shown
        ),
        _positions(row["severity"] in ("critical", "high") for row in shown),
    )


def _after(delivery: pd.Series[Any]) -> str:
    if pd.isna(delivery["seconds_p50"]):
        return ""
    return f", half of them within {delivery['seconds_p50']:.0f} s and 95 % within {delivery['seconds_p95']:.0f} s"


def _services(figures: Figures) -> Section:
    rows = _rows(figures.services)
    ill = [row["service"] for row in rows if row["state"] in ("down", "degraded")]
    if not rows:
        return Section("Services", "None was looked at in this time.")
    return Section(
        "Services",
        f"Not well: {', '.join(ill)}." if ill else "All that are switched on are well.",
        (
            Column("service"),
            Column("state"),
            Column("since (UTC)"),
            Column("latency, ms", True),
            Column("errors in 1 h", True),
            Column("what was found"),
        ),
        tuple(
            (
                row["service"],
                row["state"],
                _minute(row["state_since"]),
                _number(row["latency_ms"]),
                percent(_known(row["error_ratio"])),
                row["message"],
            )
            for row in rows
        ),
        _positions(row["service"] in ill for row in rows),
    )


def _jobs(figures: Figures) -> Section:
    rows = _rows(figures.jobs)
    if not rows:
        return Section("Work", "No run is on record in this time; the daemon records them.")
    failing = [row for row in rows if row["failed_count"]]
    slow = [row for row in rows if not row["failed_count"]]
    # Failing work first, then the slowest.
    shown = sorted(failing, key=lambda row: -row["failed_count"]) + slow
    shown = shown[: max(SHOWN_JOBS, len(failing))]
    return Section(
        "Work",
        f"{_counted(int(figures.jobs['runs_count'].sum()), 'run')} of {_counted(len(rows), 'job')}; failing ones first, then the slowest"
        f"{_of_all(shown, rows)}.",
        (
            Column("job"),
            Column("runs", True),
            Column("failed", True),
            Column("median, s", True),
            Column("p95, s", True),
            Column("longest, s", True),
            Column("last failure"),
        ),
        tuple(
            (
                row["job_name"],
                f"{row['runs_count']:,}",
                f"{row['failed_count']:,}",
                _number(row["run_time_p50_s"]),
                _number(row["run_time_p95_s"]),
                _number(row["run_time_max_s"]),
                f"{row['causes'][0]}: {row['messages'][0] or 'no message'}" if row["failed_count"] else "",
            )
            for row in shown
        ),
        _positions(row["failed_count"] > 0 for row in shown),
    )


def _queues(figures: Figures) -> Section:
    rows = _rows(figures.queues)
    if not rows:
        return Section("Queues", "None was measured in this time.")
    return Section(
        "Queues",
        f"{_counted(int(figures.queues['queued_count'].sum()), 'run')} waiting when last measured.",
        (
            Column("queue"),
            Column("waiting", True),
            Column("longest wait now, s", True),
            Column("p95 of waits, s", True),
            Column("busy", True),
        ),
        tuple(
            (
                row["queue"],
                f"{row['queued_count']:,}",
                _number(row["oldest_queued_age_s"]),
                _number(row["wait_p95_s"]),
                percent(_known(row["utilization_ratio"])),
            )
            for row in rows
        ),
    )


def _recoveries(figures: Figures) -> Section:
    reruns = [
        (
            f"run again after a cause that is {row['cause']}",
            f"{row['attempts_count']:,}",
            f"{row['succeeded_count']:,}",
            UNKNOWN,
        )
        for row in _rows(figures.reruns)
    ]
    repairs = [
        (
            row["action"].replace("_", " "),
            f"{row['actions_count']:,}",
            f"{row['worked_count']:,}",
            _number(row["repair_p50_s"]),
        )
        for row in _rows(figures.repairs)
    ]
    rows = (*reruns, *repairs)
    if not rows:
        return Section("Recovery", "Nothing had to be run again or freed.")
    return Section(
        "Recovery",
        "What the platform mended by itself.",
        (
            Column("what was done"),
            Column("times", True),
            Column("worked", True),
            Column("median time to repair, s", True),
        ),
        rows,
    )


def _costs(figures: Figures, price: TokenPrice | None) -> Section:
    rows: list[tuple[str, ...]] = []
    for row in _rows(figures.ai):
        read, answered = int(row["prompt_tokens"]), int(row["output_tokens"])
        cost = f"{read:,} + {answered:,} tokens" if read or answered else UNKNOWN
        if price is not None and row["service"] == "gemini":
            usd = (read * price.input_usd + answered * price.output_usd) / 1_000_000
            cost += f", USD {usd:.4f}"
        rows.append((f"{row['service']}, {row['model']}", *_calls(row), cost))
    rows += [(str(row["gateway"]), *_calls(row), UNKNOWN) for row in _rows(figures.gateway)]
    rows += [
        (
            f"gateway fees, {row['currency']}",
            f"{row['transactions_count']:,}",
            UNKNOWN,
            UNKNOWN,
            format_minor(int(row["fees_minor"]), row["currency"]),
        )
        for row in _rows(figures.fees)
    ]
    freed = (
        f"; the last sweep freed {figures.freed_bytes / MIB:,.1f} MiB"
        if figures.freed_bytes is not None
        else ""
    )
    return Section(
        "Cost",
        f"The database takes {figures.database_bytes / MIB:,.0f} MiB{freed}.",
        (
            Column("service"),
            Column("calls", True),
            Column("failed", True),
            Column("p95, ms", True),
            Column("cost", True),
        ),
        tuple(rows),
    )


def _calls(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['calls_count']:,}", f"{row['failed_count']:,}", _number(row["latency_p95_ms"])


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _number(value: Any) -> str:
    if pd.isna(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _minute(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _of_all(shown: Sequence[object], rows: Sequence[object]) -> str:
    return f" ({len(shown)} of {len(rows):,} shown)" if len(shown) < len(rows) else ""


def _positions(are_bad: Iterable[bool]) -> frozenset[int]:
    return frozenset(position for position, is_bad in enumerate(are_bad) if is_bad)
