"""Draws the clients of a generated marketplace and the projects that they post.

A project knows what it really needs (`needs`); its text and declared skills say so in a client's words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.generator.money import PROJECT_CURRENCIES, amount_minor
from platform_assets.sandbox.generator.names import Names, slug
from platform_assets.sandbox.generator.people import (
    ARCHETYPE_NUMBERS,
    REGIONS,
    midnight,
    moment_between,
    moment_on,
)
from platform_assets.sandbox.generator.skills import ARCHETYPES, SKILLS
from platform_assets.sandbox.generator.texts import write_project

_PROJECTS_PER_CLIENT = 1.7
_STATUSES = Weighted({"open": 48.0, "filled": 25.0, "closed": 19.0, "cancelled": 5.0, "draft": 3.0})
# Days between posting and the anchor: open ones are recent, and whoever was hired has had time to be.
_POSTED_DAYS_AGO = {"open": (1, 90), "filled": (15, 400), "closed": (120, 520), "cancelled": (20, 400)}
_HOURS_PER_WEEK = Weighted({10: 15.0, 20: 30.0, 30: 20.0, 40: 35.0})
_COMMON_CURRENCIES = frozenset(("USD", "EUR"))
_WEIGHT_OF_FIRST, _WEIGHT_OF_OTHERS, _WEIGHT_OF_WISHES = 5, 3, 1


@dataclass(frozen=True)
class Project:
    """A posted project with what nobody writes down.

    Attributes:
        row: The marketplace's row.
        client_id: Who posted it.
        needs: Skill to its real weight.
        budget_usd: What the whole work is worth to the client.
    """

    row: Mapping[str, Any]
    client_id: str
    needs: Mapping[str, int]
    budget_usd: float

    @property
    def project_id(self) -> str:
        """Id in the marketplace."""
        return str(self.row["project_id"])


def draw_clients(dice: Dice, names: Names, *, projects_count: int, anchor: dt.date) -> list[dict[str, Any]]:
    """Rows of as many clients as post so many projects."""
    rows = []
    for number in range(1, 1 + round(projects_count / _PROJECTS_PER_CLIENT + 0.5)):
        company = names.company()
        created_at = moment_on(dice, anchor - dt.timedelta(days=dice.integer(540, 1_500)))
        rows.append(
            {
                "client_id": f"cli_{number:05d}",
                "display_name": company,
                "email": f"accounts@{slug(company)}.test" if dice.chance(0.96) else None,
                "time_zone": dice.weighted(REGIONS).time_zone if dice.chance(0.9) else None,
                "is_active": dice.chance(0.97),
                "created_at": created_at,
                "updated_at": moment_between(dice, created_at, midnight(anchor)),
            }
        )
    return rows


def draw_projects(
    dice: Dice, clients: Sequence[Mapping[str, Any]], *, count: int, anchor: dt.date
) -> list[Project]:
    """So many projects of these clients, posted before the anchor day."""
    # A few clients post most of the projects.
    posters = Weighted({at: 1 / (1 + at % 12) for at in range(len(clients))})
    currencies = [dice.weighted(PROJECT_CURRENCIES) for _ in clients]
    projects = []
    for number in range(1, count + 1):
        at = dice.weighted(posters)
        projects.append(_draw_project(dice, clients[at], currencies[at], number=number, anchor=anchor))
    return projects


def _draw_project(
    dice: Dice, client: Mapping[str, Any], currency: str, *, number: int, anchor: dt.date
) -> Project:
    archetype = ARCHETYPES[dice.weighted(ARCHETYPE_NUMBERS)]
    first = dice.pick(archetype.core_skills)
    usual = [
        skill for skill in (*archetype.core_skills, *archetype.usual_skills) if skill not in (first, "Git")
    ]
    others = dice.sample(usual, dice.integer(1, 3))
    wishes = dice.sample(archetype.rarer_skills, dice.integer(0, 2))
    hours_per_week = dice.weighted(_HOURS_PER_WEEK)
    expected_hours = round(dice.lognormal(260, 0.7) / 10 + 1) * 10
    rate_usd = archetype.rate_usd * dice.uniform(0.9, 1.7)
    text = write_project(
        dice,
        archetype,
        company=client["display_name"],
        system=dice.pick(archetype.systems),
        skills=[first, *others],
        wishes=wishes,
        hours_per_week=hours_per_week,
    )
    status = dice.weighted(_STATUSES)
    posted_at = None
    if status != "draft":
        posted_at = moment_on(dice, anchor - dt.timedelta(days=dice.integer(*_POSTED_DAYS_AGO[status])))
    row = {
        "project_id": f"prj_{number:05d}",
        "client_id": client["client_id"],
        "title": text.title,
        "description": text.description,
        "declared_skills": _declare(dice, [first, *others, *wishes]),
        **_draw_price(dice, rate_usd, expected_hours, currency),
        "expected_hours": expected_hours if dice.chance(0.7) else None,
        **_draw_place(dice, client["time_zone"]),
        "hours_per_week": hours_per_week if dice.chance(0.9) else None,
        "starts_on": _draw_start(dice, posted_at),
        "status": status,
        "posted_at": posted_at,
        "updated_at": moment_between(
            dice, posted_at or moment_on(dice, anchor - dt.timedelta(days=30)), midnight(anchor)
        ),
    }
    needs = {
        first: _WEIGHT_OF_FIRST,
        **dict.fromkeys(others, _WEIGHT_OF_OTHERS),
        **dict.fromkeys(wishes, _WEIGHT_OF_WISHES),
    }
    return Project(row, client["client_id"], needs, budget_usd=rate_usd * expected_hours)


def _declare(dice: Dice, skills: Sequence[str]) -> list[str]:
    """What the client ticks: most of it, in some spelling, or nothing at all."""
    if dice.chance(0.25):
        return []
    return [dice.pick(SKILLS[skill].spellings) for skill in skills if dice.chance(0.85)]


def _draw_price(dice: Dice, rate_usd: float, expected_hours: int, currency: str) -> dict[str, Any]:
    """By the hour, at a fixed price, or open.

    Where few developers quote in the client's currency, clients learn not to insist on an hourly rate in it.
    """
    hourly_probability = 0.65 if currency in _COMMON_CURRENCIES else 0.25
    draw = dice.uniform()
    hourly = budget = None
    if draw < hourly_probability:
        hourly = amount_minor(rate_usd, currency, whole_units=True)
    if hourly_probability - 0.1 < draw < 0.92:
        budget = amount_minor(rate_usd * expected_hours, currency, whole_units=True)
    return {
        "max_hourly_rate_minor": hourly,
        "budget_minor": budget,
        "currency": currency if hourly is not None or budget is not None else None,
    }


def _draw_place(dice: Dice, time_zone: str | None) -> dict[str, Any]:
    if time_zone is None or dice.chance(0.35):
        return {"time_zone": None, "min_overlap_hours": None}
    return {"time_zone": time_zone, "min_overlap_hours": dice.integer(1, 5) if dice.chance(0.5) else None}


def _draw_start(dice: Dice, posted_at: dt.datetime | None) -> dt.date | None:
    if posted_at is None or dice.chance(0.3):
        return None
    return posted_at.date() + dt.timedelta(days=dice.integer(7, 60))
