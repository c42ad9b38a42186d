"""What projects ask for: declared skills and those that their texts speak of, as rows. Pure but for the embedder.

How a text is read is `extraction`, or `gemini_answers` and `grounding`; here stands which projects are read, which
reader's word counts, and how all sources become rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.clients.gemini import PROJECT_PROMPT, Prompt, sent_text
from platform_assets.profiles.extraction import (
    Requirement,
    SkillIndex,
    TextEmbedder,
    extract_requirements,
    index_skills,
)
from platform_assets.profiles.gemini_answers import GeminiReading, Reason
from platform_assets.profiles.grounding import Grounded, ground_answers
from platform_assets.profiles.vectors import inputs_sha256
from platform_assets.profiles.vocabulary import Vocabulary

EXTRACTOR = "spelling+embedding/1"
"""Name and version of how texts are read; a new version reads every project again."""

DECLARED_WEIGHT = 1.0
"""What the client asks for by name matters most."""

REQUIREMENT_COLUMNS = ["project_id", "skill_id", "weight", "extractor", "evidence"]
INPUT_COLUMNS = ["project_id", "text", "declared_skills", "inputs_sha256"]
EXTRACTION_COLUMNS = [
    "project_id",
    "inputs_sha256",
    "extractor",
    "requirements_count",
    "fallback_reason",
    "agreement_ratio",
]


@dataclass(frozen=True)
class Extraction:
    """Rows to write.

    Attributes:
        requirements: Rows of `platform.project_requirements` of the projects that were read, heaviest first.
        extractions: Rows of `platform.requirement_extractions`: one per project that was read, and per project that
            still waits for Gemini, whose requirements stay as they are.
        read_project_ids: Projects that were read.
        gemini_projects_count: Of these, the projects that Gemini read.
        agreement_ratio: Mean over these of the skills that both readers found, of those that either did; None when
            Gemini read none.
        rejected_count: Skills of Gemini's answers that the texts do not support.
    """

    requirements: pd.DataFrame
    extractions: pd.DataFrame
    read_project_ids: tuple[str, ...]
    gemini_projects_count: int = 0
    agreement_ratio: float | None = None
    rejected_count: int = 0


@dataclass(frozen=True)
class _Read:
    """How one project was read; `grounded` is None when the embedding extractor's word counts."""

    project_id: str
    inputs_sha256: str
    declared: Sequence[str]
    by_embedding: Sequence[Requirement]
    grounded: Grounded | None

    @property
    def agreement_ratio(self) -> float | None:
        """Jaccard similarity of what both readers found; two that find nothing agree."""
        if self.grounded is None:
            return None
        ours = {each.skill_id for each in self.by_embedding}
        theirs = {each.skill_id for each in self.grounded.requirements}
        return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0


def project_texts(projects: pd.DataFrame) -> list[str]:
    """What is read of each project: its title and its description.

    Args:
        projects: Rows of `marketplace.projects`.
    """
    return [
        f"{title}\n{description}" for title, description in zip(projects["title"], projects["description"])
    ]


def project_inputs(projects: pd.DataFrame, vocabulary: Vocabulary, *, model: str) -> pd.DataFrame:
    """What each project's requirements are made of.

    Args:
        projects: Rows of `marketplace.projects`.
        vocabulary: The vocabulary; a change of it may change what any text says.
        model: Name of the embedding model.

    Returns:
        `project_id`, `text`, `declared_skills`, `inputs_sha256`.
    """
    spellings = inputs_sha256(
        EXTRACTOR, model, *(f"{alias} {skill}" for alias, skill in sorted(vocabulary.by_alias.items()))
    )
    rows = [
        (project_id, text, list(declared), inputs_sha256(spellings, text, *declared))
        for project_id, text, declared in zip(
            projects["project_id"], project_texts(projects), projects["declared_skills"]
        )
    ]
    return pd.DataFrame(rows, columns=INPUT_COLUMNS)


def gemini_extractor(model: str, prompt: Prompt = PROJECT_PROMPT) -> str:
    """Name and version of how Gemini reads texts; a new prompt or model reads every project again."""
    return f"gemini/{prompt.version} {model}"


def due_inputs(inputs: pd.DataFrame, known: pd.DataFrame, *, extractor: str | None) -> pd.DataFrame:
    """Those inputs that want reading.

    Args:
        inputs: See `project_inputs`.
        known: Rows of `platform.requirement_extractions`.
        extractor: Gemini's `gemini_extractor`; None when it is switched off.

    Returns:
        The inputs that were never read or read in another state, and those that Gemini has not read, with
        `is_changed` False, since the embedding extractor need not read them again.
    """
    read_before = {
        project: (sha, by)
        for project, sha, by in zip(known["project_id"], known["inputs_sha256"], known["extractor"])
    }
    before = [read_before.get(project, (None, None)) for project in inputs["project_id"]]
    is_changed = np.array([sha != was[0] for sha, was in zip(inputs["inputs_sha256"], before)], dtype=bool)
    is_waiting = np.array([was[1] != extractor for was in before], dtype=bool)
    due: pd.DataFrame = inputs.assign(is_changed=is_changed)[is_changed | is_waiting]
    return due


def extract_projects(
    due: pd.DataFrame,
    known: pd.DataFrame,
    reading: GeminiReading,
    vocabulary: Vocabulary,
    skill_vectors: Mapping[str, npt.NDArray[np.float32]],
    embedder: TextEmbedder,
    *,
    extractor: str | None,
) -> Extraction:
    """Read projects: by Gemini where it answered, else by spelling and embedding; both, to compare them.

    Args:
        due: See `due_inputs`.
        known: Rows of `platform.requirement_extractions`.
        reading: What Gemini said about the texts.
        vocabulary: Spellings.
        skill_vectors: Skill id → unit vector of its name.
        embedder: Embeds pieces of the texts; not used when nothing is to be read.
        extractor: Gemini's `gemini_extractor`; None when it is switched off.
    """
    has_answer = due["text"].isin(list(reading.skills))
    to_read = due[due["is_changed"].astype(bool) | has_answer]
    waiting = due[~due["project_id"].isin(to_read["project_id"])]
    read = _read_projects(to_read, reading, vocabulary, skill_vectors, embedder) if len(to_read) else []
    reasons = dict(zip(due["project_id"], due["text"].map(reading.reasons)))
    merged = [
        _with_declared(
            each.by_embedding if each.grounded is None else each.grounded.requirements,
            each.declared,
            vocabulary,
        )
        for each in read
    ]
    rows = [
        (each.project_id, own.skill_id, own.weight, own.extractor, own.evidence)
        for each, requirements in zip(read, merged)
        for own in requirements
    ]
    by_gemini = [each for each in read if each.grounded is not None]
    agreements = [each.agreement_ratio for each in by_gemini if each.agreement_ratio is not None]
    extractions = [
        (
            each.project_id,
            each.inputs_sha256,
            EXTRACTOR if each.grounded is None else extractor,
            len(requirements),
            reasons[each.project_id] if each.grounded is None else None,
            each.agreement_ratio,
        )
        for each, requirements in zip(read, merged)
    ]
    return Extraction(
        requirements=pd.DataFrame(rows, columns=REQUIREMENT_COLUMNS),
        extractions=pd.DataFrame(
            [*extractions, *_still_waiting(waiting, known, reasons)], columns=EXTRACTION_COLUMNS
        ),
        read_project_ids=tuple(to_read["project_id"]),
        gemini_projects_count=len(by_gemini),
        agreement_ratio=sum(agreements) / len(agreements) if agreements else None,
        rejected_count=sum(each.grounded.rejected_count for each in by_gemini if each.grounded),
    )


def extract_without_gemini(
    inputs: pd.DataFrame,
    vocabulary: Vocabulary,
    skill_vectors: Mapping[str, npt.NDArray[np.float32]],
    embedder: TextEmbedder,
) -> Extraction:
    """Read projects by spelling and embedding alone; see `extract_projects`."""
    known = pd.DataFrame(columns=EXTRACTION_COLUMNS)
    return extract_projects(
        due_inputs(inputs, known, extractor=None),
        known,
        GeminiReading(reasons=dict.fromkeys(inputs["text"], Reason.OFF)),
        vocabulary,
        skill_vectors,
        embedder,
        extractor=None,
    )


def _read_projects(
    inputs: pd.DataFrame,
    reading: GeminiReading,
    vocabulary: Vocabulary,
    skill_vectors: Mapping[str, npt.NDArray[np.float32]],
    embedder: TextEmbedder,
) -> list[_Read]:
    index = _skill_index(vocabulary, skill_vectors)
    texts = list(inputs["text"])
    answered = [text for text in dict.fromkeys(texts) if text in reading.skills]
    grounded = dict(
        zip(
            answered,
            ground_answers(
                [sent_text(text) for text in answered],
                [reading.skills[text] for text in answered],
                vocabulary,
                index,
                embedder,
            ),
        )
    )
    found = extract_requirements(texts, vocabulary, index, embedder)
    return [
        _Read(project, sha, declared, own, grounded.get(text))
        for project, sha, declared, text, own in zip(
            inputs["project_id"], inputs["inputs_sha256"], inputs["declared_skills"], texts, found
        )
    ]


def _skill_index(vocabulary: Vocabulary, skill_vectors: Mapping[str, npt.NDArray[np.float32]]) -> SkillIndex:
    known = [skill for skill in vocabulary.by_id if skill in skill_vectors]
    return index_skills(
        known,
        [vocabulary.by_id[skill].name for skill in known],
        np.stack([skill_vectors[skill] for skill in known]),
    )


def _still_waiting(
    waiting: pd.DataFrame, known: pd.DataFrame, reasons: Mapping[str, str]
) -> list[tuple[object, ...]]:
    """What is known of projects that Gemini has still not read, with the reason of this time.

    Those that an older model or prompt has read are left alone: they are no fallback.
    """
    rows = known[known["project_id"].isin(waiting["project_id"]) & (known["extractor"] == EXTRACTOR)]
    return [
        (project, sha, EXTRACTOR, requirements_count, reasons[project], None)
        for project, sha, requirements_count in zip(
            rows["project_id"], rows["inputs_sha256"], rows["requirements_count"]
        )
    ]


def _with_declared(
    found: Sequence[Requirement], declared: Sequence[str], vocabulary: Vocabulary
) -> list[Requirement]:
    by_skill = {requirement.skill_id: requirement for requirement in found}
    for name in declared:
        skill_id = vocabulary.resolve(name)
        if skill_id is not None:
            by_skill[skill_id] = Requirement(skill_id, DECLARED_WEIGHT, "declared", name)
    return sorted(by_skill.values(), key=lambda requirement: (-requirement.weight, requirement.skill_id))
