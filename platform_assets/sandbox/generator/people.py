"""Draws the developers of a generated marketplace: what they really can do, and what they say of themselves.

The truth (`levels`) decides GitHub activity, hiring and ratings; the marketplace row shows only what was declared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.generator.money import amount_minor
from platform_assets.sandbox.generator.names import Names
from platform_assets.sandbox.generator.skills import ARCHETYPES, SKILLS, Archetype
from platform_assets.sandbox.generator.texts import write_bio


@dataclass(frozen=True)
class Region:
    """Where people live.

    Attributes:
        time_zone: IANA name.
        city: As people write it on GitHub.
        rate_factor: Local hourly rates relative to the archetype's median.
        currency: The local currency, or `USD` where freelancers quote in dollars.
    """

    time_zone: str
    city: str
    rate_factor: float
    currency: str


REGIONS = Weighted(
    {
        Region("Europe/Berlin", "Berlin", 1.05, "EUR"): 8.0,
        Region("Europe/London", "London", 1.15, "GBP"): 8.0,
        Region("Europe/Paris", "Paris", 1.0, "EUR"): 5.0,
        Region("Europe/Madrid", "Madrid", 0.85, "EUR"): 5.0,
        Region("Europe/Lisbon", "Lisbon", 0.8, "EUR"): 4.0,
        Region("Europe/Warsaw", "Warsaw", 0.8, "EUR"): 5.0,
        Region("Europe/Bucharest", "Bucharest", 0.65, "EUR"): 4.0,
        Region("Europe/Kyiv", "Kyiv", 0.65, "USD"): 4.0,
        Region("Europe/Zurich", "Zurich", 1.45, "CHF"): 2.0,
        Region("America/New_York", "New York", 1.35, "USD"): 8.0,
        Region("America/Chicago", "Chicago", 1.2, "USD"): 4.0,
        Region("America/Los_Angeles", "Los Angeles", 1.4, "USD"): 6.0,
        Region("America/Toronto", "Toronto", 1.1, "CAD"): 4.0,
        Region("America/Mexico_City", "Mexico City", 0.65, "USD"): 3.0,
        Region("America/Sao_Paulo", "São Paulo", 0.6, "USD"): 5.0,
        Region("America/Argentina/Buenos_Aires", "Buenos Aires", 0.6, "USD"): 3.0,
        Region("Asia/Kolkata", "Bengaluru", 0.5, "USD"): 10.0,
        Region("Asia/Karachi", "Lahore", 0.45, "USD"): 3.0,
        Region("Asia/Manila", "Manila", 0.45, "USD"): 3.0,
        Region("Asia/Ho_Chi_Minh", "Ho Chi Minh City", 0.5, "USD"): 3.0,
        Region("Asia/Singapore", "Singapore", 1.1, "USD"): 2.0,
        Region("Asia/Tokyo", "Tokyo", 0.95, "JPY"): 5.0,
        Region("Asia/Kuwait", "Kuwait City", 0.9, "KWD"): 3.0,
        Region("Africa/Lagos", "Lagos", 0.5, "USD"): 3.0,
        Region("Africa/Nairobi", "Nairobi", 0.5, "USD"): 2.0,
        Region("Africa/Cairo", "Cairo", 0.45, "USD"): 2.0,
        Region("Australia/Sydney", "Sydney", 1.3, "AUD"): 3.0,
    }
)

ARCHETYPE_NUMBERS = Weighted({number: archetype.share for number, archetype in enumerate(ARCHETYPES)})
"""Positions in ARCHETYPES, weighted by their shares."""

_ALL_SKILLS = tuple(SKILLS)
_CAPACITY_HOURS: Weighted[int | None] = Weighted({10: 12, 20: 25, 30: 18, 40: 38, None: 7})


@dataclass(frozen=True)
class Person:
    """A developer as they are, known to nobody in the marketplace.

    Attributes:
        developer_id: Id in the marketplace.
        name: First and last name.
        archetype: What kind of developer.
        levels: Skill to mastery from 1 to 100, in the order in which they were drawn.
        reliability: How well they work with clients, from 0 to 1.
        region: Where they live.
        years_count: Years of experience.
        login: GitHub login as given in the marketplace; None when none is linked.
        joined_at: When they joined the marketplace.
        rate_usd: What they ask for an hour, in US dollars.
    """

    developer_id: str
    name: str
    archetype: Archetype
    levels: Mapping[str, int]
    reliability: float
    region: Region
    years_count: int
    login: str | None
    joined_at: dt.datetime
    rate_usd: float


def draw_people(dice: Dice, names: Names, *, count: int, anchor: dt.date) -> list[Person]:
    """So many developers who joined before the anchor day."""
    return [_draw_person(dice, names, number=number, anchor=anchor) for number in range(1, count + 1)]


def declare_people(dice: Dice, people: Sequence[Person], anchor: dt.date) -> list[dict[str, Any]]:
    """The marketplace's rows for these people; ratings are not counted yet."""
    return [_declared_row(dice, person, anchor) for person in people]


def midnight(day: dt.date) -> dt.datetime:
    """The first instant of a UTC day."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def moment_on(dice: Dice, day: dt.date) -> dt.datetime:
    """Some second of a UTC day."""
    return midnight(day) + dt.timedelta(seconds=dice.integer(0, 86_399))


def moment_between(dice: Dice, start: dt.datetime, end: dt.datetime) -> dt.datetime:
    """Some second from `start` to before `end`; `start` itself when nothing lies between."""
    return start + dt.timedelta(seconds=int(dice.uniform() * max(0.0, (end - start).total_seconds() - 1)))


def _draw_person(dice: Dice, names: Names, *, number: int, anchor: dt.date) -> Person:
    archetype = ARCHETYPES[dice.weighted(ARCHETYPE_NUMBERS)]
    region = dice.weighted(REGIONS)
    name = names.person()
    years_count = max(1, min(30, round(dice.lognormal(7.0, 0.55))))
    # Marketplaces grow: most accounts are recent.
    joined_at = moment_on(dice, anchor - dt.timedelta(days=1 + int(1_400 * dice.uniform() ** 1.6)))
    seniority = 0.7 + 0.06 * min(years_count, 12)
    return Person(
        developer_id=f"dev_{number:05d}",
        name=name,
        archetype=archetype,
        levels=_draw_levels(dice, archetype, years_count),
        reliability=min(1.0, max(0.0, dice.normal(0.75, 0.18))),
        region=region,
        years_count=years_count,
        login=names.login(name) if dice.chance(0.88) else None,
        joined_at=joined_at,
        rate_usd=max(10.0, dice.lognormal(archetype.rate_usd * region.rate_factor * seniority, 0.22)),
    )


def _draw_levels(dice: Dice, archetype: Archetype, years_count: int) -> dict[str, int]:
    centre = 38 + 3.2 * min(years_count, 12)
    return {
        skill: max(5, min(100, round(dice.normal(centre * (0.55 + 0.5 * probability), 15))))
        for skill, probability in archetype.skills.items()
        if dice.chance(probability)
    }


def _declared_row(dice: Dice, person: Person, anchor: dt.date) -> dict[str, Any]:
    currency = person.region.currency if dice.chance(0.85) else "USD"
    has_rate = dice.chance(0.92)
    known = sorted(person.levels, key=lambda skill: -person.levels[skill])
    bio = write_bio(
        dice, person.archetype, known[:7], years_count=person.years_count, anchor_year=anchor.year
    )
    return {
        "developer_id": person.developer_id,
        "display_name": person.name,
        "github_login": person.login,
        "bio": bio if dice.chance(0.9) else dice.pick((None, "")),
        "declared_skills": _declare(dice, person),
        "hourly_rate_minor": amount_minor(person.rate_usd, currency, whole_units=True) if has_rate else None,
        "currency": currency if has_rate else None,
        "time_zone": person.region.time_zone if dice.chance(0.96) else None,
        "is_active": dice.chance(0.95),
        "available_from": _draw_availability(dice, person.joined_at.date(), anchor),
        "capacity_hours_per_week": dice.weighted(_CAPACITY_HOURS),
        "rating_average": None,
        "rating_count": 0,
        "joined_at": person.joined_at,
        "updated_at": moment_between(dice, person.joined_at, midnight(anchor)),
    }


def _declare(dice: Dice, person: Person) -> list[str]:
    """What they claim: mostly what they can, in spellings of their own, sometimes more than is true."""
    if dice.chance(0.05):
        return []
    claimed = [skill for skill, level in person.levels.items() if dice.chance(0.45 + 0.5 * level / 100)][:14]
    if dice.chance(0.2):
        claimed += dice.sample(_ALL_SKILLS, dice.integer(1, 3))
    return list(dict.fromkeys(dice.pick(SKILLS[skill].spellings) for skill in claimed))


def _draw_availability(dice: Dice, joined_on: dt.date, anchor: dt.date) -> dt.date | None:
    if dice.chance(0.1):
        return None
    if dice.chance(0.22):
        return anchor + dt.timedelta(days=dice.integer(3, 90))
    return max(joined_on, anchor - dt.timedelta(days=dice.integer(0, 200)))
