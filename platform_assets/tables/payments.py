"""Derived tables of payments, schema `platform`: what the gateway holds, how far it was read, and what it adds up to."""

import sqlalchemy as sa

from platform_assets.tables.platform import Instant, metadata, updated_at

gateway_transactions = sa.Table(
    "gateway_transactions",
    metadata,
    sa.Column("object_id", sa.Text, primary_key=True, comment="The gateway's id."),
    sa.Column(
        "object_type",
        sa.Text,
        nullable=False,
        comment="`payment_intent`, `charge`, `refund`, `dispute`, `balance_transaction` or `payout`.",
    ),
    sa.Column(
        "payment_id",
        sa.Text,
        index=True,
        comment="The marketplace's payment; null when the gateway names none.",
    ),
    sa.Column(
        "payment_intent_id", sa.Text, index=True, comment="The payment intent it belongs to; null when none."
    ),
    sa.Column("charge_id", sa.Text, index=True, comment="The charge it belongs to; null when none."),
    sa.Column(
        "source_id",
        sa.Text,
        comment="The charge, refund, dispute or payout that moved the balance; balance transactions only.",
    ),
    sa.Column(
        "payout_id",
        sa.Text,
        index=True,
        comment="The payout that paid a balance transaction out; null until then. On a payout its own id, once all of its "
        "transactions carry it.",
    ),
    sa.Column("customer_id", sa.Text, comment="The gateway's customer; null when none."),
    sa.Column(
        "kind",
        sa.Text,
        comment="Of a balance transaction its type, such as `charge` or `refund`; of a payout `automatic`, `manual`, or "
        "`settling` while the gateway gathers its transactions; null otherwise.",
    ),
    sa.Column("status", sa.Text, comment="The gateway's status; null where the object has none."),
    sa.Column(
        "amount_minor",
        sa.BigInteger,
        nullable=False,
        comment="Amount in minor units, signed for balance transactions and payouts.",
    ),
    sa.Column("captured_minor", sa.BigInteger, comment="Captured amount in minor units; charges only."),
    sa.Column("refunded_minor", sa.BigInteger, comment="Refunded so far in minor units; charges only."),
    sa.Column("fee_minor", sa.BigInteger, comment="Gateway fee in minor units; balance transactions only."),
    sa.Column(
        "net_minor", sa.BigInteger, comment="Amount less fee in minor units; balance transactions only."
    ),
    sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217 code, upper case."),
    sa.Column("failure_code", sa.Text, comment="Decline code; null when none."),
    sa.Column(
        "advice_code",
        sa.Text,
        comment="What the gateway advises after a decline: `try_again_later`, `do_not_try_again` or `confirm_card_data`; "
        "charges and intents only.",
    ),
    sa.Column(
        "network_decline_code",
        sa.Text,
        comment="The card network's own decline code; charges and intents only.",
    ),
    sa.Column("reason", sa.Text, comment="Why a dispute was opened or a refund made; null otherwise."),
    sa.Column(
        "card_fingerprint", sa.Text, comment="The same for the same card number; charges by card only."
    ),
    sa.Column("card_brand", sa.Text, comment="The card's network, such as `visa`; charges by card only."),
    sa.Column(
        "created_at",
        Instant,
        nullable=False,
        comment="When the gateway made the object; of a charge, when it was attempted.",
    ),
    sa.Column(
        "available_on",
        sa.Date,
        comment="Day on which a balance transaction's funds are available, or a payout is due at the bank.",
    ),
    sa.Column(
        "observed_at",
        Instant,
        nullable=False,
        server_default=sa.text("'epoch'"),
        info={"bookkeeping": "given"},
        comment="By the gateway's clock, when it last showed the object; an older state never replaces a newer one.",
    ),
    updated_at(),
    sa.Index("ix_gateway_transactions_created", "object_type", "created_at"),
    sa.Index("ix_gateway_transactions_card", "card_fingerprint", "created_at"),
    sa.Index(
        "ix_gateway_transactions_payouts",
        "available_on",
        postgresql_where=sa.text("kind IN ('payout', 'payout_cancel', 'payout_failure')"),
    ),
    sa.Index(
        "ix_gateway_transactions_unlinked",
        "object_type",
        postgresql_where=sa.text("payment_id IS NULL OR payment_intent_id IS NULL OR charge_id IS NULL"),
    ),
    comment="One row is one object of the payment gateway in its latest known state.",
)

gateway_cursors = sa.Table(
    "gateway_cursors",
    metadata,
    sa.Column(
        "object_type", sa.Text, primary_key=True, comment="The kind of object that is read, `event` included."
    ),
    sa.Column(
        "read_through",
        Instant,
        comment="Everything created up to here has been read; null until the first read is complete.",
    ),
    sa.Column("began_at", Instant, comment="When the read under way began; null when none is."),
    sa.Column("reads_from", Instant, comment="The earliest creation that the read under way asks for."),
    sa.Column(
        "after_id", sa.Text, comment="The last object that the read under way has stored; it goes on there."
    ),
    updated_at(),
    comment="One row says how far one kind of gateway object has been read.",
)


def _count(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, comment=comment)


def _minor(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, comment=comment)


payment_analytics = sa.Table(
    "payment_analytics",
    metadata,
    sa.Column("day", sa.Date, primary_key=True, comment="UTC day."),
    sa.Column(
        "currency",
        sa.Text,
        primary_key=True,
        comment="ISO 4217 code; amounts of different currencies are never added.",
    ),
    _count("sales_count", "Balance transactions of type charge or payment."),
    _minor("sales_amount_minor", "Their amount in minor units."),
    _count("refunds_count", "Balance transactions of type refund or payment_refund."),
    _minor("refunds_amount_minor", "Their amount in minor units, signed."),
    _count("disputes_count", "Disputes that were opened."),
    _minor("disputes_amount_minor", "The amount disputed in minor units."),
    _minor("fees_minor", "Fees of all but payouts, in minor units."),
    _minor("net_amount_minor", "Net of all but payouts, in minor units."),
    _count("payouts_count", "Balance transactions of type payout, by the day on which they are available."),
    _minor("payout_amount_minor", "Their amount in minor units, signed: what goes to the bank is below 0."),
    _minor(
        "payout_returns_minor",
        "Payouts that were cancelled or came back from the bank, in minor units, by the day on which they are available.",
    ),
    _count("failed_charge_count", "Charges with status failed."),
    _minor("failed_charge_amount_minor", "Their amount in minor units."),
    _count("customers_count", "Distinct clients with a charge that succeeded."),
    _count("new_customers_count", "Those of them whose first such charge in any currency was on this day."),
    _count(
        "recovered_count",
        "Charges that succeeded after an earlier one of the same payment intent had failed.",
    ),
    _minor("recovered_amount_minor", "Their amount in minor units."),
    updated_at(),
    comment="One row is one day's payments in one currency.",
)

exchange_rates = sa.Table(
    "exchange_rates",
    metadata,
    sa.Column("base_currency", sa.Text, primary_key=True, comment="ISO 4217 code of what is converted."),
    sa.Column(
        "quote_currency", sa.Text, primary_key=True, comment="ISO 4217 code of what it is converted to."
    ),
    sa.Column("rate_on", sa.Date, primary_key=True, comment="UTC day for which the rate holds."),
    sa.Column(
        "rate",
        sa.Numeric,
        nullable=False,
        comment="Units of the quote currency for one of the base currency, both in major units; exact.",
    ),
    sa.Column("source", sa.Text, nullable=False, comment="Where the rate comes from, as its loader says."),
    updated_at(),
    sa.CheckConstraint("rate > 0 AND rate < 'Infinity'", name="rate_is_positive"),
    comment="One row is one day's exchange rate, loaded by the user.",
)
