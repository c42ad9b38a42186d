"""`platform-assets explain match`: the same score as in the list, the filters by name, and the distance to the list."""

import io
import json

import pytest
import sqlalchemy as sa
from rich.console import Console
from small_world import AS_OF, NOW

from platform_assets.matching import explain
from platform_assets.matching.candidates import refresh_candidates
from platform_assets.matching.explain import UnknownPairError, explain_match
from platform_assets.matching.filters import FILTERS
from platform_assets.matching.lists import Places
from platform_assets.matching.published import refresh_matches
from platform_assets.matching.scoring import TERMS
from platform_assets.matching.wording import INPUTS, VALUES
from platform_assets.monitoring.alerting import alerts
from platform_assets.tables.matching import match_candidates


def account(platform, project, developer):
    return explain_match(platform.database, project, developer, as_of=AS_OF)


def candidates(platform):
    return platform.database.read(sa.select(match_candidates).order_by("project_id", "rank"))


def test_every_term_and_every_filter_has_its_words():
    assert set(INPUTS) == set(TERMS)
    assert set(VALUES) == set(FILTERS)


def test_the_account_of_a_listed_pair_adds_up_to_what_is_published(settled):
    for row in candidates(settled).groupby("project_id").head(3).itertuples():
        told = account(settled, row.project_id, row.developer_id)

        assert told.score == row.score
        assert {part.term: part.points for part in told.terms} == row.reasons
        assert sum(part.points or 0 for part in told.terms) == pytest.approx(told.score, abs=1e-9)
        assert (told.rank, told.candidate_rank, told.refusals) == (row.rank, row.rank, ())
        assert told.standing.startswith(f"Place {row.rank} of ")
        assert all(part.inputs for part in told.terms)


CASES = {
    "not_active": ("UPDATE marketplace.developers SET is_active = false WHERE developer_id = :d", "closed"),
    "not_available": (
        "UPDATE marketplace.developers SET available_from = '2027-06-01' WHERE developer_id = :d",
        "free from 2027-06-01",
    ),
    "rate_or_currency": (
        "UPDATE marketplace.developers SET hourly_rate_minor = 99900, currency = 'USD' WHERE developer_id = :d; "
        "UPDATE marketplace.projects SET max_hourly_rate_minor = 8000, currency = 'USD' WHERE project_id = :p",
        "asks 999.00 USD an hour; the client pays at most 80.00 USD",
    ),
    "time_zone": (
        "UPDATE marketplace.developers SET time_zone = 'Asia/Tokyo' WHERE developer_id = :d; UPDATE "
        "marketplace.projects SET time_zone = 'Europe/Lisbon', min_overlap_hours = 4 WHERE project_id = :p",
        "share 0 working hours a day; 4 are wanted",
    ),
    "already_contracted": (
        "INSERT INTO marketplace.contracts SELECT 'new', :p, client_id, :d, 'offered', '{}', NULL, 'EUR', NULL, now(), "
        "NULL, NULL, NULL, now() FROM marketplace.projects WHERE project_id = :p",
        "(offered)",
    ),
    "blocked": (
        "INSERT INTO marketplace.blocks SELECT client_id, :d, 'client', now() FROM marketplace.projects WHERE project_id = :p",
        "not to be matched",
    ),
    "project_not_open": (
        "UPDATE marketplace.projects SET status = 'filled' WHERE project_id = :p",
        "`filled`",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_that_refuses_the_pair_is_named_with_both_values(settled, name):
    pair = candidates(settled).iloc[0]
    statements, words = CASES[name]
    for statement in statements.split("; "):
        settled.execute(statement, d=pair.developer_id, p=pair.project_id)

    stale = account(settled, pair.project_id, pair.developer_id)
    refresh_candidates(settled.database, as_of=AS_OF, now=clock, alerts=alerts)
    told = account(settled, pair.project_id, pair.developer_id)

    [refusal] = [one for one in told.refusals if one.filter == name]
    assert words in refusal.values
    assert "the next refresh takes it out" in stale.standing
    assert told.candidate_rank is None


def test_who_is_below_the_cut_is_told_by_how_much(settled):
    every = candidates(settled)
    project = every["project_id"].value_counts().index[0]
    best = every[every["project_id"] == project]
    settled.execute("UPDATE monitoring.match_versions SET state = 'superseded'")
    refresh_candidates(settled.database, as_of=AS_OF, now=clock, alerts=alerts, places=Places(1, 1, 0))
    refresh_matches(settled.database, as_of=AS_OF, now=clock, alerts=alerts)

    told = account(settled, project, best["developer_id"].iloc[-1])

    assert told.candidate_rank is None
    assert told.last_candidate_score == best["score"].iloc[1]
    short = best["score"].iloc[1] - best["score"].iloc[-1]
    assert f"Below the cut: {short:.6f} short of the last of 2 candidates" in told.standing


def test_an_id_that_nobody_has_is_answered_with_similar_ones(settled):
    pair = candidates(settled).iloc[0]
    with pytest.raises(UnknownPairError, match=r"no project 'prj_1' .*Did you mean prj_00001"):
        account(settled, "prj_1", pair.developer_id)
    with pytest.raises(UnknownPairError, match=r"no developer 'dev_0007' .*Did you mean dev_00007"):
        account(settled, pair.project_id, "dev_0007")


def test_the_account_is_shown_as_a_table_and_as_json(settled):
    pair = candidates(settled).iloc[0]
    told = account(settled, pair.project_id, pair.developer_id)
    console = Console(file=io.StringIO(), width=200)
    explain.render(told, console)

    shown = console.file.getvalue()
    assert all(term in shown for term in TERMS)
    assert f"{told.score:+.6f}" in shown
    read = json.loads(explain.as_json(told))
    assert read["score"] == told.score
    assert [part["term"] for part in read["terms"]] == list(TERMS)


def clock():

    return NOW
