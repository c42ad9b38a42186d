import dataclasses
import datetime as dt
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from platform_assets.monitoring.checking.model import CheckState, State, exit_code, worst_first
from platform_assets.monitoring.checking.report import (
    Verdict,
    render_html,
    render_json,
    render_table,
    summarize,
    write_report_files,
)
from platform_assets.thresholds import Severity

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
COMPLETED = {State.PASSED: True, State.FAILED: False}


def check(state: State = State.PASSED, severity: Severity = Severity.ERROR, **changes: Any) -> CheckState:
    """A coverage check in a state; what is not said is as a completed evaluation leaves it."""
    completed = state in COMPLETED
    plain = {
        "asset": "matches",
        "check": "coverage",
        "group": "matching",
        "owner": "team:matching",
        "description": "Share of open projects with a match.",
        "value": (0.97 if COMPLETED[state] else 0.905) if completed else None,
        "threshold": 0.95,
        "direction": "at_least",
        "unit": "ratio",
        "reason": "filters may leave nobody for a few" if completed else None,
        "evaluated_at": NOW - dt.timedelta(minutes=7) if completed else None,
        "last_passed": COMPLETED.get(state),
        "run_id": None if state is State.NEVER_EVALUATED else "run-1",
    }
    return CheckState(state=state, severity=severity, **(plain | changes))


EVERY_STATE = [
    check(State.FAILED, check="failed_error"),
    check(State.FAILED, Severity.WARN, check="failed_warn"),
    check(State.EXECUTION_FAILED, check="broken", error="ValueError: no such column"),
    check(State.NEVER_EVALUATED, check="fresh"),
    check(State.IN_PROGRESS, check="going"),
    check(State.SKIPPED, check="left_out", value=0.99, last_passed=True, evaluated_at=NOW),
    check(State.PASSED, check="fine"),
    check(State.NOT_EVALUATED, check="young", details={"not_evaluated": "no event in 28 days"}),
]


def printed(states: list[CheckState], *, width: int, terminal: bool, encoding: str = "utf-8") -> str:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=buffer, width=width, force_terminal=terminal, color_system=None)
    render_table(states, console, generated_at=NOW)
    buffer.seek(0)
    return buffer.read()


def test_the_worst_come_first_and_within_it_group_asset_and_check() -> None:
    in_order = [
        check(State.FAILED, group="matching", check="z"),
        check(State.IN_PROGRESS, last_passed=False, group="profiles", check="a"),
        check(State.EXECUTION_FAILED),
        check(State.EXECUTION_FAILED, Severity.WARN),
        check(State.FAILED, Severity.WARN),
        check(State.NEVER_EVALUATED),
        check(State.IN_PROGRESS),
        check(State.SKIPPED, last_passed=True),
        check(State.PASSED, group="a", asset="b", check="b"),
        check(State.PASSED, group="a", asset="c", check="a"),
        check(State.PASSED, group="b", asset="a", check="a"),
    ]

    assert worst_first(reversed(in_order)) == in_order


@pytest.mark.parametrize(
    ("state", "severity", "last_passed", "expected"),
    [
        (State.FAILED, Severity.ERROR, False, 1),
        (State.FAILED, Severity.WARN, False, 0),
        (State.EXECUTION_FAILED, Severity.ERROR, None, 1),
        (State.EXECUTION_FAILED, Severity.ERROR, True, 1),
        (State.EXECUTION_FAILED, Severity.WARN, None, 0),
        (State.NEVER_EVALUATED, Severity.ERROR, None, 0),
        (State.IN_PROGRESS, Severity.ERROR, None, 0),
        (State.IN_PROGRESS, Severity.ERROR, True, 0),
        (State.IN_PROGRESS, Severity.ERROR, False, 1),
        (State.SKIPPED, Severity.ERROR, False, 1),
        (State.SKIPPED, Severity.WARN, False, 0),
        (State.PASSED, Severity.ERROR, True, 0),
    ],
)
def test_the_exit_status_is_1_when_an_error_stands(
    state: State, severity: Severity, last_passed: bool | None, expected: int
) -> None:
    stands = check(state, severity, last_passed=last_passed)

    assert exit_code([check(), stands, check()]) == expected
    assert summarize([stands]).exit_code == expected


@pytest.mark.parametrize(
    ("states", "verdict", "headline"),
    [
        ([], Verdict.EMPTY, "No checks to show"),
        ([check(), check()], Verdict.PASSING, "All 2 service levels are kept"),
        ([check()], Verdict.PASSING, "The service level is kept"),
        (
            [check(), check(State.NEVER_EVALUATED)],
            Verdict.INCOMPLETE,
            "Not known yet: 1 of 2 checks never evaluated",
        ),
        (
            [check(), check(State.IN_PROGRESS)],
            Verdict.INCOMPLETE,
            "Not known yet: 1 of 2 checks never evaluated",
        ),
        ([check(), check(State.SKIPPED, last_passed=True)], Verdict.PASSING, "All 2 service levels are kept"),
        (
            [check(State.NEVER_EVALUATED), check(State.FAILED, Severity.WARN)],
            Verdict.WARNING,
            "No error, 1 warning among 2 service levels",
        ),
        (EVERY_STATE, Verdict.FAILING, "2 service levels of 8 broken"),
    ],
)
def test_what_all_checks_say_together(states: list[CheckState], verdict: Verdict, headline: str) -> None:
    summary = summarize(states)

    assert (summary.verdict, summary.headline) == (verdict, headline)


def test_a_failing_platform_still_tells_what_is_unknown() -> None:
    summary = summarize(EVERY_STATE)

    assert summary.remarks == ["1 warning", "2 never evaluated", "1 with nothing to measure yet"]
    assert summary.state_counts == {
        State.FAILED: 2,
        State.EXECUTION_FAILED: 1,
        State.NEVER_EVALUATED: 1,
        State.IN_PROGRESS: 1,
        State.SKIPPED: 1,
        State.NOT_EVALUATED: 1,
        State.PASSED: 1,
    }


@pytest.mark.parametrize("width", [30, 80, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_never_cuts_a_name_and_says_every_state_in_words(width: int, terminal: bool) -> None:
    long_name = check(State.FAILED, check="share_of_open_projects")

    text = printed([*EVERY_STATE, long_name], width=width, terminal=terminal)

    unfolded = re.sub(r"\s", "", text)
    assert "share_of_open_projects" in unfolded
    for words in ("failed", "couldnotrun", "neverevaluated", "inprogress", "skipped,lastpassed", "passed"):
        assert words in unfolded
    assert "…" not in re.sub("… in progress", "", text)
    assert not terminal or max(map(len, text.splitlines())) <= width


def test_a_pipe_gets_plain_text_with_one_line_for_each_check() -> None:
    lines = printed(EVERY_STATE, width=80, terminal=False).splitlines()

    assert "\x1b" not in "".join(lines)
    assert [line.split()[0] for line in lines[1:8]] == ["✗", "!", "⊗", "○", "…", "–", "✓"]
    assert re.search(
        r"✗ failed +matches +failed_error +ERROR +90\.5% +≥ 95% +7 min ago \(2026-03-01 11:53 UTC\)", lines[1]
    )
    assert re.search(r"○ never evaluated +matches +fresh +ERROR +– +≥ 95% +never", lines[4])
    assert "  ValueError: no such column" in lines
    assert (
        lines[-1]
        == "2 service levels of 8 broken; 1 warning; 2 never evaluated; 1 with nothing to measure yet"
    )


def test_a_terminal_without_unicode_gets_signs_in_ascii() -> None:
    text = printed(
        [*EVERY_STATE, check(value=4e-7, threshold=1e-6, unit="score")],
        width=200,
        terminal=True,
        encoding="ascii",
    )

    assert text.isascii()
    assert ">= 95%" in text
    assert "10^-6 score" in text


def test_an_error_text_cannot_steer_the_terminal_nor_be_taken_for_markup() -> None:
    text = printed(
        [check(State.EXECUTION_FAILED, error="[red]boom[/red] \x1b[2J \x07 [/nonsense]")],
        width=100,
        terminal=True,
    )

    assert "[red]boom[/red]" in text
    assert "[/nonsense]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_json_has_every_key_and_null_for_what_is_unknown() -> None:
    report = json.loads(
        render_json(EVERY_STATE, generated_at=NOW.astimezone(dt.timezone(dt.timedelta(hours=5))))
    )

    assert set(report) == {"generated_at", "summary", "checks"}
    assert report["generated_at"] == "2026-03-01T12:00:00+00:00"
    assert report["summary"] == {
        "total_count": 8,
        "state_counts": {
            "failed": 2,
            "execution_failed": 1,
            "never_evaluated": 1,
            "in_progress": 1,
            "skipped": 1,
            "not_evaluated": 1,
            "passed": 1,
        },
        "failing_error_count": 2,
        "failing_warn_count": 1,
        "unknown_count": 3,
        "verdict": "failing",
        "exit_code": 1,
    }
    fields = {field.name for field in dataclasses.fields(CheckState)}
    assert all(set(entry) == fields for entry in report["checks"])
    failed, fresh = report["checks"][0], report["checks"][3]
    assert (failed["state"], failed["severity"], failed["value"]) == ("failed", "ERROR", 0.905)
    assert failed["evaluated_at"] == "2026-03-01T11:53:00+00:00"
    assert (fresh["state"], fresh["value"], fresh["evaluated_at"], fresh["run_id"]) == (
        "never_evaluated",
        None,
        None,
        None,
    )
    assert fresh["threshold"] == 0.95


class Page(HTMLParser):
    """What a page is made of: its tags, the references in its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [
            v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "xlink:href")
        ]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        assert not [k for k, _ in attrs if k.startswith("on")]
        if tag not in ("meta", "br", "rect", "line", "circle", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself() -> None:
    html = render_html([*EVERY_STATE, check(details={"docs": "https://example.org/x"})], generated_at=NOW)
    page = Page(html)

    assert page.references
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.references)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    assert "@import" not in html
    assert "url(" not in html
    assert len(page.ids) == len(set(page.ids))
    assert page.open == []


def test_the_page_says_every_state_measured_value_and_bound() -> None:
    html = render_html(EVERY_STATE, generated_at=NOW)

    for word in (
        "failed",
        "could not run",
        "never evaluated",
        "in progress",
        "skipped",
        "passed",
        "last passed",
    ):
        assert f">{word}<" in html or f"{word}</span>" in html
    assert "2 service levels of 8 broken" in html
    assert "90.5%" in html
    assert "≥ 95%" in html
    assert "7 min ago" in html
    assert "ValueError: no such column" in html
    assert html.count("<details>") == len(EVERY_STATE)
    assert '<html lang="en">' in html


def test_the_page_has_one_section_for_each_group_with_the_worst_first_in_it() -> None:
    states = worst_first(
        [
            check(State.PASSED, group="payments", check="p_passed"),
            check(State.FAILED, group="payments", check="p_failed"),
            check(State.FAILED, group="matching", check="m_failed"),
            check(State.PASSED, group="matching", check="m_passed"),
        ]
    )

    page = Page(render_html(states, generated_at=NOW))

    assert [name for name in page.ids if name.startswith("group-")] == ["group-matching", "group-payments"]
    assert [name.rsplit("-", 1)[1] for name in page.ids if name.startswith("check-")] == [
        "m_failed",
        "m_passed",
        "p_failed",
        "p_passed",
    ]


def test_markup_from_outside_stays_text_on_the_page() -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    states = [
        check(
            State.EXECUTION_FAILED,
            error=evil,
            description=evil,
            reason=evil,
            owner=evil,
            unit=evil,
            run_id=evil,
        ),
        check(
            details={evil: evil, "rows": [{evil: evil}], "list": [evil], "map": {evil: [evil]}}, group="other"
        ),
    ]

    html = render_html(states, generated_at=NOW)

    assert not {"script", "img"} & set(Page(html).tags)
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"empty": [], "nothing": None, "yes": True, "deep": {"a": [{"b": None}]}},
        {"ragged": [{"a": 1}, {"b": 2}], "mixed": [1, "x", None, {"a": 1}], "keys": ["dev-1", "dev-2"]},
        {"items": 3, "keys": 4, "values": [1.5]},
        {"big": 10**30, "small": 1e-300, "whole": 1e300},
    ],
)
def test_details_of_any_shape_are_shown(details: dict[str, Any]) -> None:
    html = render_html([check(details=details)], generated_at=NOW)

    assert all(f"<dt>{name}</dt>" in html for name in details)
    assert (
        json.loads(render_json([check(details=details)], generated_at=NOW))["checks"][0]["details"] == details
    )


def test_a_ragged_table_of_rows_keeps_every_column() -> None:
    html = render_html(
        [check(details={"rows": [{"key": "dev-1"}, {"key": "dev-2", "why": "negative rate"}]})],
        generated_at=NOW,
    )

    assert "negative rate" in html


def test_without_checks_every_form_says_so() -> None:
    assert "No checks to show" in render_html([], generated_at=NOW)
    assert printed([], width=80, terminal=True) == "No checks to show\n"
    assert json.loads(render_json([], generated_at=NOW))["checks"] == []


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)  # the first example compiles the template
@given(
    state=st.sampled_from(State),
    value=numbers,
    threshold=numbers,
    direction=st.none() | st.sampled_from(["at_least", "at_most"]),
    unit=st.none() | st.sampled_from(["ratio", "hours", "rows", "minor units"]),
    last_passed=st.none() | st.booleans(),
)
def test_any_numbers_can_be_reported(**changes: Any) -> None:
    states = [check(**changes)]

    Page(render_html(states, generated_at=NOW))
    assert json.loads(render_json(states, generated_at=NOW))["checks"][0]["value"] == changes["value"]
    assert "coverage" in printed(states, width=100, terminal=False)


def test_the_files_are_whole_replaced_and_alone_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    write_report_files(EVERY_STATE, folder, generated_at=NOW)

    page, data = write_report_files([check(owner="half a pair: \ud83d")], folder, generated_at=NOW)

    assert sorted(path.name for path in folder.iterdir()) == ["checks.html", "checks.json"]
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert json.loads(data.read_text(encoding="utf-8"))["summary"]["total_count"] == 1


def test_a_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "checks.html").mkdir()

    with pytest.raises(OSError, match=r"checks\.html"):
        write_report_files([check()], tmp_path, generated_at=NOW)

    assert [path.name for path in tmp_path.iterdir()] == ["checks.html"]
