"""Shows asset checks as Markdown, for a pull request, a chat or a wiki. Pure; the table for a terminal is `report.py`'s."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from platform_assets.monitoring.checking import format as form
from platform_assets.monitoring.checking.model import NOT_EVALUATED, CheckState
from platform_assets.monitoring.checking.report import sparkline, summarize

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")
"""Signs that Markdown, or HTML in it, would take for its own."""


def render_markdown(states: Sequence[CheckState], *, generated_at: dt.datetime) -> str:
    """The report as Markdown: the verdict, what wants attention, and a table of all checks.

    Text from outside shows as it is and never as markup.

    Args:
        states: The checks, in the order to show.
        generated_at: When the report is made, which ages are counted from.
    """
    summary = summarize(states)
    lines = [
        f"# {escape('; '.join([summary.headline, *summary.remarks]))}",
        "",
        f"As of {form.format_instant(generated_at)}.",
    ]
    failing = [check for check in states if check.is_failing]
    if failing:
        lines += ["", "## What wants attention", "", *(_attention(check) for check in failing)]
    if states:
        lines += ["", "## All checks", "", *_table(states, generated_at)]
    overridden = [check for check in states if form.describe_override(check)]
    if overridden:
        lines += ["", "## Bounds that are not the release's", ""]
        lines += [f"- {_name(check)}: {escape(form.describe_override(check))}" for check in overridden]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """One line of text whose signs mean nothing to Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _name(check: CheckState) -> str:
    return f"**{escape(check.asset)} · {escape(check.check)}**"


def _attention(check: CheckState) -> str:
    told = f"{form.state_words(check)}, {form.format_value(check)} (service level {form.format_service_level(check)})"
    lines = [f"- {form.symbol(check)} {check.severity.value} {_name(check)}: {escape(told)}"]
    why = f"Why this bound: {check.reason}" if check.reason else None
    lines += [f"    - {escape(text)}" for text in (check.description, why, check.error) if text]
    return "\n".join(lines)


def _table(states: Sequence[CheckState], now: dt.datetime) -> list[str]:
    headings = ["state", "check", "severity", "measured", "service level", "evaluated"]
    with_history = any(check.history for check in states)
    if with_history:
        headings.append("before that")
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for check in states:
        because = check.details.get(NOT_EVALUATED)
        cells = [
            f"{form.symbol(check)} {form.state_words(check)}" + (f": {because}" if because else ""),
            f"{check.asset} · {check.check}",
            check.severity.value,
            form.format_value(check),
            form.format_service_level(check),
            form.format_age(check.evaluated_at, now) or form.format_instant(check.evaluated_at),
        ]
        row = [escape(cell) for cell in cells]
        if with_history:
            row.append(sparkline(check).plain)
        lines.append(f"| {' | '.join(row)} |")
    return lines
