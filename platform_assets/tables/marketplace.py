"""The marketplace contract: the application's tables or views that the platform reads and never writes.

This is the product's public interface; `docs/contract.md` is its reading copy, rendered by `contract_doc.py`. Only the
sandbox creates these tables. Comments are the contract's text; `doctor` compares a database with it column by column.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData(schema="marketplace")

Instant = sa.DateTime(timezone=True)
TextList = pg.ARRAY(sa.Text)


def _column(
    name: str,
    type_: sa.types.TypeEngine[Any],
    comment: str,
    *,
    nullable: bool = False,
    primary_key: bool = False,
) -> sa.Column[Any]:
    return sa.Column(name, type_, comment=comment, nullable=nullable, primary_key=primary_key)


developers = sa.Table(
    "developers",
    metadata,
    _column("developer_id", sa.Text(), "Stable id of the developer.", primary_key=True),
    _column("display_name", sa.Text(), "Name shown to clients.", nullable=True),
    _column("github_login", sa.Text(), "GitHub login; null when none is linked.", nullable=True),
    _column("bio", sa.Text(), "What the developer says of themselves.", nullable=True),
    _column("declared_skills", TextList, "Skills the developer claims, in their own words; may be empty."),
    _column(
        "hourly_rate_minor",
        sa.BigInteger(),
        "Asked hourly rate in minor units of `currency`; null when not stated.",
        nullable=True,
    ),
    _column("currency", sa.Text(), "ISO 4217 code of the rate; null when there is none.", nullable=True),
    _column(
        "time_zone", sa.Text(), "IANA time zone, such as `Europe/Lisbon`; null when unknown.", nullable=True
    ),
    _column("is_active", sa.Boolean(), "False once the account is closed or suspended."),
    _column(
        "available_from", sa.Date(), "First day free for new work; null when not available.", nullable=True
    ),
    _column(
        "capacity_hours_per_week",
        sa.Integer(),
        "Hours a week open for new work; null when unknown.",
        nullable=True,
    ),
    _column(
        "rating_average", sa.Double(), "Mean client rating from 0 to 5; null when never rated.", nullable=True
    ),
    _column("rating_count", sa.Integer(), "Number of client ratings behind `rating_average`."),
    _column("joined_at", Instant, "When the account was opened."),
    _column("updated_at", Instant, "When the application last changed this row."),
    comment="One row is one developer account.",
)

clients = sa.Table(
    "clients",
    metadata,
    _column("client_id", sa.Text(), "Stable id of the client.", primary_key=True),
    _column("display_name", sa.Text(), "Company or person."),
    _column("email", sa.Text(), "Address for payment reminders; null when unknown.", nullable=True),
    _column("time_zone", sa.Text(), "IANA time zone; null when unknown.", nullable=True),
    _column("is_active", sa.Boolean(), "False once the account is closed or suspended."),
    _column("created_at", Instant, "When the account was opened."),
    _column("updated_at", Instant, "When the application last changed this row."),
    comment="One row is one client account.",
)

projects = sa.Table(
    "projects",
    metadata,
    _column("project_id", sa.Text(), "Stable id of the project.", primary_key=True),
    _column("client_id", sa.Text(), "The client who posted it."),
    _column("title", sa.Text(), "Title as posted."),
    _column("description", sa.Text(), "Full text as posted; may be empty."),
    _column("declared_skills", TextList, "Skills the client asks for, in their own words; may be empty."),
    _column(
        "max_hourly_rate_minor",
        sa.BigInteger(),
        "Highest hourly rate in minor units of `currency`; null when open or when the price is fixed.",
        nullable=True,
    ),
    _column(
        "budget_minor",
        sa.BigInteger(),
        "Most that the whole project may cost, in minor units of `currency`; null when open.",
        nullable=True,
    ),
    _column(
        "currency", sa.Text(), "ISO 4217 code of rate and budget; null when there is neither.", nullable=True
    ),
    _column(
        "expected_hours",
        sa.Integer(),
        "Hours that the whole project should take; null when unknown.",
        nullable=True,
    ),
    _column(
        "time_zone", sa.Text(), "IANA time zone of the team; null when it does not matter.", nullable=True
    ),
    _column(
        "min_overlap_hours",
        sa.Integer(),
        "Working hours a day to share with the team; null when it does not matter.",
        nullable=True,
    ),
    _column("hours_per_week", sa.Integer(), "Hours a week of work; null when open.", nullable=True),
    _column("starts_on", sa.Date(), "Wanted first day; null when open.", nullable=True),
    _column(
        "status", sa.Text(), "`draft`, `open`, `filled`, `closed` or `cancelled`. Only open ones are matched."
    ),
    _column("posted_at", Instant, "When it was opened; null for drafts.", nullable=True),
    _column("updated_at", Instant, "When the application last changed this row."),
    comment="One row is one project that a client posted.",
)

contracts = sa.Table(
    "contracts",
    metadata,
    _column("contract_id", sa.Text(), "Stable id of the contract.", primary_key=True),
    _column("project_id", sa.Text(), "The project it serves."),
    _column("client_id", sa.Text(), "The client who pays."),
    _column("developer_id", sa.Text(), "The developer who works."),
    _column("status", sa.Text(), "`offered`, `active`, `completed` or `cancelled`."),
    _column("skills_used", TextList, "Skills the work used, in the application's words; may be empty."),
    _column(
        "hourly_rate_minor",
        sa.BigInteger(),
        "Agreed hourly rate in minor units; null for a fixed price.",
        nullable=True,
    ),
    _column("currency", sa.Text(), "ISO 4217 code of the contract."),
    _column("hours_per_week", sa.Integer(), "Agreed hours a week; null when open.", nullable=True),
    _column("created_at", Instant, "When it was offered."),
    _column("started_on", sa.Date(), "First day; null before it starts.", nullable=True),
    _column("ended_on", sa.Date(), "Last day; null while it runs or when it never started.", nullable=True),
    _column(
        "client_rating", sa.Double(), "The client's rating from 0 to 5; null when not rated.", nullable=True
    ),
    _column("updated_at", Instant, "When the application last changed this row."),
    comment="One row is one contract between a client and a developer.",
)

blocks = sa.Table(
    "blocks",
    metadata,
    _column("client_id", sa.Text(), "The client of the pair.", primary_key=True),
    _column("developer_id", sa.Text(), "The developer of the pair.", primary_key=True),
    _column("blocked_by", sa.Text(), "`client` or `developer`: whose wish it is.", primary_key=True),
    _column("created_at", Instant, "When the block was set."),
    comment="One row says that a client and a developer must not be matched.",
)

match_events = sa.Table(
    "match_events",
    metadata,
    _column("event_id", sa.Text(), "Stable id of the event.", primary_key=True),
    _column("project_id", sa.Text(), "The project of the match."),
    _column("developer_id", sa.Text(), "The developer of the match."),
    _column(
        "event_type",
        sa.Text(),
        "Step of the funnel: `shown`, `viewed`, `contacted`, `interviewed`, `hired` or `rejected`.",
    ),
    _column(
        "rank",
        sa.Integer(),
        "Place in the list at that moment, from 1; null when not from a list.",
        nullable=True,
    ),
    _column("occurred_at", Instant, "When it happened."),
    comment="One row is one step of a match through the funnel from shown to hired.",
)

payments = sa.Table(
    "payments",
    metadata,
    _column("payment_id", sa.Text(), "Stable id of the payment.", primary_key=True),
    _column("contract_id", sa.Text(), "The contract it pays for; null when it pays for none.", nullable=True),
    _column("client_id", sa.Text(), "The client who owes it."),
    _column("amount_minor", sa.BigInteger(), "Amount due in minor units of `currency`, above 0."),
    _column("currency", sa.Text(), "ISO 4217 code."),
    _column(
        "status",
        sa.Text(),
        "As the application knows it: `pending` (due, no attempt under way), `processing`, `paid`, `failed` (the last "
        "attempt was declined), `partially_refunded`, `refunded` or `cancelled`.",
    ),
    _column("gateway", sa.Text(), "Payment gateway; `stripe`."),
    _column(
        "payment_intent_id",
        sa.Text(),
        "The gateway's PaymentIntent; null when none was made. Without one a payment is never retried.",
        nullable=True,
    ),
    _column("refunded_minor", sa.BigInteger(), "Amount refunded so far, in minor units."),
    _column("due_date", sa.Date(), "Last day (UTC) on which it is not overdue."),
    _column("created_at", Instant, "When the payment was requested."),
    _column("paid_at", Instant, "When it was captured; null until then.", nullable=True),
    _column(
        "attempts_count",
        sa.Integer(),
        "Attempts to charge that the application knows of, failed ones included; null when it does not count them.",
        nullable=True,
    ),
    _column(
        "last_attempt_at",
        Instant,
        "When the latest of them was made; null when none or unknown.",
        nullable=True,
    ),
    _column(
        "failure_code",
        sa.Text(),
        "Decline code of the last failed attempt, such as `insufficient_funds`; null when none failed.",
        nullable=True,
    ),
    _column("updated_at", Instant, "When the application last changed this row."),
    comment="One row is one payment that a client owes or has made.",
)
