"""How severe an alert is: the four levels and their order. What makes a problem severe is `impact.py`'s to say."""

from __future__ import annotations

from typing import Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most severe."""


def rank(severity: str) -> int:
    """Place of a severity among the levels, from 0.

    Raises:
        ValueError: There is no such level.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"{severity!r} is no severity; there are {', '.join(SEVERITIES)}")
    return SEVERITIES.index(severity)
