"""Skills in sentences measured on job ads labelled with ESCO skills: the product's extractor, nothing fitted here.

The reading of the files and the protocol belong here; the extractor is `profiles.extraction`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from platform_assets.clients.embedder import Embedder
from platform_assets.evaluation import measures
from platform_assets.evaluation.data_errors import EvaluationDataError
from platform_assets.evaluation.run_files import write_run_file
from platform_assets.profiles.extraction import Rankings, label_text, rank_skills

LABELS_FILE = "skills_en_label.txt"
ANNOTATIONS_SUFFIX = "_annotations.csv"
RANKED = 100
"""Places of each ranking that are written and measured; a label further down counts as not found."""


@dataclass(frozen=True)
class AnnotatedFile:
    """Sentences of one file.

    Attributes:
        name: File name without `_annotations.csv`.
        sentences: Distinct sentences in the order of the file.
        gold: Labels of each sentence that are in the vocabulary; None when the file has no labels.
    """

    name: str
    sentences: tuple[str, ...]
    gold: tuple[frozenset[str], ...] | None


def evaluate_skills(folder: Path, run_path: Path | None = None) -> dict[str, Any]:
    """Rank the vocabulary for every sentence of every file and compare with the labels.

    Only sentences with a label that is in the vocabulary count; a sentence's gold is the union of its labels.

    Args:
        folder: Holds `skills_en_label.txt` and `*_annotations.csv`.
        run_path: Where to write the rankings as CSV `query,rank,item,score` (sentence, rank from 1, label), all files
            in one, a sentence of several files once; None writes nothing.

    Returns:
        Per file: `sentences` (those that count), `mrr`, `rp@5`, `rp@10` and `sentences_per_second`, the loaded model
        and the embedded vocabulary taken as given. Measures are None without labels, or when no sentence counts.

    Raises:
        EvaluationDataError: A file is missing or malformed; all problems are listed.
        RunFileError: The results can't be written.
    """
    labels, files = read_folder(folder)
    embedder = Embedder()
    label_vectors = embedder.encode([label_text(label) for label in labels])
    results: dict[str, Any] = {}
    rankings: dict[str, tuple[list[str], list[float]]] = {}
    for file in files:
        started = time.perf_counter()
        ranked = rank_skills(file.sentences, labels, label_vectors, embedder, top=RANKED)
        elapsed_s = time.perf_counter() - started
        own = _named(ranked, file.sentences, labels)
        results[file.name] = _measure(own, file) | {"sentences_per_second": len(file.sentences) / elapsed_s}
        rankings |= own
    if run_path is not None:
        _write_run(rankings, run_path)
    return results


def read_folder(folder: Path) -> tuple[list[str], list[AnnotatedFile]]:
    """The vocabulary, and the annotated files by name.

    Raises:
        EvaluationDataError: A file is missing or malformed; all problems are listed.
    """
    problems: list[str] = []
    labels: list[str] = []
    try:
        # By line feed alone: a label may hold what Unicode counts as a line's end.
        lines = (folder / LABELS_FILE).read_text("utf-8-sig").split("\n")
        labels = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not labels:
            problems.append(f"{LABELS_FILE} has no labels")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{folder / LABELS_FILE} can't be read: {error}")
    paths = sorted(folder.glob(f"*{ANNOTATIONS_SUFFIX}"))
    if not paths:
        problems.append(f"{folder} has no *{ANNOTATIONS_SUFFIX}")
    files = []
    known = frozenset(labels)
    for path in paths:
        try:
            files.append(_read_annotations(path, known))
        except EvaluationDataError as error:
            problems += error.problems
    if problems:
        raise EvaluationDataError(problems)
    return labels, files


def _read_annotations(path: Path, known: frozenset[str]) -> AnnotatedFile:
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise EvaluationDataError([f"{path.name} can't be read: {error}"]) from error
    if "sentence" not in rows.columns:
        raise EvaluationDataError([f"{path.name}: the column sentence is missing"])
    blank = np.flatnonzero(rows["sentence"].str.strip() == "")
    if len(rows) == 0 or len(blank):
        where = f"row {blank[0]} (from 0) has no sentence" if len(blank) else "there are no rows"
        raise EvaluationDataError([f"{path.name}: {where}"])
    gold: dict[str, set[str]] = {sentence: set() for sentence in rows["sentence"]}
    has_labels = "label" in rows.columns and bool((rows["label"] != "").any())
    if has_labels:
        for sentence, label in zip(rows["sentence"], rows["label"]):
            if label in known:
                gold[sentence].add(label)
    return AnnotatedFile(
        name=path.name.removesuffix(ANNOTATIONS_SUFFIX),
        sentences=tuple(gold),
        gold=tuple(frozenset(own) for own in gold.values()) if has_labels else None,
    )


def _named(
    ranked: Rankings, sentences: Sequence[str], labels: Sequence[str]
) -> dict[str, tuple[list[str], list[float]]]:
    return {
        sentence: ([labels[i] for i in positions], [float(score) for score in scores])
        for sentence, positions, scores in zip(sentences, ranked.positions, ranked.scores)
    }


def _measure(rankings: Mapping[str, tuple[list[str], list[float]]], file: AnnotatedFile) -> dict[str, Any]:
    pairs = [(rankings[sentence][0], gold) for sentence, gold in zip(file.sentences, file.gold or ()) if gold]
    if not pairs:
        return {"sentences": 0, "mrr": None, "rp@5": None, "rp@10": None}
    return {
        "sentences": len(pairs),
        "mrr": float(np.mean([measures.reciprocal_rank(ranking, gold) for ranking, gold in pairs])),
        "rp@5": float(np.mean([measures.r_precision_at(5, ranking, gold) for ranking, gold in pairs])),
        "rp@10": float(np.mean([measures.r_precision_at(10, ranking, gold) for ranking, gold in pairs])),
    }


def _write_run(rankings: Mapping[str, tuple[list[str], list[float]]], path: Path) -> None:
    rows = [
        (sentence, rank, label, score)
        for sentence, (ranked, scores) in rankings.items()
        for rank, (label, score) in enumerate(zip(ranked, scores), start=1)
    ]
    write_run_file(pd.DataFrame(rows, columns=["query", "rank", "item", "score"]), path)
