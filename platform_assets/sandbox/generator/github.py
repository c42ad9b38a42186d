"""Draws the GitHub side of a generated marketplace: accounts, repositories, and who worked on what.

What people commit follows what they can do, not what they declare. Nothing here knows payments or projects.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from platform_assets.sandbox.generator.dice import Dice, Weighted
from platform_assets.sandbox.generator.names import Names, slug
from platform_assets.sandbox.generator.people import (
    ARCHETYPE_NUMBERS,
    Person,
    midnight,
    moment_between,
    moment_on,
)
from platform_assets.sandbox.generator.skills import ARCHETYPES, SKILLS, Archetype
from platform_assets.sandbox.generator.texts import (
    describe_repository,
    name_repository,
    write_bio,
    write_subjects,
)
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser

_SIDE_LANGUAGES = ("Shell", "Dockerfile", "Makefile", "HTML", "CSS")
# Next to the code that they serve, such files are short.
_LANGUAGE_SIZES = {"Dockerfile": 0.02, "Smarty": 0.1, "Shell": 0.1, "HCL": 0.3, "PLpgSQL": 0.2, "Jinja": 0.1}
_DEVELOPERS_PER_ORGANIZATION = 15
_MAX_SUBJECTS = 10
_MISSING_ACCOUNT_RATIO = 0.015
_EMPTY_ACCOUNT_RATIO = 0.04


@dataclass(frozen=True)
class GithubSide:
    """What the local GitHub API serves."""

    users: list[GithubUser] = field(default_factory=list)
    repositories: list[GithubRepository] = field(default_factory=list)
    contributions: list[GithubContribution] = field(default_factory=list)


@dataclass(frozen=True)
class _Shared:
    """A repository of an organization that several people work on."""

    repository: GithubRepository
    skills: tuple[str, ...]


@dataclass(frozen=True)
class _Career:
    """When somebody was active on GitHub, both days included."""

    first_on: dt.date
    last_on: dt.date

    def draw_span(self, dice: Dice, since: dt.date, *, median_days: float) -> tuple[dt.date, dt.date]:
        """First and last day of work on one repository that exists since a day."""
        start = min(max(self.first_on, since), self.last_on)
        room = (self.last_on - start).days
        # The square root leans towards the recent past, where most of anybody's repositories are.
        first_on = start + dt.timedelta(days=int(room * dice.uniform() ** 0.5))
        length = min((self.last_on - first_on).days, int(dice.lognormal(median_days, 1.2)))
        return first_on, first_on + dt.timedelta(days=length)


def draw_github(dice: Dice, names: Names, people: Sequence[Person], anchor: dt.date) -> GithubSide:
    """Accounts of the people who linked one, their repositories and those of organizations.

    A few linked accounts do not exist, as after a deletion or a rename; a few are empty; some have been quiet for years.
    """
    drawing = _Drawing(dice, anchor)
    for _ in range(1 + len(people) // _DEVELOPERS_PER_ORGANIZATION):
        drawing.add_organization(slug(names.company()))
    for person in people:
        if person.login is not None and not dice.chance(_MISSING_ACCOUNT_RATIO):
            drawing.add_account(person, person.login)
    return drawing.side


class _Drawing:
    """The GitHub side while it grows."""

    def __init__(self, dice: Dice, anchor: dt.date) -> None:
        self.side = GithubSide()
        self._dice = dice
        self._anchor = anchor
        self._shared: defaultdict[str, list[_Shared]] = defaultdict(list)
        self._taken: set[str] = set()
        self._last_id = 10_000

    def add_organization(self, owner: str) -> None:
        """An organization whose repositories several people can work on."""
        dice = self._dice
        archetype = ARCHETYPES[dice.weighted(ARCHETYPE_NUMBERS)]
        for _ in range(dice.integer(2, 5)):
            first = dice.pick(archetype.coding_skills)
            others = [
                skill for skill, share in archetype.skills.items() if skill != first and dice.chance(share)
            ]
            skills = (first, *dice.sample(others, 5))
            repository = self._add_repository(
                archetype,
                skills,
                owner=owner,
                first_on=self._anchor - dt.timedelta(days=dice.integer(200, 3_200)),
                last_on=self._anchor - dt.timedelta(days=dice.integer(1, 60)),
                size=6.0,
            )
            self._shared[archetype.title].append(_Shared(repository, skills))

    def add_account(self, person: Person, login: str) -> None:
        """Somebody's account and everything they worked on."""
        dice = self._dice
        career = _draw_career(dice, person, self._anchor)
        self._add_user(person, login, career)
        if dice.chance(_EMPTY_ACCOUNT_RATIO) or not person.levels:
            return
        self._add_own_work(person, login, career)
        self._add_shared_work(person, login, career)

    def _add_user(self, person: Person, login: str, career: _Career) -> None:
        dice = self._dice
        created_at = moment_on(dice, career.first_on - dt.timedelta(days=dice.integer(0, 60)))
        skills = sorted(person.levels, key=lambda skill: -person.levels[skill])[:5]
        bio = write_bio(
            dice, person.archetype, skills, years_count=person.years_count, anchor_year=self._anchor.year
        )
        self.side.users.append(
            GithubUser(
                login=login,
                database_id=self._next_id(),
                name=person.name if dice.chance(0.8) else None,
                bio=bio if dice.chance(0.55) else None,
                company=dice.pick(("freelance", "self-employed", "independent"))
                if dice.chance(0.3)
                else None,
                location=person.region.city if dice.chance(0.6) else None,
                followers_count=int(dice.lognormal(9, 1.4)),
                created_at=created_at,
                updated_at=moment_between(dice, created_at, midnight(self._anchor)),
            )
        )

    def _add_own_work(self, person: Person, login: str, career: _Career) -> None:
        # Only what leaves code shows on GitHub, and what one masters shows more often.
        weights = {
            skill: level**2 for skill, level in person.levels.items() if SKILLS[skill].language is not None
        }
        if not weights:
            return
        dice, leading, all_skills = self._dice, Weighted(weights), tuple(person.levels)
        for _ in range(min(40, max(1, round(dice.lognormal(5.0, 0.75))))):
            first = dice.weighted(leading)
            skills = [
                first,
                *(skill for skill in dice.sample(all_skills, dice.integer(1, 4)) if skill != first),
            ]
            first_on, last_on = career.draw_span(dice, career.first_on, median_days=90)
            repository = self._add_repository(
                person.archetype, skills, owner=login, first_on=first_on, last_on=last_on, size=1.0
            )
            self._contribute(person, login, skills, repository, (first_on, last_on), median_count=16.0)

    def _add_shared_work(self, person: Person, login: str, career: _Career) -> None:
        """Work on repositories of organizations, and forks of them, which hold hardly any work of one's own."""
        dice = self._dice
        for item in dice.sample(self._shared[person.archetype.title], dice.integer(0, 3)):
            parent = item.repository
            first_on, last_on = career.draw_span(dice, parent.created_at.date(), median_days=240)
            last_on = min(last_on, parent.pushed_at.date())
            if not parent.created_at.date() <= first_on <= last_on:
                continue
            skills = [skill for skill in item.skills if skill in person.levels] or list(person.levels)[:2]
            if dice.chance(0.75):
                self._contribute(person, login, skills, parent, (first_on, last_on), median_count=22.0)
                continue
            fork = self._add_fork(parent, login, first_on, last_on)
            if dice.chance(0.6):
                self._contribute(person, login, skills, fork, (first_on, last_on), median_count=2.0)

    def _add_fork(
        self, parent: GithubRepository, login: str, first_on: dt.date, last_on: dt.date
    ) -> GithubRepository:
        fork = GithubRepository(
            name_with_owner=self._new_name(login, parent.name_with_owner.partition("/")[2]),
            database_id=self._next_id(),
            description=parent.description,
            is_fork=True,
            is_archived=False,
            stars_count=0,
            # A fork has its parent's code on GitHub, but not its topics.
            topics=(),
            languages=parent.languages,
            created_at=midnight(first_on) + dt.timedelta(hours=self._dice.integer(0, 12)),
            pushed_at=midnight(last_on) + dt.timedelta(hours=23),
        )
        self.side.repositories.append(fork)
        return fork

    def _add_repository(
        self,
        archetype: Archetype,
        skills: Sequence[str],
        *,
        owner: str,
        first_on: dt.date,
        last_on: dt.date,
        size: float,
    ) -> GithubRepository:
        dice = self._dice
        topics = [SKILLS[skill].topic for skill in skills if dice.chance(0.7)] if dice.chance(0.65) else []
        repository = GithubRepository(
            name_with_owner=self._new_name(owner, name_repository(dice, archetype, skills[0])),
            database_id=self._next_id(),
            description=describe_repository(dice, archetype, skills) if dice.chance(0.8) else None,
            is_fork=False,
            is_archived=dice.chance(0.06),
            stars_count=int(dice.lognormal(1.0, 1.6) * size),
            topics=tuple(dict.fromkeys(topics)),
            languages=_draw_languages(dice, skills, size),
            created_at=midnight(first_on) + dt.timedelta(seconds=dice.integer(0, 43_200)),
            pushed_at=midnight(last_on) + dt.timedelta(seconds=dice.integer(64_800, 86_399)),
        )
        self.side.repositories.append(repository)
        return repository

    def _contribute(
        self,
        person: Person,
        login: str,
        skills: Sequence[str],
        repository: GithubRepository,
        span: tuple[dt.date, dt.date],
        *,
        median_count: float,
    ) -> None:
        dice = self._dice
        first_on, last_on = span
        commits_count = max(1, min(4_000, round(dice.lognormal(median_count, 1.1))))
        self.side.contributions.append(
            GithubContribution(
                login=login,
                name_with_owner=repository.name_with_owner,
                commits_count=commits_count,
                first_on=last_on if commits_count == 1 else first_on,
                last_on=last_on,
                subjects=write_subjects(
                    dice, person.archetype, skills, count=min(commits_count, _MAX_SUBJECTS)
                ),
            )
        )

    def _new_name(self, owner: str, name: str) -> str:
        while f"{owner}/{name}" in self._taken:
            name = f"{name}-{self._dice.integer(2, 9)}"
        self._taken.add(f"{owner}/{name}")
        return f"{owner}/{name}"

    def _next_id(self) -> int:
        """GitHub's ids grow, with gaps."""
        self._last_id += self._dice.integer(1, 900)
        return self._last_id


def _draw_career(dice: Dice, person: Person, anchor: dt.date) -> _Career:
    years_count = min(8.0, max(1.0, person.years_count * dice.uniform(0.6, 1.0)))
    first_on = anchor - dt.timedelta(days=int(365 * years_count))
    quiet_days = dice.integer(1, 40) if dice.chance(0.75) else dice.integer(150, 1_500)
    return _Career(first_on, max(first_on, anchor - dt.timedelta(days=quiet_days)))


def _draw_languages(dice: Dice, skills: Sequence[str], size: float) -> dict[str, int]:
    """Bytes by language: the leading skill's has most."""
    languages: dict[str, int] = {}
    share = size
    for skill in skills:
        language = SKILLS[skill].language
        if language is not None:
            bytes_count = 1 + int(dice.lognormal(38_000, 1.1) * share * _LANGUAGE_SIZES.get(language, 1.0))
            languages[language] = languages.get(language, 0) + bytes_count
            share *= 0.45
    for language in dice.sample(_SIDE_LANGUAGES, dice.integer(0, 2)):
        languages.setdefault(language, dice.integer(120, 6_000))
    return languages
