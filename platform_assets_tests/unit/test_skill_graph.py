import datetime as dt
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.profiles.skill_graph import COLUMNS, skill_edges

AS_OF = dt.date(2026, 11, 1)


def profiles_of(*developers: dict[str, float]) -> pd.DataFrame:
    rows = [
        (f"dev-{number}", skill, confidence)
        for number, skills in enumerate(developers)
        for skill, confidence in skills.items()
    ]
    return pd.DataFrame(rows, columns=["developer_id", "skill_id", "confidence"]).astype(
        {"developer_id": "str", "skill_id": "str", "confidence": "float64"}
    )


def edges_of(profiles: pd.DataFrame, **options: int) -> pd.DataFrame:
    return skill_edges(profiles, as_of=AS_OF, **options)


def weights(edges: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(row.skill_id_a, row.skill_id_b): row.weight for row in edges.itertuples()}


def degrees(edges: pd.DataFrame) -> pd.Series:
    return pd.concat([edges["skill_id_a"], edges["skill_id_b"]]).value_counts()


def clustered(random: np.random.Generator, developers: int = 400) -> pd.DataFrame:
    """Developers of five fields of six skills each; everybody also has `git`, half have `python`."""
    people = []
    for number in range(developers):
        field = number % 5
        chosen = random.choice(6, 4, replace=False)
        skills = {f"field{field}-skill{one}": random.uniform(0.3, 1) for one in chosen}
        skills["git"] = 0.9
        if random.random() < 0.5:
            skills["python"] = random.uniform(0.3, 1)
        people.append(skills)
    return profiles_of(*people)


profiles_strategy = st.lists(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), max_size=6), max_size=40
).map(lambda people: profiles_of(*people))


@given(profiles=profiles_strategy, seed=st.integers(0, 1_000))
def test_the_edges_do_not_depend_on_the_order_of_the_rows(profiles: pd.DataFrame, seed: int) -> None:
    shuffled = profiles.sample(frac=1, random_state=seed)

    pd.testing.assert_frame_equal(edges_of(profiles), edges_of(shuffled))


@given(profiles=profiles_strategy)
def test_every_edge_is_one_row_between_two_skills_with_a_weight_above_chance(profiles: pd.DataFrame) -> None:
    edges = edges_of(profiles, minimum_developers=1)

    assert list(edges.columns) == list(COLUMNS)
    assert (edges["skill_id_a"] < edges["skill_id_b"]).all()
    assert not edges.duplicated(["skill_id_a", "skill_id_b"]).any()
    assert edges["weight"].between(0, 1, inclusive="right").all()


@given(profiles=profiles_strategy)
def test_renaming_the_skills_in_reverse_gives_the_same_graph(profiles: pd.DataFrame) -> None:
    # Which of two skills comes first must not matter: the association is symmetric.
    mirror = dict(zip("abcdefgh", "hgfedcba"))
    mirrored = profiles.assign(skill_id=profiles["skill_id"].map(mirror).astype("str"))
    back = {
        tuple(sorted((mirror[a], mirror[b]))): weight
        for (a, b), weight in weights(edges_of(mirrored)).items()
    }

    assert back == pytest.approx(weights(edges_of(profiles)))


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    neighbours=st.integers(1, 6),
    minimum_developers=st.integers(1, 20),
)
def test_no_skill_has_more_neighbours_than_allowed_nor_an_edge_of_fewer_developers(
    seed: int, neighbours: int, minimum_developers: int
) -> None:
    edges = edges_of(
        clustered(np.random.default_rng(seed), 150),
        neighbours=neighbours,
        minimum_developers=minimum_developers,
    )

    assert degrees(edges).max() <= neighbours if len(edges) else True
    assert (edges["developers_count"] >= minimum_developers).all()


def test_skills_of_one_field_find_each_other_and_a_skill_that_everyone_has_goes_with_none() -> None:
    edges = edges_of(clustered(np.random.default_rng(1)))

    assert len(edges) == 5 * 6 * 5 / 2
    assert not {"git", "python"} & {*edges["skill_id_a"], *edges["skill_id_b"]}
    assert (edges["skill_id_a"].str[:6] == edges["skill_id_b"].str[:6]).all()


def test_a_rare_pair_outweighs_a_common_one_that_is_as_often_apart() -> None:
    people = [{"react": 1.0, "redux": 1.0, "javascript": 1.0}] * 20
    people += [{"javascript": 1.0, "css": 1.0}] * 100 + [{"javascript": 1.0}] * 100 + [{"cobol": 1.0}] * 200
    found = weights(edges_of(profiles_of(*people)))

    assert found["react", "redux"] == max(found.values())
    assert found["css", "javascript"] < found["react", "redux"]


def test_more_evidence_for_the_same_shares_gives_more_weight() -> None:
    def weight(times: int) -> float:
        people = [{"a": 1.0, "b": 1.0}] * (5 * times) + [{"c": 1.0}] * (95 * times)
        return weights(edges_of(profiles_of(*people)))["a", "b"]

    assert weight(1) < weight(2) < weight(20)
    assert weight(20) < 1


def test_a_doubtful_confidence_counts_for_less() -> None:
    def edges(confidence: float) -> dict[tuple[str, str], float]:
        people = [{"a": confidence, "b": confidence}] * 6 + [{"c": 1.0}] * 94
        return weights(edges_of(profiles_of(*people)))

    assert edges(1.0)["a", "b"] > edges(0.8)["a", "b"]
    assert edges(0.1) == {}


@pytest.mark.parametrize(
    "people", [[], [{}], [{"a": 1.0}], [{"a": 0.0, "b": 0.0}], [{"a": 1.0, "b": 1.0}] * 9]
)
def test_where_nothing_can_be_learned_there_are_no_edges(people: list[dict[str, float]]) -> None:
    edges = edges_of(profiles_of(*people))

    assert len(edges) == 0
    assert list(edges.columns) == list(COLUMNS)


def test_fifty_thousand_developers_take_seconds() -> None:
    random = np.random.default_rng(7)
    developers, each, skills = 50_000, 20, 5_000
    popularity = 1 / np.arange(10, skills + 10)
    chosen = random.choice(skills, developers * each, p=popularity / popularity.sum())
    profiles = pd.DataFrame(
        {
            "developer_id": np.repeat([f"d{number}" for number in range(developers)], each),
            "skill_id": np.array([f"s{number}" for number in range(skills)])[chosen],
            "confidence": random.random(developers * each),
        }
    ).drop_duplicates(["developer_id", "skill_id"])
    start = time.perf_counter()
    edges = edges_of(profiles)

    assert time.perf_counter() - start < 30
    assert degrees(edges).max() <= 25
