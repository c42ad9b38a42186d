"""The check report in forms that other programs read: Markdown and JUnit XML, and the histories in all forms."""

import dataclasses
import datetime as dt
import io
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from platform_assets.monitoring.checking.junit import render_junit
from platform_assets.monitoring.checking.markdown import escape, render_markdown
from platform_assets.monitoring.checking.model import CheckState, Evaluation, State, exit_code
from platform_assets.monitoring.checking.report import render_html, render_json, render_table
from platform_assets.thresholds import Severity

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
OVERRIDE = {
    "default_bound": 0.9,
    "author": "ana",
    "reason": "import | of *old* projects",
    "since": "2026-02-01T00:00+00:00",
    "until": "2026-04-01T00:00+00:00",
}

PLAIN = CheckState(
    asset="matches",
    check="coverage",
    group="matching",
    owner="team:matching",
    description="Share of open projects with a match.",
    state=State.PASSED,
    severity=Severity.ERROR,
    value=0.97,
    threshold=0.95,
    direction="at_least",
    unit="ratio",
    evaluated_at=NOW - dt.timedelta(minutes=7),
    last_passed=True,
    run_id="run-1",
)
RISING = tuple(
    Evaluation(NOW - dt.timedelta(minutes=10 * (4 - i)), value >= 0.95, value)
    for i, value in enumerate((0.9, 0.93, 0.96, 0.97))
)


def check(**changes) -> CheckState:
    return dataclasses.replace(PLAIN, **changes)


EVERY_KIND = [
    check(state=State.FAILED, last_passed=False, value=0.5, reason="filters"),
    check(state=State.FAILED, last_passed=False, value=0.5, check="warned", severity=Severity.WARN),
    check(state=State.EXECUTION_FAILED, check="broken", error="ValueError: <b>|boom|</b>"),
    check(state=State.NEVER_EVALUATED, check="fresh", value=None, last_passed=None, evaluated_at=None),
    check(
        state=State.NOT_EVALUATED,
        check="young",
        value=None,
        last_passed=None,
        details={"not_evaluated": "no event in 28 days"},
    ),
    check(state=State.IN_PROGRESS, check="going"),
    check(check="fine", history=RISING, details={"override": OVERRIDE}),
    check(check="paid", group="payments", asset="overdue_payments"),
]

texts = st.text(alphabet=st.characters(codec=None), max_size=60)


def words(tokens: list[Token]) -> str:
    return " ".join(
        child.content for token in tokens for child in (token.children or []) if child.type == "text"
    )


def test_markdown_tells_verdict_attention_and_every_check_in_a_table() -> None:
    text = render_markdown(EVERY_KIND, generated_at=NOW)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)

    assert text.startswith(
        "# 2 service levels of 8 broken; 1 warning; 1 never evaluated; 1 with nothing to measure yet\n"
    )
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == 1 + len(EVERY_KIND)
    cells = [token.type for token in tokens].count("td_open")
    assert cells == 7 * len(EVERY_KIND)
    assert "<b>|boom|</b>" in words(tokens)
    assert (
        "overridden by ana until 2026-04-01T00:00+00:00 because import | of *old* projects (default ≥ 90%)"
        in words(tokens)
    )
    assert "no event in 28 days" in words(tokens)
    assert "▁▄▇█" in text


@given(st.lists(texts, min_size=4, max_size=4))
def test_text_from_outside_is_never_markup(parts: list[str]) -> None:
    asset, name, error, description = parts
    hostile = check(
        state=State.FAILED, last_passed=False, asset=asset, check=name, error=error, description=description
    )
    tokens = MarkdownIt("commonmark").enable("table").parse(render_markdown([hostile], generated_at=NOW))

    assert sum(token.type == "tr_open" for token in tokens) == 2
    assert sum(token.type == "td_open" for token in tokens) == 6
    kinds = {child.type for token in tokens for child in (token.children or [])}
    assert kinds <= {"text", "strong_open", "strong_close", "text_special"}


def test_a_bar_in_a_name_is_no_border_of_a_cell() -> None:
    text = render_markdown([check(asset="a|b", check="c|d")], generated_at=NOW)
    cells = [
        token.content
        for token in MarkdownIt("commonmark").enable("table").parse(text)
        if token.type == "inline"
    ]

    assert "a|b · c|d" in [cell.replace("\\|", "|") for cell in cells]
    assert cells[-4:] == ["ERROR", "97%", "≥ 95%", "7 min ago"]


def test_an_escaped_text_reads_as_it_was() -> None:
    told = r"a|b `c` <d> [e](f) *g* \h #i ~j~"
    [_, inline, _] = MarkdownIt("commonmark").parse(escape(told))

    assert "".join(child.content for child in inline.children or []) == told


def junit(states: list[CheckState]) -> ET.Element:
    return ET.fromstring(render_junit(states, generated_at=NOW))


def outcomes(report: ET.Element) -> dict[str | None, list[str]]:
    return {
        case.get("name"): [child.tag for child in case if child.tag != "system-out"]
        for case in report.iter("testcase")
    }


def test_a_build_server_sees_failures_where_the_command_exits_with_1() -> None:
    report = junit(EVERY_KIND)

    assert report.tag == "testsuites"
    assert {suite.get("name"): suite.get("tests") for suite in report} == {"matching": "7", "payments": "1"}
    assert (report.get("tests"), report.get("failures"), report.get("errors"), report.get("skipped")) == (
        "8",
        "1",
        "1",
        "4",
    )
    assert outcomes(report) == {
        "coverage": ["failure"],
        "warned": ["skipped"],
        "broken": ["error"],
        "fresh": ["skipped"],
        "young": ["skipped"],
        "going": ["skipped"],
        "fine": [],
        "paid": [],
    }
    failure = report.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "failed: 50%, service level ≥ 95%; filters"


@given(
    st.sampled_from(State),
    st.sampled_from(Severity),
    st.sampled_from([True, False, None]),
    texts,
    texts,
)
def test_any_check_makes_a_document_that_fails_as_the_command_does(
    state: State, severity: Severity, last_passed: bool | None, name: str, error: str
) -> None:
    odd = check(state=state, severity=severity, last_passed=last_passed, check=name, error=error, asset=error)
    report = junit([odd])

    broken = [
        case
        for case in report.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    assert bool(broken) == bool(exit_code([odd]))


def test_nothing_to_report_is_a_document_too() -> None:
    assert junit([]).get("tests") == "0"
    assert "No checks to show" in render_markdown([], generated_at=NOW)


def printed(states: list[CheckState], *, encoding: str = "utf-8", width: int = 200) -> str:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    render_table(
        states, Console(file=buffer, width=width, force_terminal=True, color_system=None), generated_at=NOW
    )
    buffer.seek(0)
    return buffer.read()


@pytest.mark.parametrize("width", [60, 200])
def test_the_table_ends_each_line_with_the_history_and_tells_who_overrode(width: int) -> None:
    text = printed(EVERY_KIND, width=width)
    [fine] = [line for line in text.splitlines() if "▁" in line]

    assert fine.rstrip().endswith("▁▄▇█")
    assert "≥ 95% *" in text
    assert "* matches · fine: overridden by ana until" in text
    assert "before that" not in printed([PLAIN])


def test_a_console_without_such_signs_gets_a_plain_plot() -> None:
    assert "_.^^" in printed(EVERY_KIND, encoding="ascii")


def test_json_has_the_history_as_numbers() -> None:
    report = json.loads(render_json(EVERY_KIND, generated_at=NOW))

    assert report["checks"][6]["history"][0] == {
        "evaluated_at": "2026-03-01T11:20:00+00:00",
        "passed": False,
        "value": 0.9,
    }
    assert report["checks"][0]["history"] == []


def test_the_page_draws_the_history_with_what_failed_marked() -> None:
    page = render_html(EVERY_KIND, generated_at=NOW)

    assert page.count('<svg class="history') == 1
    assert "The last 4 evaluations: 2 failed" in page
    assert page.count('class="broken"') == 2
    assert page.count("<polyline") == 1
    assert "overridden by ana until" in page


@pytest.mark.parametrize(
    "override", ["a text", None, [], {"author": 3}, {"default_bound": "NaN", "reason": ["x"]}]
)
def test_an_override_as_another_release_told_it_breaks_no_report(override) -> None:
    odd = [check(details={"override": override})]

    for render in (render_json, render_html, render_markdown, render_junit):
        assert render(odd, generated_at=NOW)
    assert printed(odd)
