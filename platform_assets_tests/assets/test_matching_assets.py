"""The matching assets, materialized with their checks over a real Postgres."""

import datetime as dt
import threading

import dagster as dg
import pytest
import sqlalchemy as sa
from small_world import NOW, derived_rows

from platform_assets.matching.candidates import PLACES
from platform_assets.matching.rerank import DEFAULT_POLICY
from platform_assets.tables import platform as tables
from platform_assets.tables.matching import matches

MATCHING_ASSETS = ("match_candidates", "matches")
ERROR = dg.AssetCheckSeverity.ERROR


def matched(platform, table="matches"):
    """Developers by project, best first."""
    rows = platform.database.read(
        sa.text(f"SELECT project_id, developer_id FROM platform.{table} ORDER BY project_id, rank")
    )
    return {project: list(group) for project, group in rows.groupby("project_id")["developer_id"]}


def first_pair(platform):
    project, developers = next(iter(matched(platform).items()))
    return project, developers[0]


def match(platform, *, now=NOW):
    return platform.run(*MATCHING_ASSETS, now=now, with_checks=False)


def test_every_open_project_has_a_list_and_a_second_run_writes_nothing(settled):
    open_projects = settled.values("SELECT project_id FROM marketplace.projects WHERE status = 'open'")
    before = derived_rows(settled.database)

    again = settled.run(*MATCHING_ASSETS)

    assert set(matched(settled)) == set(open_projects)
    assert [again.rows_written(asset) for asset in MATCHING_ASSETS] == [0, 0]
    assert derived_rows(settled.database) == before
    assert not again.broken_checks(ERROR)


def test_ranks_go_without_gaps_from_the_best_score_down_and_reasons_add_up(settled):
    rows = settled.database.read(sa.select(matches).order_by("project_id", "rank"))

    for _, group in rows.groupby("project_id"):
        assert group["rank"].tolist() == list(range(1, len(group) + 1))
        # Of the first places some go to newcomers and by draw; all the others are the scores' alone.
        is_behind = group["rank"] > DEFAULT_POLICY.first_places
        assert group["score"][is_behind].is_monotonic_decreasing
        assert group["score"][~is_behind & (group["placement"] == "score")].is_monotonic_decreasing
    for row in rows.itertuples():
        # A term without a value is one that could not be known.
        assert sum(value or 0 for value in row.reasons.values()) == pytest.approx(row.score, abs=1e-6)


def test_a_day_later_only_the_day_is_new(settled):
    before = settled.values("SELECT score FROM platform.matches ORDER BY project_id, rank")

    outcome = match(settled, now=NOW + dt.timedelta(days=1))

    assert outcome.metadata("matches")["as_of"] == "2026-11-02"
    assert set(settled.values("SELECT DISTINCT as_of::text FROM platform.matches")) == {"2026-11-02"}
    assert len(before) == len(settled.values("SELECT score FROM platform.matches"))


# A row that breaks the contract is set aside, but what it says of the pair counts.
@pytest.mark.parametrize("blocked_by", ["client", "developer", "nobody"])
def test_who_is_blocked_is_never_proposed(settled, blocked_by):
    project, developer = first_pair(settled)
    settled.execute(
        "INSERT INTO marketplace.blocks SELECT client_id, :d, :b, now() FROM marketplace.projects WHERE project_id = :p",
        d=developer,
        p=project,
        b=blocked_by,
    )

    match(settled)

    assert developer not in matched(settled)[project]
    assert developer not in matched(settled, "match_candidates")[project]


@pytest.mark.parametrize("change", ["is_active = false", "available_from = NULL"])
def test_who_is_not_there_for_new_work_is_not_proposed(settled, change):
    _, developer = first_pair(settled)
    settled.execute(f"UPDATE marketplace.developers SET {change} WHERE developer_id = :d", d=developer)

    match(settled)

    assert developer not in {one for developers in matched(settled).values() for one in developers}


def test_a_project_that_turns_bad_keeps_its_list_while_the_others_are_renewed(settled):
    project, developer = first_pair(settled)
    before = matched(settled)
    settled.execute("UPDATE marketplace.projects SET currency = 'XBC' WHERE project_id = :p", p=project)
    settled.execute(
        "UPDATE marketplace.developers SET is_active = false WHERE developer_id = :d", d=developer
    )

    outcome = match(settled)

    assert outcome.is_success
    after = matched(settled)
    assert after[project] == before[project]
    others = [name for name in before if name != project]
    assert any(developer in before[name] for name in others)
    assert not any(developer in after[name] for name in others)


def test_a_list_holds_so_many_places_and_some_in_reserve(settled):
    # Twins of one developer: their scores are equal, so that only ids order them.
    _, developer = first_pair(settled)
    for table, columns in (
        (
            "marketplace.developers",
            ", ".join(
                settled.values(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'marketplace' AND "
                    "table_name = 'developers' AND column_name <> 'developer_id'"
                )
            ),
        ),
        (
            "platform.developer_repositories",
            ", ".join(
                column.name
                for column in tables.developer_repositories.columns
                if column.name != "developer_id"
            ),
        ),
        (
            "platform.developer_vectors",
            ", ".join(
                column.name for column in tables.developer_vectors.columns if column.name != "developer_id"
            ),
        ),
    ):
        settled.execute(
            f"INSERT INTO {table} (developer_id, {columns}) SELECT 'twin_' || lpad(n::text, 3, '0'), {columns} FROM {table}, "
            "generate_series(1, 100) AS n WHERE developer_id = :d",
            d=developer,
        )

    match(settled)

    for project, candidates in matched(settled, "match_candidates").items():
        assert len(candidates) == PLACES.listed
        listed = matched(settled)[project]
        assert len(listed) == PLACES.first
        assert set(listed) <= set(candidates)
        favoured = set(listed) - set(candidates[: PLACES.first])
        assert len(favoured) <= DEFAULT_POLICY.newcomer_places + DEFAULT_POLICY.exploration_places
        twins = [one for one in candidates if one.startswith("twin_")]
        assert twins == sorted(twins), "equal scores are ordered by id"


def test_readers_see_the_old_lists_or_the_new_ones_never_a_mixture(settled):
    settled.execute("UPDATE platform.match_candidates SET score = score - 1, as_of = '2026-10-31'")
    settled.execute("UPDATE platform.matches SET score = score - 1, as_of = '2026-10-31'")
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append(tuple(settled.values("SELECT DISTINCT as_of::text FROM platform.matches")))

    reader = threading.Thread(target=read)
    reader.start()
    match(settled)
    stop.set()
    reader.join()

    assert set(seen) <= {("2026-10-31",), ("2026-11-01",)}
    assert settled.values("SELECT DISTINCT as_of::text FROM platform.matches") == ["2026-11-01"]


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("DELETE FROM platform.match_candidates", ("match_candidates", "coverage")),
        (
            "UPDATE platform.match_candidates SET score = score + 0.001",
            ("match_candidates", "reasons_add_up"),
        ),
        ("DELETE FROM platform.matches", ("matches", "coverage")),
    ],
)
def test_what_is_wrong_in_a_table_turns_its_check_red(settled, statement, check):
    settled.execute(statement)

    outcome = settled.run_checks(check[0])

    assert outcome.broken_checks(ERROR) - {(check[0], "freshness")} == {check}


def test_an_empty_marketplace_yields_empty_lists_and_no_error(fresh):
    for table in ("developers", "projects", "contracts", "blocks"):
        fresh.execute(f"DELETE FROM marketplace.{table}")

    outcome = fresh.run()

    assert outcome.is_success
    assert outcome.metadata("matches")["dagster/row_count"] == 0
    assert not {key for key in outcome.broken_checks(ERROR) if key[0] in MATCHING_ASSETS}
