"""What the daily run verifies of the stored vectors, and what it heals."""

import datetime as dt

import dagster as dg
import numpy as np
import pytest
from small_world import NOW, derived_rows

from platform_assets.clients.embedder import MODEL_NAME, Embedder, EmbedderError
from platform_assets.profiles.embedding_audit import SAMPLE_TEXTS, audited_texts
from platform_assets.profiles.graph_projection import RECONCILE_TAG

EMBEDDED = ("skill_embeddings", "developer_vectors", "project_vectors")
DAILY = {RECONCILE_TAG: "true"}
ERROR = dg.AssetCheckSeverity.ERROR


def audits(platform, what="*"):
    return platform.values(f"SELECT {what} FROM monitoring.embedding_audits ORDER BY audit_id")


def stretch(platform, where="true"):
    """Make stored vectors wrong in length."""
    platform.execute(
        f"UPDATE platform.text_embeddings SET vector = vector * array_fill(2, ARRAY[384])::vector WHERE {where}"
    )


def turn(platform, where="true"):
    """Make stored vectors wrong in direction alone."""
    platform.execute(
        "UPDATE platform.text_embeddings SET vector = (SELECT t.vector FROM platform.text_embeddings t "
        f"ORDER BY t.text_sha256 LIMIT 1) WHERE {where}"
    )


def test_the_first_run_verifies_and_later_ones_do_only_what_changed(settled):
    assert audits(settled, "asset") == list(EMBEDDED)
    assert set(
        audits(settled, "weights_sha256 LIKE '53aa5117%' AND cosine_min > 0.999 AND recomputed_count = 0")
    ) == {True}
    assert min(audits(settled, "sample_count")) > 0

    outcome = settled.run(*EMBEDDED)

    assert len(audits(settled)) == 3
    for asset in EMBEDDED:
        assert outcome.rows_written(asset) == 0
        assert not outcome.metadata(asset)["is_verified"]


def test_between_daily_runs_a_wrong_vector_is_not_looked_at_and_the_daily_run_mends_it(settled):
    before = derived_rows(settled.database)
    settled.execute(
        "UPDATE platform.skill_embeddings SET vector = vector * array_fill(-1, ARRAY[384])::vector WHERE skill_id = 'python'"
    )
    assert settled.run(*EMBEDDED).rows_written("skill_embeddings") == 0

    daily = settled.run(*EMBEDDED, tags=DAILY)

    assert daily.rows_written("skill_embeddings") == 1
    assert derived_rows(settled.database) == before
    assert len(audits(settled)) == 6


def test_a_stored_vector_of_another_length_is_computed_anew(settled):
    before = derived_rows(settled.database)
    stretch(
        settled,
        "text_sha256 IN (SELECT text_sha256 FROM platform.skill_embeddings ORDER BY skill_id LIMIT 3)",
    )

    outcome = settled.run("skill_embeddings", tags=DAILY)

    assert outcome.metadata("skill_embeddings")["texts_computed"] == 3
    assert audits(settled, "broken_count")[-1] == audits(settled, "recomputed_count")[-1] == 3
    after = derived_rows(settled.database)
    kept = np.array([row[2] for row in before["text_embeddings"]])
    mended = np.array([row[2] for row in after["text_embeddings"]])
    # The last bits differ with the size of a batch.
    assert np.einsum("ij,ij->i", kept, mended).min() > 0.999


def test_vectors_that_drifted_are_found_by_the_sample_and_all_of_them_computed_anew(settled):
    skills = settled.values("SELECT count(*) FROM platform.skill_embeddings")[0]
    turn(settled, "text_sha256 IN (SELECT text_sha256 FROM platform.skill_embeddings)")

    outcome = settled.run("skill_embeddings", tags=DAILY)

    assert outcome.broken_checks(ERROR) == {("skill_embeddings", "drift")}, "that it was off is told"
    assert outcome.metadata("skill_embeddings")["texts_computed"] >= skills - 10
    healed = settled.run("skill_embeddings", tags=DAILY)
    assert not healed.broken_checks(ERROR)
    assert audits(settled, "recomputed_count")[-1] == 0


def test_vectors_of_another_model_are_replaced_and_never_mixed(settled):
    before = derived_rows(settled.database)
    for table in EMBEDDED:
        settled.execute(
            f"UPDATE platform.{table} SET model = 'other', vector = vector * array_fill(-1, ARRAY[384])::vector "
            f"WHERE ctid IN (SELECT ctid FROM platform.{table} LIMIT 3)"
        )
    mixed = settled.run_checks(*EMBEDDED).broken_checks(ERROR)
    assert {(table, "one_space") for table in EMBEDDED} <= mixed

    outcome = settled.run(*EMBEDDED)

    assert not outcome.broken_checks(ERROR)
    assert {outcome.rows_written(table) for table in EMBEDDED} == {3}
    assert derived_rows(settled.database) == before


def test_a_mean_that_moves_is_told_by_comparing_days(settled):
    settled.execute(
        "UPDATE monitoring.embedding_audits SET mean_vector = mean_vector * array_fill(-1, ARRAY[384])::vector "
        "WHERE asset = 'skill_embeddings'"
    )
    outcome = settled.run(*EMBEDDED, tags=DAILY, now=NOW + dt.timedelta(days=1))

    shifted = {name for name in EMBEDDED if not outcome.checks()[name, "mean_shift"].passed}
    assert shifted == {"skill_embeddings"}
    assert outcome.checks()["project_vectors", "mean_shift"].metadata["value"].value == pytest.approx(1)


def test_the_sample_depends_on_the_day_alone(settled, embedder):
    texts = [f"skill number {number}" for number in range(3 * SAMPLE_TEXTS)]
    seen = []

    class Noting(Embedder):
        def encode(self, texts, *, progress=None):
            seen.append(list(texts))
            return embedder.encode(texts)

    for day in (1, 1, 2):
        as_of = dt.date(2026, 11, day)
        audited_texts(settled.database, Noting(), texts, asset="test", as_of=as_of, audited_at=NOW)

    samples = [each for each in seen if len(each) == SAMPLE_TEXTS]
    assert len(samples) == 3
    assert samples[0] == samples[1] != samples[2]


def test_other_weights_stop_the_run_before_anything_is_written(settled, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EmbedderError, match="not the expected model"):
        audited_texts(
            settled.database,
            Embedder(tmp_path),
            ["a text that was never embedded"],
            asset="test",
            as_of=NOW.date(),
            audited_at=NOW,
        )
    assert "test" not in audits(settled, "asset")
    assert set(settled.values("SELECT DISTINCT model FROM platform.text_embeddings")) == {MODEL_NAME}


def test_no_text_at_all_is_no_drift(settled, embedder):
    audited_texts(settled.database, embedder, [], asset="test", as_of=NOW.date(), audited_at=NOW)

    assert audits(settled, "sample_count")[-1] == 0
    assert audits(settled, "cosine_min IS NULL AND mean_vector IS NULL")[-1]
