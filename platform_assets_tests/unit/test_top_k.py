from __future__ import annotations

import time

import matching_inputs as given_that
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.matching.features import MatchingInputError
from platform_assets.matching.scoring import score_pair, weights_from_values
from platform_assets.matching.top_k import (
    MATCH_COLUMNS,
    best_developers,
    cosine_error,
    publish,
    rank_candidates,
)


def _everybody(developers):
    return lambda project: np.ones(len(developers.developer_ids), dtype=np.bool_)


def _brute_force(projects, developers, allowed, count, weights):
    rows = []
    for project in projects:
        mask = allowed(project)
        scored = [
            (*score_pair(project, developers, i, weights=weights), developer)
            for i, developer in enumerate(developers.developer_ids)
            if mask[i]
        ]
        scored.sort(key=lambda row: (-row[0], row[2]))
        rows += [
            (project.project_id, developer, rank, score, reasons)
            for rank, (score, reasons, developer) in enumerate(scored[:count], start=1)
        ]
    return rows


def _rank(projects, developers, allowed=None, *, k=3, reserve=2, **options):
    return rank_candidates(
        projects,
        developers,
        allowed or _everybody(developers),
        k=k,
        reserve=reserve,
        as_of=given_that.AS_OF,
        **options,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    developers_count=st.integers(1, 40),
    projects_count=st.integers(1, 5),
    k=st.integers(1, 12),
    reserve=st.integers(0, 6),
    block=st.integers(1, 6),
    ties=st.booleans(),
    passed=st.floats(0, 1),
    meaning=st.floats(0, 50),
)
def test_the_result_is_that_of_scoring_and_sorting_every_permitted_pair(
    seed, developers_count, projects_count, k, reserve, block, ties, passed, meaning
):
    developers, projects = given_that.random_marketplace(seed, developers_count, projects_count, ties=ties)
    rng = np.random.default_rng(seed)
    masks = {project.project_id: rng.random(developers_count) < passed for project in projects}
    weights = weights_from_values({"meaning": meaning}, reason="test")

    def allowed(project):
        return masks[project.project_id]

    found = _rank(
        projects, developers, allowed, k=k, reserve=reserve, weights=weights, projects_per_block=block
    )
    expected = _brute_force(projects, developers, allowed, k + reserve, weights)
    assert [tuple(row) for row in found.drop(columns="as_of").itertuples(index=False)] == expected


def test_the_frame_has_the_columns_of_the_table_even_when_it_is_empty():
    developers, projects = given_that.random_marketplace(1, 5, 2)
    nobody = given_that.developer_side(given_that.developers())
    for empty in (
        _rank((), developers),
        _rank(projects, nobody),
        _rank(projects, developers, lambda _: np.zeros(5, dtype=np.bool_)),
    ):
        assert list(empty.columns) == list(MATCH_COLUMNS)
        assert empty.empty
        assert publish(empty, 3).empty


def test_a_pool_smaller_than_k_is_listed_whole():
    developers, projects = given_that.random_marketplace(2, 4, 1)
    assert list(_rank(projects, developers, k=50, reserve=25)["rank"]) == [1, 2, 3, 4]


def test_equal_scores_are_ordered_by_developer_id():
    people = given_that.developers(*({"developer_id": name} for name in ("c", "a", "b")))
    found = _rank(
        given_that.project_side(given_that.projects({"project_id": "p"})), given_that.developer_side(people)
    )
    assert list(found["developer_id"]) == ["a", "b", "c"]
    assert set(found["score"]) == {0.0}


def test_developers_without_skills_and_projects_without_requirements_are_matched_by_what_there_is():
    people = given_that.developers(
        {"developer_id": "a", "rating_average": 5.0, "rating_count": 9}, {"developer_id": "b"}
    )
    found = _rank(
        given_that.project_side(given_that.projects({"project_id": "p"})), given_that.developer_side(people)
    )
    assert list(found["developer_id"]) == ["a", "b"]
    assert found["score"].iloc[0] > found["score"].iloc[1] == 0


def test_publish_keeps_the_first_k_of_each_project():
    developers, projects = given_that.random_marketplace(3, 20, 2)
    candidates = _rank(projects, developers, k=4, reserve=3)
    published = publish(candidates, 4)
    assert published.groupby("project_id")["rank"].max().tolist() == [4, 4]
    assert len(published) == 8


def test_a_preselection_that_is_off_by_the_bound_still_holds_the_best():
    rng = np.random.default_rng(5)
    people = [f"d{i:03}" for i in range(200)]
    base = rng.normal(size=384)
    # All nearly alike, so that the preselection's error decides if anything does.
    placed = given_that.vectors(*((name, "profile", base + 1e-5 * rng.normal(size=384)) for name in people))
    developers = given_that.developer_side(
        given_that.developers(*({"developer_id": name} for name in people)), placed=placed
    )
    (project,) = given_that.project_side(given_that.projects({"project_id": "p"}), placed=[("p", base)])
    exact = developers.vectors.astype(np.float64) @ project.vector.astype(np.float64)
    everybody = np.arange(len(people))
    _, scores = best_developers(project, developers, everybody, count=5)
    best = set(np.lexsort((everybody, -scores.totals))[:5])
    for _ in range(20):
        off = exact + rng.choice([-1, 1], size=len(people)) * cosine_error(384)
        positions, _ = best_developers(project, developers, everybody, count=5, cosines=off)
        assert best <= set(positions)


def test_the_bound_holds_for_float32_products():
    rng = np.random.default_rng(6)
    left = rng.normal(size=(500, 384))
    left = (left / np.linalg.norm(left, axis=1, keepdims=True)).astype(np.float32)
    exact = left.astype(np.float64) @ left.astype(np.float64).T
    assert np.abs((left @ left.T).astype(np.float64) - exact).max() < cosine_error(384)


def test_senseless_arguments_are_refused():
    developers, projects = given_that.random_marketplace(4, 3, 1)
    with pytest.raises(ValueError, match="k=0"):
        _rank(projects, developers, k=0)
    with pytest.raises(ValueError, match="reserve=-1"):
        _rank(projects, developers, reserve=-1)
    with pytest.raises(ValueError, match="filter of project"):
        _rank(projects, developers, lambda _: np.ones(2, dtype=np.bool_))


def test_mixed_dimensions_are_refused():
    developers, _ = given_that.random_marketplace(4, 30, 1)
    projects = given_that.project_side(given_that.projects({"project_id": "p"}), placed=[("p", [1, 0, 0])])
    with pytest.raises(MatchingInputError, match="two models"):
        _rank(projects, developers)


def test_a_thousand_developers_and_two_hundred_projects_take_less_than_two_seconds():
    developers, projects = given_that.random_marketplace(7, 1_000, 200, dimensions=384)
    started = time.process_time()
    found = _rank(projects, developers, k=50, reserve=25)
    # Time of the processor, so that a busy machine does not fail it.
    assert time.process_time() - started < 2.0
    assert len(found) == 200 * 75
