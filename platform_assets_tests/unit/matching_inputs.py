"""Small marketplaces for tests of matching: frames in the shape of the tables, made from a seed or by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.matching.features import (
    DeveloperFeatures,
    ProjectFeatures,
    developer_features,
    project_features,
)

AS_OF = dt.date(2026, 11, 1)
LANGUAGE_SKILLS = {"Python": "python", "Rust": "rust", "Go": "go", "YAML": "yaml"}

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


def developer_side(
    people: pd.DataFrame,
    *,
    work: pd.DataFrame | None = None,
    placed: pd.DataFrame | None = None,
    skills: pd.DataFrame | None = None,
) -> DeveloperFeatures:
    return developer_features(
        developers=people,
        repositories=repositories() if work is None else work,
        vectors=vectors() if placed is None else placed,
        skill_profiles=skill_profiles() if skills is None else skills,
        language_skills=LANGUAGE_SKILLS,
        as_of=AS_OF,
    )


def project_side(
    posted: pd.DataFrame,
    *,
    requirements: Sequence[tuple[str, str, float]] = (),
    placed: Sequence[tuple[str, Sequence[float]]] = (),
) -> tuple[ProjectFeatures, ...]:
    return project_features(
        projects=posted,
        requirements=pd.DataFrame(requirements, columns=["project_id", "skill_id", "weight"]),
        vectors=pd.DataFrame(
            [(project, unit(vector)) for project, vector in placed], columns=["project_id", "vector"]
        ),
    )


def random_marketplace(
    seed: int, developers_count: int, projects_count: int, *, dimensions: int = 8, ties: bool = False
) -> tuple[DeveloperFeatures, tuple[ProjectFeatures, ...]]:
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
                    "languages": {str(rng.choice(list(LANGUAGE_SKILLS))): 1, "Python": 1},
                    "subjects": [f"fix word{'abcde'[rng.integers(5)]}"],
                    "topics": [f"topic{'abcde'[name % 5]}"],
                    "last_contributed_on": AS_OF - dt.timedelta(days=int(rng.integers(0, 3)) * 200),
                }
            )
            if rng.random() < 0.8:
                placed.append((developer, repository, directions[rng.integers(len(directions))]))
        if rng.random() < 0.2:
            placed.append((developer, "profile", directions[rng.integers(len(directions))]))
        if rng.random() < 0.7:
            skills.append(
                {"developer_id": developer, "skill_id": "rust", "confidence": int(rng.integers(1, 4)) / 4}
            )
    posted, requirements, project_vectors = [], [], []
    for i in range(projects_count):
        project = f"p{i:04}"
        posted.append(
            {
                "project_id": project,
                "title": f"word{'abcde'[i % 5]} topic{'abcde'[i % 3]}",
                "max_hourly_rate_minor": _maybe(rng, 3_000),
                "currency": "EUR",
                "hours_per_week": _maybe(rng, 30),
            }
        )
        requirements += [(project, skill, 0.5) for skill in ("rust", "go", "cobol") if rng.random() < 0.6]
        if rng.random() < 0.9:
            project_vectors.append((project, directions[rng.integers(len(directions))]))
    return (
        developer_side(
            developers(*people),
            work=repositories(*work),
            placed=vectors(*placed),
            skills=skill_profiles(*skills),
        ),
        project_side(projects(*posted), requirements=requirements, placed=project_vectors),
    )


def _maybe(rng: np.random.Generator, value: Any) -> Any:
    return value if rng.random() < 0.7 else None
