"""The match score: what each term is worth, and the one routine that scores pairs.

    score = work + skills + rate + availability + reputation + recency

Work is log Σ exp(e) over a developer's facets f, with e = w_technologies · fit of languages + w_meaning · cosine of the
texts + w_title · words of the title. So the best facet decides and further related ones add to it. With the shares
p ∝ exp(e), log Σ exp(e) = Σ p·e + entropy(p) exactly: the first sum falls apart into the three terms, and the entropy is
the term `breadth`, what having several related facets adds. In units of natural log-odds, under a choice model in
which a project picks a developer with probability ∝ exp(score).

Work and skills only add; the other terms lie within ± their weight. A missing input is neutral: it adds nothing and
its term is None instead of 0. Every term is rounded to 1e-6 and the score is their sum, so reasons add up to the score.
Who may be matched at all is `filters`; the search for the best is `top_k`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from platform_assets.matching.features import (
    NO_REPOSITORY,
    DeveloperFeatures,
    MatchingInputError,
    ProjectFeatures,
)
from platform_assets.matching.repositories import Floats, Integers

SCORE_DECIMALS = 6
UNITS_PER_POINT = 10**SCORE_DECIMALS
"""Terms are kept as whole millionths, so that their sum is exact."""

TERMS = (
    "technologies",
    "meaning",
    "title",
    "breadth",
    "skills",
    "rate",
    "availability",
    "reputation",
    "recency",
)


@dataclass(frozen=True)
class Weight:
    """A number of the score and why it is what it is."""

    value: float
    reason: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value >= 0):
            raise ValueError(f"A weight is finite and not negative: {self.value}")


_FITTED = "fitted by benchmarks.fit_matching on contributions to real projects"
_JUDGED = "set by judgement, below the differences that work makes, until outcomes of matches say better"


@dataclass(frozen=True)
class Weights:
    """What each term is worth, in natural log-odds."""

    technologies: Weight = Weight(2.9, _FITTED)
    meaning: Weight = Weight(4.1, _FITTED)
    title: Weight = Weight(6.3, _FITTED)
    skills: Weight = Weight(0.5, _JUDGED)
    rate: Weight = Weight(0.15, _JUDGED)
    availability: Weight = Weight(0.15, _JUDGED)
    reputation: Weight = Weight(0.3, _JUDGED)
    recency: Weight = Weight(0.1, _JUDGED)

    def __post_init__(self) -> None:
        if not any(getattr(self, field.name).value for field in fields(self)):
            raise ValueError("All weights are 0: every pair would score alike")


DEFAULT_WEIGHTS = Weights()

PRIOR_RATING = 4.0
PRIOR_RATINGS_COUNT = 5.0
"""A new developer counts as rated 4 of 5 by five clients; own ratings move that by their number."""

RECENCY_HALF_LIFE_DAYS = 365.0

MAX_TITLE_RARITY = 2.0
"""A long title matches no better for its length: beyond two rare words, matches count as a share of the title."""


@dataclass(frozen=True)
class Scores:
    """Scores of one project with a list of developers.

    Attributes:
        units: Each term in millionths, shape (developers, terms), int64, in the order of `TERMS`.
        known: Whether the inputs of each term are there, shape (developers, terms).
    """

    units: Integers
    known: npt.NDArray[np.bool_]

    @property
    def totals(self) -> Integers:
        """Scores in millionths, shape (developers,)."""
        totals: Integers = self.units.sum(axis=1)
        return totals

    def reasons(self, row: int) -> dict[str, float | None]:
        """Term → its part of the score; None where an input is missing, which counts as 0."""
        return {
            term: self.units[row, i] / UNITS_PER_POINT if self.known[row, i] else None
            for i, term in enumerate(TERMS)
        }


def score_pair(
    project: ProjectFeatures,
    developers: DeveloperFeatures,
    developer: int,
    *,
    weights: Weights = DEFAULT_WEIGHTS,
) -> tuple[float, dict[str, float | None]]:
    """Score one pair: the routine that decides.

    Args:
        project: The project.
        developers: Features that hold the developer.
        developer: The developer's position.
        weights: What terms are worth.

    Returns:
        The score, rounded to 1e-6, and each term's part of it.
    """
    scores = score_developers(project, developers, np.array([developer]), weights=weights)
    return int(scores.totals[0]) / UNITS_PER_POINT, scores.reasons(0)


def score_developers(
    project: ProjectFeatures,
    developers: DeveloperFeatures,
    positions: Integers,
    *,
    weights: Weights = DEFAULT_WEIGHTS,
    cosines: Floats | None = None,
) -> Scores:
    """Score developers for one project in float64.

    A developer's score does not depend on who else is in `positions`: every step is element by element, or a sum
    whose order depends on the pair alone.

    Args:
        project: The project.
        developers: Features of all developers.
        positions: Positions of the developers to score, ascending and distinct.
        weights: What terms are worth.
        cosines: Cosine of every facet of `developers` with the project; computed in float64 when not given. Those of
            a matrix product serve for a preselection only.

    Returns:
        The scores, in the order of `positions`.
    """
    facets, owner = _facets_of(developers, positions)
    technologies = _technologies(project, developers, facets)
    meaning = _meaning(project, developers, facets, cosines)
    title = _title(project, developers, facets)
    work = _work_parts(
        np.stack(
            [
                weights.technologies.value * technologies,
                weights.meaning.value * meaning,
                weights.title.value * title,
            ],
            axis=1,
        ),
        owner,
        len(positions),
    )
    signed = np.stack(
        [
            weights.skills.value * _coverage(project, developers)[positions],
            weights.rate.value * _rate(project, developers)[positions],
            weights.availability.value * _availability(project, developers)[positions],
            weights.reputation.value * _reputation(developers)[positions],
            weights.recency.value * _recency(developers)[positions],
        ],
        axis=1,
    )
    has_facet = np.zeros(len(positions), dtype=np.bool_)
    has_facet[owner] = True
    has_vector = np.zeros(len(positions), dtype=np.bool_)
    if project.vector is not None:
        has_vector[owner[developers.has_vector[facets]]] = True
    has_repository = np.zeros(len(positions), dtype=np.bool_)
    has_repository[owner[developers.facet_repository[facets] != NO_REPOSITORY]] = True
    known = np.concatenate(
        [
            np.stack(
                [
                    has_repository & bool(project.requirements),
                    has_vector,
                    has_repository & bool(project.title_words),
                    has_facet,
                ],
                axis=1,
            ),
            ~np.isnan(signed),
        ],
        axis=1,
    )
    parts = np.concatenate([work, np.nan_to_num(signed)], axis=1)
    return Scores(units=np.rint(parts * UNITS_PER_POINT).astype(np.int64), known=known)


def facet_similarities(project: ProjectFeatures, developers: DeveloperFeatures, facets: Integers) -> Floats:
    """Technologies, meaning and title of facets with a project before weights, shape (facets, 3)."""
    return np.stack(
        [
            _technologies(project, developers, facets),
            _meaning(project, developers, facets, None),
            _title(project, developers, facets),
        ],
        axis=1,
    )


def _facets_of(developers: DeveloperFeatures, positions: Integers) -> tuple[Integers, Integers]:
    """Facets of the given developers, and for each the row of its developer in `positions`."""
    row_of = np.full(len(developers.developer_ids), -1, dtype=np.int64)
    row_of[positions] = np.arange(len(positions))
    owner = row_of[developers.facet_developer]
    facets = np.flatnonzero(owner >= 0)
    return facets, owner[facets]


def _technologies(project: ProjectFeatures, developers: DeveloperFeatures, facets: Integers) -> Floats:
    """Cosine of required weights × rarity with a repository's skills, from 0 to 1."""
    fit = np.zeros(developers.repository_skills.shape[0])
    asked = {
        developers.skill_ids[skill]: weight
        for skill, weight in sorted(project.requirements.items())
        # What no repository shows (frameworks, methods) would only dilute the comparison; `skills` speaks of it.
        if weight > 0
        and skill in developers.skill_ids
        and developers.skill_rarity[developers.skill_ids[skill]] < 1
    }
    wanted = {column: weight * developers.skill_rarity[column] for column, weight in asked.items()}
    norm = np.sqrt(sum(value * value for value in wanted.values()))
    if norm > 0:
        for column, value in wanted.items():
            fit += value / norm * developers.repository_skills[:, [column]].toarray().ravel()
    return _of_facets(fit, developers, facets)


def _meaning(
    project: ProjectFeatures, developers: DeveloperFeatures, facets: Integers, cosines: Floats | None
) -> Floats:
    """Cosine of a facet's vector with the project's, from 0 to 1; opposite meanings count as unrelated."""
    if project.vector is None or developers.dimensions == 0:
        return np.zeros(len(facets))
    if cosines is None:
        check_dimensions(project, developers)
        products = developers.vectors[facets].astype(np.float64) * project.vector.astype(np.float64)
        return np.clip(_sum_in_halves(products), 0.0, 1.0)
    return np.clip(cosines[facets], 0.0, 1.0)


def check_dimensions(project: ProjectFeatures, developers: DeveloperFeatures) -> None:
    """Refuse vectors of different models.

    Raises:
        MatchingInputError: The lengths of the vectors differ.
    """
    if project.vector is not None and developers.dimensions not in (0, len(project.vector)):
        raise MatchingInputError(
            f"The vector of project {project.project_id} has {len(project.vector)} dimensions, developers' have "
            f"{developers.dimensions}: were they made by two models? Materialize the vectors again"
        )


def _sum_in_halves(products: Floats) -> Floats:
    """Sums of rows in an order that depends on the row's length alone, unlike a matrix product's."""
    while products.shape[1] > 1:
        if products.shape[1] % 2:
            products = np.pad(products, ((0, 0), (0, 1)))
        half = products.shape[1] // 2
        products = products[:, :half] + products[:, half:]
    return products[:, 0]


def _title(project: ProjectFeatures, developers: DeveloperFeatures, facets: Integers) -> Floats:
    """Words of the title in a repository's words, weighted by rarity."""
    found = np.zeros(developers.repository_words.shape[0])
    columns = sorted(developers.words[word] for word in project.title_words if word in developers.words)
    total = sum(float(developers.word_rarity[column]) for column in columns)
    for column in columns:
        used = developers.repository_words[:, [column]].toarray().ravel()
        found += developers.word_rarity[column] * used
    return _of_facets(found / max(1.0, total / MAX_TITLE_RARITY), developers, facets)


def _of_facets(repository_values: Floats, developers: DeveloperFeatures, facets: Integers) -> Floats:
    repository = developers.facet_repository[facets]
    values = np.zeros(len(facets))
    values[repository != NO_REPOSITORY] = repository_values[repository[repository != NO_REPOSITORY]]
    return values


def _work_parts(evidence: Floats, owner: Integers, developers_count: int) -> Floats:
    """Technologies, meaning, title and breadth of developers, from the weighted terms of their facets.

    Args:
        evidence: Weighted terms, shape (facets, 3).
        owner: Row of each facet's developer.
        developers_count: Number of developers.

    Returns:
        Shape (developers, 4); zero for a developer without facets.
    """
    total = evidence[:, 0] + evidence[:, 1] + evidence[:, 2]
    best = np.zeros(developers_count)
    np.maximum.at(best, owner, total)
    share = np.exp(total - best[owner])
    share /= np.bincount(owner, weights=share, minlength=developers_count)[owner]
    parts = np.zeros((developers_count, 4))
    for term in range(3):
        parts[:, term] = np.bincount(owner, weights=share * evidence[:, term], minlength=developers_count)
    surprise = -share * np.log(share, out=np.zeros_like(share), where=share > 0)
    parts[:, 3] = np.bincount(owner, weights=surprise, minlength=developers_count)
    return parts


def _coverage(project: ProjectFeatures, developers: DeveloperFeatures) -> Floats:
    """Share of what is asked that the developer is sure to bring, weighted by importance and rarity; NaN unknown."""
    covered = np.zeros(len(developers.developer_ids))
    asked = 0.0
    for skill, weight in sorted(project.requirements.items()):
        column = developers.skill_ids.get(skill)
        # A skill that nobody has is as rare as can be, and nobody covers it.
        importance = weight * (1.0 if column is None else float(developers.confidence_rarity[column]))
        asked += importance
        if column is not None:
            covered += importance * developers.confidences[:, [column]].toarray().ravel()
    if asked <= 0:
        return np.full_like(covered, np.nan)
    return np.where(developers.has_skills, covered / asked, np.nan)


def _rate(project: ProjectFeatures, developers: DeveloperFeatures) -> Floats:
    """+1 for work at no cost, 0 at half the highest rate, -1 at the highest; NaN when not comparable."""
    if project.max_hourly_rate_minor is None or project.max_hourly_rate_minor <= 0:
        return np.full(len(developers.developer_ids), np.nan)
    comparable = developers.currencies == (project.currency or "")
    value = 1.0 - 2.0 * developers.hourly_rate_minor / project.max_hourly_rate_minor
    return np.where(comparable, np.clip(value, -1.0, 1.0), np.nan)


def _availability(project: ProjectFeatures, developers: DeveloperFeatures) -> Floats:
    """+1 when all the wanted hours a week are free, -1 when none; NaN when either is unknown."""
    if project.hours_per_week is None or project.hours_per_week <= 0:
        return np.full(len(developers.developer_ids), np.nan)
    return np.clip(2.0 * np.minimum(developers.capacity_hours / project.hours_per_week, 1.0) - 1.0, -1.0, 1.0)


def _reputation(developers: DeveloperFeatures) -> Floats:
    """Rating above or below the prior, shrunk by the number of ratings, from -1 to 1; NaN when never rated."""
    count = developers.rating_count
    shrunk = (count * developers.rating_average + PRIOR_RATINGS_COUNT * PRIOR_RATING) / (
        count + PRIOR_RATINGS_COUNT
    )
    return np.where(count > 0, np.clip(shrunk - PRIOR_RATING, -1.0, 1.0), np.nan)


def _recency(developers: DeveloperFeatures) -> Floats:
    """+1 for a contribution today, 0 after one half-life, towards -1 after many; NaN when none is known."""
    return 2.0 * np.exp2(-developers.idle_days / RECENCY_HALF_LIFE_DAYS) - 1.0


def weights_from_values(values: Mapping[str, float], *, reason: str) -> Weights:
    """Weights with the given values and one reason; terms that are not named keep their default."""
    defaults = {field.name: getattr(DEFAULT_WEIGHTS, field.name) for field in fields(Weights)}
    return Weights(**(defaults | {name: Weight(value, reason) for name, value in values.items()}))
