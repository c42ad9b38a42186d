"""Accuracy on labelled samples: what counts as right, and when it is measured again."""

import datetime as dt

import pandas as pd
import pytest

from platform_assets.profiles.accuracy import (
    REMEASURE_AFTER,
    measure_accuracy,
    sample_inputs,
    samples_sha256,
    wants_measuring,
)
from platform_assets.profiles.vocabulary import Skill, Vocabulary, packaged_vocabulary

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
VOCABULARY = packaged_vocabulary()


def samples(*rows):
    columns = ["sample_id", "text", "skills", "source", "split"]
    return pd.DataFrame([(*row, "me", "test")[: len(columns)] for row in rows], columns=columns)


def found(*rows):
    return pd.DataFrame(rows, columns=["project_id", "skill_id"])


def test_precision_and_recall_count_pairs_and_rp_at_5_is_a_mean_over_samples():
    labelled = samples(("a", "…", ["Python", "postgresql"]), ("b", "…", ["Rust"]))

    measured = measure_accuracy(
        labelled, found(("a", "python"), ("a", "docker"), ("a", "postgresql"), ("b", "go")), VOCABULARY
    )

    assert measured.samples_count == 2
    assert measured.precision == pytest.approx(2 / 4)
    assert measured.recall == pytest.approx(2 / 3)
    assert measured.rp_at_5 == pytest.approx((2 / 2 + 0) / 2)


def test_only_the_five_best_count_for_rp_at_5():
    ranked = [("a", skill.skill_id) for skill in VOCABULARY.skills[:5]] + [("a", "python")]

    assert measure_accuracy(samples(("a", "…", ["Python"])), found(*ranked), VOCABULARY).rp_at_5 == 0


def test_a_label_that_the_vocabulary_lacks_is_missed_and_told():
    measured = measure_accuracy(
        samples(("a", "…", ["Python", "Underwater Weaving"])), found(("a", "python")), VOCABULARY
    )

    assert measured.unknown_labels_count == 1
    assert (measured.precision, measured.recall, measured.rp_at_5) == (1.0, 0.5, 0.5)


def test_samples_without_skills_cost_precision_alone():
    measured = measure_accuracy(samples(("a", "…", [])), found(("a", "python")), VOCABULARY)

    assert (measured.precision, measured.recall, measured.rp_at_5) == (0.0, None, None)
    nothing = measure_accuracy(samples(("a", "…", [])), found(), VOCABULARY)
    assert (nothing.precision, nothing.recall, nothing.rp_at_5) == (None, None, None)


def test_training_samples_are_never_measured_on():
    labelled = samples(("a", "…", ["Python"], "me", "train"), ("b", "…", ["Rust"], "me", "test"))

    assert list(sample_inputs(labelled)["project_id"]) == ["b"]
    assert measure_accuracy(labelled, found(("a", "python"), ("b", "rust")), VOCABULARY).samples_count == 1


def test_it_is_measured_again_when_anything_changed_and_only_then():
    labelled = samples(("a", "Some Rust.", ["Rust"]))
    sha = samples_sha256(labelled, VOCABULARY, extractor="e/1")
    latest = {"inputs_sha256": sha, "extractor": "e/1", "measured_at": NOW - dt.timedelta(days=9)}
    more = Vocabulary((*VOCABULARY.skills, Skill("x", "X ray", "other", frozenset({"x ray"}))))

    assert wants_measuring(sha, None, extractor="e/1", now=NOW)
    assert not wants_measuring(sha, latest, extractor="e/1", now=NOW)
    assert (
        len(
            {
                sha,
                samples_sha256(labelled, VOCABULARY, extractor="e/2"),
                samples_sha256(labelled, more, extractor="e/1"),
                samples_sha256(samples(("a", "Some Rust.", ["Go"])), VOCABULARY, extractor="e/1"),
                samples_sha256(samples(("a", "Some rust.", ["Rust"])), VOCABULARY, extractor="e/1"),
            }
        )
        == 5
    )


def test_a_stand_in_is_measured_again_after_a_while():
    latest = {"inputs_sha256": "s", "extractor": "mixed", "measured_at": NOW}

    assert not wants_measuring("s", latest, extractor="gemini", now=NOW + dt.timedelta(hours=1))
    assert wants_measuring("s", latest, extractor="gemini", now=NOW + REMEASURE_AFTER)
