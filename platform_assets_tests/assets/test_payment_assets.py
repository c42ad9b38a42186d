"""The payment assets, materialized with their checks over a real Postgres and the local Stripe API."""

import csv
import dataclasses
import datetime as dt
import json
import time

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from sandbox_server import change_behaviour, running_sandbox, stripe_client
from scripted_http import Reply, pass_on, serve
from small_world import AS_OF, NOW, WORLD, derived_rows, gateway_client, plain_rows, rows_of

from platform_assets.payments.assets import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    analytics_run_tags,
    find_days_to_compute,
)
from platform_assets.payments.gateway_objects import OBJECT_TYPES
from platform_assets.resources import ReportOptions
from platform_assets.schedules import ANALYTICS_JOB
from platform_assets.tables import payments as tables

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
OBJECTS = {item["id"] for item in WORLD.stripe_objects if item["object"] in OBJECT_TYPES}
DAY = dt.timedelta(days=1)


PATHS = {
    "/v1/payment_intents": "payment_intent",
    "/v1/refunds": "refund",
    "/v1/balance_transactions": "balance_transaction",
}
EMPTY_KINDS = set(OBJECT_TYPES) - {item["object"] for item in WORLD.stripe_objects}


def cursors(platform):
    return plain_rows(rows_of(platform.database, tables.gateway_cursors))


def analytics(platform):
    return plain_rows(rows_of(platform.database, tables.payment_analytics))


def read_gateway(platform, **options):
    return platform.run("gateway_transactions", with_checks=False, **options)


def test_every_object_of_the_gateway_has_a_row_and_a_second_run_writes_nothing(fresh):
    first = fresh.run("gateway_transactions")
    rows = derived_rows(fresh.database)["gateway_transactions"]
    again = fresh.run("gateway_transactions", now=NOW + DAY)

    assert {row[0] for row in rows} == OBJECTS
    assert first.rows_written("gateway_transactions") == len(OBJECTS)
    assert again.rows_written("gateway_transactions") == 0
    assert derived_rows(fresh.database)["gateway_transactions"] == rows
    assert {row[1] for row in cursors(fresh)} == {NOW + DAY}
    # The one that is planted.
    assert first.broken_checks(WARN) == {("gateway_transactions", "captured_amounts_agree")}
    assert not first.broken_checks(ERROR)


@pytest.mark.parametrize(
    ("broken_path", "how"),
    [("/v1/payment_intents", "cut"), ("/v1/refunds", "error"), ("/v1/balance_transactions", "cut")],
)
def test_a_gateway_that_breaks_off_keeps_what_was_read_and_the_next_run_goes_on(
    fresh, endpoints, broken_path, how
):
    def answer(call):
        reply = pass_on(call, endpoints.stripe_url)
        if not call.path.startswith(broken_path):
            return reply
        if how == "error":
            return Reply(500, {"error": {"type": "api_error", "message": "oops"}})
        return Reply(reply.status, reply.content()[:-20], reply.headers, cut=True)

    with serve(answer) as url:
        outcome = read_gateway(fresh, gateway=gateway_client(url))

    assert outcome.failed_steps() == {"gateway_transactions"}
    assert "Stripe: could not list objects of type" in outcome.failure("gateway_transactions")
    complete = {row[0] for row in cursors(fresh) if row[1]} - {"event"}
    kinds = {row[1] for row in derived_rows(fresh.database)["gateway_transactions"]}
    assert PATHS[broken_path] not in complete
    assert kinds - {"balance_transaction"} == complete - EMPTY_KINDS
    assert read_gateway(fresh).is_success
    assert {row[0] for row in derived_rows(fresh.database)["gateway_transactions"]} == OBJECTS


def test_an_outage_after_a_good_read_moves_no_cursor_and_loses_no_row(settled, endpoints):
    before, cursors_before = derived_rows(settled.database), cursors(settled)
    change_behaviour(endpoints, stripe={"error_rate": 1.0})

    outcome = read_gateway(settled, now=NOW + DAY)

    assert not outcome.is_success
    assert derived_rows(settled.database) == before
    assert cursors(settled) == cursors_before


def test_without_a_gateway_nothing_is_read_and_what_is_known_stays(settled):
    before, cursors_before = derived_rows(settled.database), cursors(settled)

    outcome = settled.run("gateway_transactions", gateway=None)

    assert outcome.is_success
    assert outcome.metadata("gateway_transactions")["objects_read"] == 0
    assert (derived_rows(settled.database), cursors(settled)) == (before, cursors_before)


def test_a_bad_object_is_set_aside_counted_and_leaves_when_it_is_read_again_good(fresh, endpoints):
    [victim] = [item["id"] for item in WORLD.stripe_objects if item["object"] == "charge"][:1]

    def answer(call):
        reply = pass_on(call, endpoints.stripe_url)
        if not call.path.startswith("/v1/charges"):
            return reply
        body = json.loads(reply.content())
        for item in body["data"]:
            if item["id"] == victim:
                item["currency"] = "xbc"
        return Reply(reply.status, body, reply.headers)

    with serve(answer) as url:
        outcome = fresh.run("gateway_transactions", gateway=gateway_client(url))

    assert outcome.is_success
    assert {row[0] for row in derived_rows(fresh.database)["gateway_transactions"]} == OBJECTS - {victim}
    assert ("gateway_transactions", "quarantined_objects") in outcome.broken_checks(WARN)
    assert fresh.values("SELECT row_key FROM monitoring.quarantined_rows") == [victim]
    # It is older than what a list reaches back to, so it is asked for by its id.
    assert read_gateway(fresh).metadata("gateway_transactions")["objects_read_again"] == 1
    assert {row[0] for row in derived_rows(fresh.database)["gateway_transactions"]} == OBJECTS
    assert not fresh.values("SELECT row_key FROM monitoring.quarantined_rows")


def test_an_intent_that_is_paid_weeks_after_it_was_made_is_read_again(fresh, tmp_path):
    now = dt.datetime.now(dt.UTC)
    [old] = [
        item["id"]
        for item in WORLD.stripe_objects
        if item["object"] == "payment_intent"
        and item["status"] == "requires_payment_method"
        and item["created"] < (now - 30 * DAY).timestamp()
    ][:1]

    def status():
        return fresh.values("SELECT status FROM platform.gateway_transactions WHERE object_id = :id", id=old)

    with running_sandbox(tmp_path, loaded=WORLD) as own:
        platform = dataclasses.replace(fresh, endpoints=own)
        read_gateway(platform, now=now)
        assert status() == ["requires_payment_method"]
        with stripe_client(own) as stripe:
            stripe.payment_intents.confirm(old, {"payment_method": "pm_card_visa"})

        # The gateway's time has whole seconds, and its `Date` may lag by one: what it showed then may be older.
        time.sleep(2.1)
        paid = read_gateway(platform, now=now)
        again = read_gateway(platform, now=now)

    assert status() == ["succeeded"]
    assert paid.metadata("gateway_transactions")["objects_read_again"] == 1
    assert again.metadata("gateway_transactions")["objects_read_again"] == 0
    assert again.rows_written("gateway_transactions") == 0


def test_a_payment_that_the_gateway_never_captured_turns_the_check_red(settled):
    [payment] = settled.values("SELECT min(payment_id) FROM marketplace.payments WHERE status = 'paid'")
    settled.execute(
        "UPDATE marketplace.payments SET payment_intent_id = 'pi_unknown' WHERE payment_id = :p", p=payment
    )

    outcome = settled.run_checks("gateway_transactions")

    check = outcome.checks()["gateway_transactions", "captured_payments_exist"]
    assert not check.passed
    assert check.metadata["payments"].value == [payment]


def test_a_payment_captured_after_the_last_read_is_not_missing_yet(settled):
    settled.execute(
        "UPDATE marketplace.payments SET payment_intent_id = 'pi_new', paid_at = :later WHERE payment_id = "
        "(SELECT min(payment_id) FROM marketplace.payments WHERE status = 'paid')",
        later=NOW + dt.timedelta(minutes=1),
    )
    before = settled.run_checks("gateway_transactions")
    after = settled.run("gateway_transactions", now=NOW + DAY)

    check = ("gateway_transactions", "captured_payments_exist")
    assert before.checks()[check].passed
    assert not after.checks()[check].passed


def test_payments_are_not_missed_in_a_gateway_that_is_switched_off(fresh):
    outcome = fresh.run("gateway_transactions", gateway=None)

    assert outcome.is_success
    assert not outcome.broken_checks(ERROR)


def test_payments_that_break_the_contract_are_counted(settled):
    settled.execute("UPDATE marketplace.payments SET status = 'PAID' WHERE status = 'paid'")

    # The first round may count before another check of it has read the payments.
    settled.run_checks("gateway_transactions")
    outcome = settled.run_checks("gateway_transactions")

    assert ("gateway_transactions", "quarantined_payments") in outcome.broken_checks(WARN)
    assert ("gateway_transactions", "quarantined_payments_ratio") in outcome.broken_checks(ERROR)


def test_yesterday_is_missing_once_its_run_has_had_the_time(settled):
    settled.run_analytics()
    midnight = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)

    before = settled.run_checks("payment_analytics", now=midnight + dt.timedelta(hours=1))
    after = settled.run_checks("payment_analytics", now=midnight + dt.timedelta(hours=5))

    assert ("payment_analytics", "missing_days") not in before.broken_checks(ERROR)
    assert ("payment_analytics", "missing_days") in after.broken_checks(ERROR)


def test_days_after_the_one_that_is_looked_at_are_no_difference(settled):
    settled.run_analytics()

    outcome = settled.run_checks("payment_analytics", now=NOW - 60 * DAY)

    assert not outcome.broken_checks(ERROR)


def test_one_run_computes_every_day_and_another_finds_none(settled):
    outcome = settled.run_analytics()

    days = settled.values("SELECT DISTINCT day::text FROM platform.payment_analytics ORDER BY 1")
    assert outcome.is_success
    assert not outcome.broken_checks(ERROR)
    assert len(days) > 1
    computed = settled.instance.get_materialized_partitions(dg.AssetKey("payment_analytics"))
    first, last = min(computed), max(computed)
    assert (first, last) == (days[0], "2026-10-31")
    assert len(computed) == (AS_OF - dt.date.fromisoformat(first)).days
    assert settled.run_analytics() is None


def test_computing_a_day_again_writes_nothing(settled):
    [day] = settled.values("SELECT max(created_at)::date::text FROM platform.gateway_transactions")
    tags = {RANGE_START_TAG: day, RANGE_END_TAG: day}
    settled.run(job=ANALYTICS_JOB, tags=tags, with_checks=False)
    before = analytics(settled)

    again = settled.run(job=ANALYTICS_JOB, tags=tags, with_checks=False)

    assert before
    assert again.rows_written("payment_analytics") == 0
    assert analytics(settled) == before


def test_trends_are_the_sums_of_the_days_before_and_what_was_owed(settled):
    settled.run_analytics()
    settled.execute(
        "INSERT INTO platform.payment_analytics SELECT (r).* FROM (SELECT jsonb_populate_record(a, "
        '\'{"day": "2026-11-01"}\') AS r FROM platform.payment_analytics a WHERE day = '
        "(SELECT max(day) FROM platform.payment_analytics)) AS last"
    )
    days = rows_of(settled.database, tables.payment_analytics)
    trends = settled.database.read(sa.text("SELECT * FROM platform.payment_trends ORDER BY day, currency"))

    def sums(row, length, column):
        is_in = (days["currency"] == row.currency) & (days["day"] <= row.day)
        return int(days[column][is_in & (days["day"] > row.day - length * DAY)].sum())

    assert len(trends) == len(days) > 1
    for row in trends.itertuples():
        assert row.sales_7d_minor == sums(row, 7, "sales_amount_minor")
        assert row.sales_30d_minor == sums(row, 30, "sales_amount_minor")
        assert row.net_30d_minor == sums(row, 30, "net_amount_minor")
    owed = settled.database.read(sa.text("SELECT currency, outstanding_minor FROM platform.receivables"))
    is_last = trends["day"] == pd.Timestamp(AS_OF)
    assert is_last.any()
    assert set(zip(trends["currency"][is_last], trends["outstanding_minor"][is_last])) <= set(
        owed.itertuples(index=False, name=None)
    )
    assert trends["outstanding_minor"][~is_last].isna().all()


def test_late_data_reopens_its_day_alone(settled):
    settled.run_analytics()
    [day] = settled.values("SELECT min(day)::text FROM platform.payment_analytics")
    settled.execute(
        "INSERT INTO platform.gateway_transactions (object_id, object_type, kind, amount_minor, fee_minor, net_minor, "
        "currency, created_at) VALUES ('txn_late', 'balance_transaction', 'charge', 700, 20, 680, 'USD', "
        "(:day || ' 23:59:59+00')::timestamptz)",
        day=day,
    )

    assert find_days_to_compute(settled.database, settled.instance, AS_OF) == [dt.date.fromisoformat(day)]
    checks = settled.run_checks("payment_analytics")
    assert {name for _, name in checks.broken_checks(ERROR)} == {"missing_days", "totals_residual"}
    outcome = settled.run_analytics()
    assert outcome.rows_written("payment_analytics") == 1
    assert not outcome.broken_checks(ERROR)
    assert settled.run_analytics() is None


def test_a_row_that_should_not_be_there_reopens_its_day(settled):
    settled.run_analytics()
    settled.execute(
        "DELETE FROM platform.gateway_transactions WHERE object_type = 'refund' OR kind LIKE '%refund%'"
    )
    settled.execute(
        "UPDATE platform.payment_analytics SET sales_count = sales_count + 1 WHERE day = '2026-01-01'"
    )

    settled.run_analytics()

    assert not settled.run_checks("payment_analytics").broken_checks(ERROR)


def test_a_gap_after_downtime_is_filled_by_one_run(settled):
    settled.run_analytics()
    later = NOW + 10 * DAY

    tags = analytics_run_tags(settled.database, settled.instance, later.date())
    outcome = settled.run_analytics(now=later)

    assert tags == {
        "dagster/asset_partition_range_start": "2026-11-01",
        "dagster/asset_partition_range_end": "2026-11-10",
    }
    assert outcome.is_success
    assert outcome.metadata("payment_analytics")["days_computed"] == 10
    assert settled.run_analytics(now=later) is None


def test_today_is_not_over_and_so_not_computed(settled):
    settled.execute(
        "UPDATE platform.gateway_transactions SET created_at = :now, available_on = :now", now=NOW
    )

    settled.run_analytics()

    assert analytics(settled) == []


def test_a_gateway_without_any_transaction_has_one_day_to_compute(fresh):
    assert find_days_to_compute(fresh.database, fresh.instance, AS_OF) == [AS_OF - DAY]
    outcome = fresh.run_analytics()

    assert outcome.is_success
    assert not outcome.broken_checks(ERROR)
    assert fresh.run_analytics() is None


def test_the_report_is_written_with_the_days_and_converts_by_the_rates_that_were_loaded(settled, tmp_path):
    settled.execute(
        "INSERT INTO platform.exchange_rates (base_currency, quote_currency, rate_on, rate, source) "
        "VALUES ('EUR', 'USD', :day, 1.0842, 'bank')",
        day=AS_OF - DAY,
    )
    tags = analytics_run_tags(settled.database, settled.instance, AS_OF)

    outcome = settled.run(job=ANALYTICS_JOB, tags=tags, report_options=ReportOptions(tmp_path, "USD"))

    assert outcome.is_success
    html = (tmp_path / "payments.html").read_text()
    assert outcome.metadata("payment_analytics")["report"] == str(tmp_path / "payments.html")
    assert "1 EUR = 1.0842 USD" in html
    assert f"to {AS_OF - DAY} " in html
    [net] = settled.values("SELECT sum(net_amount_minor) FROM platform.payment_analytics")
    with (tmp_path / "payments_daily.csv").open(newline="") as file:
        assert sum(int(row["net_amount_minor"]) for row in csv.DictReader(file)) == net


def test_clients_are_counted_once_and_as_new_on_the_day_they_first_paid(settled):
    settled.run_analytics()

    [new] = settled.values("SELECT sum(new_customers_count) FROM platform.payment_analytics")
    clients = settled.values(
        "SELECT DISTINCT p.client_id FROM platform.gateway_transactions g JOIN marketplace.payments p "
        "USING (payment_id) WHERE g.object_type = 'charge' AND g.captured_minor > 0"
    )
    assert new == len(clients)


def test_a_refund_above_its_charge_turns_the_check_yellow(settled):
    check = ("gateway_transactions", "refunds_within_charges")
    assert check not in settled.run_checks("gateway_transactions").broken_checks(WARN)
    settled.execute(
        "UPDATE platform.gateway_transactions SET refunded_minor = captured_minor + 1 WHERE object_id = "
        "(SELECT min(object_id) FROM platform.gateway_transactions WHERE captured_minor > 0)"
    )
    assert check in settled.run_checks("gateway_transactions").broken_checks(WARN)
