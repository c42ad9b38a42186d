from __future__ import annotations

from dataclasses import replace

import matching_inputs as given_that
import numpy as np
import pytest

from platform_assets.matching.repositories import SHARE_BITS, VECTOR_BITS, count_words, on_grid
from platform_assets.matching.statistics import REPOSITORY_WORDS, CorpusStatistics


def _known(*work, **sides):
    people = given_that.developers(*({"developer_id": d} for d in "abcd"))
    return given_that.statistics(people, work=given_that.repositories(*work), **sides)


def _work(developer, repository, **values):
    return {"developer_id": developer, "repository": repository, **values}


def test_what_is_stored_comes_back_with_the_same_version():
    tables = given_that.random_tables(3, 30, 2)
    stored = tables.known.to_bytes()

    read = CorpusStatistics.from_bytes(stored)

    assert read.version == tables.known.version
    assert read.skill_rarity == tables.known.skill_rarity
    assert read.related_skills == tables.known.related_skills
    before, after = tables.developers(), replace(tables, known=read).developers()
    assert (before.words != after.words).nnz == 0
    assert (before.vectors == after.vectors).all()
    assert replace(tables, known=read).projects()[0].words == tables.projects()[0].words


def test_odd_spellings_survive_being_stored():
    work = [_work("a", "o/ü\x00", subjects=["naïve 数据"]), _work("b", "o/ü\x00", subjects=["数据"])]
    read = CorpusStatistics.from_bytes(_known(*work).to_bytes())
    assert read.repositories == ("o/ü\x00",)
    assert read.words == ("naïve", "数据")


def test_nothing_known_is_stored_too():
    read = CorpusStatistics.from_bytes(given_that.NOTHING_KNOWN.to_bytes())
    assert (read.words, read.repositories, read.skill_rarity) == ((), (), {})
    assert read.version == given_that.NOTHING_KNOWN.version


def test_any_difference_makes_another_version():
    base = _known(_work("a", "o/r", subjects=["x ray"]), _work("b", "o/r"))
    assert base.version == _known(_work("b", "o/r"), _work("a", "o/r", subjects=["x ray"])).version
    for other in (
        _known(_work("a", "o/r", subjects=["x rays"]), _work("b", "o/r")),
        _known(_work("a", "o/q", subjects=["x ray"]), _work("b", "o/q")),
        replace(base, skill_rarity={"rust": 0.5}),
        replace(base, related_skills={"rust": (("go", 0.5),)}),
    ):
        assert other.version != base.version


def test_only_repositories_of_several_contributors_are_shared():
    known = _known(_work("a", "o/own"), _work("a", "o/both"), _work("b", "o/both"))
    assert known.repositories == ("o/both",)


def test_a_shared_repository_keeps_the_words_that_tell_most():
    names = "abcdefghijklmnopqrst"
    words = [f"word{first}{second}" for first in names for second in names]
    work = [_work("a", "o/r", subjects=[" ".join(words)]), _work("b", "o/r", subjects=["telling"] * 5)]
    known = _known(*work)
    assert known.repository_words.getnnz() == REPOSITORY_WORDS
    assert known.repository_words[0, known.word_columns["telling"]] > 0


def test_own_new_words_count_at_once_in_shared_work_by_half_and_colleagues_after_the_next_statistics():
    before = [_work("a", "o/r", subjects=["alpha"]), _work("b", "o/r", subjects=["beta"])]
    known = _known(*before)
    after = given_that.repositories(
        _work("a", "o/r", subjects=["gamma"]),
        _work("b", "o/r", subjects=["omega"]),
        _work("a", "o/own", subjects=["delta"]),
    )
    side = given_that.developer_side(
        given_that.developers({"developer_id": "a"}, {"developer_id": "b"}), work=after, known=known
    )
    words = {name: side.words[0, column] for name, column in side.word_columns.items()}
    assert words["delta"] == 1.0
    assert words["alpha"] == words["beta"] == on_grid(np.sqrt(0.5), SHARE_BITS)
    assert words["gamma"] == on_grid(np.sqrt(0.5), SHARE_BITS)
    assert words["omega"] == 0.0


def test_topics_count_as_one_text_and_each_subject_as_one():
    work = given_that.repositories(
        _work("a", "o/r", topics=["web-server", "web"], subjects=["web web", "fix WEB"])
    )
    counts = count_words(work)
    assert dict(zip(counts.words, counts.counts.toarray()[0])) == {"web": 3.0, "server": 1.0, "fix": 1.0}


def test_whatever_is_multiplied_in_a_score_lies_on_its_grid():
    tables = given_that.random_tables(5, 60, 8, dimensions=384)
    developers, projects = tables.developers(), tables.projects()

    def on(values, bits):
        scaled = np.asarray(values, dtype=np.float64) * 2.0**bits
        return len(scaled) > 0 and bool((scaled == np.rint(scaled)).all())

    assert on(developers.vectors, VECTOR_BITS)
    assert all(on(project.vector, VECTOR_BITS) for project in projects if project.vector is not None)
    assert on(developers.skills.data, SHARE_BITS)
    assert on(developers.words.data, SHARE_BITS)
    for project in projects:
        assert on([1.0, *project.skills.values(), *project.words.values()], SHARE_BITS)


@pytest.mark.parametrize("bits", [20, 24])
def test_sums_of_products_on_the_grid_do_not_depend_on_their_order(bits):
    rng = np.random.default_rng(bits)
    left = on_grid(rng.normal(size=384) / 20, bits)
    right = on_grid(rng.normal(size=384) / 20, bits)
    sums = {float(sum((left * right)[rng.permutation(384)])) for _ in range(50)}
    assert sums == {float(left @ right)}
