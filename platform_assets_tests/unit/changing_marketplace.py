"""A marketplace in memory whose developers, projects, contracts and blocks change at random, for tests of the refresh."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matching_inputs as given_that
import numpy as np
import pandas as pd

from platform_assets.matching import refresh
from platform_assets.matching.features import ProjectFeatures, developer_features, project_features
from platform_assets.matching.filters import Filters, allowed_pairs, eligible_developers
from platform_assets.matching.lists import Places
from platform_assets.matching.statistics import CorpusStatistics, corpus_statistics

LANGUAGES = ("Python", "Rust", "Go")
SKILLS = ("python", "rust", "go", "cobol")


@dataclass
class Developer:
    row: dict[str, Any]
    repositories: list[dict[str, Any]]
    vectors: list[tuple[str, np.ndarray]]
    skills: list[tuple[str, float]]


@dataclass
class Project:
    row: dict[str, Any]
    requirements: list[tuple[str, float]]
    vector: np.ndarray | None


@dataclass
class World:
    """With `ties` all values are few, so that scores repeat."""

    rng: np.random.Generator
    ties: bool = False
    developers: dict[str, Developer] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    contracts: set[tuple[str, str]] = field(default_factory=set)
    blocks: set[tuple[str, str]] = field(default_factory=set)

    def _pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def _vector(self) -> np.ndarray:
        if self.ties:
            return np.eye(4)[int(self.rng.integers(4))]
        return self.rng.normal(size=4)

    def set_developer(self, name: str) -> None:
        """A new developer, or another shape of a known one."""
        repositories, vectors = [], []
        for number in self.rng.choice(6, size=int(self.rng.integers(0, 3)), replace=False):
            repository = f"o/r{number}"
            repositories.append(
                {
                    "developer_id": name,
                    "repository": repository,
                    "subjects": [f"fix word{self._pick(*'abc')}"],
                    "topics": [f"topic{self._pick(*'ab')}"],
                    "languages": {self._pick(*LANGUAGES): 1},
                    "last_contributed_on": given_that.AS_OF - dt.timedelta(days=int(self._pick(0, 200))),
                }
            )
            if self.rng.random() < 0.8:
                vectors.append((repository, self._vector()))
        skills = [(skill, float(self._pick(0.25, 0.5, 1.0))) for skill in SKILLS if self.rng.random() < 0.5]
        row = {
            "developer_id": name,
            "is_active": bool(self.rng.random() < 0.9),
            "available_from": self._pick(None, dt.date(2026, 10, 1), dt.date(2026, 12, 24)),
            "hourly_rate_minor": self._pick(None, 1_000, 2_000, 4_000),
            "currency": self._pick("EUR", "USD"),
            "time_zone": self._pick(None, "Europe/Lisbon", "Asia/Tokyo"),
            "capacity_hours_per_week": self._pick(None, 0, 20, 40),
            "rating_average": self._pick(None, 1.0, 5.0),
            "rating_count": int(self.rng.integers(0, 3)),
        }
        self.developers[name] = Developer(row, repositories, vectors, skills)

    def set_project(self, name: str) -> None:
        """A newly opened project, or another shape of a known one."""
        row = {
            "project_id": name,
            "client_id": self._pick("c1", "c2"),
            "title": f"word{self._pick(*'abc')} topic{self._pick(*'ab')}",
            "max_hourly_rate_minor": self._pick(None, 3_000),
            "currency": "EUR",
            "hours_per_week": self._pick(None, 30),
            "time_zone": self._pick(None, "Europe/Lisbon"),
            "min_overlap_hours": self._pick(None, 4),
        }
        requirements = [(skill, float(self._pick(0.5, 1.0))) for skill in SKILLS if self.rng.random() < 0.5]
        self.projects[name] = Project(row, requirements, self._vector() if self.rng.random() < 0.8 else None)

    def statistics(self) -> CorpusStatistics:
        repositories, vectors, skills = self._frames(self.developers)
        return corpus_statistics(
            developers_count=len(self.developers),
            repositories=repositories,
            vectors=vectors,
            skill_profiles=skills,
            skill_edges=pd.DataFrame(
                [("python", "rust", 0.5)], columns=["skill_id_a", "skill_id_b", "weight"]
            ),
        )

    def side(self, statistics: CorpusStatistics, only: Collection[str] | None = None) -> refresh.Side:
        names = sorted(self.developers if only is None else only)
        people = given_that.developers(*(self.developers[name].row for name in names))
        repositories, vectors, skills = self._frames(names)
        rules = Filters(
            developers=people,
            projects=given_that.projects(*(self.projects[name].row for name in sorted(self.projects))),
            contracts=pd.DataFrame(
                [(project, developer, "active") for project, developer in sorted(self.contracts)],
                columns=["project_id", "developer_id", "status"],
            ),
            blocks=pd.DataFrame(sorted(self.blocks), columns=["client_id", "developer_id"]),
            as_of=given_that.AS_OF,
        )
        features = developer_features(
            developers=people,
            repositories=repositories,
            vectors=vectors,
            skill_profiles=skills,
            statistics=statistics,
            as_of=given_that.AS_OF,
        )
        return refresh.Side(features, partial(allowed_pairs, rules), eligible_developers(rules))

    def project_features(self, statistics: CorpusStatistics) -> tuple[ProjectFeatures, ...]:
        names = sorted(self.projects)
        return project_features(
            projects=given_that.projects(*(self.projects[name].row for name in names)),
            requirements=pd.DataFrame(
                [(name, *asked) for name in names for asked in self.projects[name].requirements],
                columns=["project_id", "skill_id", "weight"],
            ),
            vectors=pd.DataFrame(
                [
                    (name, given_that.unit(vector))
                    for name in names
                    if (vector := self.projects[name].vector) is not None
                ],
                columns=["project_id", "vector"],
            ),
            statistics=statistics,
        )

    def full(self, statistics: CorpusStatistics, places: Places) -> refresh.Refreshed:
        return refresh.full(self.project_features(statistics), self.side(statistics), places=places)

    def _frames(self, names: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        people = [(name, self.developers[name]) for name in names]
        return (
            given_that.repositories(*(row for _, one in people for row in one.repositories)),
            given_that.vectors(*((name, *placed) for name, one in people for placed in one.vectors)),
            given_that.skill_profiles(
                *(
                    {"developer_id": name, "skill_id": skill, "confidence": confidence}
                    for name, one in people
                    for skill, confidence in one.skills
                )
            ),
        )


def changed_at_random(world: World, developers_share: float, projects_share: float) -> Changes:
    """Change some of everything in place, and say what was changed."""
    rng = world.rng
    changed, gone, changed_projects = set(), set(), set()
    for number in range(30):
        name = f"d{number:02}"
        if rng.random() >= developers_share:
            continue
        match name in world.developers, int(rng.integers(4)):
            case True, 0:
                del world.developers[name]
                gone.add(name)
            case True, 1:
                pair = (f"p{rng.integers(6)}", name)
                world.contracts.symmetric_difference_update({pair})
                changed.add(name)
            case True, 2:
                world.blocks.symmetric_difference_update({(f"c{rng.integers(1, 3)}", name)})
                changed.add(name)
            case _:
                world.set_developer(name)
                changed.add(name)
    for number in range(6):
        name = f"p{number}"
        if rng.random() >= projects_share:
            continue
        if name in world.projects and rng.random() < 0.4:
            del world.projects[name]
        else:
            world.set_project(name)
            changed_projects.add(name)
    return Changes(changed, gone, changed_projects)


@dataclass(frozen=True)
class Changes:
    changed: set[str]
    gone: set[str]
    changed_projects: set[str]
