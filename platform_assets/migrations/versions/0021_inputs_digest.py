"""A version of the candidates knows a hash of all that it was computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "match_versions",
        sa.Column(
            "inputs_digest",
            sa.BigInteger(),
            nullable=True,
            comment="Hash of all that it was computed from; null where that is not kept.",
        ),
        schema="monitoring",
    )


def downgrade() -> None:
    op.drop_column("match_versions", "inputs_digest", schema="monitoring")
