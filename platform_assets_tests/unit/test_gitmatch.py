import datetime as dt
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.sandbox.data_folder.gitmatch import (
    DataError,
    read_contributions,
    read_gitmatch,
    read_projects,
    read_qrels,
)
from platform_assets.sandbox.load import world_hash
from platform_assets.sandbox.state import SandboxState

GITMATCH = Path(__file__).parents[3] / "shared" / "data" / "gitmatch"


def contribution(**changes: Any) -> dict[str, Any]:
    return {
        "developer": "ada",
        "repo": "acme/rocket",
        "commits": 12,
        "first": "2020-01-05",
        "last": "2021-03-04",
        "languages": {"Rust": 10, "Markdown": 3},
        "path_terms": ["src", "engine"],
        "subjects": ["Start the engine", "Fix leak"],
        **changes,
    }


def project(**changes: Any) -> dict[str, Any]:
    return {
        "project": "acme/rocket",
        "readme": "# Rocket\nA launcher for small payloads.\n",
        "languages": {"Rust": 80, "C": 15, "Markdown": 40, "Shell": 5},
        "head": "0123abcd",
        "n_relevant": 3,
        "split": "shared",
        **changes,
    }


def write_lines(path: Path, rows: list[Any]) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    content = ("\n".join(lines) + "\n").encode() if lines else b""
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def folder_of(tmp_path: Path, contributions: list[Any], projects: list[Any]) -> Path:
    write_lines(tmp_path / "contributions.jsonl.gz", contributions)
    write_lines(tmp_path / "projects.jsonl", projects)
    return tmp_path


def problems_of(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return "\n".join(caught.value.problems)


def test_a_folder_becomes_a_world_as_github_shows_it(tmp_path: Path):
    rows = [
        contribution(),
        contribution(developer="bob", last="2022-08-01", languages={"Rust": 5, "C": 7}),
        contribution(repo="ada/notes", first="2019-02-01", last="2019-02-01", subjects=[]),
    ]
    world = read_gitmatch(folder_of(tmp_path, rows, [project()]))

    assert (world.name, world.anchor) == (tmp_path.name, dt.date(2022, 8, 2))
    assert [user.login for user in world.github_users] == ["ada", "bob"]
    assert world.github_users[0].created_at == dt.datetime(2019, 2, 1, tzinfo=dt.UTC)
    rocket = {item.name_with_owner: item for item in world.github_repositories}["acme/rocket"]
    assert rocket.languages == {"Rust": 15_000, "C": 7_000}  # Markdown is prose to GitHub
    assert rocket.description == "A launcher for small payloads."
    assert set(rocket.topics) == {"src", "engine"}
    first = world.github_contributions[0]
    assert (first.login, first.name_with_owner, first.subjects) == (
        "ada",
        "acme/rocket",
        tuple(rows[0]["subjects"]),
    )
    assert (first.commits_count, first.first_on, first.last_on) == (
        12,
        dt.date(2020, 1, 5),
        dt.date(2021, 3, 4),
    )
    assert world.stripe_objects == ()


def test_developers_and_projects_become_marketplace_rows(tmp_path: Path):
    world = read_gitmatch(folder_of(tmp_path, [contribution()], [project()]))
    developer = world.marketplace["developers"].to_dict("records")[0]
    assert developer["developer_id"] == developer["github_login"] == "ada"
    assert developer["declared_skills"] == []
    assert developer["is_active"]
    assert developer["available_from"] == dt.date(2020, 1, 5)
    posted = world.marketplace["projects"].to_dict("records")[0]
    assert (posted["project_id"], posted["client_id"], posted["status"]) == ("acme/rocket", "acme", "open")
    assert posted["description"] == project()["readme"]
    assert posted["declared_skills"] == ["Rust", "C"]  # neither prose nor a twentieth of the code
    assert world.marketplace["clients"]["client_id"].tolist() == ["acme"]
    assert len(world.marketplace["payments"]) == 0


def test_labels_change_nothing(tmp_path: Path):
    labelled, bare = tmp_path / "labelled" / "data", tmp_path / "bare" / "data"
    for folder in (labelled, bare):
        folder.mkdir(parents=True)
    folder_of(labelled, [contribution()], [project()])
    (labelled / "qrels.csv").write_text("not even,a,table\n", encoding="utf-8")
    unlabelled = {name: project()[name] for name in ("project", "readme", "languages")}
    folder_of(bare, [contribution()], [unlabelled])
    assert world_hash(read_gitmatch(labelled)) == world_hash(read_gitmatch(bare))
    assert list(read_projects(labelled).columns) == ["project", "readme", "languages"]


def test_plain_and_compressed_files_are_the_same(tmp_path: Path):
    (tmp_path / "packed").mkdir()
    write_lines(tmp_path / "contributions.jsonl", [contribution()])
    write_lines(tmp_path / "packed" / "contributions.jsonl.gz", [contribution()])
    plain = read_contributions(tmp_path)
    assert plain.equals(read_contributions(tmp_path / "packed"))
    assert plain.equals(read_contributions(tmp_path / "contributions.jsonl"))
    assert plain["commits"].dtype == "int64"
    assert plain.loc[0, "first"] == dt.date(2020, 1, 5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (contribution(commits="12"), "commits: Input should be a valid integer"),
        (contribution(commits=1.5), "commits: Input should be a valid integer"),
        (contribution(commits=True), "commits: Input should be a valid integer"),
        (contribution(commits=-1), "commits: Input should be greater than or equal to 0"),
        (contribution(commits=10**12), "commits: Input should be less than or equal to 2147483647"),
        (contribution(languages={"Rust": -2}), "languages.Rust: Input should be greater than or equal to 0"),
        (contribution(languages=["Rust"]), "languages: Input should be an object"),
        (contribution(subjects=None), "subjects: Input should be a valid array"),
        (contribution(path_terms=[1]), "path_terms.0: Input should be a valid string"),
        (contribution(first="2020-02-30"), "first: is no day of the calendar"),
        (contribution(first="01/05/2020"), "first: should be a day such as 2024-05-31"),
        (contribution(last=1577836800), "last: should be a day such as 2024-05-31"),
        (contribution(last="1577836800"), "last: should be a day such as 2024-05-31"),
        (contribution(last="2019-12-31"), "last (2019-12-31) is before first (2020-01-05)"),
        (contribution(stars=3), "stars: is no known field"),
        ({"developer": "ada"}, "repo: is missing"),
        (contribution(repo="rocket"), "repo: should be a repository such as owner/name"),
        (contribution(developer=""), "developer: should be a name without spaces and slashes"),
        (contribution(subjects=["a\0b"]), "subjects.0: holds the character NUL"),
        ([1, 2], "should be a JSON object"),
        ('{"developer": "ada"', "Invalid JSON: EOF while parsing an object at column 19"),
        ('{"subjects": ["\\ud800"]}', "Invalid JSON"),
    ],
)
def test_a_bad_line_is_told_by_file_and_line(tmp_path: Path, row: Any, message: str):
    folder = folder_of(tmp_path, [contribution(developer="bob"), row], [project()])
    told = problems_of(read_gitmatch, folder)
    assert f"contributions.jsonl.gz line 2: {message}" in told
    assert told == problems_of(read_contributions, folder)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path):
    folder = folder_of(
        tmp_path,
        [contribution(), contribution(commits="many", last=None), contribution()],
        [project(readme=7), project(project="acme/rocket"), project()],
    )
    assert problems_of(read_gitmatch, folder).splitlines() == [
        "contributions.jsonl.gz line 2: commits: Input should be a valid integer",
        "contributions.jsonl.gz line 2: last: should be a day such as 2024-05-31",
        "contributions.jsonl.gz line 3: repeats line 1 (ada, acme/rocket)",
        "projects.jsonl line 1: readme: Input should be a valid string",
        "projects.jsonl line 3: repeats line 2 (acme/rocket)",
    ]


def test_a_long_list_of_problems_is_cut_but_counted(tmp_path: Path):
    folder = folder_of(tmp_path, [contribution(commits=-1)] * 50, [project()])
    with pytest.raises(DataError) as caught:
        read_gitmatch(folder)
    assert len(caught.value.problems) == 50
    assert "problems: 50" in str(caught.value)
    assert "and 30 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 22


def test_missing_and_ambiguous_files_are_told(tmp_path: Path):
    assert "does not exist" in problems_of(read_gitmatch, tmp_path / "nowhere")
    told = problems_of(read_gitmatch, tmp_path)
    assert "neither of contributions.jsonl and contributions.jsonl.gz" in told
    assert "neither of projects.jsonl and projects.jsonl.gz" in told
    folder_of(tmp_path, [contribution()], [project()])
    assert "is not a folder" in problems_of(read_gitmatch, tmp_path / "projects.jsonl")
    write_lines(tmp_path / "contributions.jsonl", [contribution()])
    assert "holds both contributions.jsonl and contributions.jsonl.gz" in problems_of(read_gitmatch, tmp_path)


def test_an_empty_file_is_a_problem_and_blank_lines_are_not(tmp_path: Path):
    folder = folder_of(tmp_path, [], [project(), "", "  "])
    assert problems_of(read_gitmatch, folder) == f"{folder / 'contributions.jsonl.gz'} holds no rows"


def test_what_is_not_or_only_half_compressed_is_told(tmp_path: Path):
    folder = folder_of(tmp_path, [contribution()], [project()])
    packed = folder / "contributions.jsonl.gz"
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-12])
    assert f"{packed} can't be read" in problems_of(read_gitmatch, folder)
    packed.write_bytes(gzip.decompress(whole))
    assert f"{packed} can't be read: Not a gzipped file" in problems_of(read_gitmatch, folder)


def test_names_that_github_takes_for_one_are_told(tmp_path: Path):
    rows = [contribution(), contribution(developer="Ada", repo="Acme/Rocket")]
    told = problems_of(read_gitmatch, folder_of(tmp_path, rows, [project()]))
    assert "the developers Ada and ada differ only in case" in told
    assert "the repositories Acme/Rocket and acme/rocket differ only in case" in told


def test_relevance_judgements_are_read_and_checked(tmp_path: Path):
    file = tmp_path / "qrels.csv"
    file.write_text("project,developer,commits_in_project,grade\na/b,ada,12,2\n", encoding="utf-8")
    assert read_qrels(tmp_path).to_dict("records") == [{"project": "a/b", "developer": "ada", "grade": 2}]
    file.write_text("project,developer,grade\na/b,ada,2\na/b,,x\n", encoding="utf-8")
    assert problems_of(read_qrels, file) == "qrels.csv line 3: needs a project, a developer and a whole grade"
    file.write_text("project,who\n", encoding="utf-8")
    assert "lacks the columns developer, grade" in problems_of(read_qrels, file)
    assert "can't be read" in problems_of(read_qrels, tmp_path / "none.csv")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), value=st.binary(min_size=0, max_size=3), cut=st.integers(0, 2))
def test_damage_anywhere_gives_a_world_or_a_data_error(tmp_path: Path, at: int, value: bytes, cut: int):
    folder = folder_of(tmp_path, [contribution(), contribution(developer="bob")], [project()])
    for name in ("contributions.jsonl.gz", "projects.jsonl"):
        content = (folder / name).read_bytes()
        place = at % len(content)
        (folder / name).write_bytes(content[:place] + value + content[place + cut :])
    try:
        read_gitmatch(folder)
    except DataError as error:
        assert error.problems


def test_the_shared_folder_loads_whole(tmp_path: Path):
    if not GITMATCH.exists():
        assert not os.environ.get("CI"), f"{GITMATCH} is missing"
        pytest.skip("no shared data")
    world = read_gitmatch(GITMATCH)
    contributions = read_contributions(GITMATCH / "contributions.jsonl.gz")
    assert len(contributions) == len(world.github_contributions) == 1_428
    assert len(world.github_users) == len(world.marketplace["developers"]) == 1_157
    assert len(world.marketplace["projects"]) == len(read_projects(GITMATCH)) == 21
    assert len(read_qrels(GITMATCH)) == 530
    assert world.anchor == max(contributions["last"]) + dt.timedelta(days=1)
    with SandboxState(tmp_path / "state.sqlite3") as state:
        assert state.replace_world(world)
