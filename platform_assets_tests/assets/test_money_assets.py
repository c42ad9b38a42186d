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


def test_retries_recover_in_the_sandbox(fresh, tmp_path):
    now = dt.datetime.now(dt.UTC)
    with running_sandbox(tmp_path, loaded=WORLD) as own:
        platform = dataclasses.replace(fresh, endpoints=own)
        outcome = platform.run(job=RETRIES_JOB, now=now)
        print([outcome.failure(x) for x in outcome.failed_steps()])
        print(platform.values("SELECT row_to_json(a)::text FROM monitoring.payment_retry_attempts a"))
        print(platform.values("SELECT status || coalesce(failure_code,'') || created_at::text FROM platform.gateway_transactions WHERE object_type='charge' AND status='failed'"))
        outcome = platform.run("gateway_metrics", "payment_reconciliation", "overdue_payments", now=now)
        print([outcome.failure(x) for x in outcome.failed_steps()])
        assert 0
