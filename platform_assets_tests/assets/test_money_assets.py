"""Reconciliation, overdue payments, retries and gateway metrics, materialized over a real Postgres and the local Stripe API."""

import dataclasses
import datetime as dt
import mailbox

import dagster as dg
import pytest
from sandbox_server import change_behaviour, running_sandbox
from small_world import NOW

from benchmarks.failed_payments import failed_payments_world
from platform_assets.clients.mailer import FolderMailer
from platform_assets.payments.retry_policy import RetryPolicy
from platform_assets.resources import PaymentRules
from platform_assets.sandbox.load import load_marketplace
from platform_assets.schedules import RETRIES_JOB

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MONEY = ("payment_reconciliation", "overdue_payments", "gateway_metrics")


def causes(platform, condition="closed_on IS NULL"):
    query = f"SELECT leg || ' ' || cause FROM platform.payment_breaks WHERE {condition} ORDER BY 1"
    return platform.values(query)


def test_the_books_of_the_small_world_differ_by_what_was_planted(settled):
    outcome = settled.run(*MONEY)

    assert causes(settled) == ["captures amount"]
    assert not outcome.broken_checks(ERROR)
    assert outcome.rows_written("payment_reconciliation") == 0
    assert outcome.rows_written("overdue_payments") == 0
    assert settled.values("SELECT sum(abs(residual_minor))::int FROM platform.payment_reconciliation") == [0]
    assert settled.values(
        "SELECT count(*)::int FROM platform.payment_reconciliation WHERE leg = 'payouts'"
    ) > [0]


def test_a_break_turns_the_checks_red_ages_and_closes_when_the_books_agree(settled):
    [payment] = settled.values("SELECT max(payment_id) FROM marketplace.payments WHERE status = 'paid'")
    settled.execute("UPDATE marketplace.payments SET status = 'pending' WHERE payment_id = :p", p=payment)
    late = settled.run("payment_reconciliation")
    settled.execute("UPDATE marketplace.payments SET status = 'paid' WHERE payment_id = :p", p=payment)
    mended = settled.run("payment_reconciliation", now=NOW + DAY)

    assert ("payment_reconciliation", "timing_past_deadline") in late.broken_checks(ERROR)
    assert ("payment_reconciliation", "timing_past_deadline") not in mended.broken_checks(ERROR)
    assert causes(settled, "closed_on IS NOT NULL") == ["captures timing"]
    assert settled.values("SELECT closed_on::text FROM platform.payment_breaks WHERE cause = 'timing'") == [
        "2026-11-02"
    ]


def test_money_that_was_captured_twice_is_an_error(settled):
    settled.execute(
        "INSERT INTO platform.gateway_transactions (object_id, object_type, payment_id, payment_intent_id, status, "
        "amount_minor, captured_minor, currency, created_at) SELECT 'ch_again', 'charge', payment_id, payment_intent_id, "
        "'succeeded', amount_minor, amount_minor, currency, created_at + interval '1 hour' "
        "FROM platform.gateway_transactions WHERE object_type = 'charge' AND status = 'succeeded' LIMIT 1"
    )

    outcome = settled.run("payment_reconciliation")

    assert ("payment_reconciliation", "duplicate_captures") in outcome.broken_checks(ERROR)
    assert "captures duplicate" in causes(settled)


def test_totals_that_were_tampered_with_have_a_residual(settled):
    settled.execute(
        "UPDATE platform.payment_reconciliation SET here_minor = here_minor + 1 WHERE (leg, day, currency) = "
        "(SELECT leg, day, currency FROM platform.payment_reconciliation LIMIT 1)"
    )
    outcome = settled.run_checks("payment_reconciliation")

    check = outcome.checks()["payment_reconciliation", "residual"]
    assert not check.passed
    assert check.metadata["value"].value == 1


def test_a_gateway_that_was_never_read_compares_nothing_and_keeps_what_is_known(fresh):
    outcome = fresh.run("payment_reconciliation", with_checks=False)

    assert outcome.is_success
    assert outcome.rows_written("payment_reconciliation") == 0


def test_a_payment_that_is_paid_is_no_longer_overdue_at_the_next_run(settled):
    [payment] = settled.values("SELECT min(payment_id) FROM platform.overdue_payments")
    before = settled.values("SELECT sum(outstanding_minor)::bigint FROM platform.receivables")
    settled.execute(
        "UPDATE marketplace.payments SET status = 'paid', paid_at = :now, updated_at = :now WHERE payment_id = :p",
        p=payment,
        now=NOW + HOUR,
    )
    settled.run("overdue_payments", now=NOW + HOUR)

    assert payment not in settled.values("SELECT payment_id FROM platform.overdue_payments")
    assert settled.values("SELECT sum(outstanding_minor)::bigint FROM platform.receivables") < before


def test_what_was_owed_on_earlier_days_stays_and_the_last_day_counts(settled):
    settled.run("overdue_payments", now=NOW + 40 * DAY)
    days = settled.values("SELECT DISTINCT as_of::text FROM platform.receivables ORDER BY 1")
    settled.execute(
        "UPDATE platform.receivables SET payments_count = 1000, overdue_minor = outstanding_minor"
    )
    settled.execute("UPDATE platform.receivables SET overdue_minor = 0 WHERE as_of > '2026-11-01'")

    outcome = settled.run_checks("overdue_payments", now=NOW + 40 * DAY)

    assert days == ["2026-11-01", "2026-12-11"]
    assert outcome.checks()["overdue_payments", "overdue_ratio"].metadata["value"].value == 0


def test_each_step_of_the_ladder_is_one_mail_and_none_without_the_setting(settled, tmp_path):
    settled.execute("UPDATE marketplace.clients SET is_active = true, email = client_id || '@example.com'")
    rules = PaymentRules(None, FolderMailer(tmp_path / "mail"), "payments@example.com")

    def mails():
        return [mail["To"] for mail in mailbox.Maildir(tmp_path / "mail")]

    settled.run("overdue_payments", with_checks=False)
    assert not (tmp_path / "mail").exists()
    first = settled.run("overdue_payments", payment_rules=rules)
    reminded = len(mails())
    again = settled.run("overdue_payments", payment_rules=rules, now=NOW + HOUR)

    overdue = settled.values("SELECT count(*)::int FROM platform.overdue_payments WHERE reminder_stage > 0")
    assert [first.metadata("overdue_payments")["reminders_sent"]] == overdue
    assert 0 < reminded == len(set(mails()))
    assert again.rows_written("overdue_payments") == 0
    assert len(mails()) == reminded
    assert not first.broken_checks(ERROR)


def test_nobody_is_reminded_of_money_that_is_on_its_way(settled, tmp_path):
    settled.execute("UPDATE marketplace.clients SET is_active = true, email = client_id || '@example.com'")
    [payment] = settled.values(
        "SELECT min(payment_id) FROM platform.overdue_payments WHERE reminder_stage > 0"
    )
    settled.execute(
        "UPDATE marketplace.payments SET status = 'processing', payment_intent_id = NULL WHERE payment_id = :p",
        p=payment,
    )

    settled.run(
        "overdue_payments",
        payment_rules=PaymentRules(None, FolderMailer(tmp_path), "payments@example.com"),
        with_checks=False,
    )

    assert payment in settled.values("SELECT payment_id FROM platform.overdue_payments")
    reminded = settled.values("SELECT payment_id FROM monitoring.payment_reminders")
    assert reminded
    assert payment not in reminded


@pytest.fixture
def failing(fresh, tmp_path):
    """The platform over payments that failed two days ago; every other card pays the next time."""
    now = dt.datetime.now(dt.UTC)
    world = failed_payments_world(6, failed_at=now - 2 * DAY)
    load_marketplace(fresh.database, world)
    with running_sandbox(tmp_path, loaded=world) as own:
        yield dataclasses.replace(fresh, endpoints=own), now


def test_the_retry_job_reads_charges_and_says_what_it_did(failing):
    platform, now = failing

    outcome = platform.run(job=RETRIES_JOB, now=now)
    told = outcome.metadata("payment_retries")

    assert outcome.is_success
    assert (told["rows_measured"], told["attempts_succeeded"], told["attempts_declined"]) == (6, 3, 3)
    assert not {key for key in outcome.broken_checks(ERROR) if key[0] == "payment_retries"}
    operations = set(platform.values("SELECT operation FROM monitoring.gateway_calls"))
    assert "POST /v1/payment_intents/{id}/confirm" in operations
    assert not [each for each in operations if "pi_" in each]

    again = platform.run("gateway_transactions", "payment_retries", job=RETRIES_JOB, now=now + HOUR)
    assert again.metadata("payment_retries")["rows_measured"] == 0
    assert platform.values(
        "SELECT count(*)::int FROM platform.gateway_transactions WHERE object_type = 'charge'"
    ) == [12]

    platform.run("gateway_metrics", now=now + HOUR, with_checks=False)
    shares = platform.values(
        "SELECT part || '/' || total FROM monitoring.gateway_metrics WHERE metric IN "
        "('authorization_per_attempt_ratio', 'authorization_per_payment_ratio', 'retried_recovery_ratio') ORDER BY metric"
    )
    assert shares == ["3/12", "3/6", "3/6"]


def test_retries_that_are_off_charge_nobody(failing):
    platform, now = failing

    outcome = platform.run(job=RETRIES_JOB, now=now, payment_rules=PaymentRules(None))

    assert outcome.is_success
    assert outcome.metadata("payment_retries")["rows_measured"] == 0
    assert platform.values(
        "SELECT count(*)::int FROM platform.gateway_transactions WHERE object_type = 'charge'"
    ) == [6]


def test_an_outcome_that_got_lost_is_found_out_while_retries_are_off(failing):
    platform, now = failing
    platform.run(job=RETRIES_JOB, now=now, with_checks=False)
    platform.execute(
        "UPDATE monitoring.payment_retry_attempts SET state = 'sent', charge_id = NULL, resolved_at = NULL "
        "WHERE payment_id = 'P1'"
    )

    outcome = platform.run(job=RETRIES_JOB, now=now + 2 * DAY, payment_rules=PaymentRules(None))

    told = outcome.metadata("payment_retries")
    assert (told["rows_measured"], told["resolved_succeeded"]) == (0, 1)
    assert platform.values("SELECT state FROM monitoring.payment_retry_attempts WHERE payment_id = 'P1'") == [
        "succeeded"
    ]
    # Others are due by then, and nobody was charged.
    assert platform.values(
        "SELECT count(*)::int FROM platform.gateway_transactions WHERE object_type = 'charge'"
    ) == [12]


def test_calls_of_a_run_that_failed_are_counted_too(failing):
    platform, now = failing
    change_behaviour(platform.endpoints, stripe={"error_rate": 1.0})

    outcome = platform.run(job=RETRIES_JOB, now=now, with_checks=False)

    assert not outcome.is_success
    assert set(platform.values("SELECT outcome FROM monitoring.gateway_calls")) == {"transient"}


def test_an_attempt_that_waits_for_a_person_turns_its_check_red(failing):
    platform, now = failing
    platform.run(job=RETRIES_JOB, now=now, with_checks=False, payment_rules=PaymentRules(RetryPolicy()))
    platform.execute(
        "UPDATE monitoring.payment_retry_attempts SET state = 'needs_person' WHERE payment_id = 'P0'"
    )
    platform.execute("UPDATE monitoring.payment_retry_attempts SET state = 'sent' WHERE payment_id = 'P1'")

    soon, later = (platform.run_checks("payment_retries", now=now + wait) for wait in (HOUR, 4 * HOUR))

    assert {name for _, name in soon.broken_checks(ERROR)} == {"for_a_person"}
    assert {name for _, name in later.broken_checks(ERROR)} >= {"for_a_person", "unknown_outcomes"}
