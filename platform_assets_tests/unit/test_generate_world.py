import datetime as dt
import itertools
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd
import pytest

from platform_assets.sandbox.generator.generate import generate_world
from platform_assets.sandbox.generator.hiring import true_fit
from platform_assets.sandbox.generator.people import draw_people
from platform_assets.sandbox.generator.problems import UNKNOWN_CURRENCY, UNKNOWN_TIME_ZONE
from platform_assets.sandbox.generator.projects import draw_projects
from platform_assets.sandbox.load import world_hash
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import World
from platform_assets.tables import marketplace

ANCHOR = dt.date(2026, 11, 1)
MIDNIGHT = pd.Timestamp(ANCHOR, tz="UTC")


@pytest.fixture(scope="module")
def world() -> World:
    return generate_world(seed=20261101, developers_count=1_000, projects_count=200, anchor=ANCHOR)


def small_world(seed: int = 7, anchor: dt.date = ANCHOR) -> World:
    return generate_world(seed=seed, developers_count=40, projects_count=12, anchor=anchor)


def test_the_same_seed_gives_the_same_world_in_every_process():
    script = (
        "import datetime as dt; from platform_assets.sandbox.generator.generate import generate_world; "
        "from platform_assets.sandbox.load import world_hash; "
        "print(world_hash(generate_world(seed=7, developers_count=40, projects_count=12, anchor=dt.date(2026, 11, 1))))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": time_zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed, time_zone in (("1", "UTC"), ("2", "Pacific/Kiritimati"))
    }
    assert hashes == {world_hash(small_world())}


def test_another_seed_or_anchor_gives_another_world():
    hashes = {
        world_hash(small_world()),
        world_hash(small_world(seed=8)),
        world_hash(small_world(anchor=ANCHOR + dt.timedelta(days=1))),
    }
    assert len(hashes) == 3


def test_a_change_of_one_value_changes_the_hash():
    world = small_world()
    changed = dict(world.marketplace)
    changed["developers"] = world.marketplace["developers"].assign(rating_count=0)
    other = World(**{**vars(world), "marketplace": changed})
    assert world_hash(other) != world_hash(world)


@pytest.mark.parametrize(("developers_count", "projects_count"), [(1, 0), (1, 5), (2, 1), (30, 0)])
def test_tiny_marketplaces_are_whole(developers_count: int, projects_count: int):
    world = generate_world(
        seed=3, developers_count=developers_count, projects_count=projects_count, anchor=ANCHOR
    )
    assert len(world.marketplace["developers"]) == developers_count
    assert len(world.marketplace["projects"]) == projects_count


def test_the_default_marketplace_has_the_size_that_was_asked_for(world: World):
    rows = world.marketplace
    assert len(rows["developers"]) == 1_000
    assert len(rows["projects"]) == 200
    assert 700 <= len(world.github_users) < rows["developers"]["github_login"].notna().sum()
    assert len(rows["payments"]) > 800
    assert {"USD", "EUR", "GBP", "JPY", "KWD"} <= set(rows["payments"]["currency"])
    statuses = {
        "paid",
        "failed",
        "pending",
        "refunded",
        "partially_refunded",
        "cancelled",
        "processing",
    }
    assert set(rows["payments"]["status"]) == statuses


def test_frames_hold_what_the_contract_allows(world: World):
    for table in marketplace.metadata.tables.values():
        frame = world.marketplace[table.name]
        assert list(frame.columns) == [column.name for column in table.columns]
        for column in table.columns:
            if not column.nullable:
                assert frame[column.name].notna().all(), f"{table.name}.{column.name}"
        assert not frame.duplicated([column.name for column in table.primary_key.columns]).any()


def test_every_reference_leads_somewhere(world: World):
    rows = world.marketplace
    ids = {
        "developer_id": set(rows["developers"]["developer_id"]),
        "client_id": set(rows["clients"]["client_id"]),
        "project_id": set(rows["projects"]["project_id"]),
        "contract_id": set(rows["contracts"]["contract_id"]),
    }
    for name, frame in rows.items():
        for column in ids.keys() & set(frame.columns):
            assert set(frame[column]) <= ids[column], f"{name}.{column}"


def test_nothing_happens_on_the_anchor_day_or_later(world: World):
    for name, frame in world.marketplace.items():
        for column in frame.columns:
            if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
                assert frame[column].dropna().lt(MIDNIGHT).all(), f"{name}.{column}"
    assert all(user.updated_at < MIDNIGHT for user in world.github_users)
    assert all(repository.pushed_at < MIDNIGHT for repository in world.github_repositories)
    assert all(item.last_on < ANCHOR for item in world.github_contributions)
    assert all(body["created"] < MIDNIGHT.timestamp() for body in world.stripe_objects)
    started = world.marketplace["contracts"][["started_on", "ended_on"]].stack().dropna()
    assert started.lt(ANCHOR).all()


def test_payments_cover_the_twelve_months_before_the_anchor(world: World):
    created = world.marketplace["payments"]["created_at"]
    assert created.min() >= MIDNIGHT - pd.Timedelta(days=365)
    months = created.dt.tz_localize(None).dt.to_period("M").value_counts()
    assert len(months) >= 12
    assert months.iloc[:12].min() > 20


def test_contracts_rows_agree_with_their_status(world: World):
    contracts = world.marketplace["contracts"]
    assert contracts.loc[contracts["status"] == "active", "ended_on"].isna().all()
    assert contracts.loc[contracts["status"] == "active", "started_on"].notna().all()
    ended = contracts[contracts["ended_on"].notna()]
    assert ended["status"].isin(["completed", "cancelled"]).all()
    assert (ended["ended_on"] >= ended["started_on"]).all()
    assert (ended["updated_at"] >= pd.to_datetime(ended["ended_on"], utc=True)).all()
    assert not contracts.duplicated(["project_id", "developer_id"]).any()


def test_the_funnel_narrows_and_every_hire_has_a_contract(world: World):
    events = world.marketplace["match_events"]
    counts = events["event_type"].value_counts()
    order = ["shown", "viewed", "contacted", "interviewed", "hired"]
    assert [counts[step] for step in order] == sorted((counts[step] for step in order), reverse=True)
    hired = events[events["event_type"] == "hired"]
    pairs = set(zip(hired["project_id"], hired["developer_id"]))
    contracts = world.marketplace["contracts"]
    assert pairs == set(zip(contracts["project_id"], contracts["developer_id"]))
    times = events.pivot_table(
        index=["project_id", "developer_id"], columns="event_type", values="occurred_at", aggfunc="max"
    )
    for earlier, later in itertools.pairwise(order):
        both = times[[earlier, later]].dropna()
        assert (both[earlier] <= both[later]).all()


def test_who_is_hired_fits_better_than_who_is_shown(world: World):
    from platform_assets.sandbox.generator.dice import Dice
    from platform_assets.sandbox.generator.names import Names

    seed = 20261101
    people = draw_people(Dice(seed, "people"), Names(Dice(seed, "names")), count=1_000, anchor=ANCHOR)
    clients = world.marketplace["clients"].to_dict("records")
    projects = draw_projects(Dice(seed, "projects"), clients, count=200, anchor=ANCHOR)
    fit = true_fit(people, projects)
    developer_at = {person.developer_id: at for at, person in enumerate(people)}
    project_at = {project.project_id: at for at, project in enumerate(projects)}
    fits: defaultdict[str, list[int]] = defaultdict(list)
    for event in world.marketplace["match_events"].itertuples():
        fits[event.event_type].append(fit[project_at[event.project_id], developer_at[event.developer_id]])
    mean = {step: sum(values) / len(values) for step, values in fits.items()}
    assert mean["shown"] < mean["contacted"] < mean["hired"]
    assert mean["shown"] > fit.mean() + 10


def test_contributions_lie_within_accounts_and_repositories_that_exist(world: World):
    users = {user.login: user for user in world.github_users}
    repositories = {repository.name_with_owner: repository for repository in world.github_repositories}
    assert len(repositories) == len(world.github_repositories)
    assert len({name.casefold() for name in repositories}) == len(repositories)
    seen = set()
    for item in world.github_contributions:
        assert item.login in users
        repository = repositories[item.name_with_owner]
        assert repository.created_at.date() <= item.first_on <= item.last_on <= repository.pushed_at.date()
        assert users[item.login].created_at.date() <= item.first_on
        assert 1 <= len(item.subjects) <= min(10, item.commits_count)
        assert (item.login, item.name_with_owner) not in seen
        seen.add((item.login, item.name_with_owner))


def test_accounts_are_of_many_kinds(world: World):
    by_login = Counter(item.login for item in world.github_contributions)
    empty = [user.login for user in world.github_users if user.login not in by_login]
    last = {}
    for item in world.github_contributions:
        last[item.login] = max(item.last_on, last.get(item.login, item.last_on))
    quiet = [login for login, day in last.items() if (ANCHOR - day).days > 365]
    owners = {repository.name_with_owner.partition("/")[0] for repository in world.github_repositories}
    organizations = owners - {user.login for user in world.github_users}
    forks = [repository for repository in world.github_repositories if repository.is_fork]
    assert min(len(empty), len(quiet), len(organizations), len(forks)) > 15
    languages = {language for repository in world.github_repositories for language in repository.languages}
    assert len(languages) > 25
    subjects = [subject for item in world.github_contributions for subject in item.subjects]
    assert len(set(subjects)) > len(subjects) / 5


def test_declared_skills_are_written_in_several_ways_and_not_all_are_true(world: World):
    developers = world.marketplace["developers"]
    spellings = {spelling for skills in developers["declared_skills"] for spelling in skills}
    assert {"ReactJS", "postgres", "k8s", "React", "PostgreSQL", "Kubernetes"} <= spellings
    assert developers["declared_skills"].map(len).eq(0).any()
    assert not developers["declared_skills"].map(lambda skills: len(set(skills)) < len(skills)).any()
    languages: defaultdict[str, set[str]] = defaultdict(set)
    repositories = {item.name_with_owner: item for item in world.github_repositories}
    for item in world.github_contributions:
        languages[item.login].update(repositories[item.name_with_owner].languages)
    unsupported = [
        login
        for login, skills in zip(developers["github_login"], developers["declared_skills"])
        if login in languages and "Python" in skills and "Python" not in languages[login]
    ]
    assert unsupported


def test_the_planted_problems_are_there_and_no_others_of_their_kind(world: World):
    developers = world.marketplace["developers"]
    assert (developers["time_zone"] == UNKNOWN_TIME_ZONE).sum() == 1
    assert (developers["currency"] == UNKNOWN_CURRENCY).sum() == 1
    assert (developers["hourly_rate_minor"] < 0).sum() == 1
    linked = set(developers["github_login"].dropna())
    missing = linked - {user.login for user in world.github_users}
    assert 0.005 < len(missing) / len(linked) < 0.03


def test_the_local_apis_take_the_world(world: World, tmp_path: Path):
    with SandboxState(tmp_path / "state.sqlite3") as state:
        assert state.replace_world(world)
        assert not state.replace_world(world)
