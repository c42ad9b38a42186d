import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.checking.format import (
    Scale,
    format_age,
    format_number,
    format_service_level,
    format_value,
    scale,
)
from platform_assets.monitoring.checking.model import CheckState, State
from platform_assets.thresholds import Severity

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def check(
    value: float | None, direction: str | None, threshold: float | None, unit: str | None
) -> CheckState:
    return CheckState(
        asset="a",
        check="c",
        group="g",
        state=State.PASSED,
        severity=Severity.ERROR,
        value=value,
        threshold=threshold,
        direction=direction,  # type: ignore[arg-type]  # parametrized
        unit=unit,
    )


@pytest.mark.parametrize(
    ("value", "threshold", "unit", "shown", "level"),
    [
        (0.905, 0.95, "ratio", "90.5%", "≤ 95%"),
        (0.07, 0.07, "ratio", "7%", "≤ 7%"),
        (1.0, 1.0, "ratio", "100%", "≤ 100%"),
        (0.0, 0.01, "ratio", "0%", "≤ 1%"),
        (0.000321, 0.01, "ratio", "0.0321%", "≤ 1%"),
        (2.41379, 3.0, "hours", "2.41", "≤ 3 hours"),
        (0.11812, 3.0, "hours", "0.12", "≤ 3 hours"),
        (26.317, 26.0, "hours", "26.3", "≤ 26 hours"),
        (12.0, 0.0, "rows", "12", "≤ 0 rows"),
        (1234567.0, 10_000.0, "rows", "1\u202f234\u202f567", "≤ 10\u202f000 rows"),
        (12345.6, 0.0, "rows", "12\u202f346", "≤ 0 rows"),
        (4.94e-7, 1e-6, "score", "4.94×10⁻⁷", "≤ 10⁻⁶ score"),
        (-0.0, 0.0, "rows", "0", "≤ 0 rows"),
        (-5.0, 0.0, "days", "−5", "≤ 0 days"),
        (1e300, 0.0, "rows", "10³⁰⁰", "≤ 0 rows"),
    ],
)
def test_numbers_read_with_few_digits_and_their_unit_once(
    value: float, threshold: float, unit: str, shown: str, level: str
) -> None:
    measured = check(value, "at_most", threshold, unit)

    assert (format_value(measured), format_service_level(measured)) == (shown, level)


@pytest.mark.parametrize(
    ("value", "threshold", "shown"),
    [
        (0.99987, 1.0, "99.99%"),
        (0.99899, 0.999, "99.899%"),
        (0.99999, 0.95, "99.999%"),
        (0.9500001, 0.95, "95.00001%"),
    ],
)
def test_rounding_never_hides_on_which_side_of_the_bound_a_ratio_lies(
    value: float, threshold: float, shown: str
) -> None:
    assert format_value(check(value, "at_least", threshold, "ratio")) == shown


def test_what_is_unknown_is_not_zero() -> None:
    unknown = check(None, None, None, None)

    assert (format_value(unknown), format_service_level(unknown)) == ("–", "–")
    assert scale(unknown) is None


plain = st.floats(min_value=-1e9, max_value=1e9).filter(lambda number: number == 0 or abs(number) >= 1e-4)


@given(value=plain, bound=plain)
def test_a_shown_number_compares_with_its_bound_as_the_measured_one_does(value: float, bound: float) -> None:
    text = format_number(value, bound=bound).replace("\u202f", "").replace("−", "-")
    if "×" in text or "10⁻" in text:
        return

    assert (float(text) > bound, float(text) < bound) == (value > bound, value < bound)
    assert math.isclose(float(text), value, rel_tol=0.01, abs_tol=0.5)


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (-30, "just now"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (90_000, "1 d ago"),
    ],
)
def test_ages_are_told_in_their_largest_whole_unit(seconds: int, age: str) -> None:
    assert format_age(NOW - dt.timedelta(seconds=seconds), NOW) == age


def test_a_high_ratio_is_drawn_on_a_line_that_begins_late() -> None:
    assert scale(check(0.9925, "at_least", 0.995, "ratio")) == Scale(
        low="99%",
        high="100%",
        bound_at=pytest.approx(0.5),
        value_at=pytest.approx(0.25),
        kept_from=pytest.approx(0.5),
        kept_to=1.0,
    )


def test_a_count_is_drawn_from_zero_and_the_kept_side_ends_at_the_bound() -> None:
    assert scale(check(1.5, "at_most", 3.0, "hours")) == Scale(
        low="0", high="4", bound_at=0.75, value_at=0.375, kept_from=0.0, kept_to=0.75
    )


wide = st.floats(min_value=-1e12, max_value=1e12)


@given(
    value=st.none() | wide,
    bound=wide,
    direction=st.sampled_from(["at_least", "at_most"]),
    unit=st.sampled_from(["ratio", "rows"]),
)
def test_bound_and_value_are_always_on_the_line_and_on_their_own_sides(
    value: float | None, bound: float, direction: str, unit: str
) -> None:
    drawn = scale(check(value, direction, bound, unit))

    if drawn is None:
        assert any(number and abs(number) < 1e-15 for number in (value, bound))
        return
    assert 0 <= drawn.bound_at <= 1
    assert 0 <= drawn.kept_from <= drawn.kept_to <= 1
    if value is not None and drawn.value_at is not None:
        assert 0 <= drawn.value_at <= 1
        assert (drawn.value_at >= drawn.bound_at) if value >= bound else (drawn.value_at <= drawn.bound_at)
