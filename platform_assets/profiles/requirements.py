"""What projects ask for: declared skills and those that their texts speak of, as rows. Pure but for the embedder.

How a text is read is `extraction`; here stands which projects are read, and how both sources become rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.profiles.extraction import (
    Requirement,
    TextEmbedder,
    extract_requirements,
    index_skills,
)
from platform_assets.profiles.vectors import inputs_sha256
from platform_assets.profiles.vocabulary import Vocabulary

EXTRACTOR = "spelling+embedding/1"
"""Name and version of how texts are read; a new version reads every project again."""

DECLARED_WEIGHT = 1.0
"""What the client asks for by name matters most."""

REQUIREMENT_COLUMNS = ["project_id", "skill_id", "weight", "extractor", "evidence"]
INPUT_COLUMNS = ["project_id", "text", "declared_skills", "inputs_sha256"]


@dataclass(frozen=True)
class Extraction:
    """Rows to write.

    Attributes:
        requirements: Rows of `platform.project_requirements`, by project, heaviest first.
        extractions: Rows of `platform.requirement_extractions`, one per project that was read.
    """

    requirements: pd.DataFrame
    extractions: pd.DataFrame


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
        for project_id, title, description, declared in zip(
            projects["project_id"], projects["title"], projects["description"], projects["declared_skills"]
        )
        for text in [f"{title}\n{description}"]
    ]
    return pd.DataFrame(rows, columns=INPUT_COLUMNS)


def changed_inputs(inputs: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Those inputs that were never read, or read in another state.

    Args:
        inputs: See `project_inputs`.
        known: Rows of `platform.requirement_extractions`.
    """
    read_before = dict(zip(known["project_id"], known["inputs_sha256"]))
    is_changed = [
        read_before.get(project) != sha for project, sha in zip(inputs["project_id"], inputs["inputs_sha256"])
    ]
    return inputs[np.array(is_changed, dtype=bool)]


def extract_projects(
    inputs: pd.DataFrame,
    vocabulary: Vocabulary,
    skill_vectors: Mapping[str, npt.NDArray[np.float32]],
    embedder: TextEmbedder,
) -> Extraction:
    """Read projects.

    Args:
        inputs: See `project_inputs`.
        vocabulary: Spellings.
        skill_vectors: Skill id → unit vector of its name.
        embedder: Embeds pieces of the texts; not used when there are no inputs.
    """
    if inputs.empty:
        return Extraction(pd.DataFrame(columns=REQUIREMENT_COLUMNS), _extractions(inputs, []))
    known = [skill for skill in vocabulary.by_id if skill in skill_vectors]
    index = index_skills(
        known,
        [vocabulary.by_id[skill].name for skill in known],
        np.stack([skill_vectors[skill] for skill in known]),
    )
    found = extract_requirements(list(inputs["text"]), vocabulary, index, embedder)
    merged = [
        _with_declared(own, declared, vocabulary) for own, declared in zip(found, inputs["declared_skills"])
    ]
    rows = [
        (project_id, each.skill_id, each.weight, each.extractor, each.evidence)
        for project_id, requirements in zip(inputs["project_id"], merged)
        for each in requirements
    ]
    return Extraction(pd.DataFrame(rows, columns=REQUIREMENT_COLUMNS), _extractions(inputs, merged))


def _with_declared(
    found: Sequence[Requirement], declared: Sequence[str], vocabulary: Vocabulary
) -> list[Requirement]:
    by_skill = {requirement.skill_id: requirement for requirement in found}
    for name in declared:
        skill_id = vocabulary.resolve(name)
        if skill_id is not None:
            by_skill[skill_id] = Requirement(skill_id, DECLARED_WEIGHT, "declared", name)
    return sorted(by_skill.values(), key=lambda requirement: (-requirement.weight, requirement.skill_id))


def _extractions(inputs: pd.DataFrame, requirements: Sequence[Sequence[Requirement]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "project_id": inputs["project_id"],
            "inputs_sha256": inputs["inputs_sha256"],
            "extractor": EXTRACTOR,
            "requirements_count": [len(own) for own in requirements],
        }
    )
