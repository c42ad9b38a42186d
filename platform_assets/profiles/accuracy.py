"""How right the extractor in use is on texts that people have labelled; measured again only when something changed.

Samples are rows of `platform.labelled_samples`; which reader's word counts is `requirements`' to say, as for projects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from platform_assets.evaluation.measures import r_precision_at
from platform_assets.profiles.vectors import inputs_sha256
from platform_assets.profiles.vocabulary import Vocabulary

TEST = "test"

REMEASURE_AFTER = dt.timedelta(hours=6)
"""Where Gemini should have read samples and did not, the measurement is of something else: it is repeated after a while."""


@dataclass(frozen=True)
class Accuracy:
    """What was measured; see `monitoring.extraction_accuracy`."""

    samples_count: int
    unknown_labels_count: int
    precision: float | None
    recall: float | None
    rp_at_5: float | None


def sample_inputs(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples to measure on, in the shape in which projects are read.

    Args:
        samples: Rows of `platform.labelled_samples`.
    """
    rows = samples[samples["split"] == TEST]
    return pd.DataFrame(
        {
            "project_id": rows["sample_id"],
            "text": rows["text"],
            "declared_skills": [[] for _ in range(len(rows))],
            "inputs_sha256": rows["sample_id"],
            "is_changed": True,
        }
    )


def samples_sha256(samples: pd.DataFrame, vocabulary: Vocabulary, *, extractor: str) -> str:
    """SHA-256 over all that a measurement depends on.

    Args:
        samples: Rows of `platform.labelled_samples`.
        vocabulary: Spellings.
        extractor: Name and version of the extractor that should read.
    """
    rows = samples[samples["split"] == TEST]
    labelled = inputs_sha256(
        *(part for row in zip(rows["text"], rows["skills"]) for part in (row[0], *row[1], ""))
    )
    spelled = inputs_sha256(*(f"{alias} {skill}" for alias, skill in sorted(vocabulary.by_alias.items())))
    return inputs_sha256(extractor, labelled, spelled)


def wants_measuring(
    sha256: str, latest: Mapping[Hashable, Any] | None, *, extractor: str, now: dt.datetime
) -> bool:
    """Whether something changed since the latest measurement, or that was not of the extractor that should read."""
    if latest is None or latest["inputs_sha256"] != sha256:
        return True
    is_old: bool = now - latest["measured_at"] >= REMEASURE_AFTER
    return is_old and latest["extractor"] != extractor


def measure_accuracy(samples: pd.DataFrame, found: pd.DataFrame, vocabulary: Vocabulary) -> Accuracy:
    """Compare what was found with the labels.

    Args:
        samples: Rows of `platform.labelled_samples`.
        found: `project_id` (the sample), `skill_id`, heaviest first for each sample.
        vocabulary: Resolves labels, which are ids or names; a label that it does not know counts as missed.

    Returns:
        Precision and recall over all pairs of sample and skill; RP@5 as a mean over the samples with labels.
    """
    rows = samples[samples["split"] == TEST]
    rankings = {str(sample): list(own["skill_id"]) for sample, own in found.groupby("project_id", sort=False)}
    hits = found_count = gold_count = unknown_count = 0
    rp_at_5 = []
    for sample_id, labels in zip(rows["sample_id"], rows["skills"]):
        resolved = {label: _resolve(label, vocabulary) for label in labels}
        # An unknown label stands for itself: no id has its form.
        gold = {skill or f"unknown: {label}" for label, skill in resolved.items()}
        ranking = rankings.get(sample_id, [])
        unknown_count += sum(skill is None for skill in resolved.values())
        hits += len(gold.intersection(ranking))
        found_count += len(ranking)
        gold_count += len(gold)
        if gold:
            rp_at_5.append(r_precision_at(5, ranking, gold))
    return Accuracy(
        samples_count=len(rows),
        unknown_labels_count=unknown_count,
        precision=hits / found_count if found_count else None,
        recall=hits / gold_count if gold_count else None,
        rp_at_5=sum(rp_at_5) / len(rp_at_5) if rp_at_5 else None,
    )


def _resolve(label: str, vocabulary: Vocabulary) -> str | None:
    return label if label in vocabulary.by_id else vocabulary.resolve(label)
