"""Files of skills and labelled samples: what is read, what is set aside, and that a second import adds nothing."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.clients.quarantine import BadRow
from platform_assets.profiles.taxonomy_files import (
    ImportedSkill,
    ImportFileError,
    LabelledSample,
    read_samples,
    read_skills,
)
from platform_assets.profiles.taxonomy_import import plan_samples, plan_skills
from platform_assets.profiles.vocabulary import packaged_vocabulary, vocabulary_from_frames

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "taxonomy"
VOCABULARY = packaged_vocabulary()


def written(tmp_path, text, name="file.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def skills(path, format_="csv"):
    return list(read_skills(path, format_))


def joined(plan):
    """The vocabulary after an import."""
    known_skills, known_aliases = VOCABULARY.frames()
    return vocabulary_from_frames(
        pd.concat([known_skills, plan.skills]), pd.concat([known_aliases, plan.aliases])
    )


def test_each_format_is_read_as_its_source_writes_it(tmp_path):
    esco = 'conceptUri,preferredLabel,altLabels\nuri,manage staff,"lead people\nlead staff"\n'
    onet = "O*NET-SOC Code,Title,Example,Commodity Code,Commodity Title,Hot Technology,In Demand\n1,Chef,Adobe Acrobat,4,Document software,Y,N\n"
    topics = 'topic,display_name,aliases,related\n3d,3D,"3d-printing, 3d-cad",cad\n'
    own = "name,kind,aliases\nZig Weaving,language,zig|weave\n"

    assert skills(written(tmp_path, esco), "esco") == [
        ImportedSkill("manage staff", "concept", ("lead people", "lead staff"))
    ]
    assert skills(written(tmp_path, onet), "onet") == [ImportedSkill("Adobe Acrobat", "tool", ())]
    assert skills(written(tmp_path, topics), "topics") == [
        ImportedSkill("3D", "other", ("3d", "3d-printing", "3d-cad"))
    ]
    assert skills(written(tmp_path, own)) == [ImportedSkill("Zig Weaving", "language", ("zig", "weave"))]
    assert skills(written(tmp_path, gzip.compress(own.encode()), "file.csv.gz")) == skills(
        written(tmp_path, "\ufeff" + own)
    )


def test_rows_that_name_no_skill_are_set_aside_with_line_and_reason(tmp_path):
    path = written(tmp_path, "name,kind\nZig,language\n***,tool\nNim,planet\n" + "x" * 300 + ",tool\nOdin\n")

    found = skills(path)

    assert [each.name for each in found if isinstance(each, ImportedSkill)] == ["Zig", "Odin"]
    assert [(each.row_key, each.reason.split(",")[0]) for each in found if isinstance(each, BadRow)] == [
        ("line 3", "the name has no letter or digit"),
        ("line 4", "kind is none of language"),
        ("line 5", "the name is longer than 200 characters"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("title\nZig\n", "lacks the column name; it has 'title'"),
        ("", "it has none"),
        (b"name\n\xff\xfe\n", "is no UTF-8 text"),
        (b"\x1f\x8bbroken", "lacks the column|no UTF-8"),
    ],
)
def test_a_file_of_another_format_is_told_with_what_it_lacks(tmp_path, content, told):
    with pytest.raises(ImportFileError, match=told):
        skills(written(tmp_path, content))


def test_a_broken_or_missing_archive_is_told(tmp_path):
    whole = gzip.compress(b"name\n" + b"Zig\n" * 1000)
    for content in (whole[:20], b"no archive"):
        with pytest.raises(ImportFileError, match="can't be read"):
            skills(written(tmp_path, content, "file.csv.gz"))
    with pytest.raises(ImportFileError, match="can't be read"):
        skills(tmp_path / "nothing.csv")


def test_what_is_known_stays_and_gets_new_spellings_only():
    plan = plan_skills(
        [
            ImportedSkill("Python", "tool", ("python tricks", "py")),
            ImportedSkill("Java (computer programming)", "concept", ("java tricks",)),
            ImportedSkill("Zig Weaving", "language", ("golang", "zig weave")),
            ImportedSkill("zig-weaving", "language", ()),
            BadRow("line 9", "bad", {}),
        ],
        VOCABULARY,
        source="mine",
    )

    assert plan.skills.to_numpy().tolist() == [["zig-weaving", "Zig Weaving", "language", "mine"]]
    new = dict(zip(plan.aliases["alias"], plan.aliases["skill_id"]))
    assert new["python tricks"] == "python"
    assert new["java tricks"] == new["java computer programming"] == "java"
    assert new["zig weave"] == "zig-weaving"
    assert plan.taken_aliases == {"golang": "go"}
    assert (plan.rows_count, plan.known_count, plan.repeated_count, len(plan.bad_rows)) == (5, 2, 1, 1)
    assert joined(plan).resolve("Zig Weave") == "zig-weaving"
    assert joined(plan).resolve("golang") == "go"


@given(
    st.lists(
        st.builds(
            ImportedSkill,
            st.text(min_size=1, max_size=20).filter(lambda name: any(c.isalnum() for c in name)),
            st.just("other"),
            st.lists(st.text(max_size=10), max_size=3).map(tuple),
        ),
        max_size=8,
    )
)
def test_a_second_import_of_the_same_skills_adds_nothing(entries):
    first = plan_skills(entries, VOCABULARY, source="mine")
    again = plan_skills(entries, joined(first), source="mine")

    assert again.skills.empty
    assert again.aliases.empty
    assert first.skills["skill_id"].is_unique
    assert first.aliases["alias"].is_unique


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not here")
@pytest.mark.parametrize(
    ("name", "format_", "least"),
    [("github_topics.csv", "topics", 500), ("onet_technology_skills.csv.gz", "onet", 5_000)],
)
def test_real_taxonomies_are_read_whole(name, format_, least):
    plan = plan_skills(read_skills(SHARED / name, format_), VOCABULARY, source=format_)

    assert not plan.bad_rows
    assert len(plan.skills) > least
    assert plan.known_count > 300
    assert plan.rows_count == len(plan.skills) + plan.known_count + plan.repeated_count


def test_samples_come_as_json_lines_or_csv(tmp_path):
    lines = [
        {"text": "Some Rust.", "skills": ["Rust", "Rust"]},
        {"text": "Nothing.", "skills": [], "split": "train", "source": "me"},
    ]
    as_json = written(tmp_path, "\n".join(map(json.dumps, lines)), "labels.jsonl")
    as_csv = written(tmp_path, "text,skills,split\nSome Rust.,Rust| Go ,\nNothing.,,train\n", "labels.csv")

    assert list(read_samples(as_json)) == [
        LabelledSample("Some Rust.", ("Rust",), "labels.jsonl", "test"),
        LabelledSample("Nothing.", (), "me", "train"),
    ]
    assert list(read_samples(as_csv)) == [
        LabelledSample("Some Rust.", ("Rust", "Go"), "labels.csv", "test"),
        LabelledSample("Nothing.", (), "labels.csv", "train"),
    ]
    with pytest.raises(ImportFileError, match=r"must end in .jsonl or .csv"):
        list(read_samples(written(tmp_path, "", "labels.txt")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is no JSON object"),
        ("[1]", "it is no JSON object"),
        ('{"skills": ["Rust"]}', "it has no text"),
        ('{"text": "  ", "skills": []}', "it has no text"),
        ('{"text": "x"}', "its skills are no list of names"),
        ('{"text": "x", "skills": [1]}', "its skills are no list of names"),
        ('{"text": "x", "skills": [""]}', "its skills are no list of names"),
        ('{"text": "x", "skills": [], "split": "dev"}', "its split is none of test, train"),
        ('{"text": "x", "skills": [], "source": 5}', "its source is no text"),
        ('{"text": "x\\u0000", "skills": []}', "it contains a NUL character"),
    ],
)
def test_a_line_that_is_no_sample_is_set_aside(tmp_path, line, reason):
    good = '{"text": "x", "skills": ["Rust"]}'
    first, second = read_samples(written(tmp_path, f"{line}\n\n{good}\n", "labels.jsonl"))

    assert (first.row_key, first.reason) == ("line 1", reason)
    assert second.text == "x"


def test_labels_that_the_vocabulary_lacks_are_told_and_a_repeated_text_counts_once():
    plan = plan_samples(
        [
            LabelledSample("a", ("Rust", "Underwater Weaving"), "me", "test"),
            LabelledSample("b", ("postgresql", "Underwater Weaving"), "me", "test"),
            LabelledSample("a", ("Rust", "Underwater Weaving"), "me", "train"),
        ],
        VOCABULARY,
    )

    assert plan.unknown_labels == {"Underwater Weaving": 2}
    assert len(plan.samples) == 2
    assert set(plan.samples["split"]) == {"test", "train"}
