"""What was owed on each day is kept, and a view gives each day's payments with rolling sums and what was owed."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLE = "platform.receivables"
_KEY = "receivables_pkey"

_VIEW = """
    CREATE VIEW platform.payment_trends AS
    SELECT
        a.day,
        a.currency,
        a.sales_amount_minor,
        a.net_amount_minor,
        CAST(sum(a.sales_amount_minor) OVER week AS bigint) AS sales_7d_minor,
        CAST(sum(a.sales_amount_minor) OVER month AS bigint) AS sales_30d_minor,
        CAST(sum(a.net_amount_minor) OVER month AS bigint) AS net_30d_minor,
        r.outstanding_minor,
        r.current_minor,
        r.overdue_1_30_minor,
        r.overdue_31_60_minor,
        r.overdue_61_90_minor,
        r.overdue_over_90_minor
    FROM platform.payment_analytics a
    LEFT JOIN platform.receivables r ON r.currency = a.currency AND r.as_of = a.day
    WINDOW
        week AS (PARTITION BY a.currency ORDER BY a.day RANGE BETWEEN INTERVAL '6 days' PRECEDING AND CURRENT ROW),
        month AS (PARTITION BY a.currency ORDER BY a.day RANGE BETWEEN INTERVAL '29 days' PRECEDING AND CURRENT ROW)
"""
_COMMENT = (
    "One row is one day of payment_analytics in one currency, with sums over the 7 and 30 days up to it and what was "
    "owed on it, by days overdue; the latter is null for days on which nobody looked."
)


def upgrade() -> None:
    _change_key(
        "currency, as_of", "One row says what was owed in one currency on one day, and how old it was."
    )
    op.execute(_VIEW)
    op.execute(f"COMMENT ON VIEW platform.payment_trends IS '{_COMMENT}'")


def downgrade() -> None:
    op.execute("DROP VIEW platform.payment_trends")
    op.execute(
        "DELETE FROM platform.receivables AS r USING platform.receivables AS later "
        "WHERE later.currency = r.currency AND later.as_of > r.as_of"
    )
    _change_key("currency", "One row says what is owed in one currency, and how old it is.")


def _change_key(columns: str, comment: str) -> None:
    op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT {_KEY}, ADD CONSTRAINT {_KEY} PRIMARY KEY ({columns})")
    op.execute(f"COMMENT ON TABLE {_TABLE} IS '{comment}'")
