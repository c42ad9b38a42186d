"""Operations on payments and what is known of them: retries, reminders, gateway calls, ageing, reconciliation.

The first three are in schema `monitoring`, the rest is derived and in `platform`. What the gateway holds is `payments`.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables import monitoring, platform
from platform_assets.tables.platform import Instant, as_of, updated_at

OPEN_STATES = ("sent", "needs_person")
"""States of an attempt whose outcome is not known."""

payment_retry_attempts = sa.Table(
    "payment_retry_attempts",
    monitoring.metadata,
    sa.Column("payment_id", sa.Text, primary_key=True, comment="The marketplace's payment."),
    sa.Column("attempt", sa.Integer, primary_key=True, comment="Number of the attempt, from 1."),
    sa.Column("payment_intent_id", sa.Text, nullable=False, comment="The intent that is confirmed."),
    sa.Column(
        "idempotency_key",
        sa.Text,
        nullable=False,
        unique=True,
        comment="`payment:attempt`; under it the gateway acts once.",
    ),
    sa.Column(
        "parameters",
        pg.JSONB,
        nullable=False,
        comment="Parameters of the call; the key is never sent with others.",
    ),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="The intent's amount in minor units."),
    sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217 code."),
    sa.Column(
        "card_fingerprint", sa.Text, nullable=False, comment="The card, as the gateway tells it apart."
    ),
    sa.Column("card_brand", sa.Text, comment="Its network, such as `visa`; null when unknown."),
    sa.Column(
        "known_charge_ids",
        pg.ARRAY(sa.Text),
        nullable=False,
        comment="Charges that the intent had before the call: any other was made by it or after it.",
    ),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`sent` (outcome not known yet), `succeeded`, `declined`, `processing` (the bank decides later), "
        "`needs_customer` (asks for authentication), `refused` (the gateway made no charge) or `needs_person`.",
    ),
    sa.Column("charge_id", sa.Text, comment="The charge that it made; null when none or not known."),
    sa.Column("decline_code", sa.Text, comment="Why it was declined; null when it was not."),
    sa.Column("advice_code", sa.Text, comment="What the network advises after it; null when nothing."),
    sa.Column("detail", sa.Text, comment="What came back instead of an outcome; null when one came."),
    sa.Column("calls_count", sa.Integer, nullable=False, comment="How often the key was sent."),
    sa.Column(
        "sent_at", Instant, nullable=False, comment="When it was first sent; committed before the call."
    ),
    sa.Column("resolved_at", Instant, comment="When its outcome was known; null until then."),
    sa.CheckConstraint(
        "state IN ('sent', 'succeeded', 'declined', 'processing', 'needs_customer', 'refused', 'needs_person')",
        name="state_is_known",
    ),
    sa.CheckConstraint("attempt >= 1", name="attempt_is_counted_from_1"),
    # Whatever races: one attempt of a payment, and of an intent, is under way at a time.
    sa.Index(
        "uq_payment_retry_attempts_open",
        "payment_id",
        unique=True,
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    ),
    sa.Index(
        "uq_payment_retry_attempts_open_intent",
        "payment_intent_id",
        unique=True,
        postgresql_where=sa.text("state IN ('sent', 'needs_person')"),
    ),
    sa.Index("ix_payment_retry_attempts_card", "card_fingerprint", "sent_at"),
    comment="One row is one attempt of the platform to charge a failed payment again.",
)

payment_retry_arms = sa.Table(
    "payment_retry_arms",
    monitoring.metadata,
    sa.Column("payment_id", sa.Text, primary_key=True, comment="The marketplace's payment."),
    sa.Column("arm", sa.Text, nullable=False, comment="`retried`, or `held_out` for comparison."),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="Its amount in minor units."),
    sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217 code."),
    sa.Column("assigned_at", Instant, nullable=False, comment="When it was first due to be retried."),
    sa.CheckConstraint("arm IN ('retried', 'held_out')", name="arm_is_known"),
    comment="One row is one payment that was due to be retried, and whether it is; that never changes afterwards.",
)

payment_reminders = sa.Table(
    "payment_reminders",
    monitoring.metadata,
    sa.Column("payment_id", sa.Text, primary_key=True, comment="The marketplace's payment."),
    sa.Column("stage", sa.Integer, primary_key=True, comment="Step of the reminder ladder, from 1."),
    sa.Column("client_id", sa.Text, nullable=False, index=True, comment="The client who was reminded."),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="`sending` (committed before the mail goes out; one that stays so may have gone), `sent` or `refused`.",
    ),
    sa.Column("claimed_at", Instant, nullable=False, comment="When it was decided to send it."),
    sa.Column("sent_at", Instant, comment="When the mail server took it; null until then."),
    sa.Column("detail", sa.Text, comment="Why it was refused; null when it was not."),
    sa.CheckConstraint("state IN ('sending', 'sent', 'refused')", name="state_is_known"),
    comment="One row is one step of the reminder ladder that was taken for a payment; none is taken twice.",
)

gateway_calls = sa.Table(
    "gateway_calls",
    monitoring.metadata,
    sa.Column(
        "call_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Id of the call."
    ),
    sa.Column("gateway", sa.Text, nullable=False, comment="The gateway, such as `stripe`."),
    sa.Column("operation", sa.Text, nullable=False, comment="What was asked for, such as `charge.list`."),
    sa.Column("started_at", Instant, nullable=False, comment="When the call began."),
    sa.Column("latency_ms", sa.Double, nullable=False, comment="How long it took, in milliseconds."),
    sa.Column(
        "outcome",
        sa.Text,
        nullable=False,
        comment="`ok`, `transient`, `rate_limited` or `permanent`; a declined card is an answer, so `ok`.",
    ),
    sa.CheckConstraint(
        "outcome IN ('ok', 'transient', 'rate_limited', 'permanent')", name="outcome_is_known"
    ),
    sa.Index("ix_gateway_calls_started", "gateway", "started_at"),
    sa.Index("ix_gateway_calls_age", "started_at"),
    comment="One row is one call of the payment gateway; neither content nor secret is kept.",
)

gateway_metrics = sa.Table(
    "gateway_metrics",
    monitoring.metadata,
    sa.Column("measured_at", Instant, primary_key=True, comment="End of the window that was measured."),
    sa.Column("gateway", sa.Text, primary_key=True, comment="The gateway, such as `stripe`."),
    sa.Column(
        "currency",
        sa.Text,
        primary_key=True,
        comment="ISO 4217 code; an empty text for what has none, such as latency.",
    ),
    sa.Column("metric", sa.Text, primary_key=True, comment="Name of the measure, with its unit."),
    sa.Column(
        "label",
        sa.Text,
        primary_key=True,
        comment="Decline code of a `decline_share_ratio`; else an empty text.",
    ),
    sa.Column("value", sa.Double, comment="The measured value; null when there was nothing to measure."),
    sa.Column(
        "part", sa.BigInteger, comment="Numerator of a ratio, in whole counts or minor units; else null."
    ),
    sa.Column(
        "total", sa.BigInteger, comment="Its denominator; of other measures the number of observations."
    ),
    sa.Column("low", sa.Double, comment="Lower end of the 95 % interval; null where none is given."),
    sa.Column("high", sa.Double, comment="Upper end of the 95 % interval; null where none is given."),
    sa.Column("window_days", sa.Integer, nullable=False, comment="Length of the window, in days."),
    comment="One row is one measure of the payment gateway over the days before it was taken.",
)

overdue_payments = sa.Table(
    "overdue_payments",
    platform.metadata,
    sa.Column("payment_id", sa.Text, primary_key=True, comment="The marketplace's payment."),
    sa.Column("client_id", sa.Text, nullable=False, comment="The client who owes it."),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="Amount owed in minor units."),
    sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217 code."),
    sa.Column("due_date", sa.Date, nullable=False, comment="Last day (UTC) on which it was not overdue."),
    sa.Column("overdue_days", sa.Integer, nullable=False, comment="Days since then; 0 when not overdue."),
    sa.Column(
        "bucket",
        sa.Text,
        nullable=False,
        comment="`current`, `1-30`, `31-60`, `61-90` or `over 90` days overdue.",
    ),
    sa.Column(
        "reminder_stage", sa.Integer, nullable=False, comment="Step of the reminder ladder; 0 before it."
    ),
    as_of(),
    updated_at(),
    comment="One row is one payment that is owed, with its age; a paid one leaves at the next run.",
)

receivables = sa.Table(
    "receivables",
    platform.metadata,
    sa.Column("currency", sa.Text, primary_key=True, comment="ISO 4217 code."),
    sa.Column("as_of", sa.Date, primary_key=True, comment="UTC day for which the row was computed."),
    sa.Column(
        "outstanding_minor", sa.BigInteger, nullable=False, comment="All that is owed, in minor units."
    ),
    sa.Column("overdue_minor", sa.BigInteger, nullable=False, comment="Part of it that is overdue."),
    sa.Column("current_minor", sa.BigInteger, nullable=False, comment="Part that is not yet due."),
    sa.Column("overdue_1_30_minor", sa.BigInteger, nullable=False, comment="Overdue by 1 to 30 days."),
    sa.Column("overdue_31_60_minor", sa.BigInteger, nullable=False, comment="Overdue by 31 to 60 days."),
    sa.Column("overdue_61_90_minor", sa.BigInteger, nullable=False, comment="Overdue by 61 to 90 days."),
    sa.Column(
        "overdue_over_90_minor", sa.BigInteger, nullable=False, comment="Overdue by more than 90 days."
    ),
    sa.Column("payments_count", sa.Integer, nullable=False, comment="Payments that are owed."),
    sa.Column("overdue_count", sa.Integer, nullable=False, comment="Payments that are overdue."),
    sa.Column(
        "requested_minor",
        sa.BigInteger,
        nullable=False,
        comment="Requested in the 90 days before, in minor units; cancelled payments excluded.",
    ),
    sa.Column(
        "days_sales_outstanding",
        sa.Double,
        comment="Outstanding over requested, times 90 days; null when nothing was requested.",
    ),
    updated_at(),
    comment="One row says what was owed in one currency on one day, and how old it was.",
)


def _side(name: str, comment: str) -> list["sa.Column[int]"]:
    return [
        sa.Column(f"{name}_minor", sa.BigInteger, nullable=False, comment=f"{comment}, in minor units."),
        sa.Column(f"{name}_count", sa.Integer, nullable=False, comment="How many entries that is."),
    ]


payment_reconciliation = sa.Table(
    "payment_reconciliation",
    platform.metadata,
    sa.Column(
        "leg",
        sa.Text,
        primary_key=True,
        comment="What is compared: `captures` and `refunds` (marketplace, gateway), `balance` (the gateway's objects, its "
        "ledger), `fees` (amount less fee, net) or `payouts` (the ledger, payouts to the bank).",
    ),
    sa.Column(
        "day",
        sa.Date,
        primary_key=True,
        comment="UTC day of the gateway's entry; of the marketplace's where the gateway has none.",
    ),
    sa.Column("currency", sa.Text, primary_key=True, comment="ISO 4217 code."),
    *_side("here", "Sum of the first side"),
    *_side("there", "Sum of the second side"),
    sa.Column("breaks_minor", sa.BigInteger, nullable=False, comment="Sum of the open breaks' amounts."),
    sa.Column(
        "residual_minor",
        sa.BigInteger,
        nullable=False,
        comment="First side less second side less breaks: what no break explains. Must be 0.",
    ),
    updated_at(),
    comment="One row is one day of one currency, compared between two books.",
)

payment_breaks = sa.Table(
    "payment_breaks",
    platform.metadata,
    sa.Column("leg", sa.Text, primary_key=True, comment="Where it is: see `payment_reconciliation`."),
    sa.Column(
        "cause",
        sa.Text,
        primary_key=True,
        comment="`missing_here`, `missing_there`, `amount`, `currency`, `status`, `fee`, `duplicate` or `timing`.",
    ),
    sa.Column(
        "subject_id", sa.Text, primary_key=True, comment="The payment, gateway object or payout it is about."
    ),
    sa.Column("currency", sa.Text, primary_key=True, comment="ISO 4217 code."),
    sa.Column("day", sa.Date, nullable=False, comment="UTC day to which it counts."),
    sa.Column(
        "amount_minor", sa.BigInteger, nullable=False, comment="First side less second side, in minor units."
    ),
    sa.Column("here_ids", pg.ARRAY(sa.Text), nullable=False, comment="Rows of the first side."),
    sa.Column("there_ids", pg.ARRAY(sa.Text), nullable=False, comment="Rows of the second side."),
    sa.Column("reason", sa.Text, nullable=False, comment="One sentence for a person."),
    sa.Column("deadline_on", sa.Date, comment="Day after which a timing break is an error; null for others."),
    sa.Column(
        "age_days", sa.Integer, nullable=False, comment="Days from `day` to `as_of`, or to its closing."
    ),
    sa.Column("closed_on", sa.Date, comment="Day for which it was first found gone; null while open."),
    as_of(),
    updated_at(),
    sa.Index("ix_payment_breaks_open", "leg", "day", postgresql_where=sa.text("closed_on IS NULL")),
    comment="One row is one difference between two books, open or closed.",
)
