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
        comment="`payment_intent`, `charge`, `refund` or `balance_transaction`.",
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
    sa.Column("charge_id", sa.Text, comment="The charge it belongs to; null when none."),
    sa.Column(
        "kind",
        sa.Text,
        comment="A balance transaction's reporting type, such as `charge` or `refund`; null otherwise.",
    ),
    sa.Column("status", sa.Text, comment="The gateway's status; null where the object has none."),
    sa.Column(
        "amount_minor",
        sa.BigInteger,
        nullable=False,
        comment="Amount in minor units, signed for balance transactions.",
    ),
    sa.Column("fee_minor", sa.BigInteger, comment="Gateway fee in minor units; balance transactions only."),
    sa.Column(
        "net_minor", sa.BigInteger, comment="Amount less fee in minor units; balance transactions only."
    ),
    sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217 code, upper case."),
    sa.Column("failure_code", sa.Text, comment="Decline code; null when none."),
    sa.Column("created_at", Instant, nullable=False, comment="When the gateway made the object."),
    sa.Column("available_on", sa.Date, comment="Day the funds are available; balance transactions only."),
    updated_at(),
    sa.Index("ix_gateway_transactions_created", "created_at"),
    comment="One row is one object of the payment gateway in its latest known state.",
)

gateway_cursors = sa.Table(
    "gateway_cursors",
    metadata,
    sa.Column("object_type", sa.Text, primary_key=True, comment="The kind of object that is read."),
    sa.Column(
        "read_through", Instant, nullable=False, comment="Everything created up to here has been read."
    ),
    updated_at(),
    comment="One row says how far one kind of gateway object has been read.",
)

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
    sa.Column(
        "sales_count", sa.Integer, nullable=False, comment="Balance transactions of type charge or payment."
    ),
    sa.Column("sales_amount_minor", sa.BigInteger, nullable=False, comment="Their amount in minor units."),
    sa.Column(
        "refunds_count",
        sa.Integer,
        nullable=False,
        comment="Balance transactions of type refund or payment_refund.",
    ),
    sa.Column(
        "refunds_amount_minor", sa.BigInteger, nullable=False, comment="Their amount in minor units, signed."
    ),
    sa.Column(
        "fees_minor", sa.BigInteger, nullable=False, comment="Fees of all but payouts, in minor units."
    ),
    sa.Column(
        "net_amount_minor", sa.BigInteger, nullable=False, comment="Net of all but payouts, in minor units."
    ),
    sa.Column("failed_charge_count", sa.Integer, nullable=False, comment="Charges with status failed."),
    sa.Column(
        "failed_charge_amount_minor", sa.BigInteger, nullable=False, comment="Their amount in minor units."
    ),
    updated_at(),
    comment="One row is one day's payments in one currency.",
)
