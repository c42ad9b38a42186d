"""The vocabulary: spellings keep what tells names apart, and the packaged list holds together."""

import csv
import unicodedata
from collections import Counter
from importlib import resources

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.vocabulary import (
    KINDS,
    Skill,
    Vocabulary,
    new_skills,
    packaged_vocabulary,
    skill_slug,
    vocabulary_from_frames,
)
from platform_assets.spelling import normalize_alias, split_words

PACKAGED = packaged_vocabulary()

MAIN_LANGUAGES = """
Assembly Batchfile C C# C++ CMake COBOL CSS Clojure CoffeeScript Crystal Cuda D Dart Dockerfile Elixir
Elm Erlang F# Fortran GLSL Go Groovy HCL HLSL HTML Haskell Java JavaScript Julia Kotlin Less Lua MATLAB
Makefile Nim Nix OCaml Objective-C PHP PLpgSQL Pascal Perl PowerShell Prolog Python R Ruby Rust SCSS
Scala Shell Solidity Svelte Swift SystemVerilog TeX TypeScript VHDL Verilog Vue WebAssembly Zig
"""


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("  C++ ", "c++"),
        ("C#", "c#"),
        (".NET", ".net"),
        ("ASP.NET Core", "asp.net core"),
        ("Node.js", "node.js"),
        ("node js", "node js"),
        ("React.", "react"),
        ("CI/CD", "ci cd"),
        ("scikit_learn", "scikit learn"),
        ("Objective-C", "objective c"),
        ("C/C++", "c c++"),
        ("issue#12", "issue 12"),
        ("f#", "f#"),
        ("ＰＨＰ", "php"),
        ("Café", "café"),
        ("日本語", "日本語"),
        ("🚀!?", ""),
        ("", ""),
    ],
)
def test_a_spelling_keeps_what_tells_names_apart(text: str, alias: str) -> None:
    assert normalize_alias(text) == alias


@given(st.text())
def test_normalizing_again_changes_nothing(text: str) -> None:
    assert normalize_alias(normalize_alias(text)) == normalize_alias(text)


@given(st.text())
def test_words_stand_where_they_say(text: str) -> None:
    composed = unicodedata.normalize("NFKC", text)
    for word in split_words(text):
        assert composed[word.start : word.end] == word.written


@pytest.mark.parametrize(
    ("name", "slug"),
    [("C++", "c-plus-plus"), ("C#", "c-sharp"), (".NET", "dot-net"), ("Node.js", "node-js"), ("C", "c")],
)
def test_slugs_stay_apart(name: str, slug: str) -> None:
    assert skill_slug(name) == slug


def test_a_name_of_signs_alone_still_has_a_slug() -> None:
    assert skill_slug("🚀") != skill_slug("🔥")
    assert skill_slug("🚀").startswith("skill-")


@pytest.mark.parametrize(
    ("spelling", "skill_id"),
    [
        ("ReactJS", "react"),
        ("react.js", "react"),
        ("k8s", "kubernetes"),
        ("Postgres", "postgresql"),
        ("psql", "postgresql"),
        ("golang", "go"),
        ("GO", "go"),
        ("c plus plus", "c-plus-plus"),
        ("cpp", "c-plus-plus"),
        ("C", "c"),
        ("c#", "c-sharp"),
        ("dotnet", "dot-net"),
        ("vue", "vue-js"),
        ("sklearn", "scikit-learn"),
        ("TSX", "typescript"),
    ],
)
def test_spellings_resolve_to_their_skill(spelling: str, skill_id: str) -> None:
    assert PACKAGED.resolve(spelling) == skill_id


def test_an_unknown_spelling_resolves_to_nothing() -> None:
    assert PACKAGED.resolve("underwater basket weaving") is None
    assert PACKAGED.resolve("!!!") is None


def test_no_spelling_of_the_packaged_list_stands_for_two_skills() -> None:
    owners = Counter(alias for skill in PACKAGED.skills for alias in skill.aliases)
    assert [alias for alias, count in owners.items() if count > 1] == []


def test_the_packaged_list_is_well_formed() -> None:
    text = resources.files("platform_assets.profiles").joinpath("technologies.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) > 1_000
    assert [row["skill_id"] for row in rows] == sorted({row["skill_id"] for row in rows})
    for row in rows:
        assert row["skill_id"] == skill_slug(row["name"])
        assert row["kind"] in KINDS
    for skill in PACKAGED.skills:
        assert skill.ambiguous <= skill.aliases
        assert normalize_alias(skill.name) in skill.aliases


@pytest.mark.parametrize(
    "language",
    MAIN_LANGUAGES.split(),
)
def test_the_main_languages_of_github_are_known(language: str) -> None:
    assert PACKAGED.resolve(language) is not None


def test_a_vocabulary_survives_its_tables() -> None:
    again = vocabulary_from_frames(*PACKAGED.frames())
    assert again.by_alias == PACKAGED.by_alias
    assert again.ambiguous == PACKAGED.ambiguous
    assert {skill.skill_id: skill.kind for skill in again.skills} == {
        skill.skill_id: skill.kind for skill in PACKAGED.skills
    }


def test_an_empty_vocabulary_has_frames_with_columns() -> None:
    skills, aliases = Vocabulary(()).frames()
    assert list(skills.columns) == ["skill_id", "name", "kind", "source"]
    assert list(aliases.columns) == ["alias", "skill_id", "source"]
    assert vocabulary_from_frames(skills, aliases).skills == ()


def test_names_that_nobody_knows_become_skills() -> None:
    skills, aliases = new_skills(
        ["Basket Weaving", "basket-weaving", "React", "🚀"], PACKAGED, source="declared"
    )
    assert skills.to_dict("records") == [
        {"skill_id": "basket-weaving", "name": "Basket Weaving", "kind": "other", "source": "declared"}
    ]
    assert aliases.to_dict("records") == [
        {"alias": "basket weaving", "skill_id": "basket-weaving", "source": "declared"}
    ]


def test_a_single_word_from_elsewhere_may_be_any_word() -> None:
    known_skills, known_aliases = PACKAGED.frames()
    skills, aliases = new_skills(["Leadership", "Basket Weaving"], PACKAGED, source="declared")
    grown = vocabulary_from_frames(pd.concat([known_skills, skills]), pd.concat([known_aliases, aliases]))
    assert grown.ambiguous - PACKAGED.ambiguous == {"leadership"}


def test_another_spelling_of_a_known_id_is_no_new_skill() -> None:
    known = Vocabulary((Skill("node-js", "Node.js", "framework", frozenset({"node.js"})),))
    skills, aliases = new_skills(["node js"], known, source="github")
    assert skills.empty
    assert aliases["skill_id"].tolist() == ["node-js"]


@given(st.lists(st.text(max_size=12), max_size=8))
def test_whatever_is_declared_resolves_afterwards(names: list[str]) -> None:
    skills, aliases = new_skills(names, PACKAGED, source="declared")
    known_skills, known_aliases = PACKAGED.frames()
    grown = vocabulary_from_frames(pd.concat([known_skills, skills]), pd.concat([known_aliases, aliases]))
    assert skills["skill_id"].is_unique
    assert aliases["alias"].is_unique
    assert not set(skills["skill_id"]) & set(PACKAGED.by_id)
    for name in names:
        if normalize_alias(name):
            assert grown.resolve(name) in grown.by_id
    assert all(len(frame) == 0 for frame in new_skills(names, grown, source="declared"))
