from __future__ import annotations

from dataclasses import fields, replace

import matching_inputs as given_that
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.matching.developer_rows import RELATED_SHARE
from platform_assets.matching.scoring import TERMS, score_pairs
from platform_assets.matching.vectors import MatchingInputError
from platform_assets.matching.weights import DEFAULT_WEIGHTS, Weight, Weights, weights_from_values


def _score(people, posted, *, requirements=(), wanted=(), related=None, **sides):
    rows = given_that.developers(*people)
    known = given_that.statistics(rows, related=related, **sides)
    developers = given_that.developer_side(rows, known=known, **sides)
    projects = given_that.project_side(
        given_that.projects(posted), requirements=requirements, placed=wanted, known=known
    )
    count = len(developers.developer_ids)
    scores = score_pairs(projects, developers, [(0, i) for i in range(count)])
    return [(scores.points[i], scores.reasons(i)) for i in range(count)]


def _all_pairs(projects, developers):
    return np.array([(p, d) for p in range(len(projects)) for d in range(len(developers.developer_ids))])


def _work(developer, repository, **values):
    return {"developer_id": developer, "repository": repository, **values}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_reasons_add_up_to_the_score_in_every_pair(seed):
    developers, projects = given_that.random_marketplace(seed, 12, 3)
    scores = score_pairs(projects, developers, _all_pairs(projects, developers))
    for row, points in enumerate(scores.points):
        reasons = scores.reasons(row)
        assert set(reasons) == set(TERMS)
        assert sum(round(part * 1e6) for part in reasons.values() if part is not None) == round(points * 1e6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_a_pairs_score_is_the_same_bits_whoever_is_scored_or_even_known_with_it(seed, data):
    tables = given_that.random_tables(seed, 40, 3, dimensions=data.draw(st.sampled_from([3, 64, 384])))
    developers, projects = tables.developers(), tables.projects()
    pairs = _all_pairs(projects, developers)
    everything = score_pairs(projects, developers, pairs)
    some = np.array(data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=30)))

    anew = score_pairs(projects, developers, pairs[some])
    assert (anew.units == everything.units[some]).all()
    assert (anew.known == everything.known[some]).all()

    row, position = pairs[some[0]]
    alone = tables.developers([developers.developer_ids[position]])
    single = score_pairs(projects[row : row + 1], alone, [(0, 0)])
    assert single.units.tolist() == everything.units[some[:1]].tolist()
    assert single.known.tolist() == everything.known[some[:1]].tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_score_hangs_on_the_order_of_rows_in_the_tables(seed):
    tables = given_that.random_tables(seed, 15, 3)
    mixed = replace(
        tables,
        **{
            name: getattr(tables, name).sample(frac=1.0, random_state=seed)
            for name in ("people", "work", "placed", "skills", "posted")
        },
    )
    sides = {"work": mixed.work, "placed": mixed.placed, "skills": mixed.skills}
    mixed = replace(
        mixed,
        known=given_that.statistics(
            mixed.people, related=given_that.edges(("go", "rust", 0.1), ("rust", "tokio", 0.8)), **sides
        ),
    )
    assert mixed.known.version == tables.known.version
    pairs = _all_pairs(tables.projects(), tables.developers())
    before = score_pairs(tables.projects(), tables.developers(), pairs)
    after = score_pairs(mixed.projects(), mixed.developers(), pairs)
    assert (before.units == after.units).all()


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
        ("a", "o/near-a", [1, 0]),
        ("b", "o/far-b", [0, 1]),
        ("b", "o/near-b", [1, 0]),
        ("c", "o/far-c", [0, 1]),
    )
    work = [_work(developer, facet) for developer, facet in zip(placed["developer_id"], placed["facet"])]
    near, two, far = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        work=given_that.repositories(*work),
        placed=placed,
        wanted=[("p", [1, 0])],
    )
    assert two[0] > near[0] > far[0]
    assert near[1]["meaning"] == two[1]["meaning"] == DEFAULT_WEIGHTS.meaning.value
    assert two[1]["breadth"] > near[1]["breadth"] > 0


def test_a_facet_is_placed_between_own_work_and_that_of_all_its_contributors():
    placed = given_that.vectors(("a", "o/r", [1, 0]), ("b", "o/r", [0, 1]), ("c", "o/own", [1, 0]))
    own, colleague, single = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        work=given_that.repositories(_work("a", "o/r"), _work("b", "o/r"), _work("c", "o/own")),
        placed=placed,
        wanted=[("p", [1, 0])],
    )
    assert single[1]["meaning"] > own[1]["meaning"] > colleague[1]["meaning"] > 0


def test_opposite_meanings_count_against_a_pair():
    (found,) = _score(
        [{"developer_id": "a"}],
        {"project_id": "p"},
        placed=given_that.vectors(("a", "profile", [1, 0])),
        wanted=[("p", [-1, 0])],
    )
    assert found[0] == found[1]["meaning"] == -DEFAULT_WEIGHTS.meaning.value


def test_rare_skills_tell_more_than_those_everybody_has():
    skills = [
        {"developer_id": developer, "skill_id": skill, "confidence": 0.5}
        for developer, own in (("a", ("rust", "yaml")), ("b", ("python", "yaml")), ("c", ("python", "yaml")))
        for skill in own
    ]
    rust, python, _ = _score(
        [{"developer_id": d} for d in "abc"],
        {"project_id": "p"},
        skills=given_that.skill_profiles(*skills),
        requirements=[("p", "rust", 1.0), ("p", "yaml", 1.0)],
    )
    assert rust[1]["skills"] > 0
    assert python[1]["skills"] == 0


def test_a_related_skill_counts_in_part_and_never_beside_the_skill_itself():
    skills = given_that.skill_profiles(
        {"developer_id": "a", "skill_id": "flask", "confidence": 0.8},
        {"developer_id": "b", "skill_id": "django", "confidence": 0.8},
        {"developer_id": "c", "skill_id": "django", "confidence": 0.8},
        {"developer_id": "c", "skill_id": "flask", "confidence": 0.8},
        {"developer_id": "d", "skill_id": "cobol", "confidence": 0.8},
    )
    related, itself, both, none = _score(
        [{"developer_id": d} for d in "abcd"],
        {"project_id": "p"},
        skills=skills,
        requirements=[("p", "django", 1.0)],
        related=given_that.edges(("django", "flask", 0.5)),
    )
    worth = DEFAULT_WEIGHTS.skills.value
    assert related[1]["skills"] == pytest.approx(worth * 0.8 * 0.5 * RELATED_SHARE, abs=1e-5)
    assert itself[1]["skills"] == both[1]["skills"] == pytest.approx(worth * 0.8, abs=1e-5)
    assert none[1]["skills"] == 0


def test_what_a_budget_leaves_for_an_hour_is_the_highest_rate():
    people = [{"developer_id": "a", "hourly_rate_minor": 5_000, "currency": "EUR"}]
    by_budget = {"project_id": "p", "budget_minor": 1_000_000, "expected_hours": 100, "currency": "EUR"}
    [budget] = _score(people, by_budget)
    [rate] = _score(people, {"project_id": "p", "max_hourly_rate_minor": 10_000, "currency": "EUR"})
    [lower] = _score(people, {**by_budget, "max_hourly_rate_minor": 5_000})
    assert budget[1]["rate"] == rate[1]["rate"] == 0
    assert lower[1]["rate"] == -DEFAULT_WEIGHTS.rate.value
    [open_] = _score(people, {**by_budget, "expected_hours": None})
    assert open_[1]["rate"] is None


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
        score_pairs([project], developers, [(0, 0)])


def test_weights_that_sum_to_zero_or_are_no_weights_are_refused():
    names = DEFAULT_WEIGHTS.values()
    with pytest.raises(ValueError, match="score alike"):
        weights_from_values(dict.fromkeys(names, 0.0), reason="none")
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            Weight(bad, "bad")
    assert set(names) == set(TERMS) == {field.name for field in fields(Weights)}


def test_weights_have_a_version_of_their_values():
    same = weights_from_values({"meaning": DEFAULT_WEIGHTS.meaning.value}, reason="another")
    other = weights_from_values({"meaning": 1.0}, reason="another")
    assert same.version == DEFAULT_WEIGHTS.version != other.version
