"""The re-rank: caps hold, nobody's list is shortened, newcomers and a draw get places, the outcome is one."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.matching.exposure import gini, measure_tradeoff
from platform_assets.matching.rerank import (
    RERANKED_COLUMNS,
    Placement,
    Policy,
    developer_limits,
    placement_counts,
    rerank,
)

AS_OF = dt.date(2026, 11, 1)
SMALL = Policy(first_places=3, newcomer_places=1, exploration_places=1, first_places_per_engagement=2)
PLAIN = Policy(first_places=3, newcomer_places=0, exploration_places=0)


def ranked(scores):
    """Candidates from project → developer → score."""
    rows = [
        (project, developer, rank, score, {"meaning": score}, AS_OF)
        for project, own in scores.items()
        for rank, (developer, score) in enumerate(sorted(own.items(), key=lambda it: (-it[1], it[0])), 1)
    ]
    return pd.DataFrame(rows, columns=["project_id", "developer_id", "rank", "score", "reasons", "as_of"])


def limits(caps, *, newcomers=()):
    return pd.DataFrame(
        {
            "developer_id": list(caps),
            "first_places_cap": list(caps.values()),
            "is_newcomer": [developer in newcomers for developer in caps],
        }
    )


def lists_of(frame):
    return {p: rows["developer_id"].tolist() for p, rows in frame.sort_values("rank").groupby("project_id")}


worlds = st.dictionaries(
    st.sampled_from([f"p{i}" for i in range(6)]),
    st.dictionaries(
        st.sampled_from([f"d{i}" for i in range(9)]), st.integers(0, 4).map(float), min_size=1, max_size=9
    ),
    max_size=6,
)
caps = st.fixed_dictionaries({f"d{i}": st.integers(0, 4) for i in range(9)})
policies = st.builds(
    Policy,
    first_places=st.integers(2, 5),
    newcomer_places=st.integers(0, 1),
    exploration_places=st.integers(0, 1),
)
newcomer_sets = st.sets(st.sampled_from([f"d{i}" for i in range(9)]))


@given(worlds, caps, newcomer_sets, policies, st.integers(1, 8))
@settings(max_examples=300)
def test_lists_are_whole_caps_hold_and_every_row_says_how_it_came(world, cap, new, policy, k):
    candidates = ranked(world)
    own_limits = limits(cap, newcomers=new)

    result = rerank(candidates, own_limits, k=k, as_of=AS_OF, policy=policy)

    assert tuple(result.columns) == RERANKED_COLUMNS
    assert len(result) == sum(min(k, len(own)) for own in world.values())
    for project, rows in result.groupby("project_id"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["developer_id"].is_unique
        assert set(rows["developer_id"]) <= set(world[project])
        assert all(world[project][row.developer_id] == row.score for row in rows.itertuples())
    assert set(result["placement"]) <= set(Placement)
    # Beyond their cap, people stand only in first places for which nobody else was left.
    whole = rerank(candidates, own_limits, k=99, as_of=AS_OF, policy=policy)
    first = whole[whole["rank"] <= policy.first_places]
    taken = first.groupby("developer_id").size()
    without_alternative = {
        project
        for project, rows in whole[whole["rank"] > policy.first_places].groupby("project_id")
        if all(taken.get(developer, 0) >= cap[developer] for developer in rows["developer_id"])
    } | (set(world) - set(whole["project_id"][whole["rank"] > policy.first_places]))
    for developer, rows in first.groupby("developer_id"):
        assert taken[developer] - cap[developer] <= len(without_alternative & set(rows["project_id"]))


@given(worlds, caps, newcomer_sets, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(world, cap, new, random):
    candidates, own_limits = ranked(world), limits(cap, newcomers=new)
    shuffled = candidates.sample(frac=1, random_state=random.randrange(10_000))
    other_limits = own_limits.sample(frac=1, random_state=random.randrange(10_000))

    first = rerank(candidates, own_limits, k=5, as_of=AS_OF, policy=SMALL)
    second = rerank(shuffled, other_limits, k=5, as_of=AS_OF, policy=SMALL)

    pd.testing.assert_frame_equal(first, second)


def test_somebody_everybody_wants_stands_first_where_they_stand_best_and_behind_elsewhere():
    others = {f"d{i}": 4.0 - i / 10 for i in range(9)}
    world = {f"p{i}": {"star": 5.0 + i, **others} for i in range(4)}

    result = rerank(
        ranked(world), limits({"star": 2, **dict.fromkeys(others, 9)}), k=10, as_of=AS_OF, policy=PLAIN
    )

    star = result[result["developer_id"] == "star"].set_index("project_id")
    assert star["rank"].to_dict() == {"p0": 4, "p1": 4, "p2": 1, "p3": 1}
    assert star["placement"].tolist() == [
        Placement.CAPPED,
        Placement.CAPPED,
        Placement.SCORE,
        Placement.SCORE,
    ]
    assert star["score"].tolist() == [5.0, 6.0, 7.0, 8.0]


def test_a_cap_never_shortens_a_list():
    result = rerank(ranked({"p": {"a": 2.0, "b": 1.0}}), limits({"a": 0, "b": 0}), k=5, as_of=AS_OF)

    assert lists_of(result) == {"p": ["a", "b"]}


def test_somebody_new_gets_a_first_place_on_the_first_day_and_the_row_says_so():
    world = {"p": {f"d{i}": 9.0 - i for i in range(9)}}

    result = rerank(
        ranked(world), limits(dict.fromkeys(world["p"], 9), newcomers={"d7"}), k=5, as_of=AS_OF, policy=SMALL
    )

    row = result.set_index("developer_id").loc["d7"]
    assert row["rank"] <= SMALL.first_places
    assert row["placement"] is Placement.NEWCOMER
    assert placement_counts(result)["newcomer"] == 1


def test_somebody_new_whose_score_reaches_the_first_places_stands_where_it_puts_them():
    world = {"p": {f"d{i}": 9.0 - i for i in range(9)}}

    result = rerank(
        ranked(world), limits(dict.fromkeys(world["p"], 9), newcomers={"d1"}), k=5, as_of=AS_OF, policy=SMALL
    )

    row = result.set_index("developer_id").loc["d1"]
    assert (row["rank"], row["placement"]) == (2, Placement.SCORE)


def test_a_drawn_place_is_the_same_all_day_and_another_on_other_days():
    world = {f"p{i}": {f"d{j}": 30.0 - j for j in range(30)} for i in range(20)}
    own_limits = limits({f"d{j}": 99 for j in range(30)})

    def drawn(day):
        rows = rerank(ranked(world), own_limits, k=30, as_of=day)
        return rows[rows["placement"] == Placement.EXPLORED].set_index("project_id")["developer_id"].to_dict()

    today = drawn(AS_OF)
    assert today == drawn(AS_OF)
    assert today != drawn(AS_OF + dt.timedelta(days=1))
    # Now and then the draw falls on whom the score would have put there.
    assert len(today) >= 17
    assert len(set(today.values())) > 5, "each project draws for itself"


def test_caps_follow_open_hours_and_what_projects_ask():
    developers = pd.DataFrame(
        {
            "developer_id": ["half", "none", "twice", "unknown"],
            "capacity_hours_per_week": pd.array([10, 0, 40, None], dtype="Int64"),
            "joined_at": pd.to_datetime(["2026-10-31", "2020-01-01", "2026-10-02", "2026-10-03"], utc=True),
        }
    )
    projects = pd.DataFrame({"hours_per_week": pd.array([20, None, 20, 40], dtype="Int64")})

    found = developer_limits(developers, projects, as_of=AS_OF).set_index("developer_id")

    assert found["first_places_cap"].to_dict() == {"half": 5, "none": 0, "twice": 20, "unknown": 10}
    assert found["is_newcomer"].to_dict() == {"half": True, "none": False, "twice": False, "unknown": True}


def test_nobody_and_nothing_make_empty_lists():
    empty = ranked({})

    assert rerank(empty, limits({}), k=50, as_of=AS_OF).empty
    cost = measure_tradeoff(empty, empty, k=50, population=[], outcomes={})
    assert (cost.ndcg_loss, cost.gini_after, cost.shown_ratio_after) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="at least one place"):
        rerank(empty, limits({}), k=0, as_of=AS_OF)
    with pytest.raises(ValueError, match="first places"):
        Policy(first_places=1, newcomer_places=1, exploration_places=1)


@pytest.mark.parametrize(
    ("values", "expected"), [([], 0), ([0, 0], 0), ([3, 3, 3], 0), ([0, 0, 0, 1], 0.75), ([1, 3], 0.25)]
)
def test_gini_is_zero_for_equal_and_near_one_for_all_in_one_hand(values, expected):
    assert gini(values) == pytest.approx(expected)


def test_cost_and_gain_are_told_together():
    """The usual case at a tenth of the real size: some developers everybody wants, many whom nobody sees."""
    rng = np.random.default_rng(7)
    popularity = rng.gumbel(size=600)
    world = {}
    for project in range(100):
        scores = popularity + rng.gumbel(size=600)
        best = np.argsort(-scores)[:75]
        world[f"p{project:03}"] = {f"d{i:03}": float(round(scores[i], 6)) for i in best}
    candidates, people = ranked(world), [f"d{i:03}" for i in range(600)]
    outcomes = {"p000": {rank_one(candidates, "p000"): 3, "d999": 0}}

    result = rerank(candidates, limits(dict.fromkeys(people, 10)), k=50, as_of=AS_OF)
    told = measure_tradeoff(candidates, result, k=50, population=people, outcomes=outcomes)

    assert 0 < told.ndcg_loss < 0.5
    assert told.mean_score_loss > 0
    assert told.gini_after < told.gini_before
    assert told.shown_ratio_after > 1.1 * told.shown_ratio_before
    assert told.outcome_projects_count == 1
    assert told.outcome_ndcg_before == 1.0
    assert set(told.numbers()) >= {"rerank_ndcg_loss", "rerank_gini_after", "rerank_outcome_ndcg_after"}


def rank_one(candidates, project):
    rows = candidates[(candidates["project_id"] == project) & (candidates["rank"] == 1)]
    return rows["developer_id"].iloc[0]
