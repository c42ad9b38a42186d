"""Shows asset checks: as a table for a terminal, as JSON for programs, as one HTML page for people.

Pure but for `write_report_files`; how single numbers read is `format.py`'s business.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import jinja2
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from platform_assets.monitoring.checking import format as form
from platform_assets.monitoring.checking import sparklines
from platform_assets.monitoring.checking.model import NOT_EVALUATED, CheckState, State, exit_code
from platform_assets.thresholds import Severity

HTML_NAME = "checks.html"
JSON_NAME = "checks.json"
TEMPLATES = Path(__file__).parent / "templates"


class Verdict(StrEnum):
    """What all checks together say."""

    FAILING = "failing"
    """A service level of severity ERROR is broken, or could not be looked at."""
    WARNING = "warning"
    """Only such of severity WARN are."""
    INCOMPLETE = "incomplete"
    """Nothing is known to be broken, but not everything was ever evaluated."""
    PASSING = "passing"
    """Every service level was evaluated and is kept."""
    EMPTY = "empty"
    """There are no checks."""


@dataclass(frozen=True)
class Summary:
    """Counts of checks.

    Attributes:
        total_count: All checks.
        state_counts: Checks in each state; every state is a key.
        failing_error_count: Failing checks of severity ERROR, see `CheckState.is_failing`.
        failing_warn_count: Failing checks of severity WARN.
        unknown_count: Checks that no evaluation has ever told anything of, failing ones apart.
        verdict: What they say together.
        exit_code: Exit status of a command that reports on them.
    """

    total_count: int
    state_counts: dict[State, int]
    failing_error_count: int
    failing_warn_count: int
    unknown_count: int
    verdict: Verdict
    exit_code: int

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        total = self.total_count
        return {
            Verdict.FAILING: f"{_count(self.failing_error_count, 'service level')} of {total} broken",
            Verdict.WARNING: f"No error, {_count(self.failing_warn_count, 'warning')} among {total} service levels",
            Verdict.INCOMPLETE: self._incomplete,
            Verdict.PASSING: "The service level is kept"
            if total == 1
            else f"All {total} service levels are kept",
            Verdict.EMPTY: "No checks to show",
        }[self.verdict]

    @property
    def unmeasured_count(self) -> int:
        """Unknown ones that were evaluated and had nothing to measure yet."""
        return self.state_counts[State.NOT_EVALUATED]

    @property
    def _incomplete(self) -> str:
        never = self.unknown_count - self.unmeasured_count
        if never:
            told = f"Not known yet: {never} of {self.total_count} checks never evaluated"
            return f"{told}, {self._unmeasured}" if self.unmeasured_count else told
        kept = self.total_count - self.unmeasured_count
        return f"{_count(kept, 'service level')} kept, {self._unmeasured}"

    @property
    def _unmeasured(self) -> str:
        return f"{self.unmeasured_count} with nothing to measure yet"

    @property
    def remarks(self) -> list[str]:
        """What the headline does not say and a reader must know."""
        warnings = [_count(self.failing_warn_count, "warning")] if self.failing_warn_count else []
        never = self.unknown_count - self.unmeasured_count
        unknown = [f"{never} never evaluated"] if never else []
        unknown += [self._unmeasured] if self.unmeasured_count else []
        return {Verdict.FAILING: warnings + unknown, Verdict.WARNING: unknown}.get(self.verdict, [])


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def summarize(states: Sequence[CheckState]) -> Summary:
    """Count checks and say what they mean together."""
    failing = [check.severity for check in states if check.is_failing]
    errors, warnings = failing.count(Severity.ERROR), failing.count(Severity.WARN)
    unknown = sum(check.is_unknown for check in states)
    verdict = (
        Verdict.EMPTY
        if not states
        else Verdict.FAILING
        if errors
        else Verdict.WARNING
        if warnings
        else Verdict.INCOMPLETE
        if unknown
        else Verdict.PASSING
    )
    return Summary(
        total_count=len(states),
        state_counts={state: sum(check.state is state for check in states) for state in State},
        failing_error_count=errors,
        failing_warn_count=warnings,
        unknown_count=unknown,
        verdict=verdict,
        exit_code=exit_code(states),
    )


def _style(check: CheckState) -> str:
    if check.is_failing:
        return "bold red" if check.severity is Severity.ERROR else "bold yellow"
    styles = {State.PASSED: "green", State.NEVER_EVALUATED: "bold magenta", State.NOT_EVALUATED: "magenta"}
    return styles.get(check.state, "cyan")


VERDICT_STYLES = {
    Verdict.FAILING: "bold red",
    Verdict.WARNING: "bold yellow",
    Verdict.INCOMPLETE: "bold magenta",
    Verdict.PASSING: "bold green",
    Verdict.EMPTY: "bold",
}

HEADINGS = ("state", "asset", "check", "severity", "measured", "service level", "evaluated")
HISTORY_HEADING = "before that"

OVERRIDDEN = " *"
"""Follows a bound that is not the release's; who set it and why is told below the table."""

PLOT_STYLES = {True: "green", False: "bold red", None: "dim"}


def sparkline(check: CheckState) -> Text:
    """The last evaluations, a character each, from the oldest; those that did not pass are red."""
    plot = sparklines.plot(check)
    marks = plot.marks if plot else ()
    return Text.assemble(*((mark.character, PLOT_STYLES[mark.evaluation.passed]) for mark in marks))


def _cells(check: CheckState, now: dt.datetime | None) -> list[Text]:
    style = _style(check)
    evaluated = form.format_instant(check.evaluated_at)
    age = form.format_age(check.evaluated_at, now)
    return [
        Text(f"{form.symbol(check)} {form.state_words(check)}", style),
        Text(check.asset),
        Text(check.check, "bold"),
        Text(check.severity.value, style if check.is_failing else "dim"),
        Text(form.format_value(check), style if check.is_failing else ""),
        Text(form.format_service_level(check) + (OVERRIDDEN if form.describe_override(check) else "")),
        Text(f"{age} ({evaluated})" if age else evaluated, "dim"),
    ]


def render_table(
    states: Sequence[CheckState], console: Console, *, generated_at: dt.datetime | None = None
) -> None:
    """Print the checks, what went wrong with the failing ones, and the verdict as the last line.

    On a terminal that is too narrow for the table each check takes two lines. What goes to a file or a pipe is the
    whole table, however wide. Nothing is ever cut off.

    Args:
        states: The checks, in the order to show.
        console: Where to print; without a terminal it gets plain text.
        generated_at: The present moment; without it no ages are shown.
    """
    with_history = any(check.history for check in states)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*HEADINGS, HISTORY_HEADING) if with_history else HEADINGS:
        table.add_column(heading, no_wrap=True, justify="right" if heading == "measured" else "left")
    rows = [[*_cells(check, generated_at), *([sparkline(check)] if with_history else [])] for check in states]
    for row in rows:
        table.add_row(*(_encodable(cell, console) for cell in row))
    width = Measurement.get(console, console.options.update(max_width=100_000), table).maximum
    if states and (width <= console.width or not console.is_terminal):
        table.width = width
        console.print(table, crop=False)
    else:
        for row in rows:
            _print_stacked(row, console)
    for check in states:
        if check.is_failing:
            _print_failure(check, console)
    _print_overrides(states, console)
    summary = summarize(states)
    line = Text("; ".join([summary.headline, *summary.remarks]), VERDICT_STYLES[summary.verdict])
    _print(Text("\n" if states else "") + line, console)


def _print_stacked(row: Sequence[Text], console: Console) -> None:
    state, asset, check, severity, measured, level, evaluated, *plot = row
    _print(Text.assemble(state, "  ", severity, "  ", asset, " · ", check), console)
    _print(
        Text.assemble("    ", measured, ", service level ", level, ", evaluated ", evaluated, "  ", *plot),
        console,
    )


def _print_overrides(states: Sequence[CheckState], console: Console) -> None:
    overridden = [check for check in states if form.describe_override(check)]
    for i, check in enumerate(overridden):
        line = _printable(f"* {check.asset} · {check.check}: {form.describe_override(check)}")
        _print(Text(line if i else f"\n{line}"), console)


def _printable(text: str) -> str:
    # Text from outside may bring escape sequences of its own.
    return "".join(char if char.isprintable() else " " for char in text)


def _print_failure(check: CheckState, console: Console) -> None:
    _print(Text(f"\n{form.symbol(check)} {check.asset} · {check.check}", _style(check)), console)
    because = check.details.get(NOT_EVALUATED)
    for text in (
        check.description,
        because and f"Not evaluated: {because}",
        check.reason and f"Why this bound: {check.reason}",
        check.error,
    ):
        for line in (text or "").splitlines():
            _print(Text("  " + _printable(line)), console)


def _print(text: Text, console: Console) -> None:
    # A pipe gets whole lines, as it gets a whole table.
    if console.is_terminal:
        console.print(_encodable(text, console), soft_wrap=False, overflow="fold")
    else:
        console.print(_encodable(text, console), soft_wrap=True)


SPELLED = str.maketrans(
    {"≥": ">=", "≤": "<=", "✓": "+", "✗": "x", "⊗": "x", "○": "o", "…": "~", "–": "-", "·": "/", "×": "x"}
    | dict(zip(sparklines.BARS, "__..--^^"))
    | {form.THIN_SPACE: " ", "−": "-", "⁻": "^-"}
    | {digit: str(number) for number, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
)
"""Plain spellings of the signs that the report uses."""


def _encodable(text: Text, console: Console) -> Text:
    """The text, its signs spelled in ASCII where the console's encoding has no others."""
    if not console.options.ascii_only:
        return text
    return Text(text.plain.translate(SPELLED).encode("ascii", "replace").decode("ascii"), text.style)


def render_json(states: Sequence[CheckState], *, generated_at: dt.datetime) -> str:
    """The report for programs: one JSON object.

    ::

        {"generated_at": "2026-11-23T18:00:00+00:00",
         "summary": {"total_count": 2, "state_counts": {"failed": 1, …}, "failing_error_count": 1,
                     "failing_warn_count": 0, "unknown_count": 0, "verdict": "failing", "exit_code": 1},
         "checks": [{"asset": …, "check": …, "group": …, "state": …, "severity": …, "owner": …, "description": …,
                     "value": …, "threshold": …, "direction": …, "unit": …, "reason": …, "evaluated_at": …,
                     "last_passed": …, "error": …, "details": {…}, "run_id": …,
                     "history": [{"evaluated_at": …, "passed": true, "value": …}, …]}, …]}

    Every key is always there, and what is unknown is null. The fields of `summary` are those of `Summary` and the
    fields of a check those of `CheckState`; a ratio is a number from 0 to 1. Instants are ISO 8601 in UTC.

    Args:
        states: The checks; their order is kept.
        generated_at: When the report is made.
    """
    report = {
        "generated_at": _iso(generated_at),
        "summary": asdict(summarize(states)),
        "checks": [asdict(check) for check in states],
    }
    return json.dumps(report, indent=2, allow_nan=False, default=_iso)


def _iso(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat(timespec="seconds")


def render_html(states: Sequence[CheckState], *, generated_at: dt.datetime) -> str:
    """The report for people: one page that needs nothing but itself.

    Args:
        states: The checks, worst first; groups are shown in alphabetical order, and keep it within.
        generated_at: When the report is made, which ages are counted from.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_group = sorted(states, key=lambda check: check.group)
    return environment.get_template("check_report.html").render(
        summary=summarize(states),
        groups=[(name, list(checks)) for name, checks in groupby(by_group, key=lambda check: check.group)],
        failing=[check for check in states if check.is_failing],
        summarize=summarize,
        generated_at=generated_at,
        tone=_tone,
        columns=lambda rows: list(dict.fromkeys(name for row in rows for name in row)),
        form=form,
        plot=sparklines.plot,
    )


def _tone(check: CheckState) -> str:
    """CSS class of a check's colours."""
    if check.is_failing:
        return "error" if check.severity is Severity.ERROR else "warn"
    tones = {State.PASSED: "kept", State.NEVER_EVALUATED: "unknown", State.NOT_EVALUATED: "unknown"}
    return tones.get(check.state, "open")


def write_report_files(
    states: Sequence[CheckState], folder: Path, *, generated_at: dt.datetime
) -> tuple[Path, Path]:
    """Write `checks.html` and `checks.json`; a reader sees the old file or the new one, never half of one.

    Args:
        states: The checks, worst first.
        folder: Where to write; made if it is not there.
        generated_at: When the report is made.

    Returns:
        The paths of the HTML and the JSON file.

    Raises:
        OSError: The folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / HTML_NAME, folder / JSON_NAME
    _replace(page, render_html(states, generated_at=generated_at))
    _replace(data, render_json(states, generated_at=generated_at))
    return page, data


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # Text from outside may hold half a surrogate pair, which UTF-8 has no bytes for.
        draft.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
