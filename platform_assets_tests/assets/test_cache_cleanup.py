"""What a sweep of the caches deletes and what it never does."""

import dataclasses
import datetime as dt

import pytest
from small_world import NOW, derived_rows

from platform_assets.profiles.caches import AI_ANSWERS, CACHES, README_TEXTS, TEXT_EMBEDDINGS, sweep
from platform_assets.tables import platform as tables

ASSET = "cache_cleanup"
LATER = NOW + dt.timedelta(days=400)
CACHED = ("ai_answers", "text_embeddings", "readme_texts")


def rows_of(platform):
    return {name: derived_rows(platform.database)[name] for name in CACHED}


def add_unused(platform, *, count=3, days=0):
    """Rows that nothing refers to, so many days old."""
    platform.execute(
        "INSERT INTO platform.text_embeddings SELECT model, repeat(n::text, 64), vector, now() - make_interval(days => :d) "
        "FROM (SELECT * FROM platform.text_embeddings LIMIT 1) t, generate_series(1, :n) n",
        d=days,
        n=count,
    )


def test_what_is_in_use_is_kept_however_old_it_is(settled):
    settled.execute("UPDATE platform.text_embeddings SET updated_at = now() - interval '9 years'")
    before = rows_of(settled)

    outcome = settled.run(ASSET, now=LATER)

    assert outcome.metadata(ASSET)["rows_freed"] == 0
    assert outcome.metadata(ASSET)["bytes_freed"] == 0
    assert rows_of(settled) == before
    assert (
        settled.run("skill_embeddings", "project_requirements").metadata("skill_embeddings")["texts_computed"]
        == 0
    )


def test_what_nothing_uses_goes_when_it_is_old_and_its_bytes_are_told(settled):
    before = rows_of(settled)
    add_unused(settled, days=0)
    now = dt.datetime.now(dt.UTC)
    assert settled.run(ASSET, now=now).metadata(ASSET)["rows_freed"] == 0

    outcome = settled.run(ASSET, now=now + TEXT_EMBEDDINGS.keep)

    assert outcome.metadata(ASSET)["rows_freed"] == 3
    assert outcome.metadata(ASSET)["bytes_freed"] > 3 * 4 * 384
    assert rows_of(settled) == before
    assert outcome.metadata(ASSET)["rows_measured"] == len(CACHES)
    assert settled.values("SELECT sum(rows_expired) FROM monitoring.cache_sweeps") == [3]


def test_a_changed_text_leaves_its_old_answer_and_readme_to_the_sweep(settled):
    [repository] = settled.values("SELECT min(repository) FROM platform.readme_texts WHERE state = 'read'")
    settled.execute("UPDATE marketplace.developers SET bio = 'New words.' WHERE developer_id = 'dev_00001'")
    settled.execute("DELETE FROM platform.developer_repositories WHERE repository = :r", r=repository)
    settled.run("developer_text_skills")

    settled.run(ASSET, now=LATER)

    assert repository not in settled.values("SELECT repository FROM platform.readme_texts")
    assert (
        settled.values(
            "SELECT rows_expired FROM monitoring.cache_sweeps WHERE cache = 'platform.ai_answers' ORDER BY sweep_id DESC LIMIT 1"
        )[0]
        >= 1
    )
    again = settled.run("developer_text_skills", "project_requirements")
    assert again.metadata("developer_text_skills")["gemini_calls"] == 0
    assert again.metadata("project_requirements")["gemini_calls"] == 0


def test_switching_gemini_off_throws_no_answer_away(settled):
    before = rows_of(settled)["ai_answers"]

    settled.run(ASSET, gemini=None, now=LATER)

    assert rows_of(settled)["ai_answers"] == before


def test_above_its_bound_the_oldest_unused_rows_go_and_no_more_than_needed(settled):
    for days in (1, 2, 3):
        settled.execute(
            "INSERT INTO platform.text_embeddings SELECT model, :sha, vector, now() - make_interval(days => :d) "
            "FROM platform.text_embeddings LIMIT 1",
            sha=str(days) * 64,
            d=days,
        )
    used = {
        tuple(row[:2])
        for row in rows_of(settled)["text_embeddings"]
        if row[1] not in {str(d) * 64 for d in (1, 2, 3)}
    }
    total = settled.values("SELECT sum(pg_column_size(t.*)) FROM platform.text_embeddings t")[0]
    tight = dataclasses.replace(TEXT_EMBEDDINGS, max_bytes=int(total) - 100)

    done = sweep(settled.database, tight, used, now=dt.datetime.now(dt.UTC))

    assert (done.rows_expired, done.rows_evicted) == (0, 1)
    assert done.bytes_kept <= tight.max_bytes
    assert done.rows_referenced == len(used)
    left = settled.values("SELECT text_sha256 FROM platform.text_embeddings")
    assert "3" * 64 not in left
    assert {"1" * 64, "2" * 64} <= set(left)

    done = sweep(settled.database, dataclasses.replace(tight, max_bytes=0), used, now=dt.datetime.now(dt.UTC))
    assert (done.rows_evicted, done.rows_kept) == (2, len(used)), "what is in use stays, however much it is"


def test_a_cache_that_is_too_full_of_what_is_in_use_turns_its_check_red(settled):
    assert settled.run(ASSET).checks()[ASSET, "size"].passed
    settled.execute(
        "UPDATE monitoring.cache_sweeps SET bytes_kept = :n WHERE cache = 'platform.readme_texts'",
        n=README_TEXTS.max_bytes + 1,
    )
    assert not settled.run_checks(ASSET).checks()[ASSET, "size"].passed
    settled.execute("DELETE FROM monitoring.cache_sweeps WHERE cache = 'platform.readme_texts'")
    [check] = [c for key, c in settled.run_checks(ASSET).checks().items() if key[1] == "size"]
    assert not check.passed
    assert "not measurable" in (check.description or "")


@pytest.mark.parametrize("cache", CACHES, ids=lambda cache: cache.table.name)
def test_an_empty_cache_is_swept_like_any_other(database, cache):
    done = sweep(database, cache, set(), now=NOW)

    assert (done.rows_kept, done.rows_expired, done.bytes_kept) == (0, 0, 0)
    assert done.bytes_on_disk > 0


def test_answers_are_kept_long_enough_for_a_text_to_come_back(settled):
    [text] = settled.values("SELECT bio FROM marketplace.developers WHERE developer_id = 'dev_00001'")
    settled.execute(
        "UPDATE marketplace.developers SET bio = 'Something else.' WHERE developer_id = 'dev_00001'"
    )
    settled.run("developer_text_skills")
    settled.run(ASSET, now=NOW + AI_ANSWERS.keep - dt.timedelta(days=1))
    settled.execute("UPDATE marketplace.developers SET bio = :b WHERE developer_id = 'dev_00001'", b=text)

    assert settled.run("developer_text_skills").metadata("developer_text_skills")["gemini_calls"] == 0
    assert len(settled.rows(tables.ai_answers)) > 0
