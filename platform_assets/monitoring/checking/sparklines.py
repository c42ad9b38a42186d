"""Histories of checks as small plots: a character an evaluation for a terminal, points for a drawing. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from platform_assets.monitoring.checking.model import CheckState, Evaluation

BARS = "▁▂▃▄▅▆▇█"
UNMEASURED = {True: "✓", False: "✗", None: "○"}
"""An evaluation without a value, by its verdict."""

MIDDLE = 0.5


@dataclass(frozen=True)
class Mark:
    """An evaluation in a plot.

    Attributes:
        evaluation: The evaluation.
        height: From 0 (least) to 1 (most of the values and the bound); None without a value.
    """

    evaluation: Evaluation
    height: float | None

    @property
    def character(self) -> str:
        """The evaluation as one character."""
        if self.height is None:
            return UNMEASURED[self.evaluation.passed]
        return BARS[min(int(self.height * len(BARS)), len(BARS) - 1)]


@dataclass(frozen=True)
class Plot:
    """A check's history on one scale.

    Attributes:
        marks: The evaluations, from the oldest.
        bound_height: Where the present bound lies; None without one, or without any value to compare.
    """

    marks: tuple[Mark, ...]
    bound_height: float | None

    @property
    def strokes(self) -> Iterator[list[tuple[float, float]]]:
        """Lines through neighbouring values as points from (0, 0) to (1, 1); what is not known parts them."""
        stroke: list[tuple[float, float]] = []
        for x, mark in self.placed:
            if mark.height is None:
                if stroke:
                    yield stroke
                stroke = []
            else:
                stroke.append((x, mark.height))
        if stroke:
            yield stroke

    @property
    def placed(self) -> list[tuple[float, Mark]]:
        """The marks, each with its place from 0 (oldest) to 1 (latest)."""
        last = max(len(self.marks) - 1, 1)
        return [(i / last, mark) for i, mark in enumerate(self.marks)]


def plot(check: CheckState) -> Plot | None:
    """The check's history, drawn on a scale of its values and its bound; None when there is none."""
    if not check.history:
        return None
    values = [each.value for each in check.history if each.value is not None]
    on_scale = [*values, check.threshold] if values and check.threshold is not None else values
    return Plot(
        tuple(
            Mark(each, None if each.value is None else _height(each.value, on_scale))
            for each in check.history
        ),
        None if check.threshold is None or not values else _height(check.threshold, on_scale),
    )


def _height(value: float, on_scale: Sequence[float]) -> float:
    low, high = min(on_scale), max(on_scale)
    # The difference of two very large numbers is none, that of their halves is.
    unit = 1.0 if math.isfinite(high - low) else 0.5
    return (value * unit - low * unit) / (high * unit - low * unit) if high > low else MIDDLE
