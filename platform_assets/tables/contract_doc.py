"""Renders `docs/contract.md` from the tables of `marketplace.py`, so that the text can't drift from the code.

Only the reading copy is made here; what the contract says stands in the tables' and columns' comments.
`python -m platform_assets.tables.contract_doc > docs/contract.md` writes it anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from platform_assets.tables import marketplace

_INTRODUCTION = """\
# The marketplace contract

The platform reads your application's data through seven tables or views in the schema `marketplace` of the database that
`PLATFORM_DATABASE_URL` names. Their names, columns, types, nullability and meaning are a public interface: this page.
The platform only reads them. It never creates, changes or migrates anything in this schema, and its database user needs
no more than `USAGE` on the schema and `SELECT` on what is in it.

This page is made from `platform_assets/tables/marketplace.py` by `python -m platform_assets.tables.contract_doc`.

## Rules for every column

- **Names and types** are as below. Some other types are read as if they were cast: `varchar`, `char` and `citext` for
  `text`, `varchar[]` for `text[]`, `integer` and `smallint` for `bigint`, `smallint` for `integer`, `real` and `numeric` for
  `double precision`, and for each of these a domain over it. A length or precision does not matter. Anything else, such as
  `uuid` for a key or an enumeration for a status, wants a cast in the view: `id::text`. Additional columns are ignored.
- **Null** means "not known" or what the column says that it means. Where null is not allowed, a row that has one anyway is
  quarantined with its reason, and the other rows go on. The same happens to a value that can't be true, such as a
  negative rate or an amount without a currency, to a word that is none of those named below, and to every row of a key that
  occurs twice. Asset checks count these rows.
- **Ids** are text, stable, and never used for another thing later. No foreign keys are needed: a row that refers to
  something that isn't there is left out where it is used.
- **Money** is a `bigint` in the minor unit of its currency after ISO 4217: 1250 is 12.50 in USD, 1250 in JPY and 1.250 in
  KWD. Currency codes are upper case. Amounts in different currencies are never added.
- **Instants** are `timestamp with time zone`. **Days** are `date` and mean the day in UTC. `infinity` counts as null.
- **`updated_at`** moves whenever anything in the row changes. What is derived from a row is refreshed because of it.
- **Rows leave** when they are deleted. An account that is only closed should stay with `is_active = false`, so that its
  history still counts.
"""

_MAPPING = """\
## Mapping your own tables

Write one view per table. For an application that keeps cents in `numeric` columns, skills in a table of their own and
availability as a flag, `developers` could be this:

```sql
CREATE SCHEMA IF NOT EXISTS marketplace;

CREATE OR REPLACE VIEW marketplace.developers AS
SELECT
    freelancer.id::text                                    AS developer_id,
    freelancer.full_name::text                             AS display_name,
    nullif(trim(freelancer.github), '')                    AS github_login,
    freelancer.about                                       AS bio,
    coalesce(
        (SELECT array_agg(tag.label ORDER BY tag.label)
         FROM app.freelancer_tags AS tag
         WHERE tag.freelancer_id = freelancer.id),
        '{}'::text[]
    )                                                      AS declared_skills,
    round(freelancer.hourly_rate * 100)::bigint            AS hourly_rate_minor,  -- all rates are in euros here
    CASE WHEN freelancer.hourly_rate IS NOT NULL THEN 'EUR' END AS currency,
    freelancer.tz                                          AS time_zone,
    freelancer.closed_at IS NULL                           AS is_active,
    CASE WHEN freelancer.takes_work THEN coalesce(freelancer.busy_until + 1, freelancer.created_at::date) END
                                                           AS available_from,
    NULL::integer                                          AS capacity_hours_per_week,
    freelancer.stars::double precision                     AS rating_average,
    freelancer.reviews                                     AS rating_count,
    freelancer.created_at AT TIME ZONE 'UTC'               AS joined_at,
    freelancer.changed_at AT TIME ZONE 'UTC'               AS updated_at
FROM app.freelancers AS freelancer;

GRANT USAGE ON SCHEMA marketplace TO platform_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA marketplace TO platform_reader;
```

What the application does not have becomes `NULL::type` where null is allowed. A table that it does not have at all becomes
a view without rows, and what depends on it is then empty, never invented:

```sql
CREATE OR REPLACE VIEW marketplace.blocks AS
SELECT NULL::text AS client_id, NULL::text AS developer_id, NULL::text AS blocked_by, NULL::timestamptz AS created_at
WHERE false;
```

Then run `platform-assets doctor`: it compares each column with this page and says what is missing or of another type.

## Notes on payments

- `payment_intent_id` ties a payment to the gateway. Put the payment's id into the intent's metadata as `payment_id` as
  well: that is how a capture whose intent the application lost is found again.
- `status` is what the application knows. What holds is derived from it and the gateway's objects together. A disputed payment
  stays `paid` here; disputes are read from the gateway.
- Attempts to charge, cards, fees and payouts are read from the gateway too. `attempts_count` and `last_attempt_at` are for
  comparison, and may be null.
"""


def _postgres_type(column: sa.Column[object]) -> str:
    return column.type.compile(dialect=pg.dialect()).lower()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _render_table(table: sa.Table) -> str:
    key = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
    lines = [
        f"### `marketplace.{table.name}`",
        "",
        f"{table.comment} Unique: {key}.",
        "",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | `{_postgres_type(column)}` | {'yes' if column.nullable else 'no'} "
        f"| {_cell(column.comment or '')} |"
        for column in table.columns
    ]
    return "\n".join(lines) + "\n"


def render_contract() -> str:
    """The contract as Markdown: the rules, each table with its columns, and how to map one's own tables."""
    tables = "\n".join(_render_table(table) for table in marketplace.metadata.tables.values())
    return f"{_INTRODUCTION}\n## Tables\n\n{tables}\n{_MAPPING}"


if __name__ == "__main__":
    print(render_contract(), end="")
