from __future__ import annotations

import time

import matching_inputs as given_that
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from platform_assets.matching.blocks import ProjectBlock
from platform_assets.matching.kernels import (
    BFLOAT16,
    FLOAT32,
    developer_side,
    plan_columns,
    project_side,
    standing,
)
from platform_assets.matching.project_rows import project_rows
from platform_assets.matching.scoring import score_pairs
from platform_assets.matching.top_k import (
    MATCH_COLUMNS,
    BlockShape,
    best_pairs,
    last_kept_scores,
    rank_candidates,
)
from platform_assets.matching.vectors import MatchingInputError
from platform_assets.matching.weights import DEFAULT_WEIGHTS, weights_from_values


def _everybody(projects, developers):
    return np.ones(len(projects), dtype=np.bool_)


def _brute_force(projects, developers, may_match, count, weights=DEFAULT_WEIGHTS):
    rows = []
    for row, project in enumerate(projects):
        positions = np.flatnonzero(may_match[row])
        pairs = np.stack([np.full(len(positions), row), positions], axis=1)
        scores = score_pairs(projects, developers, pairs, weights=weights)
        scored = sorted(
            (
                (scores.points[i], developers.developer_ids[position], scores.reasons(i))
                for i, position in enumerate(positions)
            ),
            key=lambda found: (-found[0], found[1]),
        )
        rows += [
            (project.project_id, developer, rank, score, reasons)
            for rank, (score, developer, reasons) in enumerate(scored[:count], start=1)
        ]
    return rows


def _rank(projects, developers, allowed=_everybody, *, k=3, reserve=2, **options):
    return rank_candidates(
        projects, developers, allowed, k=k, reserve=reserve, as_of=given_that.AS_OF, **options
    )


def _rows(frame):
    return [tuple(row) for row in frame.drop(columns="as_of").itertuples(index=False)]


_SHAPES = st.builds(
    BlockShape,
    projects=st.integers(1, 6),
    developers=st.integers(1, 60),
    workers=st.integers(1, 3),
    dense_columns=st.sampled_from([0, 2, 252]),
    kernel=st.sampled_from([FLOAT32, BFLOAT16]),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    developers_count=st.integers(1, 60),
    projects_count=st.integers(1, 6),
    k=st.integers(1, 12),
    reserve=st.integers(0, 6),
    shape=_SHAPES,
    ties=st.booleans(),
    passed=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    meaning=st.floats(0, 50),
)
def test_the_result_is_that_of_scoring_and_sorting_every_permitted_pair(
    seed, developers_count, projects_count, k, reserve, shape, ties, passed, meaning
):
    developers, projects = given_that.random_marketplace(seed, developers_count, projects_count, ties=ties)
    may_match = np.random.default_rng(seed).random((projects_count, developers_count)) < passed
    weights = weights_from_values({"meaning": meaning}, reason="test")

    found = _rank(
        projects,
        developers,
        lambda rows, positions: may_match[rows, positions],
        k=k,
        reserve=reserve,
        weights=weights,
        shape=shape,
    )

    assert _rows(found) == _brute_force(projects, developers, may_match, k + reserve, weights)


@pytest.mark.parametrize(
    ("passed", "dense_columns", "kernel"),
    [(0.002, 252, FLOAT32), (0.03, 2, BFLOAT16), (0.6, 0, FLOAT32), (0.6, 2, BFLOAT16), (0.6, 252, BFLOAT16)],
)
def test_a_pool_of_many_chunks_is_searched_exactly_whatever_the_filters_let_through(
    passed, dense_columns, kernel
):
    developers, projects = given_that.random_marketplace(11, 2_500, 7, dimensions=48)
    may_match = np.random.default_rng(1).random((7, 2_500)) < passed
    shape = BlockShape(projects=3, developers=1_000, dense_columns=dense_columns, kernel=kernel)

    found = _rank(
        projects, developers, lambda rows, positions: may_match[rows, positions], k=20, reserve=5, shape=shape
    )

    assert _rows(found) == _brute_force(projects, developers, may_match, 25)


@pytest.mark.parametrize("kernel", [FLOAT32, BFLOAT16])
def test_developers_that_differ_by_less_than_the_kernels_error_are_ordered_exactly(kernel):
    rng = np.random.default_rng(5)
    people = [f"d{i:04}" for i in range(2_000)]
    base = rng.normal(size=384)
    # All nearly alike, so that an approximate score alone would choose by its error.
    placed = given_that.vectors(*((name, "profile", base + 1e-4 * rng.normal(size=384)) for name in people))
    developers = given_that.developer_side(
        given_that.developers(*({"developer_id": name} for name in people)), placed=placed
    )
    projects = given_that.project_side(given_that.projects({"project_id": "p"}), placed=[("p", base)])

    found = _rank(projects, developers, k=50, reserve=25, shape=BlockShape(kernel=kernel))

    assert _rows(found) == _brute_force(projects, developers, np.ones((1, 2_000), dtype=np.bool_), 75)


# A sum that lies in the middle between two numbers of bfloat16.
@example(seed=408, kernel=BFLOAT16, dense_columns=0, factor=0.0, least=-np.inf)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    kernel=st.sampled_from([FLOAT32, BFLOAT16]),
    dense_columns=st.sampled_from([0, 30, 251]),
    factor=st.sampled_from([0.0, 1.0, 40.0]),
    least=st.sampled_from([-np.inf, 0.5, 4.0]),
)
def test_the_bounds_of_every_pair_enclose_its_score(seed, kernel, dense_columns, factor, least):
    developers, projects = given_that.random_marketplace(seed, 40, 6, dimensions=64)
    weights = weights_from_values(
        {name: factor * DEFAULT_WEIGHTS.values()[name] for name in ("title", "rate", "availability")},
        reason="test",
    )
    rows, standings = project_rows(projects, developers), standing(developers, weights)
    columns = plan_columns(rows, developers, most_dense=dense_columns)
    side = project_side(rows, columns, weights, kernel, largest_standing=float(np.abs(standings).max()))
    block = ProjectBlock(
        rows,
        side,
        columns,
        slice(0, 6),
        count=40,
        at_least=np.full(6, least),
        weights=weights,
        kernel=kernel,
    )
    block.see(
        developers,
        developer_side(rows, developers, np.arange(40), columns, standings, weights, kernel),
        _everybody,
    )

    kept = block.survivors
    scores = score_pairs(
        projects, developers, np.stack([kept.rows, kept.developers], axis=1), weights=weights
    )
    assert (kept.lower <= scores.points).all()
    assert (scores.points <= kept.upper).all()
    everything = np.stack(np.divmod(np.arange(6 * 40), 40), axis=1)
    reaching = score_pairs(projects, developers, everything, weights=weights).points >= least
    assert {*map(tuple, everything[reaching].tolist())} <= {
        *zip(kept.rows.tolist(), kept.developers.tolist())
    }


def test_developers_who_are_not_eligible_are_in_no_list():
    developers, projects = given_that.random_marketplace(14, 60, 4)
    eligible = np.arange(60) % 3 > 0

    found = best_pairs(projects, developers, _everybody, count=25, eligible=eligible)

    expected = best_pairs(projects, developers, lambda _, positions: eligible[positions], count=25)
    assert found.developers.tolist() == expected.developers.tolist()
    assert found.scores.units.tolist() == expected.scores.units.tolist()


def test_a_known_least_score_changes_nothing_about_those_who_reach_it():
    developers, projects = given_that.random_marketplace(12, 300, 5)
    everything = best_pairs(projects, developers, _everybody, count=20)
    least = np.array([np.sort(everything.scores.points[everything.projects == row])[10] for row in range(5)])

    found = best_pairs(projects, developers, _everybody, count=20, at_least=least)

    reaching = everything.scores.points >= least[everything.projects]
    assert found.projects.tolist() == everything.projects[reaching].tolist()
    assert found.developers.tolist() == everything.developers[reaching].tolist()
    assert found.scores.units.tolist() == everything.scores.units[reaching].tolist()


def test_the_score_of_the_last_place_is_told_for_full_lists_alone():
    developers, projects = given_that.random_marketplace(13, 6, 2)
    only_two = projects[1].project_id

    def allowed(rows, positions):
        return (rows == 0) | (positions < 2)

    found = _rank(projects, developers, allowed, k=3, reserve=1)

    full = found[found["project_id"] == projects[0].project_id]
    assert last_kept_scores(found, places=4) == {projects[0].project_id: full["score"].iloc[-1]}
    assert len(found[found["project_id"] == only_two]) == 2


def test_the_frame_has_the_columns_of_the_table_even_when_it_is_empty():
    developers, projects = given_that.random_marketplace(1, 5, 2)
    nobody = given_that.developer_side(given_that.developers())
    for empty in (
        _rank((), developers),
        _rank(projects, nobody),
        _rank((), nobody),
        _rank(projects, developers, lambda rows, _: np.zeros(len(rows), dtype=np.bool_)),
    ):
        assert list(empty.columns) == list(MATCH_COLUMNS)
        assert empty.empty


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


def test_senseless_arguments_are_refused():
    developers, projects = given_that.random_marketplace(4, 3, 1)
    with pytest.raises(ValueError, match="k=0"):
        _rank(projects, developers, k=0)
    with pytest.raises(ValueError, match="reserve=-1"):
        _rank(projects, developers, reserve=-1)
    with pytest.raises(ValueError, match="count=0"):
        best_pairs(projects, developers, _everybody, count=0)
    with pytest.raises(ValueError, match="at least one"):
        BlockShape(projects=0)
    with pytest.raises(ValueError, match="dense columns"):
        BlockShape(dense_columns=-1)


def test_mixed_dimensions_are_refused():
    developers, _ = given_that.random_marketplace(4, 30, 1)
    projects = given_that.project_side(given_that.projects({"project_id": "p"}), placed=[("p", [1, 0, 0])])
    with pytest.raises(MatchingInputError, match="two models"):
        _rank(projects, developers)


def test_an_error_in_a_filter_ends_the_search():
    developers, projects = given_that.random_marketplace(4, 30, 1)

    def broken(rows, positions):
        raise RuntimeError("no filter")

    with pytest.raises(RuntimeError, match="no filter"):
        _rank(projects, developers, broken)


def test_a_thousand_developers_and_two_hundred_projects_take_less_than_two_seconds():
    developers, projects = given_that.random_marketplace(7, 1_000, 200, dimensions=384)
    started = time.process_time()
    found = _rank(projects, developers, k=50, reserve=25)
    # Time of the processor, so that a busy machine does not fail it.
    assert time.process_time() - started < 2.0
    assert len(found) == 200 * 75
