"""Reconciliation, overdue payments, retries and gateway metrics, materialized over a real Postgres and the local Stripe API."""

import dataclasses
import datetime as dt

import dagster as dg
import pytest
from sandbox_server import running_sandbox, stripe_client
from small_world import NOW, WORLD, plain_rows, rows_of

from platform_assets.clients.mailer import FolderMailer
from platform_assets.payments.retry_policy import RetryPolicy
from platform_assets.resources import PaymentRules
from platform_assets.schedules import RETRIES_JOB
from platform_assets.tables import payment_operations as operations

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
DAY = dt.timedelta(days=1)


def test_the_small_world_reconciles_to_what_was_planted(settled):
    outcome = settled.run("payment_reconciliation")

    causes = settled.values("SELECT leg || ' ' || cause FROM platform.payment_breaks ORDER BY 1")
    assert causes == ["captures amount", "captures timing"]
    assert not outcome.broken_checks(ERROR)
    assert outcome.rows_written("payment_reconciliation") == 0


def test_debug(fresh):
    now = NOW
    outcome = fresh.run(
        "gateway_transactions", "gateway_metrics", "payment_reconciliation", "overdue_payments", now=now
    )
    print([outcome.failure(x) for x in outcome.failed_steps()])
    print(outcome.broken_checks(ERROR), outcome.broken_checks(WARN))
    print(fresh.values("SELECT row_to_json(a)::text FROM platform.payment_breaks a"))
    print(fresh.values("SELECT row_to_json(a)::text FROM platform.payment_reconciliation a limit 10"))
    print(fresh.values("SELECT row_to_json(a)::text FROM platform.receivables a limit 10"))
    print(fresh.values("SELECT row_to_json(a)::text FROM monitoring.gateway_metrics a limit 30"))
    outcome = fresh.run(
        "gateway_transactions",
        "gateway_metrics",
        "payment_reconciliation",
        "overdue_payments",
        now=now + dt.timedelta(minutes=1),
    )
    print([outcome.failure(x) for x in outcome.failed_steps()])
    print({a: outcome.metadata(a) for a in ("gateway_metrics", "payment_reconciliation", "overdue_payments")})
    assert 0
