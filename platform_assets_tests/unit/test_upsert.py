import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql as pg

from platform_assets.clients.database import BadRowsError, Database, WriteCounts, is_among, is_not_among
from platform_assets.tables.platform import updated_at

METADATA = sa.MetaData()

PAIRS = sa.Table(
    "pairs",
    METADATA,
    sa.Column("left", sa.Text, primary_key=True),
    sa.Column("right", sa.Integer, primary_key=True),
    sa.Column("value", sa.Double),
    sa.Column("note", sa.Text, server_default="none yet"),
    updated_at(),
)

KINDS = sa.Table(
    "kinds",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("small", sa.SmallInteger),
    sa.Column("whole", sa.Integer),
    sa.Column("big", sa.BigInteger),
    sa.Column("single", sa.REAL),
    sa.Column("double", sa.Double),
    sa.Column("flag", sa.Boolean),
    sa.Column("day", sa.Date),
    sa.Column("instant", sa.DateTime(timezone=True)),
    sa.Column("short", sa.String(5)),
    sa.Column("words", pg.ARRAY(sa.Text)),
    sa.Column("document", pg.JSONB),
    sa.Column("vector", Vector(3)),
    updated_at(),
)

KEYS_ONLY = sa.Table("keys_only", METADATA, sa.Column("id", sa.BigInteger, primary_key=True))


@pytest.fixture(scope="module")
def tables(module_database: Database) -> Database:
    with module_database.transaction() as connection:
        METADATA.create_all(connection)
    return module_database


@pytest.fixture
def db(tables: Database) -> Database:
    empty(tables)
    return tables


def empty(database: Database) -> None:
    with database.transaction() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(sa.delete(table))


def pairs(*rows: tuple[str, int, float | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["left", "right", "value"])


def stored(database: Database) -> dict[tuple[str, int], float | None]:
    rows = database.read(sa.select(PAIRS.c["left", "right", "value"]))
    return {(r.left, r.right): None if pd.isna(r.value) else r.value for r in rows.itertuples()}


def test_new_rows_are_inserted_and_the_same_rows_again_touch_nothing(db: Database) -> None:
    frame = pairs(("a", 1, 1.0), ("a", 2, None))
    assert db.upsert(PAIRS, frame) == WriteCounts(inserted=2)
    before = db.read(sa.text('SELECT xmin::text, updated_at FROM pairs ORDER BY "right"'))

    again = db.upsert(PAIRS, frame)

    assert again == WriteCounts(unchanged=2)
    assert again.written == 0
    assert db.read(sa.text('SELECT xmin::text, updated_at FROM pairs ORDER BY "right"')).equals(before)


def test_only_rows_that_differ_are_touched_and_get_a_new_time(db: Database) -> None:
    db.upsert(PAIRS, pairs(("a", 1, 1.0), ("a", 2, 2.0), ("a", 3, None)))
    before = db.read(sa.select(PAIRS).order_by(PAIRS.c.right))

    counts = db.upsert(PAIRS, pairs(("a", 1, 1.0), ("a", 2, None), ("a", 3, 3.0)))

    after = db.read(sa.select(PAIRS).order_by(PAIRS.c.right))
    assert counts == WriteCounts(updated=2, unchanged=1)
    assert (after["updated_at"] > before["updated_at"]).tolist() == [False, True, True]


def test_missing_rows_stay_unless_asked_for(db: Database) -> None:
    db.upsert(PAIRS, pairs(("a", 1, 1.0), ("a", 2, 2.0), ("b", 1, 1.0)))

    assert db.upsert(PAIRS, pairs(("a", 1, 1.0))).deleted == 0
    scoped = db.upsert(PAIRS, pairs(("a", 1, 1.0)), delete_missing=PAIRS.c.left.in_(["a", "z"]))
    assert scoped == WriteCounts(unchanged=1, deleted=1)
    assert set(stored(db)) == {("a", 1), ("b", 1)}
    assert db.upsert(PAIRS, pairs(("c", 1, 0.0)), delete_missing=True) == WriteCounts(inserted=1, deleted=2)


def test_an_empty_frame_deletes_its_scope_only_when_told_to(db: Database) -> None:
    db.upsert(PAIRS, pairs(("a", 1, 1.0), ("b", 1, 2.0)))
    nothing = pairs()

    assert db.upsert(PAIRS, nothing) == WriteCounts()
    assert db.upsert(PAIRS, nothing, delete_missing=PAIRS.c.left == "a") == WriteCounts(deleted=1)
    assert db.upsert(PAIRS, nothing, delete_missing=True) == WriteCounts(deleted=1)


def test_a_scope_may_name_more_keys_than_a_statement_has_parameters(db: Database) -> None:
    named = ["a", *(f"other {number}" for number in range(70_000))]
    rows = pairs(("a", 1, 1.0), ("b", 1, 2.0))
    for scope, kept in ((is_among, "b"), (is_not_among, "a")):
        db.upsert(PAIRS, rows)
        assert db.upsert(PAIRS, rows[:0], delete_missing=scope(PAIRS.c.left, named)).deleted == 1
        assert db.read(sa.select(PAIRS.c.left))["left"].tolist() == [kept]
    assert db.upsert(PAIRS, rows[:0], delete_missing=is_among(PAIRS.c.left, [])).deleted == 0
    assert db.upsert(PAIRS, rows[:0], delete_missing=is_not_among(PAIRS.c.left, [])).deleted == 1


def test_columns_that_the_frame_lacks_keep_their_value_and_default(db: Database) -> None:
    db.upsert(PAIRS, pairs(("a", 1, 1.0)).assign(note="kept"))

    db.upsert(PAIRS, pairs(("a", 1, 2.0), ("b", 1, 2.0)))

    assert db.read(sa.select(PAIRS.c.note).order_by(PAIRS.c.left))["note"].tolist() == ["kept", "none yet"]


def test_a_frame_that_was_read_can_be_written_back(db: Database) -> None:
    db.upsert(KINDS, KIND_ROWS)

    assert db.upsert(KINDS, db.read(sa.select(KINDS))) == WriteCounts(unchanged=len(KIND_ROWS))


def test_a_table_of_keys_alone_is_kept(db: Database) -> None:
    assert db.upsert(KEYS_ONLY, pd.DataFrame({"id": [1, 2]})) == WriteCounts(inserted=2)
    assert db.upsert(KEYS_ONLY, pd.DataFrame({"id": [2, 3]}), delete_missing=True) == WriteCounts(
        inserted=1, unchanged=1, deleted=1
    )


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pairs(("a", 1, 1.0)).assign(colour="red"), "no column colour"),
        (pairs(("a", 1, 1.0)).drop(columns="right"), "lacks right"),
        (pd.concat([pairs(("a", 1, 1.0))] * 2, axis=1), "occurs twice"),
    ],
)
def test_a_frame_of_another_shape_is_refused(db: Database, frame: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        db.upsert(PAIRS, frame)


def test_several_upserts_share_the_callers_transaction(db: Database) -> None:
    def fail_halfway() -> None:
        with db.transaction() as connection:
            db.upsert(PAIRS, pairs(("a", 1, 1.0)), connection=connection)
            db.upsert(PAIRS, pairs(("b", 1, 1.0)), connection=connection)
            db.upsert(KEYS_ONLY, pd.DataFrame({"id": [1]}), connection=connection)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_halfway()
    assert stored(db) == {}


def test_bad_rows_are_named_and_nothing_is_written(db: Database) -> None:
    with pytest.raises(
        BadRowsError, match=r'pairs can\'t hold 1 of the rows(.|\n)*\["b", 2\]: value is not finite'
    ):
        db.upsert(PAIRS, pairs(("a", 1, 1.0), ("b", 2, np.inf)))

    assert stored(db) == {}


def test_refused_rows_leave_the_callers_transaction_usable(db: Database) -> None:
    with db.transaction() as connection:
        db.upsert(PAIRS, pairs(("a", 1, 1.0)), connection=connection)
        with pytest.raises(BadRowsError):
            db.upsert(PAIRS, pairs(("b", 1, 1.0), ("c", 1, np.inf)), connection=connection)
        db.upsert(PAIRS, pairs(("d", 1, 1.0)), connection=connection)

    assert set(stored(db)) == {("a", 1), ("d", 1)}


def test_writers_at_once_never_collide(db: Database) -> None:
    frame = pairs(*((name, number, 1.0) for name in "abcdef" for number in range(200)))
    start = threading.Barrier(4)

    def write(seed: int) -> WriteCounts:
        start.wait()
        return db.upsert(PAIRS, frame.sample(frac=1, random_state=seed), delete_missing=True)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(write, range(4)))

    assert sorted(c.inserted for c in counts) == [0, 0, 0, len(frame)]
    assert sum(c.written for c in counts) == len(frame)


KIND_ROWS = pd.DataFrame(
    {
        "id": ["all", "none", "ümlaut \t\\N"],
        "small": [-(2**15), None, 2**15 - 1],
        "whole": [-(2**31), None, 2**31 - 1],
        "big": pd.array([-(2**63), None, 2**63 - 1], dtype="Int64"),
        "single": [0.1, None, -3.4e38],
        "double": [0.1, None, 1.7e308],
        "flag": [True, None, False],
        "day": [dt.date(1, 1, 1), None, dt.date(9999, 12, 31)],
        "instant": [
            dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC),
            None,
            dt.datetime(2026, 3, 29, 3, 0, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        ],
        "short": ["", None, "ääääö"],
        "words": [[], None, ["a", 'quote " and \\', ""]],
        "document": [{"a": [1, None, 0.5]}, None, {"text": "ü\\u0000"}],
        "vector": [np.array([1, 2, 3], dtype=np.float32), None, [0.5, -1, 1e30]],
    }
)


def test_every_kind_of_value_comes_back_as_it_went(db: Database) -> None:
    db.upsert(KINDS, KIND_ROWS)

    back = db.read(sa.select(KINDS).order_by(KINDS.c.id))

    assert back["small"].tolist() == [-(2**15), pd.NA, 2**15 - 1]
    assert back["big"].tolist() == [-(2**63), pd.NA, 2**63 - 1]
    assert back["double"].iloc[[0, 2]].tolist() == [0.1, 1.7e308]
    assert back["flag"].tolist() == [True, pd.NA, False]
    assert back["day"].dt.date.tolist()[::2] == [dt.date(1, 1, 1), dt.date(9999, 12, 31)]
    assert back["instant"].tolist()[::2] == KIND_ROWS["instant"].tolist()[::2]
    assert back["short"].tolist()[::2] == ["", "ääääö"]
    assert back["words"].tolist() == KIND_ROWS["words"].tolist()
    assert back["document"].tolist() == KIND_ROWS["document"].tolist()
    assert back["vector"][0].dtype == np.float32
    assert back["vector"][2].tolist() == np.array([0.5, -1, 1e30], dtype=np.float32).tolist()
    assert back.loc[1].drop(["id", "updated_at"]).isna().all()
    assert db.upsert(KINDS, KIND_ROWS) == WriteCounts(unchanged=3)


ROWS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2)),
    st.none() | st.sampled_from([0.0, 1.5, -2.0]),
    max_size=9,
)


@settings(max_examples=25, deadline=None)
@given(first=ROWS, second=ROWS, whole=st.sampled_from(["none", "all", "a"]))
def test_an_upsert_does_what_a_dictionary_does(
    tables: Database,
    first: dict[tuple[str, int], float | None],
    second: dict[tuple[str, int], float | None],
    whole: str,
) -> None:
    empty(tables)
    tables.upsert(PAIRS, pairs(*((*key, value) for key, value in first.items())))
    scope: Any = {"none": False, "all": True, "a": PAIRS.c.left == "a"}[whole]
    gone = {
        key for key in first if key not in second and (whole == "all" or (whole == "a" and key[0] == "a"))
    }

    counts = tables.upsert(
        PAIRS, pairs(*((*key, value) for key, value in second.items())), delete_missing=scope
    )

    assert stored(tables) == {key: value for key, value in (first | second).items() if key not in gone}
    assert counts == WriteCounts(
        inserted=len(second.keys() - first.keys()),
        updated=sum(key in first and first[key] != value for key, value in second.items()),
        unchanged=sum(key in first and first[key] == value for key, value in second.items()),
        deleted=len(gone),
    )


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**15, -(2**15) - 1, 2**31, 2**63, 2**64, 2**53 + 1]),
    st.floats(),
    st.decimals(allow_nan=False),
    st.text(st.characters(codec=None), max_size=8),
    st.binary(max_size=4),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.lists(st.none() | st.text(max_size=3) | st.floats(), max_size=4),
    st.lists(st.floats(width=32), min_size=3, max_size=3).map(np.array),
    st.dictionaries(
        st.text(st.characters(codec=None), max_size=3), st.floats() | st.text(max_size=3), max_size=2
    ),
    st.just(object()),
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({c.name: ODD_VALUES for c in KINDS.columns if c.name != "updated_at"}),
        max_size=4,
    )
)
def test_any_value_is_written_or_set_aside_and_never_breaks_the_upsert(
    tables: Database, rows: list[dict[str, Any]]
) -> None:
    empty(tables)
    frame = pd.DataFrame(
        rows, columns=[c.name for c in KINDS.columns if c.name != "updated_at"], dtype=object
    )

    counts = tables.upsert(KINDS, frame, quarantine_as="odd")

    assert counts.inserted + counts.quarantined == len(frame)
    assert tables.upsert(KINDS, frame, quarantine_as="odd").written == 0
