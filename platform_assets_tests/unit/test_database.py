import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database, is_transient
from platform_assets.tables.platform import EMBEDDING_DIMENSIONS, text_embeddings

DTYPES = sa.text("""
    SELECT 1::int AS whole, CASE WHEN is_first THEN 1::bigint END AS gap, 1.5::float8 AS number,
        true AS flag, CASE WHEN is_first THEN true END AS flag_gap, CASE WHEN is_first THEN 'a' END AS word,
        date '2026-11-01' AS day, CASE WHEN is_first THEN timestamptz '2026-11-01 12:00+02' END AS instant,
        ARRAY['a', 'b'] AS words, CASE WHEN is_first THEN jsonb '[1]' END AS document,
        CASE WHEN is_first THEN vector '[1,2]' END AS vector, 'b'::mood AS mood
    FROM (VALUES (true), (false)) AS rows (is_first) LIMIT CAST(:rows_count AS integer)
""")


@pytest.fixture(scope="module")
def db(module_database: Database) -> Database:
    with module_database.transaction() as connection:
        connection.execute(sa.text("CREATE TYPE mood AS ENUM ('a', 'b')"))
    return module_database


def test_columns_come_with_the_dtype_of_their_type(db: Database) -> None:
    frame = db.read(DTYPES, {"rows_count": 2})

    assert frame.dtypes.astype(str).to_dict() == {
        "whole": "int64",
        "gap": "Int64",
        "number": "float64",
        "flag": "bool",
        "flag_gap": "boolean",
        "word": "str",
        "day": "datetime64[s]",
        "instant": "datetime64[us, UTC]",
        "words": "object",
        "document": "object",
        "vector": "object",
        "mood": "object",
    }
    assert frame["instant"][0] == pd.Timestamp("2026-11-01T10:00Z")
    assert frame["vector"][0].tolist() == [1, 2]
    assert frame.loc[1, ["document", "vector"]].tolist() == [None, None]
    assert frame["mood"].tolist() == ["b", "b"]


def test_no_rows_have_the_same_dtypes_as_rows_without_nulls(db: Database) -> None:
    none, one = (db.read(DTYPES, {"rows_count": count}) for count in (0, 1))

    assert none.empty
    assert none.dtypes.equals(one.dtypes)


def test_vectors_come_as_a_matrix(db: Database) -> None:
    vectors = np.random.default_rng(1).normal(size=(50, EMBEDDING_DIMENSIONS)).astype(np.float32)
    ids = [f"{number:02d}" for number in range(50)]
    db.upsert(text_embeddings, pd.DataFrame({"model": "m", "text_sha256": ids, "vector": list(vectors)}))
    query = sa.select(text_embeddings.c["text_sha256", "vector"]).order_by(text_embeddings.c.text_sha256)

    read_ids, matrix = db.read_vectors(query)

    assert read_ids == ids
    assert np.array_equal(matrix, vectors)
    assert db.read_vectors(query.where(sa.false()))[1].shape == (0, 0)


def test_two_columns_of_one_name_are_both_read(db: Database) -> None:
    assert db.read(sa.text("SELECT 1 AS a, 2 AS a")).values.tolist() == [[1, 2]]


def test_a_user_type_is_read_beside_a_vector(db: Database) -> None:
    query = sa.select(text_embeddings.c.vector, sa.literal_column("'b'::mood").label("mood")).limit(1)

    assert db.read(query)["mood"].tolist() == ["b"]


def test_a_libpq_url_will_do(database_url: str) -> None:
    database = Database(database_url.replace("postgresql+psycopg://", "postgres://"))
    assert database.read(sa.text("SELECT 1 AS one"))["one"].tolist() == [1]
    database.close()


def test_a_statement_may_not_run_forever(database_url: str) -> None:
    database = Database(database_url, statement_timeout_s=1)
    with pytest.raises(sa.exc.OperationalError, match="statement timeout") as caught:
        database.read(sa.text("SELECT pg_sleep(20)"))
    assert not is_transient(caught.value)
    database.close()


def test_parameters_never_show_in_an_error(db: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        db.read(sa.text("SELECT 1 / 0 WHERE :word <> ''"), {"word": "private"})
    assert "private" not in str(caught.value)


def connect_error(url: str) -> BaseException:
    database = Database(url, connect_timeout_s=2)
    with pytest.raises(sa.exc.OperationalError) as caught:
        database.read(sa.text("SELECT 1"))
    database.close()
    return caught.value


def test_a_server_that_is_away_may_come_back_but_a_wrong_name_stays_wrong(database_url: str) -> None:
    url = sa.make_url(database_url)

    assert is_transient(connect_error("postgresql://nobody@127.0.0.1:1/nothing"))
    assert not is_transient(connect_error(url.set(database="nothing").render_as_string()))
    assert not is_transient(connect_error(url.set(username="stranger").render_as_string()))


def test_a_deadlock_passes_and_a_violated_constraint_does_not(db: Database) -> None:
    deadlock = psycopg.errors.DeadlockDetected("deadlock detected")
    duplicate = psycopg.errors.UniqueViolation("duplicate key")

    assert is_transient(deadlock)
    assert is_transient(sa.exc.OperationalError("UPDATE", None, deadlock))
    assert not is_transient(sa.exc.IntegrityError("INSERT", None, duplicate))
    assert not is_transient(ValueError("no database error at all"))


def test_a_lost_connection_is_transient_and_the_next_use_gets_a_new_one(database: Database) -> None:
    kill = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid")

    with pytest.raises(sa.exc.OperationalError) as caught, database.transaction() as connection:
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        database.read(kill, {"pid": pid})
        connection.scalar(sa.text("SELECT 1"))

    assert is_transient(caught.value)
    assert database.read(sa.text("SELECT 1 AS one"))["one"].tolist() == [1]


def test_a_connection_lost_within_an_upsert_leaves_nothing_and_says_so(database: Database) -> None:
    frame = pd.DataFrame({"model": "m", "text_sha256": ["a"], "vector": [np.ones(EMBEDDING_DIMENSIONS)]})

    with pytest.raises(sa.exc.DBAPIError) as caught, database.transaction() as connection:
        database.upsert(text_embeddings, frame, connection=connection)
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        database.read(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        database.upsert(text_embeddings, frame, connection=connection)

    assert is_transient(caught.value)
    assert database.read(sa.select(text_embeddings)).empty
