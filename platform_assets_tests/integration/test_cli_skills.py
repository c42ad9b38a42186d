"""`platform-assets skills`: files into the vocabulary and the labelled samples, as a user does it."""

import os

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from platform_assets.cli import main


@pytest.fixture
def invoke(database_url, tmp_path, monkeypatch):
    """Runs a command in this process against a fresh database, every service off."""
    for name in list(os.environ):
        if name.startswith("PLATFORM_"):
            monkeypatch.delenv(name)
    environment = {
        "PLATFORM_HOME": str(tmp_path / "home"),
        "PLATFORM_DATABASE_URL": database_url,
        "PLATFORM_DAGSTER_DATABASE_URL": database_url,
        **{
            f"PLATFORM_{name}": "off"
            for name in ("GITHUB_TOKEN", "STRIPE_API_KEY", "NEO4J_URI", "GEMINI_API_KEY", "NOTIFICATIONS")
        },
    }
    return lambda *arguments: CliRunner().invoke(main, ["skills", *map(str, arguments)], env=environment)


@pytest.fixture
def file(tmp_path):
    def make(text, name="own.csv"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return make


def values(database, query):
    return database.read(sa.text(query)).iloc[:, 0].tolist()


def test_an_import_tells_its_counts_sets_bad_rows_aside_and_can_be_repeated(invoke, database, file):
    path = file("name,kind,aliases\nZig Weaving,language,zig weave|golang\nPython,language,\n***,tool,\n")

    dry = invoke("import", "--format", "csv", "--source", "mine", "--dry-run", path)
    assert dry.exit_code == 0
    assert "nothing was written" in dry.output
    assert values(database, "SELECT count(*) FROM platform.skills") == [0]

    first = invoke("import", "--format", "csv", "--source", "mine", path)
    assert first.exit_code == 0, first.output
    assert "Spelling left to another skill: golang → go" in first.output
    assert "Row set aside: line 4: the name has no letter or digit" in first.output
    assert values(database, "SELECT skill_id || ' ' || source FROM platform.skills") == ["zig-weaving mine"]
    assert values(database, "SELECT alias FROM platform.skill_aliases ORDER BY 1") == [
        "zig weave",
        "zig weaving",
    ]
    assert values(database, "SELECT row_key FROM monitoring.quarantined_rows") == ["line 4"]

    stamps = values(database, "SELECT updated_at FROM platform.skills")
    again = invoke("import", "--format", "csv", "--source", "mine", path)
    assert again.exit_code == 0
    assert values(database, "SELECT updated_at FROM platform.skills") == stamps

    path.write_text("name\nZig Weaving\n", "utf-8")
    assert invoke("import", "--format", "csv", "--source", "mine", path).exit_code == 0
    assert values(database, "SELECT row_key FROM monitoring.quarantined_rows") == []


def test_labelled_samples_are_imported_and_a_text_gets_its_latest_labels(invoke, database, file):
    path = file(
        '{"text": "Some Rust 🦀", "skills": ["Rust", "Underwater Weaving"]}\n{"text": ""}\n', "labels.jsonl"
    )
    first = invoke("labels", "import", path)
    assert first.exit_code == 0, first.output
    assert "Label that the vocabulary lacks: Underwater Weaving (1)" in first.output
    assert "Row set aside: line 2: it has no text" in first.output
    assert values(database, "SELECT skills FROM platform.labelled_samples") == [
        ["Rust", "Underwater Weaving"]
    ]

    path.write_text('{"text": "Some Rust 🦀", "skills": ["Rust"], "split": "train"}\n', "utf-8")
    assert invoke("labels", "import", path).exit_code == 0
    assert values(database, "SELECT skills FROM platform.labelled_samples") == [["Rust"]]
    assert values(database, "SELECT split FROM platform.labelled_samples") == ["train"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("import", "--format", "esco", "own.csv"),
            "lacks the columns preferredLabel, altLabels; it has 'name'",
        ),
        (("import", "own.csv"), "Missing option '--format'"),
        (("import", "--format", "csv", "nothing.csv"), "does not exist"),
        (
            ("import", "--format", "csv", "--source", "packaged", "own.csv"),
            "a name that the platform itself uses",
        ),
        (("labels", "import", "own.txt"), "must end in .jsonl or .csv"),
        (("labels", "import", "own.csv"), "lacks the columns text, skills"),
    ],
)
def test_wrong_input_is_told_in_one_message_and_writes_nothing(
    invoke, database, file, monkeypatch, arguments, told
):
    monkeypatch.chdir(file("name\nZig\n").parent)
    file("x", "own.txt")

    result = invoke(*arguments)

    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert values(database, "SELECT count(*) FROM platform.skills") == [0]
    assert values(database, "SELECT count(*) FROM platform.labelled_samples") == [0]


def test_help_teaches_the_formats(invoke):
    shown = " ".join(invoke("import", "--help").output.split())

    for part in ("ESCO's skills_en.csv", "O*NET's technology skills", "GitHub's topics", "--dry-run"):
        assert part in shown
    assert '"skills": ["Python", …]' in invoke("labels", "import", "--help").output
