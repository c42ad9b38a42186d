"""Small marketplaces for tests of matching: frames in the shape of the tables, made from a seed or by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.matching.features import (
    DeveloperFeatures,
    ProjectFeatures,
    developer_features,
    project_features,
)
from platform_assets.matching.statistics import CorpusStatistics, corpus_statistics

AS_OF = dt.date(2026, 11, 1)

_DEVELOPER = {
    "is_active": True,
    "available_from": dt.date(2026, 10, 1),
    "hourly_rate_minor": None,
    "currency": None,
    "time_zone": None,
    "capacity_hours_per_week": None,
    "rating_average": None,
    "rating_count": 0,
}
_PROJECT = {
    "client_id": "client",
    "title": "",
    "description": "",
    "max_hourly_rate_minor": None,
    "currency": None,
    "time_zone": None,
    "min_overlap_hours": None,
    "budget_minor": None,
    "expected_hours": None,
    "hours_per_week": None,
    "starts_on": None,
    "status": "open",
}
_REPOSITORY = {
    "description": None,
    "topics": [],
    "languages": {},
    "commits_count": 5,
    "last_contributed_on": dt.date(2026, 10, 1),
    "subjects": [],
}
_SKILL_PROFILE = {"sources": ["github"]}


def frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], keys: Sequence[str]) -> pd.DataFrame:
    """Rows with defaults for what they leave out; all columns are there even without rows."""
    names = [*keys, *(name for name in columns if name not in keys)]
    return pd.DataFrame([{**columns, **row} for row in rows], columns=names, dtype=object)


def developers(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return frame(rows, _DEVELOPER, ["developer_id"])


def projects(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return frame(rows, _PROJECT, ["project_id"])


def repositories(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return frame(rows, _REPOSITORY, ["developer_id", "repository"])


def skill_profiles(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return frame(rows, _SKILL_PROFILE, ["developer_id", "skill_id", "confidence"])


def vectors(*rows: tuple[str, str, Sequence[float]]) -> pd.DataFrame:
    """Developer, facet and a vector of any length but 0."""
    return pd.DataFrame(
        [(developer, facet, unit(vector)) for developer, facet, vector in rows],
        columns=["developer_id", "facet", "vector"],
    )


def unit(vector: Sequence[float]) -> np.ndarray:
    array = np.asarray(vector, dtype=np.float64)
    return (array / np.linalg.norm(array)).astype(np.float32)


def edges(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["skill_id_a", "skill_id_b", "weight"])


def statistics(
    people: pd.DataFrame,
    *,
    work: pd.DataFrame | None = None,
    placed: pd.DataFrame | None = None,
    skills: pd.DataFrame | None = None,
    related: pd.DataFrame | None = None,
) -> CorpusStatistics:
    return corpus_statistics(
        developers_count=len(people),
        repositories=repositories() if work is None else work,
        vectors=vectors() if placed is None else placed,
        skill_profiles=skill_profiles() if skills is None else skills,
        skill_edges=edges() if related is None else related,
    )


def developer_side(
    people: pd.DataFrame,
    *,
    work: pd.DataFrame | None = None,
    placed: pd.DataFrame | None = None,
    skills: pd.DataFrame | None = None,
    known: CorpusStatistics | None = None,
) -> DeveloperFeatures:
    return developer_features(
        developers=people,
        repositories=repositories() if work is None else work,
        vectors=vectors() if placed is None else placed,
        skill_profiles=skill_profiles() if skills is None else skills,
        statistics=known or statistics(people, work=work, placed=placed, skills=skills),
        as_of=AS_OF,
    )


NOTHING_KNOWN = statistics(developers())


def project_side(
    posted: pd.DataFrame,
    *,
    requirements: Sequence[tuple[str, str, float]] = (),
    placed: Sequence[tuple[str, Sequence[float]]] = (),
    known: CorpusStatistics = NOTHING_KNOWN,
) -> tuple[ProjectFeatures, ...]:
    return project_features(
        projects=posted,
        requirements=pd.DataFrame(requirements, columns=["project_id", "skill_id", "weight"]),
        vectors=pd.DataFrame(
            [(project, unit(vector)) for project, vector in placed], columns=["project_id", "vector"]
        ),
        statistics=known,
    )


@dataclass(frozen=True)
class Tables:
    """Frames of a random marketplace, from which features and filters are made."""

    people: pd.DataFrame
    work: pd.DataFrame
    placed: pd.DataFrame
    skills: pd.DataFrame
    posted: pd.DataFrame
    requirements: list[tuple[str, str, float]]
    project_vectors: list[tuple[str, Sequence[float]]]
    known: CorpusStatistics

    def developers(self, ids: Sequence[str] | None = None) -> DeveloperFeatures:
        """Features of some developers, from their own rows alone."""

        def own(frame: pd.DataFrame) -> pd.DataFrame:
            return frame if ids is None else frame[frame["developer_id"].isin(ids)]

        return developer_side(
            own(self.people),
            work=own(self.work),
            placed=own(self.placed),
            skills=own(self.skills),
            known=self.known,
        )

    def projects(self) -> tuple[ProjectFeatures, ...]:
        return project_side(
            self.posted, requirements=self.requirements, placed=self.project_vectors, known=self.known
        )


def random_marketplace(
    seed: int, developers_count: int, projects_count: int, *, dimensions: int = 8, ties: bool = False
) -> tuple[DeveloperFeatures, tuple[ProjectFeatures, ...]]:
    """Features of `random_tables`."""
    tables = random_tables(seed, developers_count, projects_count, dimensions=dimensions, ties=ties)
    return tables.developers(), tables.projects()


def random_tables(
    seed: int, developers_count: int, projects_count: int, *, dimensions: int = 8, ties: bool = False
) -> Tables:
    """A marketplace in which every input is missing somewhere; with `ties`, values are few, so that scores repeat."""
    rng = np.random.default_rng(seed)
    directions = np.eye(dimensions) if ties else rng.normal(size=(64, dimensions))
    ids = [f"d{i:05}" for i in rng.permutation(developers_count)]
    people, work, placed, skills = [], [], [], []
    for developer in ids:
        people.append(
            {
                "developer_id": developer,
                "hourly_rate_minor": _maybe(rng, int(rng.integers(1, 4)) * 1_000),
                "currency": str(rng.choice(["EUR", "USD"])),
                "capacity_hours_per_week": _maybe(rng, int(rng.integers(0, 3)) * 20),
                "rating_average": _maybe(rng, float(rng.integers(1, 6))),
                "rating_count": int(rng.integers(0, 3)),
            }
        )
        for name in rng.choice(10, size=rng.integers(0, 4), replace=False):
            repository = f"o/r{name}"
            work.append(
                {
                    "developer_id": developer,
                    "repository": repository,
                    "languages": {"Python": 1},
                    "subjects": [f"fix word{'abcde'[rng.integers(5)]}"],
                    "topics": [f"topic{'abcde'[name % 5]}"],
                    "last_contributed_on": AS_OF - dt.timedelta(days=int(rng.integers(0, 3)) * 200),
                }
            )
            if rng.random() < 0.8:
                placed.append((developer, repository, directions[rng.integers(len(directions))]))
        if rng.random() < 0.2:
            placed.append((developer, "profile", directions[rng.integers(len(directions))]))
        skills += [
            {"developer_id": developer, "skill_id": skill, "confidence": int(rng.integers(1, 4)) / 4}
            for skill in ("rust", "go", "tokio")
            if rng.random() < 0.5
        ]
    posted, requirements, project_vectors = [], [], []
    for i in range(projects_count):
        project = f"p{i:04}"
        posted.append(
            {
                "project_id": project,
                "title": f"word{'abcde'[i % 5]} topic{'abcde'[i % 3]}",
                "max_hourly_rate_minor": _maybe(rng, 3_000),
                "currency": "EUR",
                "budget_minor": _maybe(rng, 200_000),
                "expected_hours": _maybe(rng, 100),
                "hours_per_week": _maybe(rng, 30),
            }
        )
        requirements += [(project, skill, 0.5) for skill in ("rust", "go", "cobol") if rng.random() < 0.6]
        if rng.random() < 0.9:
            project_vectors.append((project, directions[rng.integers(len(directions))]))
    people_rows = developers(*people)
    sides = {
        "work": repositories(*work),
        "placed": vectors(*placed),
        "skills": skill_profiles(*skills),
    }
    return Tables(
        people=people_rows,
        posted=projects(*posted),
        requirements=requirements,
        project_vectors=project_vectors,
        known=statistics(people_rows, related=edges(("rust", "tokio", 0.8), ("go", "rust", 0.1)), **sides),
        **sides,
    )


def _maybe(rng: np.random.Generator, value: Any) -> Any:
    return value if rng.random() < 0.7 else None
