"""More of the gateway: disputes, payouts, cards and declines; reads that go on; fuller daily totals; exchange rates.

What was read before lacks the new columns, so that everything is read again: the cursors are emptied, and the daily
totals, which follow from the gateway's rows, are made anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _required(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=False, **options)


def _optional(name: str, *args: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, *args, nullable=True, **options)


def _transaction_columns() -> list[sa.Column[Any]]:
    text, amount = sa.Text(), sa.BigInteger()
    return [
        _optional(
            "source_id",
            text,
            comment="The charge, refund, dispute or payout that moved the balance; balance transactions only.",
        ),
        _optional(
            "payout_id",
            text,
            comment="The payout that paid a balance transaction out; null until then. On a payout its own id, once all of "
            "its transactions carry it.",
        ),
        _optional("customer_id", text, comment="The gateway's customer; null when none."),
        _optional("captured_minor", amount, comment="Captured amount in minor units; charges only."),
        _optional("refunded_minor", amount, comment="Refunded so far in minor units; charges only."),
        _optional(
            "advice_code",
            text,
            comment="What the gateway advises after a decline: `try_again_later`, `do_not_try_again` or "
            "`confirm_card_data`; charges and intents only.",
        ),
        _optional(
            "network_decline_code",
            text,
            comment="The card network's own decline code; charges and intents only.",
        ),
        _optional("reason", text, comment="Why a dispute was opened or a refund made; null otherwise."),
        _optional(
            "card_fingerprint", text, comment="The same for the same card number; charges by card only."
        ),
        _optional("card_brand", text, comment="The card's network, such as `visa`; charges by card only."),
        _required(
            "observed_at",
            INSTANT,
            server_default=sa.text("'epoch'"),
            comment="By the gateway's clock, when it last showed the object; an older state never replaces a newer one.",
        ),
    ]


_CURSOR_COLUMNS = {
    "began_at": (INSTANT, "When the read under way began; null when none is."),
    "reads_from": (INSTANT, "The earliest creation that the read under way asks for."),
    "after_id": (sa.Text(), "The last object that the read under way has stored; it goes on there."),
}

_TOTALS = {
    "disputes_count": (sa.Integer(), "Disputes that were opened."),
    "disputes_amount_minor": (sa.BigInteger(), "The amount disputed in minor units."),
    "payouts_count": (
        sa.Integer(),
        "Balance transactions of type payout, by the day on which they are available.",
    ),
    "payout_amount_minor": (
        sa.BigInteger(),
        "Their amount in minor units, signed: what goes to the bank is below 0.",
    ),
    "payout_returns_minor": (
        sa.BigInteger(),
        "Payouts that were cancelled or came back from the bank, in minor units, by the day on which they are available.",
    ),
    "customers_count": (sa.Integer(), "Distinct clients with a charge that succeeded."),
    "new_customers_count": (
        sa.Integer(),
        "Those of them whose first such charge in any currency was on this day.",
    ),
    "recovered_count": (
        sa.Integer(),
        "Charges that succeeded after an earlier one of the same payment intent had failed.",
    ),
    "recovered_amount_minor": (sa.BigInteger(), "Their amount in minor units."),
}

# Table, column, its comment now and before.
_COMMENTS = (
    (
        "gateway_cursors",
        "object_type",
        "The kind of object that is read, `event` included.",
        "The kind of object that is read.",
    ),
    (
        "gateway_cursors",
        "read_through",
        "Everything created up to here has been read; null until the first read is complete.",
        "Everything created up to here has been read.",
    ),
    (
        "gateway_transactions",
        "object_type",
        "`payment_intent`, `charge`, `refund`, `dispute`, `balance_transaction` or `payout`.",
        "`payment_intent`, `charge`, `refund` or `balance_transaction`.",
    ),
    (
        "gateway_transactions",
        "kind",
        "Of a balance transaction its type, such as `charge` or `refund`; of a payout `automatic`, `manual`, or "
        "`settling` while the gateway gathers its transactions; null otherwise.",
        "A balance transaction's reporting type, such as `charge` or `refund`; null otherwise.",
    ),
    (
        "gateway_transactions",
        "amount_minor",
        "Amount in minor units, signed for balance transactions and payouts.",
        "Amount in minor units, signed for balance transactions.",
    ),
    (
        "gateway_transactions",
        "created_at",
        "When the gateway made the object; of a charge, when it was attempted.",
        "When the gateway made the object.",
    ),
    (
        "gateway_transactions",
        "available_on",
        "Day on which a balance transaction's funds are available, or a payout is due at the bank.",
        "Day the funds are available; balance transactions only.",
    ),
)

_LINK_INDEXES = ("charge_id", "payout_id")


def upgrade() -> None:
    op.execute("DELETE FROM platform.gateway_cursors")
    op.execute("DELETE FROM platform.payment_analytics")
    op.create_table(
        "exchange_rates",
        _required("base_currency", sa.Text(), comment="ISO 4217 code of what is converted."),
        _required("quote_currency", sa.Text(), comment="ISO 4217 code of what it is converted to."),
        _required("rate_on", sa.Date(), comment="UTC day for which the rate holds."),
        _required(
            "rate",
            sa.Numeric(),
            comment="Units of the quote currency for one of the base currency, both in major units; exact.",
        ),
        _required("source", sa.Text(), comment="Where the rate comes from, as its loader says."),
        _required("updated_at", INSTANT, comment="When this row last changed.", server_default=NOW),
        sa.PrimaryKeyConstraint("base_currency", "quote_currency", "rate_on"),
        sa.CheckConstraint("rate > 0 AND rate < 'Infinity'", name="rate_is_positive"),
        schema="platform",
        comment="One row is one day's exchange rate, loaded by the user.",
    )
    for column in _transaction_columns():
        op.add_column("gateway_transactions", column, schema="platform")
    for name, (column_type, comment) in _CURSOR_COLUMNS.items():
        op.add_column("gateway_cursors", _optional(name, column_type, comment=comment), schema="platform")
    for name, (column_type, comment) in _TOTALS.items():
        op.add_column("payment_analytics", _required(name, column_type, comment=comment), schema="platform")
    op.alter_column("gateway_cursors", "read_through", nullable=True, schema="platform")
    for table, column_name, comment, was in _COMMENTS:
        op.alter_column(table, column_name, comment=comment, existing_comment=was, schema="platform")
    op.drop_index("ix_gateway_transactions_created", table_name="gateway_transactions", schema="platform")
    op.create_index(
        "ix_gateway_transactions_created",
        "gateway_transactions",
        ["object_type", "created_at"],
        schema="platform",
    )
    op.create_index(
        "ix_gateway_transactions_payouts",
        "gateway_transactions",
        ["available_on"],
        schema="platform",
        postgresql_where=sa.text("kind IN ('payout', 'payout_cancel', 'payout_failure')"),
    )
    op.create_index(
        "ix_gateway_transactions_unlinked",
        "gateway_transactions",
        ["object_type"],
        schema="platform",
        postgresql_where=sa.text("payment_id IS NULL OR payment_intent_id IS NULL OR charge_id IS NULL"),
    )
    for name in _LINK_INDEXES:
        op.create_index(
            f"ix_platform_gateway_transactions_{name}", "gateway_transactions", [name], schema="platform"
        )


def downgrade() -> None:
    op.execute("DELETE FROM platform.gateway_cursors")
    op.execute("DELETE FROM platform.payment_analytics")
    op.execute("DELETE FROM platform.gateway_transactions WHERE object_type IN ('dispute', 'payout')")
    for name in (*(f"ix_platform_gateway_transactions_{name}" for name in _LINK_INDEXES), *_NEW_INDEXES):
        op.drop_index(name, table_name="gateway_transactions", schema="platform")
    op.drop_index("ix_gateway_transactions_created", table_name="gateway_transactions", schema="platform")
    op.create_index(
        "ix_gateway_transactions_created", "gateway_transactions", ["created_at"], schema="platform"
    )
    for table, column_name, comment, was in _COMMENTS:
        op.alter_column(table, column_name, comment=was, existing_comment=comment, schema="platform")
    op.alter_column("gateway_cursors", "read_through", nullable=False, schema="platform")
    for table, names in (
        ("payment_analytics", list(_TOTALS)),
        ("gateway_cursors", list(_CURSOR_COLUMNS)),
        ("gateway_transactions", [column.name for column in _transaction_columns()]),
    ):
        for name in names:
            op.drop_column(table, name, schema="platform")
    op.drop_table("exchange_rates", schema="platform")


_NEW_INDEXES = ("ix_gateway_transactions_payouts", "ix_gateway_transactions_unlinked")
