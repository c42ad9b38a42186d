"""Spelled skills: the longest spelling wins, and everyday words need technical company."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.mentions import find_mentions
from platform_assets.profiles.vocabulary import packaged_vocabulary

VOCABULARY = packaged_vocabulary()


def _found(text: str) -> list[str]:
    return [mention.skill_id for mention in find_mentions(text, VOCABULARY)]


@pytest.mark.parametrize(
    ("text", "skills"),
    [
        ("We use React Native, not Angular.", ["react-native", "angular"]),
        ("Spring Boot and Kotlin", ["spring-boot", "kotlin"]),
        ("c++/c#/.NET", ["c-plus-plus", "c-sharp", "dot-net"]),
        ("ASP.NET Core on Azure", ["asp-net-core", "microsoft-azure"]),
        ("CI/CD with GitHub Actions", ["ci-cd", "github-actions"]),
        ("node.js, NodeJS and node js", ["node-js", "node-js", "node-js"]),
        ("Machine, learning", []),
        ("pythonic javascripts", []),
        ("PostgreSQL.", ["postgresql"]),
        ("", []),
    ],
)
def test_whole_words_of_the_longest_spelling(text: str, skills: list[str]) -> None:
    assert _found(text) == skills


@pytest.mark.parametrize(
    "text",
    [
        "Go to the React docs and express yourself.",
        "Let it go, and the rest will follow",
        "In spring we react to our clients.",
        "Excel at what you do",
        "You will go far",
        "grade c in school",
        "The swift and rust-free solution",
        "Go is a word that begins this sentence",
        "make it less sketchy",
    ],
)
def test_everyday_words_are_no_skills(text: str) -> None:
    assert [skill for skill in _found(text) if skill not in ("react",)] == []


@pytest.mark.parametrize(
    ("text", "skill"),
    [
        ("Senior Go developer", "go"),
        ("Experience in Go and PostgreSQL", "go"),
        ("python, go, typescript", "go"),
        ("written in Rust", "rust"),
        ("C, C++", "c"),
        ("Python and R", "r"),
        ("our backend is Spring with Kafka", "spring"),
        ("Swift, Kotlin", "swift"),
        ("java spring", "java"),
    ],
)
def test_technical_company_makes_them_skills(text: str, skill: str) -> None:
    assert skill in _found(text)


def test_one_letter_must_be_a_capital() -> None:
    assert "c" not in _found("python, c, java")
    assert "c" in _found("python, C, java")


def test_the_words_are_given_as_written() -> None:
    (mention,) = find_mentions("We run PostGres here", VOCABULARY)
    assert (mention.written, mention.first, mention.last) == ("PostGres", 2, 2)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    for mention in find_mentions(text, VOCABULARY):
        assert mention.skill_id in VOCABULARY.by_id


@given(st.lists(st.sampled_from(["go", "Python", "rust", ",", "and", ".", "C", "/", "react"]), max_size=8))
def test_every_spelled_unambiguous_skill_is_found(pieces: list[str]) -> None:
    assert _found(" ".join(pieces)).count("python") == pieces.count("Python")
