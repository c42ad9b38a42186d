"""What is wrong with the generated marketplace on purpose, so that checks, quarantine and reconciliation have work.

Every one is a problem that real marketplaces have, and none makes a check of severity ERROR fail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_assets.currencies import exponent
from platform_assets.sandbox.generator.dice import Dice
from platform_assets.sandbox.generator.hiring import Hiring
from platform_assets.sandbox.generator.people import midnight

UNKNOWN_TIME_ZONE = "Europe/Atlantis"
UNKNOWN_CURRENCY = "XBC"


@dataclass(frozen=True)
class PlantedProblem:
    """A problem and what should come of it."""

    name: str
    what: str
    consequence: str


PLANTED_PROBLEMS = (
    PlantedProblem(
        "unknown_time_zone",
        f"One developer's `time_zone` is `{UNKNOWN_TIME_ZONE}`.",
        "The row is quarantined.",
    ),
    PlantedProblem(
        "unknown_currency", f"One developer's `currency` is `{UNKNOWN_CURRENCY}`.", "The row is quarantined."
    ),
    PlantedProblem(
        "negative_rate", "One developer's `hourly_rate_minor` is below 0.", "The row is quarantined."
    ),
    PlantedProblem(
        "unknown_login",
        "About 15 in 1,000 linked GitHub accounts do not exist (`generate_github`), as after a deletion or a rename.",
        "Their profiles are in the state `not_found`; the check on failed accounts warns.",
    ),
    PlantedProblem(
        "amount_off_by_one",
        "One paid payment is one minor unit higher here than at the gateway.",
        "The check on mismatched payments warns.",
    ),
    PlantedProblem(
        "late_webhook",
        "One payment that the gateway has captured is still `processing` here.",
        "Its effective status, derived from both sides, is paid; in the reconciliation it is a break of timing.",
    ),
)
"""The complete list; everything else in the marketplace is as it should be."""


def plant_problems(
    dice: Dice,
    developers: Sequence[dict[str, Any]],
    hiring: Hiring,
    payments: Sequence[dict[str, Any]],
    *,
    anchor: dt.date,
) -> None:
    """Change the rows in place; a marketplace too small for a problem goes without it."""
    involved = {contract.row["developer_id"] for contract in hiring.contracts}
    victims = dice.sample(
        [
            row
            for row in developers
            if row["developer_id"] not in involved
            and row["is_active"]
            and row["hourly_rate_minor"] is not None
        ],
        3,
    )
    # A marketplace of a handful would be broken, not blemished.
    if len(developers) < _MIN_DEVELOPERS_COUNT:
        victims = []
    changes: Sequence[Mapping[str, Any]] = (
        {"time_zone": UNKNOWN_TIME_ZONE},
        {"currency": UNKNOWN_CURRENCY},
        {"hourly_rate_minor": -1},
    )
    for row, change in zip(victims, changes):
        row.update(change)
    paid = sorted(
        (row for row in payments if row["status"] == "paid"),
        key=lambda row: (row["paid_at"], row["payment_id"]),
    )
    if len(paid) > 1:
        if paid[-1]["paid_at"] > midnight(anchor) - _LATE:
            paid[-1].update(status="processing", paid_at=None)
        # An amount in a three-decimal currency would give itself away by its last digit.
        dice.pick([row for row in paid[:-1] if exponent(row["currency"]) == 2] or paid[:-1])[
            "amount_minor"
        ] += 1


_MIN_DEVELOPERS_COUNT = 200

_LATE = dt.timedelta(days=1)
"""A webhook can be so late that it still comes; one that never comes is an error."""
