"""What a person reads when something fails: against errors that real servers and folders make."""

from pathlib import Path

import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from platform_assets.clients.contract import ContractError
from platform_assets.clients.database import Database
from platform_assets.errors import PlatformError
from platform_assets.failures import explain
from platform_assets.migrations.migrate import SchemaBehindError


def raised(call) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    "error", [PlatformError("what to do"), ContractError("what to do"), SchemaBehindError("what to do")]
)
def test_what_the_platform_raises_explains_itself(error):
    assert explain(error) == "what to do"


def test_an_explanation_is_found_behind_what_wraps_it():
    def wrapped_by_cause():
        try:
            raise ContractError("the cause")  # noqa: TRY301  (a chain is what is tested)
        except ContractError as error:
            raise RuntimeError("step failed") from error

    def wrapped_by_context():
        try:
            wrapped_by_cause()
        except RuntimeError:
            raise ValueError("run failed")  # noqa: B904  (the context is what is tested)

    assert explain(raised(wrapped_by_cause)) == "the cause"
    assert explain(raised(wrapped_by_context)) == "the cause"


def test_an_error_that_was_put_aside_on_purpose_explains_nothing():
    def replaced():
        try:
            raise ContractError("handled")  # noqa: TRY301  (see above)
        except ContractError:
            raise ValueError("another") from None

    assert explain(raised(replaced)) is None


def test_what_nobody_expected_is_not_explained():
    assert explain(ValueError("odd")) is None
    assert explain(FileNotFoundError(2, "No such file", "/x")) is None


def test_a_cycle_of_causes_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first

    assert explain(first) is None


def test_a_read_only_database_is_told_as_such(database):
    def write():
        with database.engine.connect() as connection:
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            connection.execute(
                sa.text("INSERT INTO platform.skills VALUES ('secret-skill', 's', 'tool', 'x')")
            )

    message = explain(raised(write))

    assert message.startswith(
        "The database refuses to be written: cannot execute INSERT in a read-only transaction"
    )
    assert "secret-skill" not in message


def test_a_refused_statement_is_told_without_its_parameters(database):
    def write():
        with database.transaction() as connection:
            connection.execute(
                sa.text("INSERT INTO platform.connections_count VALUES (:v)"), {"v": "private value"}
            )

    message = explain(raised(write))

    assert message.startswith(
        'The database refused a statement: relation "platform.connections_count" does not exist'
    )
    assert "private value" not in message


@pytest.mark.parametrize("connect", [psycopg.connect, psycopg2.connect], ids=["psycopg", "psycopg2"])
def test_a_server_that_is_not_there_is_told_as_unreachable(connect):
    engine = sa.create_engine(f"postgresql+{connect.__module__.split('.')[0]}://nobody@127.0.0.1:1/none")

    message = explain(raised(engine.connect))

    assert message.startswith("The database can't be reached: ")
    assert "a rerun helps once it is back" in message
    assert "\n" not in message


def test_a_database_that_does_not_exist_is_told_as_unreachable(database_url):
    database = Database(sa.make_url(database_url).set(database="nowhere"))

    message = explain(raised(lambda: database.read(sa.text("SELECT 1"))))

    assert message.startswith("The database can't be reached: ")
    assert 'database "nowhere" does not exist' in message


def test_a_connection_that_is_cut_is_told_as_unreachable(database):
    def cut():
        with database.transaction() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    assert explain(raised(cut)).startswith("The database can't be reached: ")


def test_an_error_of_the_driver_itself_is_told(database):
    message = explain(raised(lambda: database.read(sa.text("SELECT 'infinity'::date"))))

    assert message.startswith("The database refused a statement: date too large")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    for call in ((tmp_path / "file" / "home").mkdir, (tmp_path / "file").mkdir):
        message = explain(raised(call))
        assert str(tmp_path / "file") in message
        assert "PLATFORM_HOME" in message
