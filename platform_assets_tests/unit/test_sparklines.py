import datetime as dt
import math
import sys

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.checking.model import CheckState, Evaluation, State
from platform_assets.monitoring.checking.sparklines import BARS, plot
from platform_assets.thresholds import Severity

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
values = st.floats(allow_nan=False, allow_infinity=False)
evaluations = st.lists(
    st.builds(Evaluation, st.just(NOW), st.sampled_from([True, False, None]), st.none() | values), max_size=30
)


def drawn(history: list[Evaluation], threshold: float | None = None) -> CheckState:
    return CheckState(
        asset="matches",
        check="coverage",
        group="matching",
        state=State.PASSED,
        severity=Severity.ERROR,
        threshold=threshold,
        history=tuple(history),
    )


def measured(*numbers: float | None) -> list[Evaluation]:
    return [Evaluation(NOW, number is not None, number) for number in numbers]


def characters(check: CheckState) -> str:
    made = plot(check)
    return "".join(mark.character for mark in made.marks) if made else ""


@given(evaluations, st.none() | values)
def test_any_history_fits_its_plot(history: list[Evaluation], threshold: float | None) -> None:
    made = plot(drawn(history, threshold))

    if not history:
        assert made is None
        return
    assert made is not None
    assert len(made.marks) == len(history)
    heights = [mark.height for mark in made.marks if mark.height is not None]
    assert all(0 <= height <= 1 for height in [*heights, *filter(None, [made.bound_height])])
    assert all(0 <= x <= 1 for x, _ in made.placed)
    assert sum(len(stroke) for stroke in made.strokes) == len(heights)


@given(st.lists(values, min_size=2, max_size=20))
def test_a_higher_value_is_never_drawn_lower(numbers: list[float]) -> None:
    made = plot(drawn(measured(*numbers)))

    assert made is not None
    ordered = sorted(made.marks, key=lambda mark: mark.evaluation.value or 0.0)
    heights = [mark.height or 0.0 for mark in ordered]
    assert heights == sorted(heights)


def test_values_rise_from_the_lowest_bar_to_the_highest() -> None:
    assert characters(drawn(measured(*range(8)))) == BARS


def test_the_scale_has_room_for_the_bound() -> None:
    assert characters(drawn(measured(1, 1, 1), threshold=200)) == BARS[0] * 3
    assert characters(drawn(measured(3, 3))) == BARS[4] * 2


def test_what_was_not_measured_shows_its_verdict_and_parts_the_line() -> None:
    history = [
        *measured(1, 2),
        Evaluation(NOW, None),
        Evaluation(NOW, False),
        *measured(2),
        Evaluation(NOW, True),
    ]
    made = plot(drawn(history))

    assert characters(drawn(history)) == f"{BARS[0]}{BARS[-1]}○✗{BARS[-1]}✓"
    assert made is not None
    assert [len(stroke) for stroke in made.strokes] == [2, 1]


def test_the_largest_numbers_there_are_have_a_place() -> None:
    made = plot(drawn(measured(-sys.float_info.max, 0.0, sys.float_info.max)))

    assert made is not None
    assert [mark.height for mark in made.marks] == [0.0, 0.5, 1.0]
    assert not any(math.isnan(mark.height or 0.0) for mark in made.marks)
