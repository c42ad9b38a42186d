"""Counts, in SQL, attempts of the platform that went over a card network's cap: what the retries must never have done."""

from __future__ import annotations

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.payment_thresholds import NETWORK_CAPS, NetworkCap

_OVER = sa.text(
    """
    WITH attempts AS (
        SELECT card_fingerprint, created_at AS made_at, amount_minor, currency
        FROM platform.gateway_transactions
        WHERE object_type = 'charge' AND card_fingerprint IS NOT NULL
        UNION ALL
        SELECT l.card_fingerprint, l.sent_at, l.amount_minor, l.currency
        FROM monitoring.payment_retry_attempts l
        WHERE l.state <> 'refused'
            AND NOT EXISTS (SELECT FROM platform.gateway_transactions g WHERE g.object_id = l.charge_id)
    )
    SELECT own.idempotency_key
    FROM monitoring.payment_retry_attempts own
    WHERE own.state <> 'refused'
        AND (own.card_brand = :brand OR own.card_brand IS NULL OR NOT own.card_brand = ANY(:brands))
        AND (
            SELECT count(*) FROM attempts a
            WHERE a.card_fingerprint = own.card_fingerprint
                AND (NOT :is_per_amount OR (a.amount_minor = own.amount_minor AND a.currency = own.currency))
                -- The attempt's own charge is made a moment after its row, and the gateway's clock knows whole seconds.
                AND a.made_at > own.sent_at - :window AND a.made_at < own.sent_at - interval '1 second'
        ) >= :attempts_count
    ORDER BY own.sent_at DESC
    """
)


def attempts_over_caps(database: Database) -> list[str]:
    """Keys of the platform's attempts that were made although the card had no attempt left, newest first."""
    brands = sorted({cap.brand for cap in NETWORK_CAPS})
    over: dict[str, None] = {}
    for cap in NETWORK_CAPS:
        over |= dict.fromkeys(_over_one(database, cap, brands))
    return list(over)


def _over_one(database: Database, cap: NetworkCap, brands: list[str]) -> list[str]:
    rows = database.read(
        _OVER,
        {
            "brand": cap.brand,
            "brands": brands,
            "is_per_amount": cap.is_per_amount,
            "window": cap.window,
            "attempts_count": cap.attempts_count,
        },
    )
    return list(rows["idempotency_key"])
