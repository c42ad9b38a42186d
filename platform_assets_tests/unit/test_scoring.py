from __future__ import annotations

import matching_inputs as given_that
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.matching.features import MatchingInputError
from platform_assets.matching.scoring import (
    TERMS,
    Weight,
    Weights,
    score_developers,
    score_pair,
    weights_from_values,
)


def _score(people, posted, **sides):
    project_sides = {name: sides.pop(name) for name in ("requirements", "wanted") if name in sides}
    developers = given_that.developer_side(given_that.developers(*people), **sides)
    (project,) = given_that.project_side(
        given_that.projects(posted),
        requirements=project_sides.get("requirements", ()),
        placed=project_sides.get("wanted", ()),
    )
    return [score_pair(project, developers, i) for i in range(len(developers.developer_ids))]


def _work(developer, repository, **values):
    return {"developer_id": developer, "repository": repository, **values}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_reasons_add_up_to_the_score_in_every_pair(seed):
    developers, projects = given_that.random_marketplace(seed, 12, 3)
    for project in projects:
        for position in range(len(developers.developer_ids)):
            score, reasons = score_pair(project, developers, position)
            assert set(reasons) == set(TERMS)
            assert sum(round(part * 1e6) for part in reasons.values() if part is not None) == round(
                score * 1e6
            )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_a_pairs_score_does_not_depend_on_who_is_scored_with_it(seed, data):
    developers, projects = given_that.random_marketplace(seed, 40, 2, dimensions=384)
    count = len(developers.developer_ids)
    chosen = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1))))
    for project in projects:
        everybody = score_developers(project, developers, np.arange(count))
        some = score_developers(project, developers, chosen)
        assert (some.units == everybody.units[chosen]).all()
        one = int(chosen[0])
        assert score_pair(project, developers, one)[0] == everybody.totals[one] / 1e6


def test_a_developer_about_whom_nothing_is_known_scores_zero_and_is_told_so():
    [(score, reasons)] = _score([{"developer_id": "a"}], {"project_id": "p", "title": "anything"})
    assert score == 0
    assert reasons == dict.fromkeys(TERMS)


def test_a_missing_rate_is_neutral_between_a_low_and_a_high_one():
    people = [
        {"developer_id": "a-low", "hourly_rate_minor": 1_000, "currency": "EUR"},
        {"developer_id": "b-none"},
        {"developer_id": "c-high", "hourly_rate_minor": 10_000, "currency": "EUR"},
    ]
    low, none, high = _score(people, {"project_id": "p", "max_hourly_rate_minor": 10_000, "currency": "EUR"})
    assert low[0] > none[0] > high[0]
    assert none[1]["rate"] is None


def test_a_rate_in_another_currency_is_not_compared():
    people = [{"developer_id": "a", "hourly_rate_minor": 1, "currency": "JPY"}]
    [(_, reasons)] = _score(people, {"project_id": "p", "max_hourly_rate_minor": 9_000, "currency": "EUR"})
    assert reasons["rate"] is None


def test_the_nearest_repository_decides_and_a_second_one_adds_breadth():
    placed = given_that.vectors(
        ("a", "o/near", [1, 0]),
        ("b", "o/far", [0, 1]),
        ("b", "o/near", [1, 0]),
        ("c", "o/far", [0, 1]),
    )
    both = [_work("a", "o/near"), _work("b", "o/far"), _work("b", "o/near"), _work("c", "o/far")]
    near, two, far = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        work=given_that.repositories(*both),
        placed=placed,
        wanted=[("p", [1, 0])],
    )
    assert two[0] > near[0] > far[0]
    assert near[1]["breadth"] == 0
    assert two[1]["breadth"] > 0


def test_rare_languages_tell_more_than_those_everybody_uses():
    work = [
        _work("a", "o/a", languages={"Rust": 1, "YAML": 1}),
        _work("b", "o/b", languages={"Python": 1, "YAML": 1}),
        _work("c", "o/c", languages={"Python": 1, "YAML": 1}),
    ]
    rust, python, _ = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        work=given_that.repositories(*work),
        requirements=[("p", "rust", 1.0), ("p", "yaml", 1.0)],
    )
    assert rust[1]["technologies"] > 0
    assert python[1]["technologies"] == 0


def test_a_required_skill_that_no_repository_shows_does_not_dilute_the_languages():
    sides = {"work": given_that.repositories(_work("a", "o/a", languages={"Rust": 1}), _work("b", "o/b"))}
    people = [{"developer_id": "a"}, {"developer_id": "b"}]
    alone = _score(people, {"project_id": "p"}, requirements=[("p", "rust", 1.0)], **sides)
    beside = _score(
        people, {"project_id": "p"}, requirements=[("p", "rust", 1.0), ("p", "kafka", 1.0)], **sides
    )
    assert alone[0][1]["technologies"] == beside[0][1]["technologies"] > 0


def test_skills_are_weighed_by_confidence():
    skills = given_that.skill_profiles(
        {"developer_id": "a", "skill_id": "kafka", "confidence": 0.9},
        {"developer_id": "b", "skill_id": "kafka", "confidence": 0.3},
        {"developer_id": "c", "skill_id": "rust", "confidence": 0.9},
    )
    sure, unsure, other = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        skills=skills,
        requirements=[("p", "kafka", 1.0)],
    )
    assert sure[1]["skills"] > unsure[1]["skills"] > other[1]["skills"] == 0


def test_words_of_the_title_count_in_the_work_of_a_repositorys_other_contributors_too():
    work = [
        _work("a", "o/a", subjects=["speed up dask graphs"]),
        _work("b", "o/a", subjects=["typo"]),
        _work("c", "o/c", subjects=["typo"]),
    ]
    own, colleague, stranger = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p", "title": "dask/dask"},
        work=given_that.repositories(*work),
    )
    assert own[1]["title"] == colleague[1]["title"] > stranger[1]["title"] == 0


def test_a_single_rating_moves_reputation_less_than_many():
    people = [
        {"developer_id": "a", "rating_average": 5.0, "rating_count": 1},
        {"developer_id": "b", "rating_average": 5.0, "rating_count": 50},
        {"developer_id": "c", "rating_average": 1.0, "rating_count": 50},
    ]
    one, many, bad = _score(people, {"project_id": "p"})
    assert many[1]["reputation"] > one[1]["reputation"] > 0 > bad[1]["reputation"]


def test_too_few_free_hours_lower_the_score():
    people = [
        {"developer_id": "a", "capacity_hours_per_week": 40},
        {"developer_id": "b"},
        {"developer_id": "c", "capacity_hours_per_week": 0},
    ]
    free, unknown, busy = _score(people, {"project_id": "p", "hours_per_week": 30})
    assert free[0] > unknown[0] > busy[0]


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0], [3.0, 4.0]])
def test_a_vector_that_is_not_finite_or_not_of_length_one_is_refused(bad):
    placed = given_that.vectors(("a", "profile", [1, 0]))
    placed.at[0, "vector"] = np.array(bad, dtype=np.float32)
    with pytest.raises(MatchingInputError, match="vector of a"):
        given_that.developer_side(given_that.developers({"developer_id": "a"}), placed=placed)


def test_vectors_of_two_models_are_refused():
    placed = given_that.vectors(("a", "profile", [1, 0]), ("b", "profile", [1, 0, 0]))
    people = given_that.developers({"developer_id": "a"}, {"developer_id": "b"})
    with pytest.raises(MatchingInputError, match="two models"):
        given_that.developer_side(people, placed=placed)
    developers = given_that.developer_side(people, placed=placed.iloc[:1])
    (project,) = given_that.project_side(given_that.projects({"project_id": "p"}), placed=[("p", [1, 0, 0])])
    with pytest.raises(MatchingInputError, match="two models"):
        score_pair(project, developers, 0)


def test_weights_that_sum_to_zero_or_are_no_weights_are_refused():
    names = ["technologies", "meaning", "title", "skills", "rate", "availability", "reputation", "recency"]
    with pytest.raises(ValueError, match="score alike"):
        weights_from_values(dict.fromkeys(names, 0.0), reason="none")
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            Weight(bad, "bad")
    assert Weights().meaning.value > 0
