"""Draws how projects and developers of a generated marketplace met: the funnel, contracts, ratings and blocks.

Who is contacted, hired and well rated depends on the true fit, with luck; payments are another module's.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.sandbox.generator.dice import Dice
from platform_assets.sandbox.generator.money import amount_minor, round_minor
from platform_assets.sandbox.generator.people import Person, midnight, moment_between
from platform_assets.sandbox.generator.projects import Project
from platform_assets.sandbox.generator.skills import SKILLS

Fit = npt.NDArray[np.int64]

_BEST_FITTING_COUNT = 50
_OTHERS_COUNT = 12
_MAX_ACTIVE_CONTRACTS = 2


@dataclass(frozen=True)
class Contract:
    """A contract with what its payments follow from.

    Attributes:
        row: The marketplace's row.
        price_minor: The whole price in minor units where it is fixed; None when paid by the hour.
    """

    row: Mapping[str, Any]
    price_minor: int | None


@dataclass
class Hiring:
    """What happened between clients and developers.

    Attributes:
        events: Rows of the funnel.
        contracts: Contracts, at most one per project and developer.
        blocks: Rows of pairs that want nothing to do with each other.
        busy_hours: Developer to weekly hours that running contracts take.
        ratings: Developer to the ratings given by clients.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    busy_hours: Counter[str] = field(default_factory=Counter)
    ratings: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def true_fit(people: Sequence[Person], projects: Sequence[Project]) -> Fit:
    """How well each developer really fits each project, from 0 to 100: one row per project, one column per developer.

    Whole numbers, so that the result and the order it gives are the same on every machine.
    """
    column = {skill: at for at, skill in enumerate(SKILLS)}
    levels = np.zeros((len(people), len(SKILLS)))
    for at, person in enumerate(people):
        for skill, level in person.levels.items():
            levels[at, column[skill]] = level
    needs = np.zeros((len(projects), len(SKILLS)))
    for at, project in enumerate(projects):
        for skill, weight in project.needs.items():
            needs[at, column[skill]] = weight
    # Sums of whole numbers this small are exact in floats, in whatever order they are added.
    fit: Fit = (needs @ levels.T).astype(np.int64) // needs.sum(axis=1, keepdims=True).astype(np.int64)
    return fit


def draw_hiring(dice: Dice, people: Sequence[Person], projects: Sequence[Project], anchor: dt.date) -> Hiring:
    """Funnel, contracts, ratings and blocks of all posted projects."""
    drawing = _Drawing(dice, people, anchor)
    for project, fit in zip(projects, true_fit(people, projects)):
        if project.row["posted_at"] is not None:
            drawing.add_project(project, fit)
    return drawing.hiring


class _Drawing:
    """The hiring while it goes on."""

    def __init__(self, dice: Dice, people: Sequence[Person], anchor: dt.date) -> None:
        self.hiring = Hiring()
        self._dice = dice
        self._people = people
        self._now = midnight(anchor)
        self._joined_at = np.array([person.joined_at.timestamp() for person in people])
        self._active_count: Counter[int] = Counter()

    def add_project(self, project: Project, fit: Fit) -> None:
        """Take a project through the funnel as far as time allows."""
        dice = self._dice
        posted_at: dt.datetime = project.row["posted_at"]
        shown = self._rank(fit, posted_at)
        interviewed: list[tuple[float, int, dt.datetime]] = []
        for rank, at in enumerate(shown, start=1):
            moment = self._event(project, at, "shown", posted_at, max_hours=20, rank=rank)
            if not dice.chance(0.85 / (1 + 0.06 * rank)):
                continue
            moment = self._event(project, at, "viewed", moment, max_hours=60, rank=rank)
            wanted = 1 / (1 + math.exp((48 - int(fit[at])) / 8))
            if not dice.chance(0.75 * wanted):
                continue
            moment = self._event(project, at, "contacted", moment, max_hours=40)
            if not dice.chance(0.25 + 0.5 * wanted):
                continue
            moment = self._event(project, at, "interviewed", moment, max_hours=120)
            interviewed.append((int(fit[at]) + dice.normal(0, 8), at, moment))
        self._decide(project, interviewed, fit)

    def _rank(self, fit: Fit, posted_at: dt.datetime) -> list[int]:
        """Who was shown, best first, by the application's own imperfect ranking."""
        joined = np.flatnonzero(self._joined_at < posted_at.timestamp())
        best = joined[np.argsort(-fit[joined], kind="stable")[:_BEST_FITTING_COUNT]].tolist()
        others = (
            [int(joined[self._dice.integer(0, len(joined) - 1)]) for _ in range(_OTHERS_COUNT)]
            if best
            else []
        )
        pool = dict.fromkeys([*best, *others])
        guessed = {at: int(fit[at]) + self._dice.normal(0, 10) for at in pool}
        return sorted(pool, key=lambda at: (-guessed[at], at))[: self._dice.integer(8, 25)]

    def _decide(
        self,
        project: Project,
        interviewed: list[tuple[float, int, dt.datetime]],
        fit: Fit,
    ) -> None:
        """Hire the best of those interviewed, where the project came that far; turn the others down."""
        dice = self._dice
        status = project.row["status"]
        openings = 0 if status not in {"filled", "closed"} else 2 if dice.chance(0.4) else 1
        for _, at, moment in sorted(interviewed, key=lambda item: (-item[0], item[1])):
            if openings and self._active_count[at] < _MAX_ACTIVE_CONTRACTS:
                openings -= 1
                hired_at = self._event(project, at, "hired", moment, max_hours=120)
                if hired_at < self._now:
                    self._add_contract(project, at, int(fit[at]), hired_at)
            elif status != "open" or dice.chance(0.3):
                rejected_at = self._event(project, at, "rejected", moment, max_hours=160)
                if rejected_at < self._now and dice.chance(0.04):
                    self._block(project.client_id, self._people[at].developer_id, rejected_at)

    def _event(
        self,
        project: Project,
        at: int,
        event_type: str,
        after: dt.datetime,
        *,
        max_hours: int,
        rank: int | None = None,
    ) -> dt.datetime:
        """Note one step and give its time; what would lie beyond the anchor has not happened and is not noted."""
        moment = after + dt.timedelta(seconds=self._dice.integer(60, max_hours * 3_600))
        if moment < self._now:
            self.hiring.events.append(
                {
                    "event_id": f"evt_{len(self.hiring.events) + 1:06d}",
                    "project_id": project.project_id,
                    "developer_id": self._people[at].developer_id,
                    "event_type": event_type,
                    "rank": rank,
                    "occurred_at": moment,
                }
            )
        return moment

    def _add_contract(self, project: Project, at: int, fit: int, hired_at: dt.datetime) -> None:
        dice, person = self._dice, self._people[at]
        course = _draw_course(
            dice, person, hired_at, self._now.date(), is_closed=project.row["status"] == "closed"
        )
        price = _agree_price(dice, project, person)
        hours_per_week = project.row["hours_per_week"] or 20
        rating = _draw_rating(dice, person, fit, course)
        row = {
            "contract_id": f"ctr_{len(self.hiring.contracts) + 1:05d}",
            "project_id": project.project_id,
            "client_id": project.client_id,
            "developer_id": person.developer_id,
            "status": course.status,
            "skills_used": [
                dice.pick(SKILLS[skill].spellings) for skill in project.needs if skill in person.levels
            ],
            "hourly_rate_minor": price.hourly_minor,
            "currency": price.currency,
            "hours_per_week": hours_per_week if price.hourly_minor is not None else None,
            "created_at": hired_at,
            "started_on": course.started_on,
            "ended_on": course.ended_on,
            "client_rating": rating,
            "updated_at": moment_between(dice, course.changed_at(hired_at), self._now),
        }
        self.hiring.contracts.append(Contract(row, price.fixed_minor))
        if course.status == "active":
            self._active_count[at] += 1
            self.hiring.busy_hours[person.developer_id] += hours_per_week
        if rating is not None:
            self.hiring.ratings[person.developer_id].append(rating)
        if rating is not None and rating <= 2.5 and dice.chance(0.6):
            self._block(project.client_id, person.developer_id, course.changed_at(hired_at))

    def _block(self, client_id: str, developer_id: str, since: dt.datetime) -> None:
        pair = (client_id, developer_id)
        if any((row["client_id"], row["developer_id"]) == pair for row in self.hiring.blocks):
            return
        self.hiring.blocks.append(
            {
                "client_id": client_id,
                "developer_id": developer_id,
                "blocked_by": "client" if self._dice.chance(0.7) else "developer",
                "created_at": moment_between(self._dice, since, self._now),
            }
        )


@dataclass(frozen=True)
class _Course:
    """How a contract went."""

    status: str
    started_on: dt.date | None
    ended_on: dt.date | None

    def changed_at(self, hired_at: dt.datetime) -> dt.datetime:
        """When it last changed."""
        day = self.ended_on or self.started_on
        return hired_at if day is None else midnight(day)


@dataclass(frozen=True)
class _Price:
    """By the hour or fixed, in minor units; one of the two is None."""

    hourly_minor: int | None
    fixed_minor: int | None
    currency: str


def _draw_course(
    dice: Dice, person: Person, hired_at: dt.datetime, today: dt.date, *, is_closed: bool
) -> _Course:
    starts_on = hired_at.date() + dt.timedelta(days=dice.integer(1, 14))
    is_cancelled = dice.chance((0.06 if is_closed else 0.03) + 0.25 * (1 - person.reliability))
    days_until_today = (today - starts_on).days
    if days_until_today <= 0:
        return _Course("cancelled" if is_cancelled else "offered", None, None)
    if not (is_closed or is_cancelled):
        return _Course("active", starts_on, None)
    length_days = int(days_until_today * dice.uniform(0.3, 1.0)) if is_closed else dice.integer(3, 40)
    ended_on = starts_on + dt.timedelta(days=min(length_days, days_until_today - 1))
    return _Course("cancelled" if is_cancelled else "completed", starts_on, ended_on)


def _agree_price(dice: Dice, project: Project, person: Person) -> _Price:
    """What the client offers at most, and rarely more than the developer asks for."""
    currency = project.row["currency"] or "USD"
    ceiling, budget = project.row["max_hourly_rate_minor"], project.row["budget_minor"]
    if ceiling is None and budget is not None:
        return _Price(None, round_minor(budget * dice.uniform(0.8, 1.0), currency), currency)
    asked = amount_minor(person.rate_usd * dice.uniform(0.95, 1.1), currency, whole_units=True)
    return _Price(asked if ceiling is None else min(asked, ceiling), None, currency)


def _draw_rating(dice: Dice, person: Person, fit: int, course: _Course) -> float | None:
    """In half stars; those whose contract was cancelled are rated less often and worse."""
    if course.ended_on is None or not dice.chance(0.85 if course.status == "completed" else 0.5):
        return None
    stars = 1.9 + 1.7 * person.reliability + 1.9 * fit / 100 + dice.normal(0, 0.4)
    if course.status == "cancelled":
        stars -= 1.6
    return min(5.0, max(1.0, round(2 * stars) / 2))
