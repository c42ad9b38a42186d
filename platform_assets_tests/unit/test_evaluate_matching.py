from __future__ import annotations

import csv
import gzip
import json
import math
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from platform_assets.evaluation.matching import (
    evaluate_matching,
    features_without,
    rank_pool,
    read_marketplace,
    summarize,
)
from platform_assets.profiles.vectors import MAX_FACETS
from platform_assets.sandbox.data_folder.gitmatch import read_qrels

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "gitmatch"


def _contribution(developer, repo, language, subject, **values):
    return {
        "developer": developer,
        "repo": repo,
        "commits": 4,
        "first": "2024-01-01",
        "last": "2025-01-01",
        "languages": {language: 4},
        "path_terms": ["src"],
        "subjects": [subject],
        **values,
    }


def _folder(path: Path, contributions, projects, qrels=None) -> Path:
    with gzip.open(path / "contributions.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in contributions)
    (path / "projects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in projects))
    if qrels is not None:
        lines = ["project,developer,commits_in_project,grade", *qrels]
        (path / "qrels.csv").write_text("\n".join(lines) + "\n")
    return path


_ROWS = [
    _contribution("ann", "web/server", "Rust", "serve http requests"),
    _contribution("ann", "web/client", "Rust", "http client pool"),
    _contribution("bob", "plots/charts", "Python", "draw bar charts"),
    _contribution("eve", "web/client", "Rust", "retry http client", commits=500),
]
_PROJECTS = [
    {
        "project": "web/client",
        "readme": "An HTTP client for Rust",
        "languages": {"Rust": 9},
        "n_relevant": 99,
    },
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return _folder(tmp_path, _ROWS, _PROJECTS, ["web/client,ann,4,1", "web/client,eve,500,3"])


def test_all_work_on_the_project_is_hidden(small: Path):
    project, features = features_without(read_marketplace(small), "web/client")
    assert project.project_id == "web/client"
    assert features.developer_ids == ("ann", "bob")
    assert set(features.facet_names) == {"web/server", "plots/charts"}
    # Words that only the hidden rows held are unknown.
    names = sorted(features.word_columns, key=features.word_columns.__getitem__)
    assert not {"retry", "pool"} & {names[column] for column in features.words.indices}


def test_the_pool_and_the_ideal_count_those_with_work_elsewhere(small: Path, tmp_path: Path):
    run = tmp_path / "run.csv"
    result = evaluate_matching(small, run)
    assert result == {
        "queries": 1,
        "ndcg@10": 1.0,
        "mrr": 1.0,
        "recall@100": 1.0,
        "per_query": {"web/client": {"ndcg@10": 1.0, "mrr": 1.0, "recall@100": 1.0}},
    }
    with run.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["query"], row["rank"], row["item"]) for row in rows] == [
        ("web/client", "1", "ann"),
        ("web/client", "2", "bob"),
    ]
    assert float(rows[0]["score"]) > float(rows[1]["score"])


def test_labels_do_not_move_a_ranking(small: Path, tmp_path: Path):
    with_labels, without = tmp_path / "with.csv", tmp_path / "without.csv"
    evaluate_matching(small, with_labels)
    (small / "qrels.csv").unlink()
    _folder(small, _ROWS, [{key: value for key, value in _PROJECTS[0].items() if key != "n_relevant"}])
    result = evaluate_matching(small, without)
    assert with_labels.read_bytes() == without.read_bytes()
    nothing = {"ndcg@10": None, "mrr": None, "recall@100": None}
    assert result == {"queries": 0, **nothing, "per_query": {"web/client": nothing}}


def test_hidden_rows_do_not_move_a_ranking(small: Path, tmp_path: Path):
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    evaluate_matching(small, before)
    visible = [row for row in _ROWS if row["repo"] != "web/client"]
    # One hidden row stays, so that the data folder's latest day is the same.
    _folder(small, [*visible, _ROWS[3]], _PROJECTS, ["web/client,ann,4,1"])
    evaluate_matching(small, after)
    assert before.read_bytes() == after.read_bytes()


def test_a_project_whose_relevant_developers_have_no_other_work_is_not_counted(tmp_path: Path):
    folder = _folder(tmp_path, _ROWS, _PROJECTS, ["web/client,eve,500,3"])
    result = evaluate_matching(folder, None)
    assert (result["queries"], result["mrr"]) == (0, None)


def test_hidden_work_takes_no_place_among_the_main_repositories(tmp_path: Path):
    own = [_contribution("ann", f"web/{i}", "Rust", "serve") for i in range(MAX_FACETS)]
    folder = _folder(tmp_path, [*own, _contribution("ann", "web/client", "Rust", "", commits=99)], _PROJECTS)
    _, features = features_without(read_marketplace(folder), "web/client")
    assert len(features.vectors) == MAX_FACETS


def test_a_project_without_text_and_files_is_ranked_all_the_same(tmp_path: Path):
    folder = _folder(tmp_path, _ROWS, [{"project": "web/client", "readme": "", "languages": {"Rust": 0}}])
    assert list(rank_pool(read_marketplace(folder), "web/client")["developer_id"]) == ["ann", "bob"]


def test_a_language_that_only_a_later_row_of_a_repository_has_counts(tmp_path: Path):
    rows = [_ROWS[0], {**_ROWS[0], "developer": "bob", "languages": {"Zzlang": 3}}]
    known = read_marketplace(_folder(tmp_path, rows, _PROJECTS)).skill_profiles
    assert "zzlang" in set(known.loc[known["developer_id"] == "bob", "skill_id"])


def test_real_contributions_rank_developers_well_above_languages_alone(tmp_path: Path):
    if not _SHARED.exists():
        assert "CI" not in os.environ, f"{_SHARED} must be there in CI"
        pytest.skip(f"{_SHARED} is not there")
    with gzip.open(_SHARED / "contributions.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    # Who works on one project alone is in no pool but the others'; of these a few stand for all, to be quick.
    works = Counter(row["developer"] for row in rows)
    some = [row for row in rows if works[row["developer"]] > 1 or row["developer"].startswith("0")]
    projects = [
        json.loads(line) for line in (_SHARED / "projects.jsonl").read_text("utf-8").split("\n") if line
    ]
    marketplace = read_marketplace(_folder(tmp_path, some, projects))
    qrels = read_qrels(_SHARED)
    grades = {name: dict(zip(own["developer"], own["grade"])) for name, own in qrels.groupby("project")}
    rankings = {name: rank_pool(marketplace, name) for name in grades}

    result = summarize(rankings, grades)
    by_language = summarize(
        {name: _by_shared_languages(some, project, rankings[name]) for name, project in _by_name(projects)},
        grades,
    )

    assert result["queries"] == 21
    assert result["ndcg@10"] > 1.3 * by_language["ndcg@10"]
    assert result["mrr"] > by_language["mrr"]
    # Languages are a wide net: with a hundred places they alone catch more, and order them worse.
    assert result["recall@100"] > 0.7


def _by_name(projects):
    return [(project["project"], project) for project in projects]


def _by_shared_languages(rows, project, pool):
    """The pool by the cosine of a developer's languages, by commits elsewhere, with the project's."""
    wanted, shares = project["languages"], {developer: Counter() for developer in pool["developer_id"]}
    for row in rows:
        if row["repo"] != project["project"]:
            shares[row["developer"]].update(row["languages"])

    def cosine(own):
        norm = math.hypot(*own.values())
        return sum(own[name] * amount for name, amount in wanted.items()) / norm if norm else 0.0

    return pd.DataFrame({"developer_id": sorted(shares, key=lambda developer: -cosine(shares[developer]))})
