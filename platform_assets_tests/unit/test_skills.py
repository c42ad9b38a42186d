"""Skill profiles: every source counts as documented, and nothing of one developer reaches another."""

import datetime as dt
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from platform_assets.profiles.skill_evidence import (
    DECLARED_PRIOR,
    TEXT_PRIOR,
    TOPIC_PART,
    bio_texts,
    collect_evidence,
)
from platform_assets.profiles.skills import (
    COLUMNS,
    CONTRACT_DOUBT,
    skill_histories,
    skill_profiles,
)
from platform_assets.profiles.vocabulary import new_skills, packaged_vocabulary, vocabulary_from_frames

AS_OF = dt.date(2026, 11, 1)
VOCABULARY = packaged_vocabulary()
PACKAGED_FRAMES = VOCABULARY.frames()


def _developers(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {"developer_id": "ada", "declared_skills": [], "bio": None}
    return pd.DataFrame([defaults | row for row in rows], columns=list(defaults))


def _repositories(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {
        "developer_id": "ada",
        "repository": "ada/engine",
        "description": None,
        "is_fork": False,
        "languages": {"Python": 1_000},
        "topics": [],
        "commits_count": 40,
        "commits_last_year_count": 10,
        "first_contributed_on": dt.date(2024, 1, 1),
        "last_contributed_on": dt.date(2026, 10, 1),
    }
    return pd.DataFrame([defaults | row for row in rows], columns=list(defaults))


def _contracts(*rows: dict[str, Any]) -> pd.DataFrame:
    defaults = {
        "contract_id": "contract",
        "developer_id": "ada",
        "status": "completed",
        "skills_used": ["Golang"],
        "started_on": dt.date(2026, 1, 1),
        "ended_on": AS_OF,
        "client_rating": 5.0,
    }
    return pd.DataFrame([defaults | row for row in rows], columns=list(defaults))


def _profiles(
    repositories: pd.DataFrame | None = None,
    developers: pd.DataFrame | None = None,
    contracts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    return skill_profiles(
        _repositories() if repositories is None else repositories,
        _developers({}) if developers is None else developers,
        contracts,
        VOCABULARY,
        as_of=AS_OF,
    ).set_index("skill_id")


def test_commits_are_shared_out_by_weight() -> None:
    rows = _profiles(_repositories({"languages": {"Python": 900, "Shell": 100}}))
    assert rows.loc["python", "commits_count"] == pytest.approx(36)
    assert rows.loc["python", "commits_share"] == pytest.approx(0.9)
    assert rows.loc["shell", "commits_count"] == pytest.approx(4)
    assert rows.loc["python", "sources"] == ["github"]
    assert rows.loc["python", "last_used_on"] == dt.date(2026, 10, 1)
    assert rows.loc["python", "confidence"] > rows.loc["shell", "confidence"]


def test_spellings_of_one_language_add_up() -> None:
    rows = _profiles(_repositories({"languages": {"TypeScript": 1, "TSX": 1}}))
    assert rows["commits_count"].to_dict() == {"typescript": pytest.approx(40)}


def test_a_topic_counts_for_part_of_the_commits() -> None:
    rows = _profiles(_repositories({"topics": ["django", "no-such-topic", "core"]}))
    assert rows.loc["django", "commits_count"] == pytest.approx(40 * TOPIC_PART)
    assert set(rows.index) == {"python", "django"}


def test_a_topic_that_became_a_skill_counts() -> None:
    skills, aliases = PACKAGED_FRAMES
    new, spelled = new_skills(["website"], VOCABULARY, source="github")
    grown = vocabulary_from_frames(pd.concat([skills, new]), pd.concat([aliases, spelled]))
    rows = skill_profiles(_repositories({"topics": ["website"]}), _developers({}), None, grown, as_of=AS_OF)
    assert set(rows["skill_id"]) == {"python", "website"}


def test_a_language_that_came_with_the_repository_is_no_evidence() -> None:
    rows = _profiles(_repositories({"languages": {"Python": 1_000_000, "Shell": 1}}))
    assert list(rows.index) == ["python"]


def test_claims_have_low_priors_and_nothing_declared_is_lost() -> None:
    developers = _developers(
        {"declared_skills": ["React", "Basket Weaving", "🚀"], "bio": "I love Kubernetes, React."}
    )
    rows = _profiles(_repositories(), developers)
    assert rows.loc["react", "confidence"] == pytest.approx(DECLARED_PRIOR)
    assert rows.loc["react", "sources"] == ["declared", "text"]
    assert rows.loc["basket-weaving", "confidence"] == pytest.approx(DECLARED_PRIOR)
    assert rows.loc["kubernetes", "confidence"] == pytest.approx(TEXT_PRIOR)
    assert rows.loc["kubernetes", "last_used_on"] is None
    assert set(rows.index) == {"react", "basket-weaving", "kubernetes"}


def test_a_claim_adds_nothing_to_commits() -> None:
    claimed = _profiles(
        developers=_developers({"declared_skills": ["Python"]}), repositories=_repositories({})
    )
    shown = _profiles(repositories=_repositories({}))
    assert claimed.loc["python", "confidence"] == shown.loc["python", "confidence"]
    assert claimed.loc["python", "sources"] == ["declared", "github"]


def test_contracts_take_away_doubt() -> None:
    none = _repositories()
    fresh = _profiles(none, contracts=_contracts({}))
    assert fresh.loc["go", "confidence"] == pytest.approx(1 - CONTRACT_DOUBT)
    assert fresh.loc["go", "sources"] == ["contract"]
    assert fresh.loc["go", "last_used_on"] == AS_OF
    old = _profiles(none, contracts=_contracts({"ended_on": AS_OF - dt.timedelta(days=365)}))
    assert old.loc["go", "confidence"] == pytest.approx(1 - CONTRACT_DOUBT**0.5)
    poor = _profiles(none, contracts=_contracts({"client_rating": 1.0}))
    assert poor.loc["go", "confidence"] < fresh.loc["go", "confidence"]
    twice = _profiles(none, contracts=_contracts({}, {"contract_id": "another"}))
    assert twice.loc["go", "confidence"] == pytest.approx(1 - CONTRACT_DOUBT**2)
    declared = _profiles(none, _developers({"declared_skills": ["Go"]}), _contracts({}))
    assert declared.loc["go", "confidence"] == pytest.approx(1 - (1 - DECLARED_PRIOR) * CONTRACT_DOUBT)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "cancelled"},
        {"status": "offered", "started_on": None},
        {"started_on": dt.date(2027, 1, 1)},
        {"developer_id": "grace"},
        {"skills_used": []},
    ],
)
def test_contracts_without_work_count_for_nothing(change: dict[str, Any]) -> None:
    assert _profiles(_repositories(), contracts=_contracts(change)).empty


def test_a_running_contract_lasts_until_today() -> None:
    rows = _profiles(_repositories(), contracts=_contracts({"status": "active", "ended_on": None}))
    assert rows.loc["go", "last_used_on"] == AS_OF


def test_work_dated_after_the_day_counts_as_of_that_day() -> None:
    rows = _profiles(_repositories({"last_contributed_on": AS_OF + dt.timedelta(days=9)}))
    assert rows.loc["python", "last_used_on"] == AS_OF


def test_developers_do_not_share_work() -> None:
    repositories = _repositories(
        {}, {"developer_id": "grace", "languages": {"COBOL": 1}}, {"developer_id": "left"}
    )
    rows = skill_profiles(
        repositories, _developers({}, {"developer_id": "grace"}), None, VOCABULARY, as_of=AS_OF
    )
    assert list(zip(rows["developer_id"], rows["skill_id"])) == [("ada", "python"), ("grace", "cobol")]


@pytest.mark.parametrize("nobody", [True, False])
def test_nothing_gives_an_empty_frame_with_all_columns(nobody: bool) -> None:
    developers = _developers() if nobody else _developers({})
    rows = skill_profiles(_repositories(), developers, _contracts(), VOCABULARY, as_of=AS_OF)
    assert rows.empty
    assert list(rows.columns) == list(COLUMNS)


def test_histories_are_within_what_can_be() -> None:
    rng = np.random.default_rng(0)
    repositories = _repositories(
        *(
            {
                "repository": f"ada/{i}",
                "languages": {"Python": int(rng.integers(1, 9)), "Go": int(rng.integers(0, 9))},
                "commits_count": int(rng.integers(1, 50)),
                "commits_last_year_count": int(rng.integers(0, 60)),
                "first_contributed_on": dt.date(2020, 1, 1) + dt.timedelta(days=int(rng.integers(0, 500))),
            }
            for i in range(50)
        )
    )
    developers = _developers({})
    texts = bio_texts(developers, VOCABULARY)
    histories = skill_histories(
        collect_evidence(repositories, developers, None, texts, VOCABULARY, as_of=AS_OF)
    )
    assert (histories["active_months"] <= histories["commits_count"] + 1e-9).all()
    assert (histories["commits_last_year_count"] <= histories["commits_count"] + 1e-9).all()
    assert histories["commits_count"].sum() == pytest.approx(repositories["commits_count"].sum())


def test_many_developers_take_seconds() -> None:
    count = 5_000
    repositories = _repositories(
        *({"developer_id": f"d{i % count}", "repository": f"r{i}"} for i in range(4 * count))
    )
    developers = _developers(*({"developer_id": f"d{i}", "declared_skills": ["React"]} for i in range(count)))
    started = time.perf_counter()
    rows = skill_profiles(repositories, developers, None, VOCABULARY, as_of=AS_OF)
    assert len(rows) == 2 * count
    assert time.perf_counter() - started < 20


def test_the_order_of_rows_does_not_move_a_bit() -> None:
    rng = np.random.default_rng(0)
    people = [f"d{i}" for i in range(200)]
    work = _repositories(
        *(
            {
                "developer_id": developer,
                "repository": f"{developer}/{i}",
                "languages": dict(zip(("Python", "C", "Go"), rng.integers(1, 9_999, 3))),
                "commits_count": int(rng.integers(1, 500)),
            }
            for developer in people
            for i in range(8)
        )
    )
    jobs = _contracts(
        *(
            {
                "contract_id": f"{developer}-{i}",
                "developer_id": developer,
                "ended_on": AS_OF - dt.timedelta(days=int(rng.integers(0, 900))),
            }
            for developer in people
            for i in range(4)
        )
    )
    developers = _developers(*({"developer_id": developer} for developer in people))
    expected = _profiles(work, developers, jobs)
    shuffled = _profiles(*(part.sample(frac=1, random_state=0) for part in (work, developers, jobs)))
    pd.testing.assert_frame_equal(shuffled, expected, check_exact=True)
