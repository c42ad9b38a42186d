"""Developers and projects as texts, and texts as their place in the embedding space.

Pure: which texts stand for whom and how their vectors are put together. Embedding texts is `clients.embedder`; what
vectors are worth in a match is `matching`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Vector = npt.NDArray[np.float32]

PROFILE_FACET = "profile"
"""The facet of what developers say of themselves; the others are repositories, whose names hold a `/`."""

MAX_FACETS = 30
"""Repositories a developer is known by: those with the most own commits."""

MAX_REPOSITORY_CHARACTERS = 400
MAX_PROJECT_CHARACTERS = 800
# The time to embed grows with the length; longer texts ranked developers no better on contributions to real projects.

_MAX_LANGUAGES = 4
_MAX_TOPICS = 15
_GITHUB = "github"

_MARKUP = re.compile(
    r"<[^<>]{0,500}>|!\[[^\[\]]{0,200}\]\([^()]{0,500}\)|!\[[^\[\]]{0,200}\]|https?://\S+|[|*`#=~]+|-{2,}"
)
_SPACE = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[/_.\-]+")


@dataclass(frozen=True)
class Facet:
    """One side of a developer's work, and the text that stands for it.

    Attributes:
        developer_id: The developer.
        name: `owner/name` of a repository, or `PROFILE_FACET`.
        text: What is embedded; empty when the facet's skills alone speak.
    """

    developer_id: str
    name: str
    text: str


def repository_text(
    *,
    repository: str,
    description: str | None,
    languages: Mapping[str, float],
    topics: Sequence[str],
    subjects: Sequence[str],
) -> str:
    """What a developer does in a repository, at most `MAX_REPOSITORY_CHARACTERS` long.

    The words of its name, its description, its largest languages, the developer's latest subjects, and, where there is
    room left, its topics.
    """
    largest = sorted(languages, key=lambda language: (-languages[language], language))[:_MAX_LANGUAGES]
    parts = [
        _name_words(repository),
        clean_text(description or "", limit=200),
        ", ".join(largest),
        *subjects,
        " ".join(topics[:_MAX_TOPICS]),
    ]
    return _cut(". ".join(part for part in parts if part), MAX_REPOSITORY_CHARACTERS)


def profile_text(bio: str | None, declared_skills: Sequence[str]) -> str:
    """What developers say of themselves; empty when they say nothing."""
    parts = [clean_text(bio or "", limit=MAX_REPOSITORY_CHARACTERS), ", ".join(declared_skills)]
    return _cut(". ".join(part for part in parts if part), MAX_REPOSITORY_CHARACTERS)


def project_text(title: str, description: str | None) -> str:
    """What a project is about: its title, and the beginning of its description without markup."""
    parts = [_name_words(title), clean_text(description or "", limit=MAX_PROJECT_CHARACTERS)]
    return _cut(". ".join(part for part in parts if part), MAX_PROJECT_CHARACTERS)


def clean_text(text: str, *, limit: int) -> str:
    """Text without tags, links, images, table and heading signs, in one line of at most `limit` characters."""
    # Markup can take several times the room of the words in it; beyond that a text is cut unread.
    return _cut(_SPACE.sub(" ", _MARKUP.sub(" ", text[: 8 * limit])).strip(), limit)


def main_repositories(repositories: pd.DataFrame, *, most: int = MAX_FACETS) -> pd.DataFrame:
    """The rows of each developer's repositories with the most own commits, ties by name."""
    ordered = repositories.sort_values(
        ["developer_id", "commits_count", "repository"], ascending=[True, False, True]
    )
    return ordered.groupby("developer_id").head(most)


def developer_facets(
    developers: pd.DataFrame, repositories: pd.DataFrame, *, most: int = MAX_FACETS
) -> list[Facet]:
    """The facets of developers, ordered by developer and name.

    Args:
        developers: `marketplace.developers`: `developer_id`, `bio`, `declared_skills`.
        repositories: `platform.developer_repositories`.
        most: Repositories of one developer that become facets.

    Returns:
        One facet per main repository, and one for bio and declared skills where there are any. A developer without
        either has none.
    """
    facets = [
        Facet(row["developer_id"], PROFILE_FACET, text)
        for row in developers.to_dict("records")
        if (text := profile_text(_present(row["bio"]), row["declared_skills"]))
    ]
    facets += [
        Facet(
            row["developer_id"],
            row["repository"],
            repository_text(
                repository=row["repository"],
                description=_present(row["description"]),
                languages=row["languages"],
                topics=row["topics"],
                subjects=row["subjects"],
            ),
        )
        for row in main_repositories(repositories, most=most).to_dict("records")
    ]
    return sorted(facets, key=lambda facet: (facet.developer_id, facet.name))


def facet_inputs(
    facets: Iterable[Facet], skill_profiles: pd.DataFrame, known_skills: Container[str], *, model: str
) -> pd.DataFrame:
    """What each facet's vector is made of, so that only those that changed are made anew.

    Args:
        facets: What to place.
        skill_profiles: `platform.skill_profiles`: `developer_id`, `skill_id`, `confidence`, `sources`.
        known_skills: Ids of the skills that have a vector.
        model: Name of the model.

    Returns:
        `developer_id`, `facet`, `model`, `inputs_sha256`, in the order of the facets.
    """
    skills_of = _stated_skills(skill_profiles, known_skills)
    rows = [
        (
            facet.developer_id,
            facet.name,
            model,
            _facet_sha256(facet, _skills_of_facet(facet, skills_of), model),
        )
        for facet in facets
    ]
    return pd.DataFrame(rows, columns=["developer_id", "facet", "model", "inputs_sha256"])


def developer_vectors(
    facets: Iterable[Facet],
    text_vectors: Mapping[str, Vector],
    skill_profiles: pd.DataFrame,
    skill_vectors: Mapping[str, Vector],
    *,
    model: str,
) -> pd.DataFrame:
    """Rows of `platform.developer_vectors`.

    A repository's vector is that of its text. The profile's is the mean of its text's vector and of the mean of the
    developer's skill vectors weighted by confidence, both at unit length; skills known from repositories alone are
    left out, as the repositories speak for them.

    Args:
        facets: What to place.
        text_vectors: Text → unit vector, for the facets' texts; a facet whose text is not in it is left out.
        skill_profiles: `platform.skill_profiles`: `developer_id`, `skill_id`, `confidence`, `sources`.
        skill_vectors: Skill id → unit vector.
        model: Name of the model that made the vectors.

    Returns:
        `developer_id`, `facet`, `model`, `inputs_sha256`, `vector`, ordered by developer and facet. Vectors are finite
        and of length 1: where parts cancel out, the facet is left out.
    """
    skills_of = _stated_skills(skill_profiles, skill_vectors)
    rows = []
    for facet in facets:
        text_vector = text_vectors.get(facet.text)
        if text_vector is None:
            continue
        skills = _skills_of_facet(facet, skills_of)
        vector = _mean_direction(text_vector, [(skill_vectors[skill], weight) for skill, weight in skills])
        if vector is not None:
            sha = _facet_sha256(facet, skills, model)
            rows.append((facet.developer_id, facet.name, model, sha, vector))
    return pd.DataFrame(rows, columns=["developer_id", "facet", "model", "inputs_sha256", "vector"])


def _stated_skills(
    skill_profiles: pd.DataFrame, known_skills: Container[str]
) -> dict[str, list[tuple[str, float]]]:
    """Developer → their skills with confidence, those known from repositories alone left out, ordered by id."""
    is_stated = [set(sources) != {_GITHUB} for sources in skill_profiles["sources"]]
    stated = skill_profiles.loc[np.array(is_stated, dtype=np.bool_)]
    return {
        str(developer_id): sorted(
            (skill, confidence)
            for skill, confidence in zip(rows["skill_id"], rows["confidence"])
            if skill in known_skills
        )
        for developer_id, rows in stated.groupby("developer_id")
    }


def _skills_of_facet(
    facet: Facet, skills_of: Mapping[str, list[tuple[str, float]]]
) -> list[tuple[str, float]]:
    return skills_of.get(facet.developer_id, []) if facet.name == PROFILE_FACET else []


def _facet_sha256(facet: Facet, skills: Iterable[tuple[str, float]], model: str) -> str:
    return inputs_sha256(model, facet.text, *(f"{skill} {confidence!r}" for skill, confidence in skills))


def project_inputs(projects: pd.DataFrame, *, model: str) -> pd.DataFrame:
    """What each project's vector is made of; a project without text has none.

    Args:
        projects: `marketplace.projects`: `project_id`, `title`, `description`.
        model: Name of the model.

    Returns:
        `project_id`, `model`, `inputs_sha256`, `text`, ordered by project.
    """
    texts = (
        (project_id, project_text(title, _present(description)))
        for project_id, title, description in sorted(
            zip(projects["project_id"], projects["title"], projects["description"])
        )
    )
    rows = [(project_id, model, inputs_sha256(model, text), text) for project_id, text in texts if text]
    return pd.DataFrame(rows, columns=["project_id", "model", "inputs_sha256", "text"])


def project_vectors(
    projects: pd.DataFrame, text_vectors: Mapping[str, Vector], *, model: str
) -> pd.DataFrame:
    """Rows of `platform.project_vectors`, ordered by project.

    Args:
        projects: `marketplace.projects`: `project_id`, `title`, `description`.
        text_vectors: Text → unit vector, for the texts of `project_text`; a project without text is left out.
        model: Name of the model that made the vectors.

    Returns:
        `project_id`, `model`, `inputs_sha256`, `vector`.
    """
    rows = project_inputs(projects, model=model)
    rows = rows[rows["text"].isin(list(text_vectors))]
    vectors = pd.Series([text_vectors[text] for text in rows["text"]], index=rows.index, dtype=object)
    return rows[["project_id", "model", "inputs_sha256"]].assign(vector=vectors)


def changed_rows(inputs: pd.DataFrame, stored: pd.DataFrame, key: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows are not stored, or were made of something else.

    Args:
        inputs: Rows as they should be: the key, and columns that say what a row is made of.
        stored: Rows as they are, with the same columns.
        key: Names of the key's columns.
    """
    columns = [*key, *(name for name in inputs.columns if name in stored.columns and name not in key)]
    known = set(stored[columns].itertuples(index=False, name=None))
    rows = inputs[columns].itertuples(index=False, name=None)
    return np.array([row not in known for row in rows], dtype=np.bool_)


def inputs_sha256(*parts: str) -> str:
    """SHA-256 over texts in order; their lengths count, so that no two lists of parts collide by joining."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", errors="replace")
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return digest.hexdigest()


def _present(value: Any) -> str | None:
    """The text of a cell; a frame has NaN where a nullable column has none."""
    return value if isinstance(value, str) else None


def _mean_direction(text_vector: Vector, weighted: Sequence[tuple[Vector, float]]) -> Vector | None:
    total = text_vector.astype(np.float64)
    if weighted:
        skills = sum(
            (weight * vector.astype(np.float64) for vector, weight in weighted), np.zeros(len(total))
        )
        total = total + (_unit(skills) if np.linalg.norm(skills) > 0 else 0.0)
    norm = float(np.linalg.norm(total))
    if not np.isfinite(norm) or norm < 1e-6:
        return None
    return _unit(total).astype(np.float32)


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    unit: npt.NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit


def _name_words(name: str) -> str:
    return _SPACE.sub(" ", _SEPARATORS.sub(" ", name)).strip()


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where there is a space to cut at."""
    if len(text) <= limit:
        return text
    head, _, _ = text[: limit + 1].rpartition(" ")
    return head or text[:limit]
