"""A payment's effective status, from the application and the gateway together: one table of rules for frames and for SQL.

The gateway decides about money, the application about what nobody has tried to charge. Reading is the caller's
business; `effective_payments` is the query for it.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from platform_assets.tables.marketplace import payments
from platform_assets.tables.payments import gateway_cursors, gateway_transactions


class EffectiveStatus(StrEnum):
    """What a payment is in truth."""

    PENDING = "pending"
    """Owed, and no attempt to charge has failed."""
    PROCESSING = "processing"
    """An attempt is under way, at the bank or with the client."""
    FAILED = "failed"
    """Owed; the last attempt was declined."""
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"
    """Captured, and taken back by the client's bank: a dispute that was lost."""
    CANCELLED = "cancelled"
    """No longer owed."""


CAPTURED_STATUSES = (EffectiveStatus.PAID, EffectiveStatus.PARTIALLY_REFUNDED, EffectiveStatus.REFUNDED)
"""How the application says that money was captured."""

OPEN_STATUSES = (EffectiveStatus.PENDING, EffectiveStatus.PROCESSING, EffectiveStatus.FAILED)
"""What is still owed."""

_UNDER_WAY = ("processing", "requires_action", "requires_capture", "requires_confirmation")

FACTS = (
    "application_status",
    "intent_status",
    "captured_minor",
    "refunded_minor",
    "lost_minor",
    "has_failed",
    "is_changed_since_read",
)


@dataclass(frozen=True)
class _Facts:
    """What the rules look at: columns of a frame, or expressions of SQL, none of them null.

    Attributes:
        application_status: `marketplace.payments.status`.
        intent_status: Status of the payment's intent at the gateway; empty where it is not known there.
        captured_minor: What the intent's charges have captured.
        refunded_minor: What of it was refunded.
        lost_minor: What of it was lost in disputes.
        has_failed: Whether an attempt to charge was declined.
        is_changed_since_read: Whether the application changed the payment after the gateway was last read.
    """

    application_status: Any
    intent_status: Any
    captured_minor: Any
    refunded_minor: Any
    lost_minor: Any
    has_failed: Any
    is_changed_since_read: Any


def _is_one_of(column: Any, values: tuple[str, ...]) -> Any:
    return functools.reduce(operator.or_, [column == str(value) for value in values])


def _rules(facts: _Facts) -> list[tuple[Any, Any]]:
    """Conditions with what they make of a payment; the first that holds decides, and without any it is pending."""
    is_captured = facts.captured_minor > 0
    is_cancelled = (facts.intent_status == "canceled") | (
        facts.application_status == EffectiveStatus.CANCELLED.value
    )
    return [
        (is_captured & (facts.refunded_minor >= facts.captured_minor), EffectiveStatus.REFUNDED.value),
        (
            is_captured
            & (facts.lost_minor > 0)
            & (facts.lost_minor + facts.refunded_minor >= facts.captured_minor),
            EffectiveStatus.CHARGED_BACK.value,
        ),
        (is_captured & (facts.refunded_minor > 0), EffectiveStatus.PARTIALLY_REFUNDED.value),
        (is_captured, EffectiveStatus.PAID.value),
        # What the gateway has not shown yet can't be held against the application.
        (facts.intent_status == "", facts.application_status),
        (
            facts.is_changed_since_read & _is_one_of(facts.application_status, CAPTURED_STATUSES),
            facts.application_status,
        ),
        (is_cancelled, EffectiveStatus.CANCELLED.value),
        (_is_one_of(facts.intent_status, _UNDER_WAY), EffectiveStatus.PROCESSING.value),
        (facts.has_failed, EffectiveStatus.FAILED.value),
    ]


def effective_status(facts: pd.DataFrame) -> pd.Series[str]:
    """The status of each payment.

    Args:
        facts: Columns `FACTS`, none of them null.
    """
    rules = _rules(_Facts(**{name: facts[name] for name in FACTS}))
    chosen = np.select(
        [condition.to_numpy(dtype=bool) for condition, _ in rules],
        [
            outcome.astype(object) if isinstance(outcome, pd.Series) else np.full(len(facts), outcome, object)
            for _, outcome in rules
        ],
        default=EffectiveStatus.PENDING.value,
    )
    return pd.Series(chosen, index=facts.index, dtype="str", name="effective_status")


def effective_payments() -> sa.Select[tuple[Any, ...]]:
    """A query: every payment of the marketplace with its facts and its `effective_status`.

    Columns: `payment_id`, `client_id`, `contract_id`, `payment_intent_id`, `amount_minor`, `currency`, `due_date`,
    `created_at`, `captured_at` (first capture at the gateway, else the application's `paid_at`), `FACTS` and
    `effective_status`.
    """
    intent, charge = gateway_transactions.alias("intent"), gateway_transactions.alias("charge")
    dispute, cursor = gateway_transactions.alias("dispute"), gateway_cursors
    charged = (
        sa.select(
            charge.c.payment_intent_id,
            sa.func.sum(charge.c.captured_minor).label("captured_minor"),
            sa.func.sum(charge.c.refunded_minor).label("refunded_minor"),
            sa.func.bool_or(charge.c.status == "failed").label("has_failed"),
            sa.func.min(charge.c.created_at).filter(charge.c.captured_minor > 0).label("captured_at"),
        )
        .where(charge.c.object_type == "charge")
        .group_by(charge.c.payment_intent_id)
        .subquery("charged")
    )
    lost = (
        sa.select(dispute.c.payment_intent_id, sa.func.sum(dispute.c.amount_minor).label("lost_minor"))
        .where(dispute.c.object_type == "dispute", dispute.c.status == "lost")
        .group_by(dispute.c.payment_intent_id)
        .subquery("lost")
    )
    read_through = (
        sa.select(cursor.c.read_through).where(cursor.c.object_type == "payment_intent").scalar_subquery()
    )

    def amount(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.coalesce(column, 0), sa.BigInteger)

    facts = {
        "application_status": payments.c.status,
        "intent_status": sa.func.coalesce(intent.c.status, ""),
        "captured_minor": amount(charged.c.captured_minor),
        "refunded_minor": amount(charged.c.refunded_minor),
        "lost_minor": amount(lost.c.lost_minor),
        "has_failed": sa.func.coalesce(charged.c.has_failed, sa.false()) | intent.c.failure_code.is_not(None),
        "is_changed_since_read": sa.func.coalesce(payments.c.updated_at > read_through, sa.true()),
    }
    status = sa.case(
        *[
            (condition, outcome if isinstance(outcome, sa.ColumnElement) else sa.literal(outcome))
            for condition, outcome in _rules(_Facts(**facts))
        ],
        else_=EffectiveStatus.PENDING.value,
    )
    own = ("payment_id", "client_id", "contract_id", "payment_intent_id", "amount_minor", "currency")
    is_of_payment = payments.c.payment_intent_id
    return sa.select(
        *(payments.c[name] for name in (*own, "due_date", "created_at")),
        sa.func.coalesce(charged.c.captured_at, payments.c.paid_at).label("captured_at"),
        *(expression.label(name) for name, expression in facts.items()),
        status.label("effective_status"),
    ).select_from(
        payments.outerjoin(
            intent, (intent.c.object_id == is_of_payment) & (intent.c.object_type == "payment_intent")
        )
        .outerjoin(charged, charged.c.payment_intent_id == is_of_payment)
        .outerjoin(lost, lost.c.payment_intent_id == is_of_payment)
    )
