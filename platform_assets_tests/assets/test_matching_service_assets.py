"""Analytics, tuning and health of the matching, materialized with their checks over a real Postgres."""

import datetime as dt
import threading

import dagster as dg
import sqlalchemy as sa
from small_world import NOW, derived_rows

from platform_assets.matching.search import SearchFilters
from platform_assets.matching.service_health import measure_health
from platform_assets.matching.tuning import Trial, current_weights, write_weights
from platform_assets.matching.upkeep import keep_up, tune_search
from platform_assets.matching.weights import DEFAULT_WEIGHTS
from platform_assets.tables.matching_service import matching_analytics, matching_weights

ASSETS = ("matching_analytics", "matching_tuning", "matching_service_health")
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
DAY = NOW.date()


def health(platform):
    [row] = platform.database.read(
        sa.text("SELECT * FROM monitoring.matching_service_health ORDER BY measurement_id DESC LIMIT 1")
    ).to_dict("records")
    return row


def test_a_second_run_of_the_day_changes_no_derived_row_and_adds_its_measurements(settled):
    before = derived_rows(settled.database)
    measured_before = settled.values("SELECT count(*) FROM monitoring.matching_service_health")[0]

    again = settled.run(*ASSETS)

    assert again.is_success
    assert again.rows_written("matching_analytics") == 0
    assert derived_rows(settled.database) == before
    assert settled.values("SELECT count(*) FROM monitoring.matching_service_health") == [measured_before + 1]
    assert not again.broken_checks(ERROR)


def test_each_day_keeps_its_own_analytics(settled):
    before = settled.rows(matching_analytics)

    settled.run("matching_analytics", now=NOW + dt.timedelta(days=1), with_checks=False)

    assert len(before) > 10
    assert [row for row in settled.rows(matching_analytics) if row[0] == before[0][0]] == before
    assert len({row[0] for row in settled.rows(matching_analytics)}) == 2


def test_the_ui_gets_a_picture_and_the_numbers_that_a_reader_looks_for_first(settled):
    told = settled.run("matching_analytics", with_checks=False).metadata("matching_analytics")

    assert "](data:image/svg+xml;base64," in told["overview"]
    assert told["coverage_ratio"] == 1.0
    assert 0 < told["exposure_gini_first_places"] < 1


def test_every_decision_of_the_tuning_is_kept_with_its_reason(settled):
    outcome = settled.run("matching_tuning")

    decisions = settled.database.read(
        sa.text("SELECT topic, subject, decision, reason FROM monitoring.matching_tuning")
    )
    assert set(decisions["topic"]) == {"weights", "search_index", "upkeep"}
    assert decisions["reason"].str.len().min() > 10
    told = outcome.metadata("matching_tuning")
    assert told["weights_decision"].startswith("kept: ")
    assert "| search_index |" in told["decisions"]
    assert not outcome.broken_checks(WARN)


def test_weights_are_those_that_came_with_the_platform_until_others_are_adopted_and_then_from_the_next_day(
    settled,
):
    database, tomorrow = settled.database, DAY + dt.timedelta(days=1)
    assert [row[2] for row in settled.rows(matching_weights)] == ["packaged"]
    assert current_weights(database, DAY) == DEFAULT_WEIGHTS
    adopted = Trial(True, "better", DEFAULT_WEIGHTS.values() | {"meaning": 9.5}, {"ndcg_gain_low": 0.1})

    write_weights(database, adopted, as_of=DAY)
    write_weights(database, adopted, as_of=DAY)

    assert current_weights(database, DAY) == DEFAULT_WEIGHTS
    assert current_weights(database, tomorrow).values()["meaning"] == 9.5
    assert "learned from outcomes" in current_weights(database, tomorrow).meaning.reason
    changed_mind = Trial(True, "better", DEFAULT_WEIGHTS.values() | {"meaning": 7.5}, {})
    write_weights(database, changed_mind, as_of=DAY)
    assert current_weights(database, tomorrow).values()["meaning"] == 7.5
    assert len(settled.rows(matching_weights)) == 2, "of one day's decisions the last one counts"


def test_a_term_that_the_score_no_longer_has_is_left_out_of_stored_weights(settled):
    stored = DEFAULT_WEIGHTS.values() | {"meaning": 8.0}
    write_weights(settled.database, Trial(True, "better", stored, {}), as_of=DAY)
    settled.execute(
        """UPDATE platform.matching_weights SET weights = weights || '{"phase_of_the_moon"\\: 3}'"""
    )

    assert current_weights(
        settled.database, DAY + dt.timedelta(days=1)
    ).values() == DEFAULT_WEIGHTS.values() | {"meaning": 8.0}


def test_the_effort_of_the_search_is_set_on_the_function_that_the_application_calls(settled):
    settled.execute("ALTER FUNCTION platform.search_developers SET hnsw.ef_search = 7")
    filters = SearchFilters(available_by=DAY)

    first = tune_search(settled.database, filters, seed="a")
    second = tune_search(settled.database, filters, seed="a")

    assert first.decision == f"ef_search {first.numbers['chosen']}"
    assert first.numbers["in_use"] == 7
    assert second.decision == "kept"
    assert second.numbers["in_use"] == first.numbers["chosen"]
    assert all(0 <= tried["recall"] <= 1 for tried in second.numbers["tried"].values())


def test_a_table_full_of_dead_rows_is_vacuumed_and_then_left_alone(settled):
    settled.execute("ALTER TABLE platform.project_requirements SET (autovacuum_enabled = false)")
    settled.execute(
        "INSERT INTO platform.project_requirements (project_id, skill_id, weight, extractor, evidence) "
        "SELECT 'gone', n::text, 1, 'alias', '' FROM generate_series(1, 3000) AS n"
    )
    settled.execute("DELETE FROM platform.project_requirements WHERE project_id = 'gone'")
    flush(settled)

    decisions = {each.subject: each for each in keep_up(settled.database)}
    flush(settled)
    again = {each.subject: each for each in keep_up(settled.database)}

    assert decisions["project_requirements"].decision == "vacuum"
    assert again["project_requirements"].decision == "kept"


def flush(platform):
    # Postgres collects its statistics now and then; every session of the pool tells its own at once.
    connections = [platform.database.engine.connect() for _ in range(3)]
    for connection in connections:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        connection.commit()
        connection.exec_driver_sql("SELECT 1")
        connection.commit()
        connection.close()


def test_health_tells_what_the_application_sees(settled):
    open_count = settled.values("SELECT count(*) FROM marketplace.projects WHERE status = 'open'")[0]

    settled.run("matching_service_health", with_checks=False)

    row = health(settled)
    assert (row["pages_count"], row["errors_count"], row["empty_count"]) == (open_count, 0, 0)
    assert 0 < row["latency_p50_ms"] <= row["latency_p95_ms"]
    assert (row["stalest_days"], row["search_recall"]) == (0, 1.0)


def test_a_query_that_fails_is_a_measurement_and_turns_the_check_red(settled):
    settled.execute("ALTER TABLE platform.matches RENAME TO mislaid")

    measured = settled.run("matching_service_health")

    assert measured.is_success
    row = health(settled)
    assert row["errors_count"] == row["pages_count"] > 0
    assert 'relation "platform.matches" does not exist' in row["failure"]
    assert "SELECT" not in row["failure"], "the statement is nobody's business"
    assert ("matching_service_health", "page_errors") in measured.broken_checks(ERROR)
    assert ("matching_service_health", "page_latency") in measured.broken_checks(ERROR)
    # What does not hang on it is still measured.
    assert row["search_recall"] == 1.0


def test_a_query_that_hangs_is_cut_off_and_measured(settled):
    release = threading.Event()
    locked = threading.Event()

    def hold():
        with settled.database.transaction() as connection:
            connection.exec_driver_sql("LOCK TABLE platform.developer_vectors IN ACCESS EXCLUSIVE MODE")
            locked.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(30)
    try:
        found = measure_health(settled.database, now=NOW, as_of=DAY, timeout_ms=50)
    finally:
        release.set()
        holder.join()

    assert found.errors_count == 0
    assert found.search_errors_count == found.searches_count > 0
    assert found.search_recall is None
    assert "timeout" in found.failure


def test_lists_that_are_empty_or_old_turn_their_checks_red(settled):
    settled.execute("UPDATE platform.matches SET as_of = as_of - 3")
    old = settled.run("matching_service_health")
    settled.execute("DELETE FROM platform.matches")
    empty = settled.run("matching_service_health")

    assert ("matching_service_health", "staleness") in old.broken_checks(ERROR)
    assert ("matching_service_health", "empty_pages") in empty.broken_checks(ERROR)


def test_a_search_that_misses_developers_is_found_by_the_sentinel(settled):
    """The function looks at the vectors of two developers alone, as it would through an index that lost the others."""
    settled.execute(
        "CREATE OR REPLACE VIEW platform.some_vectors AS SELECT * FROM platform.developer_vectors "
        "WHERE developer_id < 'dev_00003'"
    )
    [body] = settled.values("SELECT pg_get_functiondef('platform.search_developers'::regproc)")
    settled.execute(
        body.replace("platform.developer_vectors AS v", "platform.some_vectors AS v").replace(":", "\\:")
    )

    outcome = settled.run("matching_service_health")

    assert health(settled)["search_recall"] < 0.5
    assert ("matching_service_health", "search_recall") in outcome.broken_checks(ERROR)


def test_an_empty_marketplace_is_measured_without_an_error(fresh):
    for table in ("developers", "projects", "contracts", "blocks", "match_events"):
        fresh.execute(f"DELETE FROM marketplace.{table}")
    assert fresh.run(with_checks=False).is_success

    outcome = fresh.run(*ASSETS)

    assert outcome.is_success
    assert not {key for key in outcome.broken_checks(ERROR) if key[0] in ASSETS}
    assert health(fresh)["pages_count"] == 0
