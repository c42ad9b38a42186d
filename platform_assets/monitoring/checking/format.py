"""Numbers, service levels, times and scales of a check, as a person reads them. Pure; no layout."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from platform_assets.monitoring.checking.model import OVERRIDE, CheckState, State
from platform_assets.thresholds import Severity

UNKNOWN = "–"
THIN_SPACE = "\u202f"
"""Narrow and non-breaking: groups digits without inviting a line break."""

WORDS = {
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.EXECUTION_FAILED: "could not run",
    State.NEVER_EVALUATED: "never evaluated",
    State.IN_PROGRESS: "in progress",
    State.SKIPPED: "skipped",
    State.NOT_EVALUATED: "nothing to measure",
}

SIGNS = {"at_least": "≥", "at_most": "≤"}

RATIO = "ratio"
MOST_DIGITS = 17
"""Significant digits that tell any two floats apart."""
PLAIN_FROM, PLAIN_BELOW = Decimal("1e-4"), Decimal("1e15")
"""Numbers outside are written as powers of ten."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def symbol(check: CheckState) -> str:
    """A sign beside the state's word, so that it is seen without colour."""
    if check.state is State.EXECUTION_FAILED:
        return "⊗"
    if check.is_failing:
        return "✗" if check.severity is Severity.ERROR else "!"
    signs = {State.PASSED: "✓", State.NEVER_EVALUATED: "○", State.NOT_EVALUATED: "○", State.IN_PROGRESS: "…"}
    return signs.get(check.state, "–")


def last_verdict(check: CheckState) -> str:
    """Of an execution without a verdict, the one before it; empty when there is none."""
    if not check.is_unfinished or check.last_passed is None:
        return ""
    return f"last {'passed' if check.last_passed else 'failed'}"


def state_words(check: CheckState) -> str:
    """The state in words, such as `in progress, last passed`."""
    return ", ".join(filter(None, (WORDS[check.state], last_verdict(check))))


def format_value(check: CheckState) -> str:
    """The measured value: ratios as percentages, other numbers without their unit, which stands at the service level."""
    return UNKNOWN if check.value is None else _in_unit(check.value, check.unit, bound=check.threshold)


def format_service_level(check: CheckState) -> str:
    """Sign, bound and unit, such as `≥ 95%` or `≤ 3 hours`."""
    if check.threshold is None or check.direction is None:
        return UNKNOWN
    bound = _in_unit(check.threshold, check.unit)
    unit = "" if check.unit == RATIO else f" {check.unit}"
    return f"{SIGNS[check.direction]} {bound}{unit}"


def describe_override(check: CheckState) -> str:
    """Who set the bound, until when and why, and what it replaces; empty when it is the release's."""
    override = check.details.get(OVERRIDE)
    if not isinstance(override, Mapping) or check.direction is None:
        return ""
    default = override.get("default_bound")
    until = override.get("until")
    told = [
        f"overridden by {override.get('author', 'somebody')}",
        f"until {until}" if until else "",
        f"because {override.get('reason', 'of a reason that is not recorded')}",
    ]
    if isinstance(default, int | float) and math.isfinite(default):
        told.append(f"(default {SIGNS[check.direction]} {_in_unit(float(default), check.unit)})")
    return " ".join(filter(None, told))


def _in_unit(value: float, unit: str | None, *, bound: float | None = None) -> str:
    if unit != RATIO:
        return format_number(value, bound=bound, digits=2 if unit == "hours" and abs(value) < 1 else 3)
    marks = [0.0, 1.0] if bound is None else [0.0, 1.0, bound]
    return f"{_spell(_rounded(_percent(value), [_percent(mark) for mark in marks], 3))}%"


def _percent(ratio: float) -> Decimal:
    # Decimal moves the point without the noise of a binary multiplication: 0.07 is 7 %, not 7.000000000000001 %.
    return Decimal(repr(float(ratio))).scaleb(2)


def format_number(value: float, *, bound: float | None = None, digits: int = 3) -> str:
    """A number with few digits, but never so few that it moves onto or across the bound that it is compared with.

    Args:
        value: A finite number.
        bound: What it is compared with.
        digits: Significant digits to begin with. Digits before the point are always all shown.
    """
    marks = [] if bound is None else [Decimal(repr(float(bound)))]
    return _spell(_rounded(Decimal(repr(float(value))), marks, digits))


def _rounded(exact: Decimal, marks: Sequence[Decimal], digits: int) -> Decimal:
    """The number with as few digits as leave it on its own side of every mark."""
    for significant in range(digits, MOST_DIGITS):
        place = exact.adjusted() - significant + 1
        if abs(exact) < PLAIN_BELOW:
            place = min(0, place)
        rounded = round(exact, -place)
        if all(rounded.compare(mark) == exact.compare(mark) for mark in marks):
            return rounded
    return exact


def _spell(number: Decimal) -> str:
    if number == 0:
        return "0"
    if not PLAIN_FROM <= abs(number) < PLAIN_BELOW:
        mantissa = format(number.scaleb(-number.adjusted()).normalize(), "f")
        power = f"10{str(number.adjusted()).translate(SUPERSCRIPTS)}"
        return power if mantissa == "1" else f"{mantissa}×{power}"
    text = format(number, ",f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", THIN_SPACE).replace("-", "−")


def format_instant(at: dt.datetime | None) -> str:
    """An instant in UTC to the minute."""
    return "never" if at is None else at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_age(at: dt.datetime | None, now: dt.datetime | None) -> str:
    """How long ago an instant was, in its largest whole unit; empty when either is unknown."""
    if at is None or now is None:
        return ""
    seconds = (now - at).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


@dataclass(frozen=True)
class Scale:
    """Where a bound and a value lie on a line whose ends are labelled; positions from 0 (left) to 1 (right).

    Attributes:
        low: Label of the left end.
        high: Label of the right end.
        bound_at: Position of the bound.
        value_at: Position of the value; None when it is unknown.
        kept_from: Where the side that keeps the service level begins.
        kept_to: Where it ends.
    """

    low: str
    high: str
    bound_at: float
    value_at: float | None
    kept_from: float
    kept_to: float


RATIO_STARTS = (0.999, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
NICE_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


def scale(check: CheckState) -> Scale | None:
    """The line on which a measured value is drawn against its bound; None without a bound, or beyond all measure."""
    if check.threshold is None or check.direction is None:
        return None
    numbers = [number for number in (check.threshold, check.value) if number is not None]
    if not all(number == 0 or 1e-15 <= abs(number) <= 1e15 for number in numbers):
        return None
    low, high = _ends(min(numbers), max(numbers), unit=check.unit)

    def position(number: float) -> float:
        return (number - low) / (high - low)

    bound_at = position(check.threshold)
    return Scale(
        low=_in_unit(low, check.unit),
        high=_in_unit(high, check.unit),
        bound_at=bound_at,
        value_at=None if check.value is None else position(check.value),
        kept_from=bound_at if check.direction == "at_least" else 0.0,
        kept_to=1.0 if check.direction == "at_least" else bound_at,
    )


def _ends(least: float, most: float, *, unit: str | None) -> tuple[float, float]:
    """Round ends of a line that shows both numbers, with room at the sides.

    A line of high ratios begins late: on one from 0 to 100 %, 99.5 and 99.9 % are the same point.
    """
    if unit == RATIO and 0.5 < most <= 1 and least >= 0:
        return next((start for start in RATIO_STARTS if least - start >= (1 - start) / 10), 0.0), 1.0
    return (-_nice(-least) if least < 0 else 0.0), (_nice(most) if most > 0 else 0.0 if least < 0 else 1.0)


def _nice(number: float) -> float:
    """The next round number that leaves a fifth of room above a positive one."""
    wanted = number * 1.2
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in NICE_STEPS if step * power >= wanted * (1 - 1e-9))
