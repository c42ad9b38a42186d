"""Reading the marketplace through its contract: against real tables and views of many shapes."""

import pytest
import small_world
import sqlalchemy as sa

from platform_assets.clients.contract import ContractError, contract_problems, read_contract
from platform_assets.clients.database import Database
from platform_assets.failures import explain
from platform_assets.tables import marketplace

# An application of its own: other names, other types, keys with a length, instants with a precision.
OTHER_APPLICATION = """
CREATE SCHEMA app;
ALTER TABLE marketplace.developers RENAME TO freelancers;
ALTER TABLE marketplace.freelancers SET SCHEMA app;
ALTER TABLE app.freelancers RENAME COLUMN developer_id TO id;
ALTER TABLE app.freelancers RENAME COLUMN github_login TO github;
CREATE VIEW marketplace.developers AS SELECT
    id::varchar(40) AS developer_id, display_name::varchar AS display_name, github::varchar(39) AS github_login, bio,
    declared_skills::varchar(80)[] AS declared_skills, hourly_rate_minor::integer AS hourly_rate_minor,
    currency::char(3) AS currency, time_zone, is_active, available_from,
    capacity_hours_per_week::smallint AS capacity_hours_per_week, rating_average::numeric(3, 2) AS rating_average,
    rating_count, joined_at::timestamptz(3) AS joined_at, updated_at, 'more' AS of_no_concern
    FROM app.freelancers
"""


@pytest.fixture
def database(new_database, loaded_template):
    with new_database(template=loaded_template) as url:
        database = Database(url)
        yield database
        database.close()


def execute(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def set_aside(database: Database) -> dict[str, str]:
    rows = database.read(sa.text("SELECT row_key, reason FROM monitoring.quarantined_rows"))
    return dict(zip(rows["row_key"], rows["reason"]))


def test_views_over_tables_of_other_names_and_types_read_as_the_contract_says(database):
    before = read_contract(database, marketplace.developers)
    execute(database, OTHER_APPLICATION)

    read = read_contract(database, marketplace.developers)

    assert contract_problems(database) == []
    assert list(read.rows.dtypes.items()) == list(before.rows.dtypes.items())
    exact = [name for name in read.rows if name not in ("rating_average", "joined_at")]
    by_id = [frame.rows.sort_values("developer_id", ignore_index=True)[exact] for frame in (before, read)]
    assert small_world.plain_rows(by_id[0]) == small_world.plain_rows(by_id[1])
    assert not set_aside(database)


def test_whatever_is_missing_or_of_another_type_is_told_in_one_error(database):
    execute(
        database,
        "ALTER TABLE marketplace.developers DROP COLUMN time_zone, DROP COLUMN bio",
        "ALTER TABLE marketplace.developers ALTER COLUMN hourly_rate_minor TYPE numeric(12, 2)",
        "ALTER TABLE marketplace.projects ALTER COLUMN posted_at TYPE timestamp",
        "DROP TABLE marketplace.payments",
    )

    with pytest.raises(ContractError) as caught:
        read_contract(database, marketplace.developers)

    message = str(caught.value)
    for line in (
        "marketplace.developers.time_zone is missing: text. IANA time zone",
        "marketplace.developers.bio is missing: text.",
        "marketplace.developers.hourly_rate_minor is numeric, but the contract says bigint",
        "marketplace.projects.posted_at is timestamp without time zone, but the contract says timestamp with time zone",
        "marketplace.payments is missing: create a table or view",
    ):
        assert line in message
    assert message.count("\n  - ") == 5


def test_a_broken_table_fails_only_those_who_read_it(database):
    execute(database, "DROP TABLE marketplace.payments")

    assert len(read_contract(database, marketplace.developers).rows) == 30
    with pytest.raises(ContractError):
        read_contract(database, marketplace.payments)


def test_a_type_that_only_looks_alike_is_told_before_every_row_is_set_aside(database):
    # Text keys are joined with the platform's own; Postgres knows no equality of uuid and text.
    execute(
        database, "ALTER TABLE marketplace.clients ALTER COLUMN client_id TYPE uuid USING gen_random_uuid()"
    )

    with pytest.raises(ContractError, match=r"clients\.client_id is uuid, but the contract says text"):
        read_contract(database, marketplace.clients)
    assert not set_aside(database)


def test_a_database_without_a_marketplace_is_told_table_by_table(database_url):
    database = Database(database_url)
    problems = contract_problems(database)
    database.close()

    assert len(problems) == len(marketplace.metadata.tables) == 7
    assert all("is missing" in problem for problem in problems)


def test_a_view_that_may_not_be_read_is_no_missing_view(database):
    execute(database, "CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA marketplace TO reader")
    url = database.engine.url.set(username="reader")
    reader = Database(url)
    try:
        with pytest.raises(sa.exc.ProgrammingError) as caught:
            read_contract(reader, marketplace.developers)
    finally:
        reader.close()
        execute(database, "DROP OWNED BY reader", "DROP ROLE reader")

    assert "permission denied" in (explain(caught.value) or "")


BAD_DEVELOPERS = {
    "currency = 'XBC'": "currency is not an ISO 4217 code",
    "currency = 'usd'": "currency is not an ISO 4217 code",
    "currency = NULL": "hourly_rate_minor has no currency",
    "hourly_rate_minor = -1": "hourly_rate_minor is not between 0 and",
    "time_zone = 'Europe/Atlantis'": "time_zone is not an IANA time zone",
    "rating_average = 5.1": "rating_average is not between 0 and 5",
    "rating_count = -1": "rating_count is not between 0 and",
    "capacity_hours_per_week = 169": "capacity_hours_per_week is not between 0 and 168",
    "joined_at = 'infinity'": "joined_at",
}


@pytest.mark.parametrize("change", BAD_DEVELOPERS)
def test_a_developer_who_breaks_the_contract_is_set_aside_with_the_reason_and_comes_back(database, change):
    # The one whose row has everything, so that the change is all that is wrong.
    developer_id = database.read(
        sa.text(
            "SELECT min(developer_id) AS id FROM marketplace.developers WHERE hourly_rate_minor IS NOT NULL"
        )
    )["id"].iloc[0]
    good = read_contract(database, marketplace.developers)
    execute(database, "CREATE TABLE public.kept AS TABLE marketplace.developers")
    execute(database, f"UPDATE marketplace.developers SET {change} WHERE developer_id = '{developer_id}'")

    read = read_contract(database, marketplace.developers)

    assert list(set_aside(database)) == [developer_id]
    assert BAD_DEVELOPERS[change] in set_aside(database)[developer_id]
    assert read.set_aside_keys == {developer_id}
    assert read.present_keys == good.present_keys
    assert len(read.rows) == len(good.rows) - 1

    execute(
        database,
        "TRUNCATE marketplace.developers",
        "INSERT INTO marketplace.developers TABLE public.kept",
    )
    assert len(read_contract(database, marketplace.developers).rows) == len(good.rows)
    assert not set_aside(database)


def test_zero_and_unknown_are_both_good_values(database):
    execute(
        database,
        "UPDATE marketplace.developers SET hourly_rate_minor = 0, currency = 'JPY', rating_average = 0, "
        "capacity_hours_per_week = 0",
        "UPDATE marketplace.developers SET hourly_rate_minor = NULL, currency = NULL, time_zone = NULL, "
        "rating_average = NULL, capacity_hours_per_week = NULL, github_login = NULL, available_from = NULL "
        "WHERE developer_id = (SELECT max(developer_id) FROM marketplace.developers)",
    )

    assert len(read_contract(database, marketplace.developers).rows) == 30


def test_a_last_day_at_infinity_is_a_day_that_is_not_known(database):
    execute(database, "UPDATE marketplace.developers SET available_from = 'infinity'")

    read = read_contract(database, marketplace.developers)

    assert len(read.rows) == 30
    assert read.rows["available_from"].isna().all()


def test_rows_of_a_view_without_a_key_or_with_one_twice_are_set_aside_and_the_rest_is_read(database):
    execute(
        database,
        "ALTER TABLE marketplace.developers RENAME TO kept",
        "CREATE VIEW marketplace.developers AS SELECT * FROM marketplace.kept UNION ALL "
        "SELECT * FROM marketplace.kept WHERE developer_id = (SELECT min(developer_id) FROM marketplace.kept)",
    )
    twice = database.read(sa.text("SELECT min(developer_id) AS id FROM marketplace.kept"))["id"].iloc[0]
    read = read_contract(database, marketplace.developers)

    assert len(read.rows) == 29
    assert set_aside(database) == {twice: "2 rows have this key"}
    assert twice in read.present_keys

    execute(
        database,
        "CREATE OR REPLACE VIEW marketplace.developers AS SELECT NULL::text AS developer_id, display_name, "
        "github_login, bio, declared_skills, hourly_rate_minor, currency, time_zone, is_active, available_from, "
        "capacity_hours_per_week, rating_average, rating_count, joined_at, updated_at FROM marketplace.kept",
    )
    read = read_contract(database, marketplace.developers)
    assert (len(read.rows), len(set_aside(database)), read.present_keys) == (0, 30, frozenset())
