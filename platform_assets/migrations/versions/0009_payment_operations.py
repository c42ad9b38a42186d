"""Retries, reminders, calls and measures of the payment gateway; ageing of what is owed; reconciliation and its breaks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _required(name: str, kind: Any, comment: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *args, comment=comment, nullable=False, **options)


def _optional(name: str, kind: Any, comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, comment=comment, nullable=True)


def upgrade() -> None:
    op.create_table(
        "overdue_payments",
        _required("payment_id", sa.Text(), "The marketplace's payment."),
        _required("client_id", sa.Text(), "The client who owes it."),
        _required("amount_minor", sa.BigInteger(), "Amount owed in minor units."),
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("due_date", sa.Date(), "Last day (UTC) on which it was not overdue."),
        _required("overdue_days", sa.Integer(), "Days since then; 0 when not overdue."),
        _required("bucket", sa.Text(), "`current`, `1-30`, `31-60`, `61-90` or `over 90` days overdue."),
        _required("reminder_stage", sa.Integer(), "Step of the reminder ladder; 0 before it."),
        _required("as_of", sa.Date(), "UTC day for which the row was computed."),
        _required("updated_at", INSTANT, "When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("payment_id"),
        schema="platform",
        comment="One row is one payment that is owed, with its age; a paid one leaves at the next run.",
    )
    op.create_table(
        "payment_breaks",
        _required("leg", sa.Text(), "Where it is: see `payment_reconciliation`."),
        _required(
            "cause",
            sa.Text(),
            "`missing_here`, `missing_there`, `amount`, `currency`, `status`, `fee`, `duplicate` or `timing`.",
        ),
        _required("subject_id", sa.Text(), "The payment, gateway object or payout it is about."),
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("day", sa.Date(), "UTC day to which it counts."),
        _required("amount_minor", sa.BigInteger(), "First side less second side, in minor units."),
        _required("here_ids", postgresql.ARRAY(sa.Text()), "Rows of the first side."),
        _required("there_ids", postgresql.ARRAY(sa.Text()), "Rows of the second side."),
        _required("reason", sa.Text(), "One sentence for a person."),
        _optional("deadline_on", sa.Date(), "Day after which a timing break is an error; null for others."),
        _required("age_days", sa.Integer(), "Days from `day` to `as_of`, or to its closing."),
        _optional("closed_on", sa.Date(), "Day for which it was first found gone; null while open."),
        _required("as_of", sa.Date(), "UTC day for which the row was computed."),
        _required("updated_at", INSTANT, "When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("leg", "cause", "subject_id", "currency"),
        schema="platform",
        comment="One row is one difference between two books, open or closed.",
    )
    op.create_index(
        "ix_payment_breaks_open",
        "payment_breaks",
        ["leg", "day"],
        unique=False,
        schema="platform",
        postgresql_where=sa.text("closed_on IS NULL"),
    )
    op.create_table(
        "payment_reconciliation",
        _required(
            "leg",
            sa.Text(),
            "What is compared: `captures` and `refunds` (marketplace, gateway), `balance` (the gateway's objects, its ledger), `fees` (amount less fee, net) or `payouts` (the ledger, payouts to the bank).",
        ),
        _required(
            "day",
            sa.Date(),
            "UTC day of the gateway's entry; of the marketplace's where the gateway has none.",
        ),
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("here_minor", sa.BigInteger(), "Sum of the first side, in minor units."),
        _required("here_count", sa.Integer(), "How many entries that is."),
        _required("there_minor", sa.BigInteger(), "Sum of the second side, in minor units."),
        _required("there_count", sa.Integer(), "How many entries that is."),
        _required("breaks_minor", sa.BigInteger(), "Sum of the open breaks' amounts."),
        _required(
            "residual_minor",
            sa.BigInteger(),
            "First side less second side less breaks: what no break explains. Must be 0.",
        ),
        _required("updated_at", INSTANT, "When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("leg", "day", "currency"),
        schema="platform",
        comment="One row is one day of one currency, compared between two books.",
    )
    op.create_table(
        "receivables",
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("outstanding_minor", sa.BigInteger(), "All that is owed, in minor units."),
        _required("overdue_minor", sa.BigInteger(), "Part of it that is overdue."),
        _required("current_minor", sa.BigInteger(), "Part that is not yet due."),
        _required("overdue_1_30_minor", sa.BigInteger(), "Overdue by 1 to 30 days."),
        _required("overdue_31_60_minor", sa.BigInteger(), "Overdue by 31 to 60 days."),
        _required("overdue_61_90_minor", sa.BigInteger(), "Overdue by 61 to 90 days."),
        _required("overdue_over_90_minor", sa.BigInteger(), "Overdue by more than 90 days."),
        _required("payments_count", sa.Integer(), "Payments that are owed."),
        _required("overdue_count", sa.Integer(), "Payments that are overdue."),
        _required(
            "requested_minor",
            sa.BigInteger(),
            "Requested in the 90 days before, in minor units; cancelled payments excluded.",
        ),
        _optional(
            "days_sales_outstanding",
            sa.Double(),
            "Outstanding over requested, times 90 days; null when nothing was requested.",
        ),
        _required("as_of", sa.Date(), "UTC day for which the row was computed."),
        _required("updated_at", INSTANT, "When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("currency"),
        schema="platform",
        comment="One row says what is owed in one currency, and how old it is.",
    )
    op.create_table(
        "gateway_calls",
        _required("call_id", sa.BigInteger(), "Id of the call.", sa.Identity(always=True)),
        _required("gateway", sa.Text(), "The gateway, such as `stripe`."),
        _required("operation", sa.Text(), "What was asked for, such as `charge.list`."),
        _required("started_at", INSTANT, "When the call began."),
        _required("latency_ms", sa.Double(), "How long it took, in milliseconds."),
        _required(
            "outcome",
            sa.Text(),
            "`ok`, `transient`, `rate_limited` or `permanent`; a declined card is an answer, so `ok`.",
        ),
        sa.CheckConstraint(
            "outcome IN ('ok', 'transient', 'rate_limited', 'permanent')", name="outcome_is_known"
        ),
        sa.PrimaryKeyConstraint("call_id"),
        schema="monitoring",
        comment="One row is one call of the payment gateway; neither content nor secret is kept.",
    )
    op.create_index(
        "ix_gateway_calls_started",
        "gateway_calls",
        ["gateway", "started_at"],
        unique=False,
        schema="monitoring",
    )
    op.create_table(
        "gateway_metrics",
        _required("measured_at", INSTANT, "End of the window that was measured."),
        _required("gateway", sa.Text(), "The gateway, such as `stripe`."),
        _required("currency", sa.Text(), "ISO 4217 code; an empty text for what has none, such as latency."),
        _required("metric", sa.Text(), "Name of the measure, with its unit."),
        _required("label", sa.Text(), "Decline code of a `decline_share_ratio`; else an empty text."),
        _optional("value", sa.Double(), "The measured value; null when there was nothing to measure."),
        _optional(
            "part", sa.BigInteger(), "Numerator of a ratio, in whole counts or minor units; else null."
        ),
        _optional("total", sa.BigInteger(), "Its denominator; of other measures the number of observations."),
        _optional("low", sa.Double(), "Lower end of the 95 % interval; null where none is given."),
        _optional("high", sa.Double(), "Upper end of the 95 % interval; null where none is given."),
        _required("window_days", sa.Integer(), "Length of the window, in days."),
        sa.PrimaryKeyConstraint("measured_at", "gateway", "currency", "metric", "label"),
        schema="monitoring",
        comment="One row is one measure of the payment gateway over the days before it was taken.",
    )
    op.create_table(
        "payment_reminders",
        _required("payment_id", sa.Text(), "The marketplace's payment."),
        _required("stage", sa.Integer(), "Step of the reminder ladder, from 1."),
        _required("client_id", sa.Text(), "The client who was reminded."),
        _required(
            "state",
            sa.Text(),
            "`sending` (committed before the mail goes out; one that stays so may have gone), `sent` or `refused`.",
        ),
        _required("claimed_at", INSTANT, "When it was decided to send it."),
        _optional("sent_at", INSTANT, "When the mail server took it; null until then."),
        _optional("detail", sa.Text(), "Why it was refused; null when it was not."),
        sa.CheckConstraint("state IN ('sending', 'sent', 'refused')", name="state_is_known"),
        sa.PrimaryKeyConstraint("payment_id", "stage"),
        schema="monitoring",
        comment="One row is one step of the reminder ladder that was taken for a payment; none is taken twice.",
    )
    op.create_index(
        op.f("ix_monitoring_payment_reminders_client_id"),
        "payment_reminders",
        ["client_id"],
        unique=False,
        schema="monitoring",
    )
    op.create_table(
        "payment_retry_arms",
        _required("payment_id", sa.Text(), "The marketplace's payment."),
        _required("arm", sa.Text(), "`retried`, or `held_out` for comparison."),
        _required("amount_minor", sa.BigInteger(), "Its amount in minor units."),
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("assigned_at", INSTANT, "When it was first due to be retried."),
        sa.CheckConstraint("arm IN ('retried', 'held_out')", name="arm_is_known"),
        sa.PrimaryKeyConstraint("payment_id"),
        schema="monitoring",
        comment="One row is one payment that was due to be retried, and whether it is; that never changes afterwards.",
    )
    op.create_table(
        "payment_retry_attempts",
        _required("payment_id", sa.Text(), "The marketplace's payment."),
        _required("attempt", sa.Integer(), "Number of the attempt, from 1."),
        _required("payment_intent_id", sa.Text(), "The intent that is confirmed."),
        _required("idempotency_key", sa.Text(), "`payment:attempt`; under it the gateway acts once."),
        _required(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            "Parameters of the call; the key is never sent with others.",
        ),
        _required("amount_minor", sa.BigInteger(), "The intent's amount in minor units."),
        _required("currency", sa.Text(), "ISO 4217 code."),
        _required("card_fingerprint", sa.Text(), "The card, as the gateway tells it apart."),
        _optional("card_brand", sa.Text(), "Its network, such as `visa`; null when unknown."),
        _required(
            "known_charge_ids",
            postgresql.ARRAY(sa.Text()),
            "Charges that the intent had before the call: any other was made by it or after it.",
        ),
        _required(
            "state",
            sa.Text(),
            "`sent` (outcome not known yet), `succeeded`, `declined`, `processing` (the bank decides later), `needs_customer` (asks for authentication), `refused` (the gateway made no charge) or `needs_person`.",
        ),
        _optional("charge_id", sa.Text(), "The charge that it made; null when none or not known."),
        _optional("decline_code", sa.Text(), "Why it was declined; null when it was not."),
        _optional("advice_code", sa.Text(), "What the network advises after it; null when nothing."),
        _optional("detail", sa.Text(), "What came back instead of an outcome; null when one came."),
        _required("calls_count", sa.Integer(), "How often the key was sent."),
        _required("sent_at", INSTANT, "When it was first sent; committed before the call."),
        _optional("resolved_at", INSTANT, "When its outcome was known; null until then."),
        sa.CheckConstraint(
            "state IN ('sent', 'succeeded', 'declined', 'processing', 'needs_customer', 'refused', 'needs_person')",
            name="state_is_known",
        ),
        sa.CheckConstraint("attempt >= 1", name="attempt_is_counted_from_1"),
        sa.PrimaryKeyConstraint("payment_id", "attempt"),
        sa.UniqueConstraint("idempotency_key"),
        schema="monitoring",
        comment="One row is one attempt of the platform to charge a failed payment again.",
    )
    op.create_index(
        "ix_payment_retry_attempts_card",
        "payment_retry_attempts",
        ["card_fingerprint", "sent_at"],
        unique=False,
        schema="monitoring",
    )
    op.create_index(
        "uq_payment_retry_attempts_open",
        "payment_retry_attempts",
        ["payment_id"],
        unique=True,
        schema="monitoring",
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    )
    op.create_index(
        "uq_payment_retry_attempts_open_intent",
        "payment_retry_attempts",
        ["payment_intent_id"],
        unique=True,
        schema="monitoring",
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    )
    op.create_index(
        "ix_gateway_transactions_card",
        "gateway_transactions",
        ["card_fingerprint", "created_at"],
        unique=False,
        schema="platform",
    )


def downgrade() -> None:
    op.drop_index("ix_gateway_transactions_card", table_name="gateway_transactions", schema="platform")
    op.drop_index(
        "uq_payment_retry_attempts_open_intent",
        table_name="payment_retry_attempts",
        schema="monitoring",
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    )
    op.drop_index(
        "uq_payment_retry_attempts_open",
        table_name="payment_retry_attempts",
        schema="monitoring",
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    )
    op.drop_index("ix_payment_retry_attempts_card", table_name="payment_retry_attempts", schema="monitoring")
    op.drop_table("payment_retry_attempts", schema="monitoring")
    op.drop_table("payment_retry_arms", schema="monitoring")
    op.drop_index(
        op.f("ix_monitoring_payment_reminders_client_id"), table_name="payment_reminders", schema="monitoring"
    )
    op.drop_table("payment_reminders", schema="monitoring")
    op.drop_table("gateway_metrics", schema="monitoring")
    op.drop_index("ix_gateway_calls_started", table_name="gateway_calls", schema="monitoring")
    op.drop_table("gateway_calls", schema="monitoring")
    op.drop_table("receivables", schema="platform")
    op.drop_table("payment_reconciliation", schema="platform")
    op.drop_index(
        "ix_payment_breaks_open",
        table_name="payment_breaks",
        schema="platform",
        postgresql_where=sa.text("closed_on IS NULL"),
    )
    op.drop_table("payment_breaks", schema="platform")
    op.drop_table("overdue_payments", schema="platform")
