"""The generated marketplace: joins people, GitHub, projects, hiring and payments into one world.

The same seed, sizes and anchor give the same world in every process. What a part looks like is that part's business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from platform_assets.sandbox.generator.dice import Dice
from platform_assets.sandbox.generator.frames import contract_frame
from platform_assets.sandbox.generator.github import draw_github
from platform_assets.sandbox.generator.hiring import Hiring, draw_hiring
from platform_assets.sandbox.generator.names import Names
from platform_assets.sandbox.generator.payments import draw_payments
from platform_assets.sandbox.generator.people import Person, declare_people, draw_people
from platform_assets.sandbox.generator.problems import plant_problems
from platform_assets.sandbox.generator.projects import draw_clients, draw_projects
from platform_assets.sandbox.generator.settlement import draw_settlement
from platform_assets.sandbox.world import World
from platform_assets.tables import marketplace


def generate_world(*, seed: int, developers_count: int, projects_count: int, anchor: dt.date) -> World:
    """Make a marketplace up.

    Args:
        seed: Any integer from 0; another seed gives another marketplace.
        developers_count: Developers, inactive ones included.
        projects_count: Projects of every status; their contracts bring payments.
        anchor: The UTC day before which all history lies. Payments go back twelve months from it.

    Returns:
        A world named `generated`. What is wrong with it on purpose is told in `generate_problems`.
    """
    names = Names(Dice(seed, "names"))
    people = draw_people(Dice(seed, "people"), names, count=developers_count, anchor=anchor)
    github = draw_github(Dice(seed, "github"), names, people, anchor)
    clients = draw_clients(Dice(seed, "clients"), names, projects_count=projects_count, anchor=anchor)
    projects = draw_projects(Dice(seed, "projects"), clients, count=projects_count, anchor=anchor)
    hiring = draw_hiring(Dice(seed, "hiring"), people, projects, anchor)
    payments = draw_payments(Dice(seed, "payments"), clients, hiring.contracts, seed=seed, anchor=anchor)
    settlement = draw_settlement(Dice(seed, "settlement"), payments.objects, seed=seed, anchor=anchor)

    developers = declare_people(Dice(seed, "declarations"), people, anchor)
    _count_ratings(Dice(seed, "ratings"), developers, people, hiring, anchor)
    _take_hours(developers, hiring)
    plant_problems(Dice(seed, "problems"), developers, hiring, payments.rows, anchor=anchor)

    rows: dict[str, Sequence[dict[str, Any]]] = {
        "developers": developers,
        "clients": clients,
        "projects": [dict(project.row) for project in projects],
        "contracts": [dict(contract.row) for contract in hiring.contracts],
        "blocks": hiring.blocks,
        "match_events": hiring.events,
        "payments": payments.rows,
    }
    return World(
        name="generated",
        anchor=anchor,
        marketplace={
            table.name: contract_frame(table, rows[table.name])
            for table in marketplace.metadata.tables.values()
        },
        github_users=tuple(github.users),
        github_repositories=tuple(github.repositories),
        github_contributions=tuple(github.contributions),
        stripe_objects=(*payments.objects, *settlement),
    )


def _count_ratings(
    dice: Dice,
    developers: Sequence[dict[str, Any]],
    people: Sequence[Person],
    hiring: Hiring,
    anchor: dt.date,
) -> None:
    """Ratings of the contracts that are there and of older ones, which the application keeps as a mean and a count."""
    for row, person in zip(developers, people):
        ratings = list(hiring.ratings[person.developer_id])
        if (anchor - person.joined_at.date()).days > 200 and dice.chance(0.55):
            mean = 3.0 + 1.7 * person.reliability
            ratings += [
                min(5.0, max(1.0, round(2 * dice.normal(mean, 0.6)) / 2))
                for _ in range(min(80, round(dice.lognormal(4.0, 0.9))))
            ]
        row["rating_count"] = len(ratings)
        row["rating_average"] = round(sum(ratings) / len(ratings), 2) if ratings else None


def _take_hours(developers: Sequence[dict[str, Any]], hiring: Hiring) -> None:
    """Running contracts leave fewer hours for new work; those with none left are not available."""
    for row in developers:
        busy_hours = hiring.busy_hours[row["developer_id"]]
        if busy_hours and row["capacity_hours_per_week"] is not None:
            row["capacity_hours_per_week"] = max(0, row["capacity_hours_per_week"] - busy_hours // 2)
            if row["capacity_hours_per_week"] == 0:
                row["available_from"] = None
