"""Versions of the lists over a real Postgres: only what changed is scored, and a version is published whole or not at all."""

import datetime as dt
import os
import signal
import threading

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from small_world import AS_OF, NOW, derived_rows, rows_of

from platform_assets.clients.database import Database
from platform_assets.matching import inputs, publication
from platform_assets.matching.candidates import refresh_candidates
from platform_assets.matching.publication import ACCEPT_TAG, RefreshBusyError
from platform_assets.monitoring.alerting import alerts
from platform_assets.tables.matching import match_candidates, match_changes, match_versions

MATCHING_ASSETS = ("match_candidates", "matches")
ERROR = dg.AssetCheckSeverity.ERROR


def match(platform, *, accept=False, now=NOW):
    tags = {ACCEPT_TAG: "true"} if accept else {}
    return platform.run(*MATCHING_ASSETS, tags=tags, now=now, with_checks=False)


def refresh(database, now=lambda: NOW):
    return refresh_candidates(database, as_of=AS_OF, now=now, alerts=alerts)


def listed(platform, table="match_candidates"):
    return platform.values(f"SELECT project_id || ' ' || developer_id FROM platform.{table} ORDER BY 1")


def changes(platform, list_name="match_candidates"):
    """Pair → change and cause in the live version of a list."""
    rows = platform.database.read(
        sa.select(match_changes)
        .join(match_versions, match_versions.c.version_id == match_changes.c.version_id)
        .where(match_versions.c.list_name == list_name, match_versions.c.state == "published")
    )
    return {(row.project_id, row.developer_id): (row.change, row.cause) for row in rows.itertuples()}


def states(platform, list_name="match_candidates"):
    return platform.values(
        "SELECT state FROM monitoring.match_versions WHERE list_name = :n ORDER BY version_id", n=list_name
    )


def known_digest(platform):
    return platform.values(
        "SELECT inputs_digest FROM monitoring.match_versions WHERE list_name = 'match_candidates' AND state = 'published'"
    )[0]


def open_alerts(platform):
    return platform.values("SELECT title FROM monitoring.system_alerts WHERE state = 'open'")


def best_pair(platform):
    return platform.database.read(
        sa.select(match_candidates).where(match_candidates.c.rank == 1).order_by("project_id")
    ).iloc[0]


CHANGES = {
    "rate": "UPDATE marketplace.developers SET hourly_rate_minor = 1 WHERE developer_id = :d",
    "rating": "UPDATE marketplace.developers SET rating_average = 0, rating_count = 99 WHERE developer_id = :d",
    "closed account": "DELETE FROM marketplace.developers WHERE developer_id = :d",
    "contract": "INSERT INTO marketplace.contracts SELECT 'new', :p, client_id, :d, 'offered', '{}', NULL, 'EUR', NULL, now(), "
    "NULL, NULL, NULL, now() FROM marketplace.projects WHERE project_id = :p",
    "block": "INSERT INTO marketplace.blocks SELECT client_id, :d, 'client', now() FROM marketplace.projects WHERE project_id = :p",
    "skills": "UPDATE platform.skill_profiles SET confidence = 0.01 WHERE developer_id = :d",
    "repositories": "DELETE FROM platform.developer_repositories WHERE developer_id = :d",
    "vectors": "DELETE FROM platform.developer_vectors WHERE developer_id = :d",
    "title": "UPDATE marketplace.projects SET title = 'Terraform' WHERE project_id = :p",
    "requirements": "DELETE FROM platform.project_requirements WHERE project_id = :p",
    "project vector": "DELETE FROM platform.project_vectors WHERE project_id = :p",
    "closed project": "UPDATE marketplace.projects SET status = 'filled' WHERE project_id = :p",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_and_gives_the_rows_of_a_whole_computation(settled, change):
    before = rows_of(settled.database, match_candidates)
    pair = best_pair(settled)
    settled.execute(CHANGES[change], d=pair.developer_id, p=pair.project_id)

    outcome = refresh(settled.database)
    after = rows_of(settled.database, match_candidates)
    settled.execute("UPDATE monitoring.match_versions SET state = 'superseded'")
    whole = refresh(settled.database)

    assert (outcome.state, outcome.details["method"]) == ("published", "incremental")
    assert outcome.details["developers_rescored"] + outcome.details["projects_scanned"] <= 2
    assert not after.equals(before)
    assert whole.details["method"] == "full"
    assert whole.counts.written == 0
    assert refresh(settled.database).state == "unchanged"


def test_what_the_score_does_not_read_changes_nothing(settled):
    settled.execute("UPDATE marketplace.developers SET display_name = 'Somebody', updated_at = now()")
    settled.execute("UPDATE marketplace.projects SET updated_at = now()")

    assert refresh(settled.database).state == "unchanged"


def test_rows_that_are_only_stored_anew_change_nothing_and_their_hash_is_kept(settled):
    before = known_digest(settled)
    settled.execute("UPDATE platform.skill_profiles SET confidence = confidence")

    assert refresh(settled.database).state == "unchanged"
    after = known_digest(settled)
    assert refresh(settled.database).state == "unchanged"
    assert known_digest(settled) == after != before


def test_an_unchanged_marketplace_is_not_compared_developer_by_developer(settled):
    settled.execute("UPDATE platform.match_inputs SET score_digest = score_digest + 1")

    developers, projects = inputs.read_differences(settled.database, known=known_digest(settled))
    compared, _ = inputs.read_differences(settled.database, known=None)

    assert not len(developers.rows)
    assert not len(projects.rows)
    assert len(compared.rows) == settled.values("SELECT count(*) FROM marketplace.developers")[0]
    assert inputs.joint_inputs_digest(developers, projects) == known_digest(settled)


def test_a_table_that_somebody_has_changed_is_made_anew(settled):
    before = derived_rows(settled.database)
    settled.execute("UPDATE platform.match_candidates SET score = score + 1 WHERE rank = 2")
    settled.execute("DELETE FROM platform.matches WHERE rank = 3")

    outcome = match(settled)

    assert outcome.metadata("match_candidates")["method"] == "full"
    assert derived_rows(settled.database) == before


def test_a_version_that_changes_too_much_is_held_back_until_somebody_says_that_it_is_meant(settled):
    before = listed(settled)
    settled.execute("UPDATE marketplace.developers SET is_active = false")

    held = settled.run(*MATCHING_ASSETS)

    assert held.is_success
    assert listed(settled) == before
    assert listed(settled, "matches") == listed(settled)
    assert held.metadata("match_candidates")["version_state"] == "refused"
    assert ("match_candidates", "published") in held.broken_checks(ERROR)
    [title] = open_alerts(settled)
    assert "churn is 1, and at most 0.5 is wanted" in title

    again = match(settled)
    assert again.metadata("match_candidates")["version_state"] == "refused"
    assert len(open_alerts(settled)) == 1
    accepted = match(settled, accept=True)

    assert accepted.metadata("matches")["version_state"] == "published"
    assert listed(settled) == listed(settled, "matches") == []
    assert open_alerts(settled) == []
    assert states(settled) == ["superseded", "refused", "refused", "published"]
    assert set(changes(settled).values()) == {("left", "filtered: not_active")}


def test_a_version_that_is_right_again_is_published_and_its_alert_resolved(settled):
    before = derived_rows(settled.database)
    settled.execute("UPDATE marketplace.developers SET is_active = NOT is_active")
    match(settled)
    settled.execute("UPDATE marketplace.developers SET is_active = NOT is_active")

    outcome = settled.run(*MATCHING_ASSETS)

    assert derived_rows(settled.database) == before
    # Nothing is left to do, so the last refusal is past.
    assert not outcome.broken_checks(ERROR)
    assert open_alerts(settled) == []


def test_a_refresh_that_is_killed_before_it_publishes_leaves_the_last_good_version(settled):
    before = derived_rows(settled.database)
    project, developer = best_pair(settled)[["project_id", "developer_id"]]
    settled.execute(CHANGES["block"], d=developer, p=project)
    url = settled.database.engine.url
    process = os.fork()
    if process == 0:
        moments = iter([NOW])
        # The second moment that is asked for is that of the publication.
        refresh(Database(url), now=lambda: next(moments, None) or os.kill(os.getpid(), signal.SIGKILL))
        os._exit(0)
    _, status = os.waitpid(process, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert derived_rows(settled.database) == before
    assert states(settled)[-1] == "building"
    outcome = refresh(settled.database)

    assert (outcome.state, outcome.details["versions_abandoned"]) == ("published", 1)
    assert states(settled) == ["superseded", "abandoned", "published"]
    assert f"{project} {developer}" not in listed(settled)


def test_of_two_refreshes_at_once_one_waits_and_finds_nothing_left_to_do(settled):
    project, developer = best_pair(settled)[["project_id", "developer_id"]]
    settled.execute(CHANGES["block"], d=developer, p=project)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(refresh(settled.database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcome.state for outcome in outcomes) == ["published", "unchanged", "unchanged"]
    assert f"{project} {developer}" not in listed(settled)


def test_a_version_is_not_published_over_another_that_came_first(settled):
    before = derived_rows(settled.database)
    building, _ = publication.begin(
        settled.database, "match_candidates", method="full", as_of=AS_OF, basis="", base=None, now=NOW
    )

    with pytest.raises(RefreshBusyError, match="Run again"):
        publication.publish(
            settled.database,
            building,
            gates=[],
            write=lambda connection: connection.execute(sa.delete(match_candidates)),
            changes=pd.DataFrame(),
            alerts=alerts,
            now=NOW,
        )

    assert derived_rows(settled.database) == before


def test_readers_never_see_candidates_of_two_versions(settled):
    """Each version moves every score by the rate; a reader who saw two would see two rates."""
    query = "SELECT string_agg(DISTINCT as_of::text, ' ') FROM platform.match_candidates"
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.update(settled.values(query))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for days in range(1, 4):
            match(settled, now=NOW + dt.timedelta(days=days))
    finally:
        stop.set()
        reader.join()

    assert seen <= {"2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"}
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("block", ("left", "filtered: blocked")),
        ("contract", ("left", "filtered: already_contracted")),
        ("closed account", ("left", "developer_gone")),
        ("closed project", ("left", "project_closed")),
    ],
)
def test_what_changed_in_a_list_is_kept_with_its_cause(settled, change, expected):
    pair = best_pair(settled)
    settled.execute(CHANGES[change], d=pair.developer_id, p=pair.project_id)

    match(settled)

    for list_name in MATCHING_ASSETS:
        assert changes(settled, list_name)[pair.project_id, pair.developer_id] == expected


def test_a_developer_who_comes_back_enters_as_newly_permitted(settled):
    pair = best_pair(settled)
    settled.execute(CHANGES["block"], d=pair.developer_id, p=pair.project_id)
    match(settled)
    settled.execute("DELETE FROM marketplace.blocks WHERE developer_id = :d", d=pair.developer_id)

    match(settled)

    assert changes(settled)[pair.project_id, pair.developer_id] == ("entered", "newly_permitted")


def test_a_project_that_opens_gets_its_list_with_that_cause(settled):
    pair = best_pair(settled)
    settled.execute(CHANGES["closed project"], p=pair.project_id)
    match(settled)
    settled.execute(
        "UPDATE marketplace.projects SET status = 'open' WHERE project_id = :p", p=pair.project_id
    )

    match(settled)

    assert changes(settled)[pair.project_id, pair.developer_id] == ("entered", "project_opened")


def test_a_project_whose_filters_leave_nobody_is_named_and_holds_nothing_up(settled):
    pair = best_pair(settled)
    settled.execute(
        "UPDATE marketplace.projects SET max_hourly_rate_minor = 0, currency = 'KWD' WHERE project_id = :p",
        p=pair.project_id,
    )
    settled.execute("UPDATE marketplace.developers SET hourly_rate_minor = 5000, currency = 'EUR'")

    outcome = match(settled, accept=True)

    told = outcome.metadata("match_candidates")["projects_without_anybody"]
    assert f"{pair.project_id} (rate_or_currency refuses 30 of 30)" in told
    named = [part.split()[0] for part in told.split("; ")]
    assert not set(named) & set(settled.values("SELECT project_id FROM platform.match_candidates"))
    assert outcome.metadata("match_candidates")["gate_coverage"] == 1


def test_vectors_of_two_models_stop_the_refresh_and_the_lists_stay(settled):
    before = derived_rows(settled.database)
    settled.execute(
        "UPDATE platform.developer_vectors SET model = 'another' WHERE developer_id = (SELECT min(developer_id) FROM "
        "platform.developer_vectors)"
    )

    outcome = match(settled)

    assert "made by 2 models" in outcome.failure("match_candidates")
    assert listed(settled) == [f"{row[0]} {row[1]}" for row in before["match_candidates"]]


def test_superseded_versions_go_after_a_week_and_the_live_ones_stay(settled):
    pair = best_pair(settled)
    settled.execute(CHANGES["block"], d=pair.developer_id, p=pair.project_id)
    match(settled, now=NOW)
    match(settled, now=NOW + dt.timedelta(days=2))
    lists = {name: listed(settled, name) for name in MATCHING_ASSETS}
    kept = settled.run("matching_cache_cleanup", now=NOW + dt.timedelta(days=2), with_checks=False)
    outcome = settled.run("matching_cache_cleanup", now=NOW + dt.timedelta(days=9), with_checks=False)

    assert kept.metadata("matching_cache_cleanup")["versions_removed"] == 0
    removed = outcome.metadata("matching_cache_cleanup")
    assert removed["versions_removed"] == 4
    assert removed["changes_removed"] > 0
    assert removed["freed_bytes"] > 0
    assert states(settled) == states(settled, "matches") == ["published"]
    assert {name: listed(settled, name) for name in MATCHING_ASSETS} == lists
    assert refresh_is_unchanged(settled, days=2)


def refresh_is_unchanged(platform, *, days):
    outcome = refresh_candidates(
        platform.database, as_of=AS_OF + dt.timedelta(days=days), now=lambda: NOW, alerts=alerts
    )
    return outcome.state == "published" and outcome.counts.written == 0
