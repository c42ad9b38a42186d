import numpy as np
import pandas as pd
import pytest

from platform_assets.clients.gemini import NamedSkill
from platform_assets.profiles import requirements
from platform_assets.profiles.extraction import label_text
from platform_assets.profiles.gemini_answers import GeminiReading, Reason
from platform_assets.profiles.requirements import due_inputs, project_inputs
from platform_assets.profiles.vocabulary import vocabulary_from_frames

NAMES = {"python": "Python", "kubernetes": "Kubernetes", "react": "React", "terraform": "Terraform"}


def vocabulary(**more: str):
    known = NAMES | more
    skills = pd.DataFrame(
        [(key, name, "tool", "packaged") for key, name in known.items()],
        columns=["skill_id", "name", "kind", "source"],
    )
    aliases = pd.DataFrame([(key, key, "packaged") for key in known], columns=["alias", "skill_id", "source"])
    return vocabulary_from_frames(skills, aliases)


def projects(*rows: tuple[str, str, str, list[str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["project_id", "title", "description", "declared_skills"])


def extractions(inputs: pd.DataFrame, *, extractor: str = requirements.EXTRACTOR) -> pd.DataFrame:
    return inputs[["project_id", "inputs_sha256"]].assign(
        extractor=extractor, requirements_count=1, fallback_reason="off", agreement_ratio=None
    )


GEMINI = requirements.gemini_extractor("a model")
NOTHING_KNOWN = pd.DataFrame(columns=requirements.EXTRACTION_COLUMNS)


def changed_inputs(inputs: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    due = due_inputs(inputs, known, extractor=None)
    return due[due["is_changed"].astype(bool)]


def extract_projects(inputs, known_words, vectors, embedder, *, said=None, known=NOTHING_KNOWN):
    """Read projects; `said` is what Gemini named by text, None when it is off."""
    extractor = None if said is None else GEMINI
    due = due_inputs(inputs, known, extractor=extractor)
    missing = [text for text in due["text"] if text not in (said or {})]
    reading = GeminiReading(
        skills=said or {}, reasons=dict.fromkeys(missing, Reason.OFF if said is None else Reason.FAILED)
    )
    return requirements.extract_projects(
        due, known, reading, known_words, vectors, embedder, extractor=extractor
    )


@pytest.fixture(scope="module")
def skill_vectors(embedder):
    return dict(zip(NAMES, embedder.encode([label_text(name) for name in NAMES.values()])))


class NeverAsked:
    """An embedder that must not be needed."""

    model_name = "none"

    def encode(self, texts, *, progress=None):
        raise AssertionError("nothing was to be embedded")


ONE = ("p1", "Shop", "We use Python.", ["React"])


def test_the_same_project_in_the_same_vocabulary_is_not_read_again():
    inputs = project_inputs(projects(ONE), vocabulary(), model="m")

    assert changed_inputs(inputs, extractions(inputs)).empty
    assert len(changed_inputs(inputs, extractions(inputs)[:0])) == 1


@pytest.mark.parametrize(
    ("project", "model", "more"),
    [
        (("p1", "Shop!", "We use Python.", ["React"]), "m", {}),
        (("p1", "Shop", "We use Go.", ["React"]), "m", {}),
        (("p1", "Shop", "We use Python.", []), "m", {}),
        (("p1", "Shop", "We use Python.", ["React", "Python"]), "m", {}),
        (ONE, "another model", {}),
        (ONE, "m", {"go": "Go"}),
    ],
    ids=["title", "text", "fewer declared", "more declared", "model", "vocabulary"],
)
def test_whatever_the_requirements_are_made_of_makes_a_project_changed(project, model, more):
    before = extractions(project_inputs(projects(ONE), vocabulary(), model="m"))
    now = project_inputs(projects(project), vocabulary(**more), model=model)

    assert list(changed_inputs(now, before)["project_id"]) == ["p1"]


def test_a_new_version_of_the_extractor_reads_everything_again(monkeypatch):
    before = extractions(project_inputs(projects(ONE), vocabulary(), model="m"))
    monkeypatch.setattr(requirements, "EXTRACTOR", "another/2")

    assert len(changed_inputs(project_inputs(projects(ONE), vocabulary(), model="m"), before)) == 1


def test_words_do_not_wander_between_text_and_declared_skills():
    one = project_inputs(projects(("p1", "a", "b", ["c", "d"])), vocabulary(), model="m")
    other = project_inputs(projects(("p1", "a", "b", ["cd"])), vocabulary(), model="m")

    assert list(one["inputs_sha256"]) != list(other["inputs_sha256"])


def test_without_a_changed_project_nothing_is_embedded():
    none = project_inputs(projects(), vocabulary(), model="m")
    found = extract_projects(none, vocabulary(), {}, NeverAsked())

    assert found.requirements.empty
    assert found.extractions.empty
    assert list(found.requirements.columns) == requirements.REQUIREMENT_COLUMNS


def test_what_is_declared_weighs_most_and_what_the_text_names_is_found(embedder, skill_vectors):
    inputs = project_inputs(
        projects(ONE, ("p2", "Nothing", "", []), ("p3", "Own words", "", ["Basket weaving"])),
        vocabulary(),
        model=embedder.model_name,
    )
    found = extract_projects(inputs, vocabulary(), skill_vectors, embedder)
    of_p1 = found.requirements[found.requirements["project_id"] == "p1"].set_index("skill_id")

    assert of_p1.loc["react", ["weight", "extractor", "evidence"]].tolist() == [1.0, "declared", "React"]
    assert of_p1.loc["python", "evidence"] == "Python"
    assert of_p1.loc["python", "weight"] <= 1.0
    assert of_p1["weight"].is_monotonic_decreasing
    counts = dict(zip(found.extractions["project_id"], found.extractions["requirements_count"]))
    assert counts.keys() == {"p1", "p2", "p3"}, "nothing found is an answer, too"
    assert counts["p1"] == len(of_p1)
    assert not found.requirements.duplicated(["project_id", "skill_id"]).any()


def test_evidence_stands_in_the_text(embedder, skill_vectors):
    text = "Our Kubernetes cluster is described in Terraform."
    inputs = project_inputs(projects(("p1", "Cluster", text, [])), vocabulary(), model=embedder.model_name)

    found = extract_projects(inputs, vocabulary(), skill_vectors, embedder).requirements

    assert set(found["skill_id"]) >= {"kubernetes", "terraform"}
    for evidence in found["evidence"]:
        assert evidence in f"Cluster\n{text}"


def test_a_skill_without_a_vector_is_only_found_when_declared(embedder, skill_vectors):
    without = {key: vector for key, vector in skill_vectors.items() if key != "react"}
    inputs = project_inputs(projects(ONE), vocabulary(), model=embedder.model_name)

    found = extract_projects(inputs, vocabulary(), without, embedder).requirements

    assert "react" in set(found["skill_id"])
    assert np.isfinite(found["weight"]).all()


def test_gemini_reads_again_what_another_reader_has_read_and_nothing_twice():
    inputs = project_inputs(projects(ONE), vocabulary(), model="m")

    for reader in (requirements.EXTRACTOR, requirements.gemini_extractor("an older model")):
        due = due_inputs(inputs, extractions(inputs, extractor=reader), extractor=GEMINI)
        assert list(due["is_changed"]) == [False]
    assert due_inputs(inputs, extractions(inputs, extractor=GEMINI), extractor=GEMINI).empty


def test_what_gemini_says_counts_where_it_answered_and_is_compared(embedder, skill_vectors):
    both = ("p2", "Cluster", "Kubernetes by Terraform.", [])
    inputs = project_inputs(projects(ONE, both), vocabulary(), model=embedder.model_name)
    text = inputs["text"][1]

    found = extract_projects(
        inputs, vocabulary(), skill_vectors, embedder, said={text: (NamedSkill("Terraform", "Terraform"),)}
    )

    assert found.gemini_projects_count == 1
    rows = found.requirements.set_index("project_id")
    assert rows.loc[["p2"], ["skill_id", "extractor"]].to_numpy().tolist() == [["terraform", "gemini"]]
    extracted = found.extractions.set_index("project_id")
    assert extracted.loc["p2", ["extractor", "agreement_ratio"]].tolist() == [GEMINI, 0.5]
    assert pd.isna(extracted.loc["p2", "fallback_reason"])
    assert pd.isna(extracted.loc["p1", "agreement_ratio"])
    assert extracted.loc["p1", ["extractor", "fallback_reason"]].tolist() == [
        requirements.EXTRACTOR,
        "failed",
    ]


def test_while_gemini_keeps_failing_what_was_read_stays_and_nothing_is_embedded():
    inputs = project_inputs(projects(ONE), vocabulary(), model="m")

    waiting = extract_projects(inputs, vocabulary(), {}, NeverAsked(), said={}, known=extractions(inputs))
    older = extractions(inputs, extractor=requirements.gemini_extractor("an older model"))
    kept = extract_projects(inputs, vocabulary(), {}, NeverAsked(), said={}, known=older)

    assert waiting.read_project_ids == kept.read_project_ids == ()
    assert waiting.extractions["fallback_reason"].tolist() == ["failed"]
    assert waiting.extractions["requirements_count"].tolist() == [1]
    assert kept.extractions.empty, "what an older model has read is no fallback"
