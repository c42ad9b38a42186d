"""Shows asset checks as JUnit XML, which build servers read. Pure.

A suite is a group, a case is a check. A broken service level of severity ERROR is a failure, a check that could not run an
error; a warning, and what has no verdict, is skipped with its message, so that a build fails where `checks` exits with 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from platform_assets.monitoring.checking import format as form
from platform_assets.monitoring.checking.model import NOT_EVALUATED, CheckState, State
from platform_assets.thresholds import Severity


def render_junit(states: Sequence[CheckState], *, generated_at: dt.datetime) -> str:
    """The report for build servers: one XML document.

    Args:
        states: The checks.
        generated_at: When the report is made.
    """
    report = JUnitXml("asset checks")
    by_group = sorted(states, key=lambda check: (check.group, check.asset, check.check))
    for group, checks in groupby(by_group, key=lambda check: check.group):
        suite = TestSuite(_clean(group))
        suite.timestamp = generated_at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        for check in checks:
            suite.add_testcase(_case(check))
        report.add_testsuite(suite)
    report.update_statistics()
    document: bytes = report.tostring()
    return document.decode("utf-8")


def _case(check: CheckState) -> TestCase:
    case = TestCase(_clean(check.check), classname=_clean(f"{check.group}.{check.asset}"), time=0.0)
    result = _result(check)
    if result is not None:
        case.result = [result]
    case.system_out = _clean(
        "\n".join(
            filter(
                None,
                (
                    check.description,
                    f"measured {form.format_value(check)}, service level {form.format_service_level(check)}",
                    form.describe_override(check),
                    f"evaluated {form.format_instant(check.evaluated_at)}",
                    f"owner {check.owner}" if check.owner else None,
                ),
            )
        )
    )
    return case


def _result(check: CheckState) -> Failure | Error | Skipped | None:
    told = f"{form.state_words(check)}: {form.format_value(check)}, service level {form.format_service_level(check)}"
    if check.is_failing and check.severity is Severity.ERROR:
        if check.state is State.EXECUTION_FAILED:
            return Error(_clean(check.error or told), "could not run")
        return Failure(_clean(f"{told}; {check.reason}" if check.reason else told), check.severity.value)
    if check.is_failing:
        return Skipped(_clean(f"warning: {check.error or told}"), check.severity.value)
    if check.state is not State.PASSED:
        because = check.details.get(NOT_EVALUATED)
        return Skipped(
            _clean(f"{form.state_words(check)}: {because}" if because else form.state_words(check))
        )
    return None


def _clean(text: str) -> str:
    """The text without what XML 1.0 has no form for, such as escape sequences and half of a surrogate pair."""
    return "".join(char if _is_xml(char) else " " for char in text)


def _is_xml(char: str) -> bool:
    return (
        char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"
    )
