"""Tuning: weights that outcomes bear out are taken, noise and too little of it are not; upkeep follows its numbers."""

import datetime as dt

import numpy as np
import pytest

from platform_assets.matching.pair_scores import ProjectScores
from platform_assets.matching.scoring import TERMS, UNITS_PER_POINT, Scores
from platform_assets.matching.tuning import (
    LARGEST_FACTOR,
    MIN_PROJECTS_COUNT,
    try_weights,
    weights_row,
)
from platform_assets.matching.upkeep import (
    EfTrial,
    TableState,
    choose_ef_search,
    plan_index,
    plan_table,
)
from platform_assets.matching.weights import DEFAULT_WEIGHTS, weights_from_values

TELLING, MISLEADING = TERMS.index("meaning"), TERMS.index("recency")


def outcomes(projects_count, *, seed=0, is_told_by=None):
    """Projects with ten developers looked at; who is contacted hangs on one term, or on nothing."""
    rng = np.random.default_rng(seed)
    scored, grades = [], {}
    for number in range(projects_count):
        project, ids = f"p{number:03}", tuple(f"d{i}" for i in range(10))
        parts = rng.normal(size=(10, len(TERMS)))
        chances = parts[:, is_told_by] if is_told_by is not None else rng.normal(size=10)
        best = np.argsort(-chances)[:3]
        grades[project] = {developer: int(i in best) for i, developer in enumerate(ids)}
        units = np.rint(parts * UNITS_PER_POINT).astype(np.int64)
        scored.append(ProjectScores(project, ids, Scores(units, np.ones(units.shape, dtype=np.bool_))))
    return scored, grades


def test_weights_that_outcomes_bear_out_are_taken():
    trial = try_weights(*outcomes(80, is_told_by=TELLING), DEFAULT_WEIGHTS, seed="day")

    in_use = DEFAULT_WEIGHTS.values()
    assert trial.is_adopted, trial.reason
    assert trial.numbers["ndcg_gain_low"] > 0
    assert trial.weights["meaning"] > in_use["meaning"]
    assert trial.weights["recency"] < in_use["recency"]
    assert all(0 <= factor <= LARGEST_FACTOR for factor in trial.numbers["factors"].values())


def test_what_is_but_noise_is_not_taken():
    trials = [try_weights(*outcomes(80, seed=seed), DEFAULT_WEIGHTS, seed="day") for seed in range(5)]

    assert [trial.decision for trial in trials].count("adopted") == 0
    assert "not better beyond chance" in trials[0].reason


def test_too_few_outcomes_are_said_and_nothing_is_learned():
    trial = try_weights(*outcomes(MIN_PROJECTS_COUNT - 1, is_told_by=TELLING), DEFAULT_WEIGHTS, seed="day")

    assert not trial.is_adopted
    assert trial.weights == DEFAULT_WEIGHTS.values()
    assert trial.reason.startswith(f"{MIN_PROJECTS_COUNT - 1} projects with outcomes")
    assert try_weights([], {}, DEFAULT_WEIGHTS, seed="day").numbers["projects_with_outcomes"] == 0


def test_a_project_whose_client_treated_all_alike_tells_nothing():
    scored, grades = outcomes(60, is_told_by=TELLING)
    alike = {project: dict.fromkeys(own, 1) for project, own in grades.items()}

    assert try_weights(scored, alike, DEFAULT_WEIGHTS, seed="day").numbers["projects_with_outcomes"] == 0


def test_the_same_outcomes_lead_to_the_same_decision_in_any_order():
    scored, grades = outcomes(60, is_told_by=MISLEADING)

    assert try_weights(scored, grades, DEFAULT_WEIGHTS, seed="day") == try_weights(
        scored, dict(reversed(grades.items())), DEFAULT_WEIGHTS, seed="day"
    )


def test_learned_weights_are_in_use_from_the_next_day_under_the_name_of_their_content():
    trial = try_weights(*outcomes(80, is_told_by=TELLING), DEFAULT_WEIGHTS, seed="day")

    row = weights_row(trial, as_of=dt.date(2026, 11, 1)).iloc[0]

    assert (row["decided_on"], row["in_use_from"]) == (dt.date(2026, 11, 1), dt.date(2026, 11, 2))
    assert (
        row["version"] == weights_from_values(trial.weights, reason="any").version != DEFAULT_WEIGHTS.version
    )


@pytest.mark.parametrize(
    ("state", "decision"),
    [
        (TableState("t", 10_000, 3_000, 0, True), "vacuum"),
        (TableState("t", 10_000, 2_000, 0, True), "kept"),
        (TableState("t", 10, 90, 0, True), "kept"),
        (TableState("t", 10_000, 0, 1_001, True), "analyze"),
        (TableState("t", 10_000, 0, 1_000, True), "kept"),
        (TableState("t", 5, 0, 0, False), "analyze"),
        (TableState("t", 0, 0, 0, False), "kept"),
        (TableState("t", 0, 5_000, 0, True), "vacuum"),
    ],
)
def test_a_table_gets_what_its_numbers_ask_for(state, decision):
    assert plan_table(state).decision == decision


@pytest.mark.parametrize(
    ("size_mib", "vectors_count", "decision"),
    [
        (16, 7_000, "kept"),
        (160, 70_000, "kept"),
        (600, 70_000, "reindex"),
        (16, 10, "kept"),
        (64, 0, "reindex"),
    ],
)
def test_an_index_is_built_anew_when_it_takes_far_more_room_than_its_vectors(
    size_mib, vectors_count, decision
):
    assert (
        plan_index(size_bytes=size_mib * 2**20, vectors_count=vectors_count, dimensions=384).decision
        == decision
    )


def trials(*recalls):
    return [EfTrial(20 * 2**i, recall, 1.0 + i, 2.0 + i) for i, recall in enumerate(recalls)]


def test_the_least_effort_that_reaches_the_target_is_chosen():
    assert choose_ef_search(trials(0.9, 0.985, 1.0), in_use=80, target=0.98).decision == "ef_search 40"
    assert choose_ef_search(trials(0.9, 0.985, 1.0), in_use=40, target=0.98).decision == "kept"
    best = choose_ef_search(trials(0.7, 0.8, 0.9), in_use=40, target=0.98)
    assert best.decision == "ef_search 80"
    assert "none tried reaches" in best.reason
    assert choose_ef_search([], in_use=40).decision == "kept"
