"""Discounts: what is left out or counts in part, and what only looks as if it should be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.discounts import (
    MAX_COMMITS_PER_DAY,
    combined,
    is_bot,
    language_discounts,
    repository_discounts,
)


def discounts(repository: str = "ada/engine", **changes: Any) -> dict[str, float]:
    plain: dict[str, Any] = {
        "is_fork": False,
        "description": None,
        "topics": (),
        "commits_count": 40,
        "span_days": 100,
        "by_bot": False,
    }
    return repository_discounts(repository, **plain | changes)


def test_own_work_is_not_discounted() -> None:
    assert discounts() == {}
    assert language_discounts("Python") == {}


@pytest.mark.parametrize(
    "login",
    [
        *("dependabot[bot]", "dependabot", "Renovate", "renovate-bot", "snyk-bot", "github-actions[bot]"),
        *("my-ci-bot", "deploy_bot", "bot-of-ada", "BrewTestBot", "web-flow", "k8s-ci-robot", "pyup-bot"),
    ],
)
def test_programs_are_known_by_list_or_name(login: str) -> None:
    assert is_bot(login)


@pytest.mark.parametrize(
    "login",
    [
        *("abbot", "Abbot", "talbot", "JTalbot", "cabot", "thibot", "robot-jones", "mrrobot", "chabot99"),
        *("botond", "Botticelli", "boto", "elbot", "ABBOT", "dependable", "renovator", "", None),
    ],
)
def test_people_whose_names_sound_alike_are_not_programs(login: str | None) -> None:
    assert not is_bot(login)


@pytest.mark.parametrize(
    ("repository", "changes", "reason"),
    [
        ("ada/engine", {"is_fork": True}, "fork"),
        ("ada/engine", {"by_bot": True}, "bot"),
        ("ada/linux-mirror", {}, "mirror"),
        ("ada/linux", {"description": "Read-only Git mirror of the kernel"}, "mirror"),
        ("ada/vendor", {}, "vendored"),
        ("ada/node_modules", {}, "vendored"),
        ("ada/awesome", {}, "collection"),
        ("ada/python-things", {"description": "A curated list of Python things"}, "collection"),
        ("ada/things", {"topics": ("Awesome-List",)}, "collection"),
        ("ada/dotfiles", {}, "settings"),
        ("ada/ada.github.io", {}, "site"),
        ("ada/engine", {"commits_count": 800, "span_days": 1}, "bursty"),
    ],
)
def test_what_is_not_own_code_counts_less(repository: str, changes: dict[str, Any], reason: str) -> None:
    assert discounts(repository, **changes).keys() == {reason}


@pytest.mark.parametrize(
    ("repository", "changes"),
    [
        ("ada/awesome-phonenumber", {"description": "Phone number parser"}),
        ("ada/mirrorlist", {"description": "Finds the nearest server; can mirror of course"}),
        ("ada/vendoring", {}),
        ("ada/listmonk", {"description": "Newsletter manager with an awesome editor"}),
        ("ada/github.io-tools", {}),
        ("ada/engine", {"commits_count": 30, "span_days": 1}),
        ("ada/board", {"description": "A Trello clone, written from scratch"}),
    ],
)
def test_own_code_whose_name_sounds_alike_counts_in_full(repository: str, changes: dict[str, Any]) -> None:
    assert discounts(repository, **changes) == {}


def test_a_burst_counts_as_what_a_person_could_write() -> None:
    assert discounts(commits_count=800, span_days=2) == {"bursty": 2 * MAX_COMMITS_PER_DAY / 800}


def test_notebooks_and_pages_count_in_part() -> None:
    for language in ("Jupyter Notebook", "HTML", "CSS", "Roff"):
        assert 0 < language_discounts(language)["generated"] < 1


@given(
    repository=st.text(),
    is_fork=st.booleans(),
    description=st.none() | st.text(),
    topics=st.lists(st.text()),
    commits_count=st.integers(0, 10**7),
    span_days=st.integers(1, 10_000),
    by_bot=st.booleans(),
)
def test_every_repository_has_factors_below_one(**anything: Any) -> None:
    found = repository_discounts(anything.pop("repository"), **anything)

    assert all(0 <= factor < 1 for factor in found.values())
    assert 0 <= combined([found])[0] <= 1
