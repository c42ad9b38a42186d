from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.vectors import (
    MAX_FACETS,
    MAX_PROJECT_CHARACTERS,
    MAX_REPOSITORY_CHARACTERS,
    PROFILE_FACET,
    Facet,
    clean_text,
    developer_facets,
    developer_vectors,
    inputs_sha256,
    profile_text,
    project_text,
    project_vectors,
    repository_text,
)

_TEXT = st.text(max_size=3_000)


def _developers(*rows):
    return pd.DataFrame(rows, columns=["developer_id", "bio", "declared_skills"])


def _repositories(*rows):
    columns = [
        "developer_id",
        "repository",
        "commits_count",
        "description",
        "languages",
        "topics",
        "subjects",
    ]
    return pd.DataFrame([(*row, None, {"Rust": 1}, [], ["fix"])[:7] for row in rows], columns=columns)


def _skills(*rows):
    return pd.DataFrame(rows, columns=["developer_id", "skill_id", "confidence", "sources"])


def _unit(*values):
    return np.array(values, dtype=np.float32) / np.float32(np.linalg.norm(values))


def test_a_repositorys_text_names_it_its_languages_and_the_work():
    text = repository_text(
        repository="tokio-rs/axum",
        description="Web framework",
        languages={"Rust": 90, "TOML": 5},
        topics=["http", "web"],
        subjects=["Fix routing"],
    )
    assert text == "tokio rs axum. Web framework. Rust, TOML. Fix routing. http web"


@given(_TEXT, _TEXT, st.lists(_TEXT, max_size=10))
def test_texts_stay_within_their_bounds_whatever_they_are_made_of(name, description, subjects):
    text = repository_text(
        repository=name, description=description, languages={}, topics=subjects, subjects=subjects
    )
    assert len(text) <= MAX_REPOSITORY_CHARACTERS
    assert len(project_text(name, description)) <= MAX_PROJECT_CHARACTERS


def test_markup_is_left_out_of_descriptions():
    readme = "# Name\n\n![badge](https://img/x.svg) <p align=center>**Fast** web</p>\n| a | b |\n---\n"
    assert clean_text(readme, limit=100) == "Name Fast web a b"


def test_a_readme_of_a_megabyte_is_cut_before_it_is_read():
    assert len(project_text("t", "<" * 1_000_000)) <= MAX_PROJECT_CHARACTERS
    assert len(project_text("t", "word " * 200_000)) <= MAX_PROJECT_CHARACTERS


def test_a_developer_without_evidence_has_no_facet_and_no_vector():
    facets = developer_facets(
        _developers(("a", None, []), ("b", "", []), ("c", float("nan"), [])), _repositories()
    )
    assert facets == []
    assert developer_vectors(facets, {}, _skills(), {}, model="m").empty


def test_facets_are_the_repositories_with_the_most_commits_and_the_profile():
    rows = [("a", f"o/{i:02}", i) for i in range(MAX_FACETS + 5)]
    facets = developer_facets(_developers(("a", "Builds things", ["Rust"])), _repositories(*rows))
    names = [facet.name for facet in facets]
    assert names == sorted([PROFILE_FACET, *(f"o/{i:02}" for i in range(5, MAX_FACETS + 5))])
    assert [facet.text for facet in facets if facet.name == PROFILE_FACET] == ["Builds things. Rust"]


def test_a_profiles_vector_leans_to_the_surer_skill():
    facet = Facet("a", PROFILE_FACET, "text")
    skills = _skills(("a", "rust", 0.9, ["declared"]), ("a", "go", 0.1, ["declared", "github"]))
    rows = developer_vectors(
        [facet],
        {"text": _unit(1, 0, 0)},
        skills,
        {"rust": _unit(0, 1, 0), "go": _unit(0, 0, 1)},
        model="m",
    )
    x, rust, go = rows["vector"].iloc[0]
    assert np.isclose(np.linalg.norm([x, rust, go]), 1)
    assert rust > go > 0
    assert x > 0


def test_skills_known_from_repositories_alone_do_not_move_the_profile():
    skills = _skills(("a", "rust", 0.9, ["github"]))
    rows = developer_vectors(
        [Facet("a", PROFILE_FACET, "text")], {"text": _unit(1, 0)}, skills, {"rust": _unit(0, 1)}, model="m"
    )
    assert rows["vector"].iloc[0].tolist() == [1, 0]


def test_parts_that_cancel_out_leave_no_vector_instead_of_zeros():
    skills = _skills(("a", "rust", 1.0, ["declared"]))
    rows = developer_vectors(
        [Facet("a", PROFILE_FACET, "text")], {"text": _unit(1, 0)}, skills, {"rust": _unit(-1, 0)}, model="m"
    )
    assert rows.empty


def test_the_hash_changes_with_everything_that_the_vector_is_made_of():
    def row(text="text", model="m", confidence=0.5):
        return developer_vectors(
            [Facet("a", PROFILE_FACET, text)],
            {"text": _unit(1, 0), "other": _unit(1, 0)},
            _skills(("a", "rust", confidence, ["declared"])),
            {"rust": _unit(0, 1)},
            model=model,
        )["inputs_sha256"].iloc[0]

    assert row() == row()
    assert len({row(), row(text="other"), row(model="n"), row(confidence=0.6)}) == 4
    assert inputs_sha256("ab", "c") != inputs_sha256("a", "bc")


def test_projects_without_text_have_no_vector():
    projects = pd.DataFrame(
        [("b", "T", "text"), ("a", "", None)], columns=["project_id", "title", "description"]
    )
    rows = project_vectors(projects, {project_text("T", "text"): _unit(1, 0)}, model="m")
    assert list(rows["project_id"]) == ["b"]


def test_profiles_without_words_have_no_text():
    assert profile_text(None, []) == ""
    assert profile_text("  ", []) == ""
    assert profile_text(None, ["Go", "Rust"]) == "Go, Rust"
