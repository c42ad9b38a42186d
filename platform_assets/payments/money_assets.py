"""The assets that watch over money: reconciliation, what is overdue, retries, measures of the gateway. Thin.

Reading the gateway and summing it up are `assets.py`; the rules are in the modules that are called here.
"""

import datetime as dt

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.contract import read_contract
from platform_assets.clients.database import Database, WriteCounts
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.clients.payment_retrier import PaymentRetrier
from platform_assets.payments.breaks import merge_breaks
from platform_assets.payments.failed_payments import read_through
from platform_assets.payments.gateway_metrics import WINDOW_DAYS, keep_calls, measure
from platform_assets.payments.overdue import age_payments, sum_receivables
from platform_assets.payments.reconciliation import reconcile
from platform_assets.payments.reminders import plan_letters, send_reminders
from platform_assets.payments.retries import RetryRun
from platform_assets.payments.retry_policy import Action, RetryPolicy
from platform_assets.payments.status import OPEN_STATUSES, EffectiveStatus, effective_payments
from platform_assets.resources import Clock, PaymentRules
from platform_assets.table_assets import measured, read_table, table_asset, written
from platform_assets.tables import marketplace
from platform_assets.tables.payment_operations import (
    gateway_calls,
    payment_breaks,
    payment_reminders,
    payment_retry_arms,
    payment_retry_attempts,
    receivables,
)
from platform_assets.tables.payment_operations import (
    gateway_metrics as metrics_table,
)
from platform_assets.tables.payment_operations import (
    overdue_payments as overdue_table,
)
from platform_assets.tables.payment_operations import (
    payment_reconciliation as reconciliation_table,
)
from platform_assets.tables.payments import gateway_transactions

GROUP = "payments"


@table_asset(reconciliation_table, group=GROUP, kinds={"stripe", "pandas"}, deps=["gateway_transactions"])
def payment_reconciliation(
    context: dg.AssetExecutionContext, database: dg.ResourceParam[Database], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Marketplace against gateway, gateway against its ledger, ledger against payouts: by day and currency, exactly.

    Each difference is a row of `payment_breaks` with its cause, its amount and the rows on both sides.
    """
    through = read_through(database)
    if through is None:
        context.log.warning("The gateway was never read: nothing was compared, what is known stays.")
        return written(database, reconciliation_table, WriteCounts(), as_of=clock.as_of)
    outcome = reconcile(
        read_contract(database, marketplace.payments).rows,
        read_table(database, gateway_transactions),
        read_through=through,
        as_of=clock.as_of,
    )
    breaks = merge_breaks(outcome.breaks, read_table(database, payment_breaks), as_of=clock.as_of)
    with database.transaction() as connection:
        counts = database.upsert(
            reconciliation_table, outcome.days, delete_missing=True, connection=connection
        )
        counts += database.upsert(payment_breaks, breaks, connection=connection)
    by_cause = {
        f"breaks_{cause}": int(count) for cause, count in outcome.breaks["cause"].value_counts().items()
    }
    return written(
        database,
        reconciliation_table,
        counts,
        as_of=clock.as_of,
        breaks_open=len(outcome.breaks),
        entries_converted=outcome.converted_count,
        **by_cause,
    )


@table_asset(overdue_table, group=GROUP, kinds={"pandas"}, deps=["gateway_transactions"])
def overdue_payments(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    clock: dg.ResourceParam[Clock],
    payment_rules: dg.ResourceParam[PaymentRules],
) -> dg.MaterializeResult[None]:
    """Payments that neither application nor gateway hold for paid, aged in UTC days. `receivables` keeps each day's sums.

    With `PLATFORM_PAYMENT_REMINDERS=on` each step of the reminder ladder is taken once, by mail to the client, but for
    payments that are on their way.
    """
    payments = read_contract(database, marketplace.payments).rows
    effective = effective_payments().subquery()
    status = database.read(
        sa.select(effective.c.payment_id, effective.c.effective_status).where(
            effective.c.effective_status.in_(list(map(str, OPEN_STATUSES)))
        )
    ).set_index("payment_id")["effective_status"]
    owed = payments[payments["payment_id"].isin(status.index)]
    aged = age_payments(owed, as_of=clock.as_of)
    sums = sum_receivables(aged, payments, as_of=clock.as_of)
    with database.transaction() as connection:
        counts = database.upsert(overdue_table, aged, delete_missing=True, connection=connection)
        is_today = receivables.c.as_of == clock.as_of
        counts += database.upsert(receivables, sums, delete_missing=is_today, connection=connection)
    outcomes: dict[str, int] = {}
    if payment_rules.mailer is not None:
        clients = read_contract(database, marketplace.clients).rows
        overdue = read_table(database, overdue_table)
        # Whose money is on its way has done their part, however long the bank takes.
        overdue = overdue[overdue["payment_id"].map(status) != str(EffectiveStatus.PROCESSING)]
        outcomes = send_reminders(
            database,
            plan_letters(overdue, clients, read_table(database, payment_reminders)),
            payment_rules.mailer,
            sender=payment_rules.sender,
            read_clock=clock.read,
        )
    return written(
        database,
        overdue_table,
        counts,
        as_of=clock.as_of,
        payments_overdue=int((aged["overdue_days"] > 0).sum()),
        **{f"reminders_{state}": count for state, count in outcomes.items()},
    )


@table_asset(
    payment_retry_attempts,
    name="payment_retries",
    group=GROUP,
    kinds={"stripe"},
    deps=["gateway_transactions"],
)
def payment_retries(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    gateway: dg.ResourceParam[PaymentGateway | None],
    clock: dg.ResourceParam[Clock],
    payment_rules: dg.ResourceParam[PaymentRules],
) -> dg.MaterializeResult[None]:
    """Failed payments are charged again where decline, card network and schedule allow it, on their existing intent.

    A row is committed before the gateway is called; an outcome that got lost is found out at the gateway by the next run,
    also while retries are off.
    """
    if gateway is None:
        context.log.warning("Stripe is switched off (PLATFORM_STRIPE_API_KEY): nothing was charged.")
        return measured(database, payment_retry_attempts, 0)
    policy = payment_rules.retry_policy
    run = RetryRun(
        database,
        PaymentRetrier(gateway),
        policy or RetryPolicy(),
        clock.read,
        read_through=read_through(database),
    )
    try:
        if policy is None:
            context.log.warning("Retries are off (PLATFORM_PAYMENT_RETRIES): nothing was charged.")
            report = run.settle()
        else:
            report = run.run()
    finally:
        keep_calls(database, gateway.log)
    if report.stopped:
        context.log.warning("The retries stopped: %s", report.stopped)
    decided = pd.Series([decision.action.value for decision in report.decisions], dtype=object).value_counts()
    return measured(
        database,
        payment_retry_attempts,
        report.states.total(),
        **{f"attempts_{state}": count for state, count in report.states.items()},
        **{f"resolved_{state}": count for state, count in report.resolved.items()},
        **{f"payments_{action.name.lower()}": int(decided.get(action.value, 0)) for action in Action},
        payments_skipped=len(report.skipped),
    )


@table_asset(metrics_table, group=GROUP, kinds={"stripe", "pandas"}, deps=["gateway_transactions"])
def gateway_metrics(
    database: dg.ResourceParam[Database],
    gateway: dg.ResourceParam[PaymentGateway | None],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Authorization, recovery, declines, fees, refunds, disputes by currency, and the gateway's latency and errors."""
    if gateway is not None:
        keep_calls(database, gateway.log)
    now = clock.read()
    since = now - dt.timedelta(days=WINDOW_DAYS)
    objects = database.read(
        sa.select(gateway_transactions).where(
            gateway_transactions.c.created_at > since, gateway_transactions.c.created_at <= now
        )
    )
    is_charge = objects["object_type"] == "charge"
    rows = measure(
        objects[is_charge],
        objects[~is_charge & (objects["object_type"] != "payment_intent")],
        calls=database.read(sa.select(gateway_calls).where(gateway_calls.c.started_at > since)),
        arms=_read_arms(database, since),
        measured_at=now,
    )
    database.upsert(metrics_table, rows)
    return measured(database, metrics_table, len(rows))


def _read_arms(database: Database, since: dt.datetime) -> pd.DataFrame:
    """Payments that were first due to be retried in the window, and whether they have been charged since."""
    arms, charges, payments = payment_retry_arms.c, gateway_transactions.c, marketplace.payments.c
    is_recovered = sa.exists().where(
        charges.object_type == "charge",
        charges.status == "succeeded",
        charges.payment_intent_id == payments.payment_intent_id,
    )
    query = (
        sa.select(arms.arm, arms.amount_minor, arms.currency, is_recovered.label("is_recovered"))
        .join_from(payment_retry_arms, marketplace.payments, payments.payment_id == arms.payment_id)
        .where(arms.assigned_at > since)
        .order_by(arms.payment_id)
    )
    return database.read(query)


ASSETS = [payment_reconciliation, overdue_payments, payment_retries, gateway_metrics]
