"""The profile assets, materialized with their checks over a real Postgres and the local GitHub API."""

import datetime as dt
import itertools

import dagster as dg
import pytest
from sandbox_server import change_behaviour, request_counts
from scripted_http import Reply, pass_on, serve
from small_world import NOW, WORLD, derived_rows, github_client

from platform_assets.clients.database import Database
from platform_assets.clients.github import GithubClient
from platform_assets.matching.pair_scores import score_known_pairs
from platform_assets.matching.weights import DEFAULT_WEIGHTS
from platform_assets.schedules import RETRIES_JOB
from platform_assets.tables import platform as tables
from platform_assets.tables.skill_graph import skill_edges
from platform_assets.thresholds import FRESHNESS_HOURS

PROFILE_ASSETS = (
    "developer_profiles",
    "skill_evidence",
    "developer_text_skills",
    "skill_profiles",
    "skill_embeddings",
    "developer_vectors",
    "project_requirements",
    "project_vectors",
    "skill_graph",
)
OF_DEVELOPERS = (
    "developer_profiles",
    "developer_repositories",
    "developer_evidence",
    "skill_evidence",
    "developer_text_readings",
    "developer_text_skills",
    "skill_profiles",
    "developer_vectors",
    "match_candidates",
    "matches",
)
TOMORROW = NOW + dt.timedelta(hours=25)
KNOWN_LOGINS = {user.login for user in WORLD.github_users}
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def worked_developer(platform):
    """A developer who has rows everywhere."""
    return platform.values(
        "SELECT developer_id FROM platform.matches WHERE developer_id IN (SELECT developer_id FROM platform.developer_repositories) "
        "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    )[0]


def rows_of_developer(platform, developer_id, *names):
    return {
        name: [row for row in derived_rows(platform.database)[name] if developer_id in row[:2]]
        for name in names or OF_DEVELOPERS
    }


def states(platform):
    return dict(
        zip(
            platform.values("SELECT developer_id FROM platform.developer_profiles ORDER BY 1"),
            platform.values("SELECT state FROM platform.developer_profiles ORDER BY developer_id"),
        )
    )


def test_everything_is_derived_and_a_second_run_writes_and_embeds_nothing(settled):
    before = derived_rows(settled.database)
    again = settled.run()

    assert again.is_success
    # The fixture's own check: an empty table would be equal to itself.
    # Thirty developers are too few for any two skills to go together by more than chance.
    assert {name for name, rows in before.items() if not rows} <= {"skill_edges"}
    assert {asset: again.rows_written(asset) for asset in PROFILE_ASSETS} == dict.fromkeys(PROFILE_ASSETS, 0)
    for asset in ("skill_embeddings", "developer_vectors", "project_vectors"):
        assert again.metadata(asset)["texts_computed"] == 0
    assert again.metadata("project_requirements")["projects_read"] == 0
    assert again.metadata("developer_profiles")["github_calls"] == 0
    assert derived_rows(settled.database) == before
    assert not again.broken_checks(ERROR)


def test_a_row_of_every_developer_says_how_their_account_was_read(settled):
    logins = dict(
        zip(WORLD.marketplace["developers"]["developer_id"], WORLD.marketplace["developers"]["github_login"])
    )
    expected = {
        developer: "not_linked"
        if login != login or login is None
        else "fetched"
        if login in KNOWN_LOGINS
        else "not_found"
        for developer, login in logins.items()
    }

    assert states(settled) == expected
    assert list(expected.values()).count("not_found") == 2
    outcome = settled.run("developer_profiles")
    assert outcome.broken_checks(WARN) == {("developer_profiles", "failed_accounts")}
    assert outcome.checks()["developer_profiles", "failed_accounts"].metadata["count"].value == 2


def test_what_github_shows_is_what_is_stored(settled):
    developer = worked_developer(settled)
    [login] = settled.values(
        "SELECT github_login FROM platform.developer_profiles WHERE developer_id = :d", d=developer
    )
    expected = {
        one.name_with_owner: one.commits_count for one in WORLD.github_contributions if one.login == login
    }
    query = "SELECT {} FROM platform.developer_repositories WHERE developer_id = :d ORDER BY repository"
    stored = dict(
        zip(
            settled.values(query.format("repository"), d=developer),
            settled.values(query.format("commits_count"), d=developer),
        )
    )

    assert stored == expected


def test_a_day_later_every_account_is_read_again_and_what_it_shows_stays(settled):
    repositories = settled.values(
        "SELECT repository FROM platform.developer_repositories ORDER BY developer_id, 1"
    )
    outcome = settled.run("developer_profiles", now=TOMORROW)

    assert outcome.metadata("developer_profiles")["accounts_read"] == 25
    assert outcome.checks()["developer_profiles", "profile_age"].passed
    assert repositories == settled.values(
        "SELECT repository FROM platform.developer_repositories ORDER BY developer_id, 1"
    )
    assert settled.values(
        "SELECT DISTINCT attempted_at FROM platform.developer_profiles WHERE state = 'fetched'"
    ) == [TOMORROW]


UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(params=["down", "errors", "refuses the token"])
def github_outage(request, endpoints):
    """A client of a GitHub that serves nobody."""
    if request.param == "down":
        yield github_client(UNREACHABLE)
    elif request.param == "errors":
        change_behaviour(endpoints, github={"error_rate": 1.0})
        yield github_client(endpoints.github_url)
    else:
        with serve(lambda _: Reply(401, {"message": "Bad credentials"})) as url:
            yield github_client(url)


def test_an_outage_of_github_keeps_every_row_and_the_next_run_goes_on(settled, endpoints, github_outage):
    before = derived_rows(settled.database)

    outcome = settled.run("developer_profiles", now=TOMORROW, github=github_outage, with_checks=False)

    assert outcome.failed_steps() == {"developer_profiles"}
    assert "GitHub: could not" in outcome.failure("developer_profiles")
    assert derived_rows(settled.database) == before

    change_behaviour(endpoints, github={"error_rate": 0.0})
    again = settled.run("developer_profiles", now=TOMORROW, with_checks=False)
    assert again.is_success
    assert again.metadata("developer_profiles")["accounts_read"] == 25


def test_an_outage_before_anything_was_read_is_no_good_age_of_profiles(fresh):
    outcome = fresh.run("developer_profiles", github=github_client(UNREACHABLE))
    checks = fresh.run_checks("developer_profiles").checks()

    assert not outcome.is_success
    # Who has no login needs no GitHub; nobody else may look as if they had been read.
    assert set(states(fresh).values()) == {"not_linked"}
    assert not checks["developer_profiles", "freshness"].passed
    assert not checks["developer_profiles", "profile_age"].passed


SPENT_HEADERS = {
    "x-ratelimit-limit": "5000",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": str(int(dt.datetime.now(dt.UTC).timestamp()) + 1_800),
}


def add_unknown_logins(platform, count):
    platform.execute(
        "INSERT INTO marketplace.developers SELECT 'more_' || n, NULL, 'nobody-' || n, NULL, '{}', NULL, NULL, NULL, true, "
        "NULL, NULL, NULL, 0, now(), now() FROM generate_series(1, :n) AS n",
        n=count,
    )


def test_a_limit_in_the_middle_keeps_what_was_read_and_the_next_run_reads_the_rest(settled, endpoints):
    add_unknown_logins(settled, 200)
    # A token of its own has a budget of its own, of which another program spends the rest after a few calls.
    document_count = itertools.count(1)

    def answer(call):
        if call.path.startswith("/graphql") and next(document_count) > 4:
            limit = {"type": "RATE_LIMITED", "message": "API rate limit exceeded"}
            return Reply(200, {"data": None, "errors": [limit]}, SPENT_HEADERS)
        return pass_on(call, endpoints.github_url)

    with serve(answer) as url:
        client = GithubClient(url=url, token="shared with others", timeout_s=10, backoff_s=0.01)
        outcome = settled.run("developer_profiles", github=client)

    assert outcome.failed_steps() == {"developer_profiles"}
    assert "A rerun helps once the limit is lifted (not before " in outcome.failure("developer_profiles")
    read_count = list(states(settled).values()).count("not_found") - 2
    assert 0 < read_count < 200
    assert list(states(settled).values()).count("fetched") == 23

    rest = settled.run("developer_profiles")
    assert rest.is_success
    assert rest.metadata("developer_profiles")["accounts_read"] == 200 - read_count
    assert list(states(settled).values()).count("not_found") == 202


def test_accounts_that_the_hours_points_do_not_buy_wait_for_the_next_hour(settled, endpoints):
    add_unknown_logins(settled, 200)
    client = GithubClient(url=endpoints.github_url, token="small", timeout_s=10, backoff_s=0.01)
    change_behaviour(endpoints, github_limit=5)

    outcome = settled.run("developer_profiles", github=client)

    assert outcome.is_success
    told = outcome.metadata("developer_profiles")
    read_count = list(states(settled).values()).count("not_found") - 2
    assert 0 < read_count < 200
    assert (told["accounts_read"], told["accounts_deferred"]) == (read_count, 200 - read_count)
    assert told["github_points"] <= told["points_spendable"] == 4
    assert told["planned_freshness_hours"] > 24
    assert list(states(settled).values()).count("fetched") == 23

    change_behaviour(endpoints, github_limit=5_000)
    rest = settled.run("developer_profiles")
    assert rest.is_success
    assert rest.metadata("developer_profiles")["accounts_read"] == 200 - read_count
    assert list(states(settled).values()).count("not_found") == 202


def test_one_account_that_goes_keeps_what_was_known_of_it(settled):
    developer = worked_developer(settled)
    before = rows_of_developer(
        settled, developer, "developer_repositories", "skill_profiles", "developer_vectors"
    )
    settled.execute(
        "UPDATE marketplace.developers SET github_login = 'gone-for-good' WHERE developer_id = :d",
        d=developer,
    )

    outcome = settled.run(*PROFILE_ASSETS[:5], with_checks=False)

    assert outcome.is_success
    assert states(settled)[developer] == "not_found"
    assert rows_of_developer(settled, developer, *before) == before
    assert outcome.metadata("developer_profiles")["accounts_read"] == 1
    [failure] = settled.values(
        "SELECT failure FROM platform.developer_profiles WHERE developer_id = :d", d=developer
    )
    assert "gone-for-good" in failure


def test_an_unlinked_account_takes_its_repositories_along(settled):
    developer = worked_developer(settled)
    settled.execute(
        "UPDATE marketplace.developers SET github_login = '' WHERE developer_id = :d", d=developer
    )

    settled.run("developer_profiles", with_checks=False)

    assert states(settled)[developer] == "not_linked"
    assert not rows_of_developer(settled, developer, "developer_repositories")["developer_repositories"]


def test_without_github_nothing_is_read_and_what_is_known_stays(settled, endpoints):
    before = derived_rows(settled.database)
    calls = request_counts(endpoints, "github")["total"]

    outcome = settled.run("developer_profiles", now=TOMORROW, github=None)

    assert outcome.is_success
    assert outcome.metadata("developer_profiles")["accounts_read"] == 0
    assert request_counts(endpoints, "github")["total"] == calls
    assert derived_rows(settled.database) == before


def test_a_removed_developer_disappears_from_every_derived_table(settled):
    developer = worked_developer(settled)
    assert all(rows_of_developer(settled, developer).values())
    settled.execute("DELETE FROM marketplace.developers WHERE developer_id = :d", d=developer)

    outcome = settled.run(*PROFILE_ASSETS, "match_candidates", "matches", with_checks=False)

    assert outcome.is_success
    assert rows_of_developer(settled, developer) == {name: [] for name in OF_DEVELOPERS}


def test_a_removed_project_disappears_from_every_derived_table(settled):
    [project] = settled.values("SELECT min(project_id) FROM platform.matches")
    settled.execute("DELETE FROM marketplace.projects WHERE project_id = :p", p=project)

    settled.run(with_checks=False)

    left = derived_rows(settled.database)
    for name in (
        "project_requirements",
        "requirement_extractions",
        "project_vectors",
        "match_candidates",
        "matches",
    ):
        assert left[name], name
        assert not [row for row in left[name] if row[0] == project], name


def test_developers_who_turn_bad_are_set_aside_while_the_rest_goes_on_and_return_when_good(settled):
    changes = (
        "currency = 'XBC'",
        "hourly_rate_minor = -1, currency = 'USD'",
        "time_zone = 'Europe/Atlantis'",
    )
    developers = settled.values("SELECT DISTINCT developer_id FROM platform.matches ORDER BY 1 LIMIT 3")
    kept = ("developer_profiles", "developer_repositories", "skill_profiles", "developer_vectors")
    everything = derived_rows(settled.database)
    settled.execute("CREATE TABLE public.kept AS TABLE marketplace.developers")
    for developer, change in zip(developers, changes, strict=True):
        settled.execute(f"UPDATE marketplace.developers SET {change} WHERE developer_id = :d", d=developer)

    outcome = settled.run()

    assert outcome.is_success
    assert settled.values("SELECT row_key FROM monitoring.quarantined_rows ORDER BY 1") == developers
    now = derived_rows(settled.database)
    assert {name: now[name] for name in kept} == {name: everything[name] for name in kept}
    # Who can't be held against a project's wishes is not proposed.
    assert not {row[1] for row in now["matches"]}.intersection(developers)
    assert outcome.checks()["developer_profiles", "quarantined_developers"].metadata["value"].value == 3
    # Three of thirty are more than two in a hundred.
    assert outcome.broken_checks(ERROR) == {("developer_profiles", "quarantined_developers_ratio")}

    settled.execute("TRUNCATE marketplace.developers")
    settled.execute("INSERT INTO marketplace.developers TABLE public.kept")
    settled.run(with_checks=False)
    assert not settled.values("SELECT row_key FROM monitoring.quarantined_rows")
    assert derived_rows(settled.database) == everything


def test_few_bad_rows_of_many_only_warn(settled):
    settled.execute(
        "INSERT INTO marketplace.developers SELECT 'more_' || n, NULL, NULL, NULL, '{}', CASE WHEN n = 1 THEN -1 END, "
        "'USD', NULL, true, NULL, NULL, NULL, 0, now(), now() FROM generate_series(1, 50) AS n"
    )

    outcome = settled.run("developer_profiles")

    assert outcome.broken_checks(WARN) >= {("developer_profiles", "quarantined_developers")}
    assert not outcome.broken_checks(ERROR)


def test_a_developer_who_was_bad_from_the_start_is_left_out(fresh):
    fresh.execute(
        "UPDATE marketplace.developers SET time_zone = 'Mars/Olympus' WHERE developer_id = 'dev_00001'"
    )

    fresh.run("developer_profiles")

    assert "dev_00001" not in states(fresh)
    assert len(states(fresh)) == 29


def test_a_marketplace_that_lacks_columns_fails_with_all_of_them_named_and_changes_nothing(settled):
    before = derived_rows(settled.database)
    settled.execute("ALTER TABLE marketplace.developers DROP COLUMN time_zone, DROP COLUMN currency")

    outcome = settled.run("developer_profiles", "skill_profiles", "developer_vectors")

    assert "developer_profiles" in outcome.failed_steps()
    assert "marketplace.developers.time_zone is missing" in outcome.failure("developer_profiles")
    assert "marketplace.developers.currency is missing" in outcome.failure("developer_profiles")
    assert derived_rows(settled.database) == before


def test_a_new_skill_costs_one_text_and_reaches_developers_and_projects(settled):
    settled.execute(
        "UPDATE marketplace.developers SET declared_skills = ARRAY['Zettelkasten Weaving'] WHERE developer_id = 'dev_00002'"
    )

    outcome = settled.run(
        "developer_text_skills",
        "skill_evidence",
        "skill_profiles",
        "skill_embeddings",
        "developer_vectors",
        "project_requirements",
    )

    assert outcome.metadata("skill_embeddings")["texts_computed"] == 1
    assert outcome.metadata("skill_embeddings")["rows_inserted"] == 1
    assert settled.values("SELECT source FROM platform.skills WHERE name = 'Zettelkasten Weaving'") == [
        "declared"
    ]
    assert settled.values(
        "SELECT sources FROM platform.skill_profiles WHERE developer_id = 'dev_00002' AND skill_id LIKE 'zettel%'"
    ) == [["declared"]]
    # Any text may speak of it now.
    assert outcome.metadata("project_requirements")["projects_read"] == 5


def test_a_project_whose_text_changed_is_the_only_one_that_is_read_again(settled):
    [project] = settled.values("SELECT min(project_id) FROM marketplace.projects WHERE status = 'open'")
    others = [row for row in settled.rows(tables.project_requirements) if row[0] != project]
    settled.execute(
        "UPDATE marketplace.projects SET title = 'Terraform modules', description = 'Kubernetes, with Helm.', "
        "declared_skills = '{}' WHERE project_id = :p",
        p=project,
    )

    outcome = settled.run("project_requirements", "project_vectors")

    assert outcome.metadata("project_requirements")["projects_read"] == 1
    assert outcome.metadata("project_vectors")["texts_computed"] == 1
    assert outcome.metadata("project_vectors")["rows_updated"] == 1
    assert [row for row in settled.rows(tables.project_requirements) if row[0] != project] == others
    assert set(
        settled.values("SELECT skill_id FROM platform.project_requirements WHERE project_id = :p", p=project)
    ) >= {"terraform", "kubernetes", "helm"}


def test_a_closed_project_leaves_the_vectors_and_the_lists(settled):
    [project] = settled.values("SELECT min(project_id) FROM platform.matches")
    settled.execute("UPDATE marketplace.projects SET status = 'filled' WHERE project_id = :p", p=project)
    settled.execute(
        "DELETE FROM marketplace.match_events WHERE event_type <> 'shown' AND project_id = :p", p=project
    )

    settled.run("project_vectors", "match_candidates", "matches", with_checks=False)

    for table in ("project_vectors", "match_candidates", "matches"):
        assert project not in settled.values(f"SELECT DISTINCT project_id FROM platform.{table}"), table


def test_a_closed_project_keeps_its_vector_when_something_can_be_learned_from_its_outcome(settled):
    [project] = settled.values("SELECT min(project_id) FROM platform.matches")
    [developer] = settled.values(
        "SELECT min(developer_id) FROM platform.developer_vectors WHERE developer_id IN "
        "(SELECT developer_id FROM platform.matches WHERE project_id = :p)",
        p=project,
    )
    settled.execute("UPDATE marketplace.projects SET status = 'filled' WHERE project_id = :p", p=project)
    settled.execute(
        "INSERT INTO marketplace.match_events VALUES ('e', :p, :d, 'contacted', 1, now())",
        p=project,
        d=developer,
    )

    outcome = settled.run("project_vectors", "match_candidates", with_checks=False)

    assert outcome.metadata("project_vectors")["rows_deleted"] == 0
    assert project in settled.values("SELECT project_id FROM platform.project_vectors")
    assert project not in settled.values("SELECT project_id FROM platform.match_candidates")
    [scored] = score_known_pairs(
        settled.database, {project: [developer]}, as_of=NOW.date(), weights=DEFAULT_WEIGHTS
    )
    assert scored.scores.reasons(0)["meaning"] is not None


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("DELETE FROM platform.skill_profiles", ("skill_profiles", "coverage")),
        ("DELETE FROM platform.developer_evidence", ("skill_evidence", "coverage")),
        (
            "UPDATE platform.skill_profiles SET confidence = confidence / 2",
            ("skill_profiles", "follows_from_ledger"),
        ),
        ("DELETE FROM platform.skill_embeddings WHERE skill_id = 'python'", ("skill_embeddings", "coverage")),
        ("DELETE FROM platform.developer_vectors", ("developer_vectors", "coverage")),
        ("DELETE FROM platform.project_requirements", ("project_requirements", "coverage")),
        ("DELETE FROM platform.project_vectors", ("project_vectors", "coverage")),
        (
            "UPDATE platform.project_vectors SET vector = (SELECT (vector + vector) FROM platform.project_vectors LIMIT 1)",
            ("project_vectors", "unit_length"),
        ),
        (
            "UPDATE platform.developer_profiles SET fetched_at = fetched_at - interval '3 days'",
            ("developer_profiles", "profile_age"),
        ),
    ],
)
def test_what_is_wrong_in_a_table_turns_its_check_red(settled, statement, check):
    settled.execute(statement)

    outcome = settled.run_checks(check[0])

    assert outcome.is_success, "a red check fails no run"
    # The instance is new: that nothing was materialized in it is told beside.
    assert outcome.broken_checks(ERROR) - {(check[0], "freshness")} == {check}


@pytest.mark.parametrize("confidence", ["1.5", "'NaN'"])
def test_a_confidence_that_is_no_probability_turns_both_checks_red(settled, confidence):
    settled.execute(f"UPDATE platform.skill_profiles SET confidence = {confidence}")

    outcome = settled.run_checks("skill_profiles")

    assert outcome.broken_checks(ERROR) - {("skill_profiles", "freshness")} == {
        ("skill_profiles", "confidence_range"),
        ("skill_profiles", "follows_from_ledger"),
    }


def test_the_checks_of_a_settled_marketplace_are_green(settled):
    settled.run(job=RETRIES_JOB)
    settled.run()
    settled.run_analytics()

    outcome = settled.run_checks()

    assert outcome.checks().keys() == {
        (key.asset_key.to_user_string(), key.name)
        for key in settled.definitions().resolve_asset_graph().asset_check_keys
        # Without labelled samples there is nothing to evaluate.
        if key.name != "extraction_accuracy"
    }
    assert not outcome.broken_checks(ERROR)


def test_a_table_that_nobody_fills_any_more_is_stale(settled):
    settled.run(with_checks=False)
    started = dt.datetime.now(dt.UTC)

    outcome = settled.run_checks(now=started + dt.timedelta(hours=2.5))
    stale = {asset for asset, name in outcome.broken_checks(ERROR) if name == "freshness"}
    assert stale == {
        "skill_evidence",
        "developer_text_skills",
        "skill_profiles",
        "project_requirements",
        "skill_graph",
        "skill_graph_projection",
        "match_candidates",
        "matches",
        "matching_service_health",
        # Jobs of their own.
        "payment_analytics",
        "payment_retries",
        # Watched by the minute.
        "service_health_metrics",
        "task_queue_metrics",
        "queue_recovery",
        "performance_benchmarks",
        "service_level_measurements",
    }


def test_a_check_on_what_was_never_materialized_is_not_passed(fresh):
    outcome = fresh.run_checks()

    freshness = {asset: check for (asset, name), check in outcome.checks().items() if name == "freshness"}
    assert freshness.keys() == FRESHNESS_HOURS.keys()
    # The look at all checks writes these two itself.
    assert {asset for asset, check in freshness.items() if check.passed} == {
        "performance_benchmarks",
        "service_level_measurements",
    }
    assert "not measurable" in (freshness["matches"].description or "")


def test_a_table_can_be_rebuilt_from_nothing(settled):
    before = derived_rows(settled.database)
    for name in (
        "skill_evidence",
        "skill_profiles",
        "developer_vectors",
        "project_vectors",
        "skill_embeddings",
        "match_candidates",
    ):
        settled.execute(f"TRUNCATE platform.{name}")

    outcome = settled.run(with_checks=False)

    assert derived_rows(settled.database) == before
    assert outcome.metadata("skill_embeddings")["texts_computed"] == 0, "texts are kept apart from their use"


def test_a_read_only_database_is_told_as_such(settled):
    url = settled.database.engine.url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    database = Database(url)
    outcome = settled.run("developer_profiles", database=database)
    database.close()

    assert "read-only transaction" in outcome.failure("developer_profiles")


def test_the_skill_graph_connects_skills_of_developers_and_a_second_run_writes_nothing(settled):
    # Of thirty developers twelve must share two rare skills for it to be more than chance.
    settled.execute(
        "INSERT INTO platform.skill_profiles (developer_id, skill_id, confidence, sources, commits_count, commits_share, as_of) "
        "SELECT developer_id, skill_id, 0.95, '{declared}', 0, 0, '2026-11-01' FROM "
        "(SELECT developer_id FROM marketplace.developers ORDER BY 1 LIMIT 12) AS few, unnest(ARRAY['celery', 'grpc']) AS skill_id "
        "ON CONFLICT (developer_id, skill_id) DO UPDATE SET confidence = 0.95"
    )
    settled.run("skill_graph")
    edges = settled.rows(skill_edges)
    skills = set(settled.values("SELECT skill_id FROM platform.skill_profiles"))

    assert edges
    assert {skill for a, b, *_ in edges for skill in (a, b)} <= skills
    assert settled.run("skill_graph").rows_written("skill_graph") == 0


def test_without_neo4j_the_projection_says_that_it_is_off_and_nothing_else_changes(settled):
    before = derived_rows(settled.database)
    outcome = settled.run("skill_graph", "skill_graph_projection")

    assert outcome.is_success
    assert outcome.metadata("skill_graph_projection")["neo4j"] == "off"
    assert outcome.checks()["skill_graph_projection", "counts"].passed
    assert outcome.checks()["skill_graph_projection", "counts"].metadata["neo4j"].value == "off"
    assert derived_rows(settled.database) == before
