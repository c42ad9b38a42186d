"""A large random marketplace, already in the arrays that matching reads: the same for a seed, however large.

Vectors stand in clusters, skills and words are as unevenly popular as real ones, every term of the score differs between
developers, and the filters let through a little more than half of the pairs.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from platform_assets.matching.features import DeveloperFeatures, ProjectFeatures
from platform_assets.matching.filters import Filters
from platform_assets.matching.repositories import SHARE_BITS, Floats, Integers, on_grid
from platform_assets.matching.vectors import Vectors, unit_rows

AS_OF = dt.date(2026, 11, 1)
DIMENSIONS = 384

_CLUSTERS = 200
_NOISE = 1.1
"""Length of what sets a text apart from its cluster's centre, of length 1: cosines within a cluster are about 0.45."""

_VECTORS_OF_A_DEVELOPER = (0.01, 0.79, 0.15, 0.05)
"""Share of developers with 0, 1, 2 and 3 vectors: 1.24 on average, as in contributions to real projects (1.23)."""

_SKILLS = 600
_SKILLS_OF_A_DEVELOPER = 14
_SKILLS_OF_A_PROJECT = 5
_WORDS = 20_000
_WORDS_OF_A_DEVELOPER = 80
_WORDS_OF_A_TITLE = 5

_CURRENCIES = ("EUR", "USD", "GBP")
_ZONES = (
    "Europe/Berlin",
    "Europe/Lisbon",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "America/Sao_Paulo",
)


@dataclass(frozen=True)
class World:
    """A marketplace.

    Attributes:
        developers: Features of developers.
        projects: Features of projects.
        filters: What keeps pairs apart.
    """

    developers: DeveloperFeatures
    projects: tuple[ProjectFeatures, ...]
    filters: Filters


def make_world(developers_count: int, projects_count: int, *, seed: int = 2026) -> World:
    """Make a marketplace."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(_CLUSTERS, DIMENSIONS)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    developer_ids = tuple(f"d{i:07}" for i in range(developers_count))
    project_ids = [f"p{i:05}" for i in range(projects_count)]
    people = _people(rng, developer_ids)
    posted = _postings(rng, project_ids)
    return World(
        developers=_developers(rng, developer_ids, people, centres),
        projects=_projects(rng, posted, centres),
        filters=Filters(
            developers=people,
            projects=posted,
            contracts=_pairs(rng, "project_id", project_ids, developer_ids).assign(status="active"),
            blocks=_pairs(rng, "client_id", list(posted["client_id"]), developer_ids),
            as_of=AS_OF,
        ),
    )


def _people(rng: np.random.Generator, developer_ids: tuple[str, ...]) -> pd.DataFrame:
    count = len(developer_ids)
    currency = rng.choice(_CURRENCIES, size=count, p=(0.7, 0.25, 0.05))
    states_rate = rng.random(count) < 0.85
    free_from = np.datetime64(AS_OF, "D") + rng.integers(-60, 40, size=count).astype("timedelta64[D]")
    free_from[rng.random(count) < 0.05] = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "developer_id": developer_ids,
            "is_active": rng.random(count) < 0.95,
            "available_from": free_from,
            "hourly_rate_minor": np.where(states_rate, np.rint(rng.lognormal(8.5, 0.4, size=count)), np.nan),
            "currency": pd.Series(currency, dtype=object).where(states_rate),
            "time_zone": rng.choice(_ZONES, size=count),
            "capacity_hours_per_week": rng.integers(0, 9, size=count) * 5.0,
            "rating_average": np.round(rng.uniform(2.5, 5.0, size=count), 2),
            "rating_count": rng.poisson(6, size=count),
        }
    )


def _postings(rng: np.random.Generator, project_ids: list[str]) -> pd.DataFrame:
    count = len(project_ids)
    limited = rng.random(count) < 0.5
    return pd.DataFrame(
        {
            "project_id": project_ids,
            "client_id": [f"c{i:05}" for i in rng.integers(0, max(1, count // 2), size=count)],
            "status": "open",
            "starts_on": np.datetime64(AS_OF, "D") + rng.integers(0, 60, size=count).astype("timedelta64[D]"),
            "max_hourly_rate_minor": np.where(limited, np.rint(rng.lognormal(8.9, 0.3, size=count)), np.nan),
            "currency": pd.Series(
                rng.choice(_CURRENCIES, size=count, p=(0.7, 0.25, 0.05)), dtype=object
            ).where(limited),
            "time_zone": rng.choice(_ZONES, size=count),
            "min_overlap_hours": np.where(rng.random(count) < 0.3, 4.0, np.nan),
            "hours_per_week": rng.choice([10, 20, 30, 40], size=count),
        }
    )


def _pairs(
    rng: np.random.Generator, key: str, owners: list[str], developer_ids: tuple[str, ...]
) -> pd.DataFrame:
    """Two pairs for every owner, of developers drawn at random."""
    drawn = rng.integers(0, len(developer_ids), size=2 * len(owners))
    return pd.DataFrame(
        {key: owners * 2, "developer_id": [developer_ids[i] for i in drawn]}
    ).drop_duplicates()


def _developers(
    rng: np.random.Generator, developer_ids: tuple[str, ...], people: pd.DataFrame, centres: Vectors
) -> DeveloperFeatures:
    count = len(developer_ids)
    facets_count = rng.choice(len(_VECTORS_OF_A_DEVELOPER), size=count, p=_VECTORS_OF_A_DEVELOPER)
    facet_developer = np.repeat(np.arange(count), facets_count)
    last_seen = rng.exponential(300.0, size=count)
    return DeveloperFeatures(
        developer_ids=developer_ids,
        facet_developer=facet_developer,
        facet_names=tuple(f"owner/{i}" for i in range(len(facet_developer))),
        vectors=_vectors(rng, len(facet_developer), centres),
        repositories_count=facets_count + rng.poisson(3, size=count),
        skills=_sparse(rng, count, _SKILLS, _SKILLS_OF_A_DEVELOPER),
        skill_columns={f"s{i}": i for i in range(_SKILLS)},
        words=_sparse(rng, count, _WORDS, _WORDS_OF_A_DEVELOPER),
        word_columns={f"w{i}": i for i in range(_WORDS)},
        hourly_rate_minor=people["hourly_rate_minor"].to_numpy(dtype=np.float64),
        currencies=np.array([c if isinstance(c, str) else "" for c in people["currency"]], dtype=np.str_),
        capacity_hours=people["capacity_hours_per_week"].to_numpy(dtype=np.float64),
        rating_average=people["rating_average"].to_numpy(dtype=np.float64),
        rating_count=people["rating_count"].to_numpy(dtype=np.float64),
        idle_days=np.rint(last_seen),
    )


def _projects(
    rng: np.random.Generator, posted: pd.DataFrame, centres: Vectors
) -> tuple[ProjectFeatures, ...]:
    vectors = _vectors(rng, len(posted), centres)
    skill_rarity = 1.0 - np.log1p(_popularity(_SKILLS) * 1e5) / np.log1p(1e5)
    word_rarity = 1.0 - np.log1p(_popularity(_WORDS) * 1e5) / np.log1p(1e5)
    projects = []
    for row, vector in zip(posted.to_dict("records"), vectors):
        skills = np.unique(_draw(rng, _SKILLS, _SKILLS_OF_A_PROJECT))
        importance = skill_rarity[skills] * rng.uniform(0.3, 1.0, size=len(skills))
        shares = on_grid(importance / importance.sum(), SHARE_BITS)
        words = np.unique(_draw(rng, _WORDS, _WORDS_OF_A_TITLE))
        rarities = on_grid(word_rarity[words] / max(1.0, word_rarity[words].sum() / 2.0), SHARE_BITS)
        limit = row["max_hourly_rate_minor"]
        projects.append(
            ProjectFeatures(
                project_id=row["project_id"],
                vector=vector,
                skills={f"s{column}": float(share) for column, share in zip(skills, shares)},
                words={f"w{column}": float(rare) for column, rare in zip(words, rarities)},
                affordable_rate_minor=None if np.isnan(limit) else float(limit),
                currency=row["currency"] if isinstance(row["currency"], str) else None,
                hours_per_week=int(row["hours_per_week"]),
            )
        )
    return tuple(projects)


def _vectors(rng: np.random.Generator, count: int, centres: Vectors) -> Vectors:
    vectors = np.empty((count, DIMENSIONS), dtype=np.float32)
    scale = np.float32(_NOISE / np.sqrt(DIMENSIONS))
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        noise = rng.standard_normal((size, DIMENSIONS), dtype=np.float32) * scale
        own = centres[rng.integers(0, len(centres), size=size)] + noise
        vectors[start : start + size] = unit_rows(own.astype(np.float64))
    return vectors


def _popularity(count: int) -> Floats:
    """Chance of each of some things to be drawn: by Zipf's law, the most popular first."""
    weights = 1.0 / np.arange(1, count + 1)
    popularity: Floats = weights / weights.sum()
    return popularity


def _draw(rng: np.random.Generator, count: int, size: int) -> npt.NDArray[np.intp]:
    return np.searchsorted(np.cumsum(_popularity(count))[:-1], rng.random(size))


def _sparse(rng: np.random.Generator, rows_count: int, columns_count: int, of_a_row: int) -> csr_matrix:
    """Values between 0.1 and 1 in about `of_a_row` places of each row."""
    rows: Integers = np.repeat(np.arange(rows_count), of_a_row)
    places = np.unique(rows * columns_count + _draw(rng, columns_count, rows_count * of_a_row))
    values = on_grid(rng.uniform(0.1, 1.0, size=len(places)), SHARE_BITS)
    starts = np.searchsorted(places, np.arange(rows_count + 1) * columns_count)
    return csr_matrix((values, places % columns_count, starts), shape=(rows_count, columns_count))
