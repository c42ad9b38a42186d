import math

import pytest

from platform_assets.schedules import TIMETABLE, Overlap, overlap_skip_reason
from platform_assets.thresholds import Severity, Threshold

AT_MOST = Threshold(3, "at_most", "hours", Severity.ERROR, "two ticks missed")
AT_LEAST = Threshold(0.95, "at_least", "ratio", Severity.WARN, "some are odd")


@pytest.mark.parametrize(("measured", "holds"), [(2.9, True), (3, True), (3.1, False), (math.inf, False)])
def test_an_upper_bound_holds_up_to_the_bound(measured: float, holds: bool) -> None:
    assert AT_MOST.holds(measured) is holds


@pytest.mark.parametrize(("measured", "holds"), [(0.94, False), (0.95, True), (1, True)])
def test_a_lower_bound_holds_from_the_bound(measured: float, holds: bool) -> None:
    assert AT_LEAST.holds(measured) is holds


@pytest.mark.parametrize("threshold", [AT_MOST, AT_LEAST])
@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_could_not_be_measured_never_passes(threshold: Threshold, unknown: float | None) -> None:
    assert not threshold.holds(unknown)


@pytest.mark.parametrize("entry", TIMETABLE, ids=lambda entry: entry.name)
def test_a_tick_that_finds_its_run_going_is_skipped_with_a_reason_or_queued(entry) -> None:
    assert overlap_skip_reason(entry, []) is None
    reason = overlap_skip_reason(entry, ["0123456789"])
    if entry.overlap is Overlap.SKIP:
        assert reason is not None
        assert "01234567" in reason
    else:
        assert reason is None


def test_payments_are_never_skipped() -> None:
    assert {entry.overlap for entry in TIMETABLE if entry.queue == "payments"} == {Overlap.SERIALIZE}
