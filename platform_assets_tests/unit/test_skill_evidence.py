"""The ledger: every confidence follows from its rows, and nothing that is discounted can raise one."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.profiles.confidence import shipped_model
from platform_assets.profiles.explanation import explain_confidence
from platform_assets.profiles.skill_evidence import (
    LEDGER_COLUMNS,
    TEXT_COLUMNS,
    TEXT_PRIOR,
    Evidence,
    bio_texts,
    collect_evidence,
)
from platform_assets.profiles.skills import profiles_from_evidence
from platform_assets.profiles.vocabulary import packaged_vocabulary

AS_OF = dt.date(2026, 11, 1)
VOCABULARY = packaged_vocabulary()

LANGUAGES = ("Python", "Go", "HTML", "Jupyter Notebook")


@st.composite
def repositories(draw: st.DrawFn, *, developer: str = "ada", most: int = 5) -> list[dict[str, Any]]:
    """Some repositories with plain names, nothing of them discounted but by language or burst."""
    return [
        draw(repository(developer, f"{developer}/project-{number}"))
        for number in range(draw(st.integers(0, most)))
    ]


@st.composite
def repository(draw: st.DrawFn, developer: str, name: str) -> dict[str, Any]:
    first = AS_OF - dt.timedelta(days=draw(st.integers(0, 3_000)))
    last = first + dt.timedelta(days=draw(st.integers(0, (AS_OF - first).days)))
    commits = draw(st.integers(1, 3_000))
    is_recent = (AS_OF - last).days < 365
    return {
        "developer_id": developer,
        "repository": name,
        "description": None,
        "is_fork": False,
        "topics": draw(st.lists(st.sampled_from(("django", "python", "kubernetes")), unique=True)),
        "languages": draw(st.dictionaries(st.sampled_from(LANGUAGES), st.integers(1, 10**6), max_size=3)),
        "commits_count": commits,
        "commits_last_year_count": draw(st.integers(1, commits)) if is_recent else 0,
        "first_contributed_on": first,
        "last_contributed_on": last,
    }


CLAIMS = st.lists(st.sampled_from(("Go", "golang", "Python", "Django", "Haskell")), max_size=3)
COLUMNS = [
    *("developer_id", "repository", "description", "is_fork", "topics", "languages", "commits_count"),
    *("commits_last_year_count", "first_contributed_on", "last_contributed_on"),
]


def developers(*ids: str, claims: list[str] | None = None, **more: Any) -> pd.DataFrame:
    rows = [
        {"developer_id": i, "declared_skills": claims or [], "bio": None, "github_login": i} | more
        for i in ids
    ]
    return pd.DataFrame(rows)


def collect(work: list[dict[str, Any]], people: pd.DataFrame | None = None, **more: Any) -> Evidence:
    people = developers("ada") if people is None else people
    texts = more.pop("texts", None)
    return collect_evidence(
        pd.DataFrame(work, columns=COLUMNS),
        people,
        more.pop("contracts", None),
        bio_texts(people, VOCABULARY) if texts is None else texts,
        VOCABULARY,
        as_of=AS_OF,
    )


def confidences(
    work: list[dict[str, Any]], people: pd.DataFrame | None = None, **more: Any
) -> dict[str, float]:
    profile = profiles_from_evidence(collect(work, people, **more))
    return dict(zip(profile["skill_id"], profile["confidence"]))


def assert_none_is_higher(after: dict[str, float], before: dict[str, float]) -> None:
    raised = {
        skill: (before.get(skill, 0.0), value)
        for skill, value in after.items()
        if value > before.get(skill, 0.0) + 1e-12
    }
    assert not raised


DISCOUNTED = st.sampled_from(
    [
        {"is_fork": True},
        {"repository": "ada/vendor"},
        {"repository": "ada/linux-mirror"},
        {"repository": "ada/dotfiles"},
        {"repository": "ada/ada.github.io"},
        {"description": "A curated list of Go things"},
    ]
)
LEFT_OUT = [
    {"is_fork": True},
    {"repository": "ada/vendor"},
    {"repository": "ada/linux-mirror"},
    {"topics": ["awesome-list", "python"]},
]


@settings(deadline=None, max_examples=30)
@given(work=repositories(), one=repository("ada", "ada/one"), change=DISCOUNTED, claims=CLAIMS)
def test_no_discount_ever_raises_a_confidence(
    work: list[dict[str, Any]], one: dict[str, Any], change: dict[str, Any], claims: list[str]
) -> None:
    people = developers("ada", claims=claims)

    assert_none_is_higher(confidences([*work, one | change], people), confidences([*work, one], people))


@settings(deadline=None, max_examples=30)
@given(work=repositories(), one=repository("ada", "ada/one"), change=st.sampled_from(LEFT_OUT), claims=CLAIMS)
def test_adding_a_fork_or_a_copy_never_raises_a_confidence(
    work: list[dict[str, Any]], one: dict[str, Any], change: dict[str, Any], claims: list[str]
) -> None:
    people = developers("ada", claims=claims)

    assert_none_is_higher(confidences([*work, one | change], people), confidences(work, people))


@settings(deadline=None, max_examples=12)
@given(work=repositories(), claims=CLAIMS)
def test_a_program_has_no_skills_but_those_it_is_said_to_have(
    work: list[dict[str, Any]], claims: list[str]
) -> None:
    people = developers("ada", claims=claims, github_login="ada[bot]")

    assert confidences(work, people) == confidences([], people)


@settings(deadline=None, max_examples=12)
@given(work=repositories(), claims=CLAIMS)
def test_the_parts_of_each_explanation_add_up_to_the_confidence(
    work: list[dict[str, Any]], claims: list[str]
) -> None:
    people = developers("ada", claims=claims, bio="I write Python software, and Kubernetes.")
    evidence = collect(work, people, contracts=contracts({}, {"contract_id": "c2", "client_rating": None}))
    profile = profiles_from_evidence(evidence)

    for skill_id, expected in zip(profile["skill_id"], profile["confidence"]):
        found = explain_confidence(evidence, skill_id, skill_id, model=shipped_model())
        assert found.confidence == expected
        assert found.log_odds is not None
        assert 1 / (1 + np.exp(-found.log_odds)) == pytest.approx(expected, abs=1e-9)
        assert found.log_odds == pytest.approx(sum(part.log_odds for part in found.parts))


@settings(deadline=None, max_examples=12)
@given(work=repositories(), seed=st.integers(0, 99))
def test_the_ledger_alone_gives_the_same_confidences_in_any_order(
    work: list[dict[str, Any]], seed: int
) -> None:
    more = [{"contract_id": f"c{i}", "client_rating": i / 3} for i in range(1, 9)]
    evidence = collect(work, contracts=contracts(*more))
    shuffled = Evidence(
        *(frame.sample(frac=1, random_state=seed) for frame in (evidence.ledger, evidence.wholes))
    )

    pd.testing.assert_frame_equal(
        profiles_from_evidence(shuffled), profiles_from_evidence(evidence), check_exact=True
    )


@settings(deadline=None, max_examples=12)
@given(work=repositories())
def test_a_weight_is_the_commits_by_share_and_discounts(work: list[dict[str, Any]]) -> None:
    ledger = collect(work).ledger

    assert list(ledger.columns) == LEDGER_COLUMNS
    assert not ledger.duplicated(["developer_id", "skill_id", "source", "reference"]).any()
    for row in ledger.to_dict(orient="records"):
        factor = np.prod(list(row["discounts"].values()))
        assert row["weight"] == pytest.approx(row["commits_count"] * row["share"] * factor)
        assert 0 < row["share"] <= 1


def contracts(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {
        "contract_id": "c1",
        "developer_id": "ada",
        "status": "completed",
        "skills_used": ["Golang", "Go"],
        "started_on": dt.date(2025, 1, 1),
        "ended_on": AS_OF - dt.timedelta(days=365),
        "client_rating": 4.0,
    }
    return pd.DataFrame([defaults | row for row in rows], columns=list(defaults))


def test_a_contract_counts_once_however_it_spells_the_skill_and_shows_its_discounts() -> None:
    [row] = collect([], contracts=contracts({})).ledger.to_dict(orient="records")

    assert (row["skill_id"], row["source"], row["reference"], row["quote"]) == (
        "go",
        "contract",
        "c1",
        "Golang",
    )
    assert row["discounts"] == {"rating": 0.8, "age": 0.5}
    assert row["weight"] == pytest.approx(0.4)
    assert row["age_days"] == 365


def plain(**changes: Any) -> dict[str, Any]:
    return {
        "developer_id": "ada",
        "repository": "ada/engine",
        "description": None,
        "is_fork": False,
        "topics": [],
        "languages": {"Python": 100},
        "commits_count": 40,
        "commits_last_year_count": 10,
        "first_contributed_on": dt.date(2024, 1, 1),
        "last_contributed_on": dt.date(2026, 10, 1),
    } | changes


def test_a_fork_stays_visible_with_its_discount_and_supports_nothing() -> None:
    evidence = collect([plain(is_fork=True)])
    [row] = evidence.ledger.to_dict(orient="records")

    assert (row["discounts"], row["weight"], row["commits_count"]) == ({"fork": 0.0}, 0.0, 40)
    assert profiles_from_evidence(evidence).empty


def test_a_readme_counts_as_far_as_its_repository_does() -> None:
    texts = pd.DataFrame(
        [
            ("ada", "kubernetes", "readme", "ada/engine", "runs on k8s"),
            ("ada", "kubernetes", "readme", "ada/fork", "k8s"),
            ("ada", "haskell", "readme", "ada/fork", "Haskell"),
            ("ada", "rust", "bio", "", "Rust"),
            ("gone", "rust", "bio", "", "Rust"),
        ],
        columns=list(TEXT_COLUMNS),
    )
    evidence = collect([plain(), plain(repository="ada/fork", is_fork=True)], texts=texts)
    said = evidence.ledger[evidence.ledger["source"] == "text"]
    weights = {(row.skill_id, row.reference): row.weight for row in said.itertuples()}

    assert weights == {
        ("kubernetes", "ada/engine"): TEXT_PRIOR,
        ("kubernetes", "ada/fork"): 0.0,
        ("haskell", "ada/fork"): 0.0,
        ("rust", ""): TEXT_PRIOR,
    }
    profile = profiles_from_evidence(evidence).set_index("skill_id")
    assert profile.loc["kubernetes", "confidence"] == pytest.approx(TEXT_PRIOR)
    assert "haskell" not in profile.index


def test_notebooks_do_not_outrun_the_code_beside_them() -> None:
    ledger = collect([plain(languages={"Jupyter Notebook": 9_000_000, "Python": 1_000_000})]).ledger
    weights = ledger.set_index("skill_id")["weight"]

    assert weights["jupyter-notebook"] == pytest.approx(40 * 0.9 * 0.25)
    assert weights["python"] == pytest.approx(40 * 0.1), (
        "what is taken from one language is not given to another"
    )


def test_a_stale_history_does_not_count_for_less_than_a_bare_claim() -> None:
    old = plain(
        commits_count=1,
        commits_last_year_count=0,
        first_contributed_on=dt.date(2010, 1, 1),
        last_contributed_on=dt.date(2010, 1, 1),
    )
    busy = plain(repository="ada/busy", languages={"Go": 1}, commits_count=900, commits_last_year_count=300)
    claimed = confidences([old, busy], developers("ada", claims=["Python"]))

    assert confidences([old, busy])["python"] < 0.3
    assert claimed["python"] == pytest.approx(0.3)


def test_a_repository_without_commits_or_with_odd_dates_breaks_nothing() -> None:
    odd = plain(
        repository="ada/odd",
        commits_last_year_count=99,
        first_contributed_on=AS_OF + dt.timedelta(days=9),
        last_contributed_on=dt.date(2020, 1, 1),
    )
    evidence = collect([odd, plain(repository="ada/none", commits_count=0)])

    assert len(profiles_from_evidence(evidence)) == 1
    assert evidence.wholes["commits_count"].tolist() == [40]
