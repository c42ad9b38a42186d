from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import BadRow, Database, Rule, validate_rows, write_quarantine
from platform_assets.clients.quarantine import find_bad_rows
from platform_assets.tables.matching import matches
from platform_assets.tables.monitoring import quarantined_rows
from platform_assets.tables.platform import EMBEDDING_DIMENSIONS, skill_embeddings, skills

UNIT = np.eye(1, EMBEDDING_DIMENSIONS, dtype=np.float32)[0]


def skill_rows(*ids: Any, name: Any = "Python") -> pd.DataFrame:
    return pd.DataFrame(
        {"skill_id": ids, "name": name, "kind": "language", "source": "packaged"}, dtype=object
    )


def quarantine(database: Database, source: str = "skills") -> dict[str, str]:
    rows = database.read(sa.select(quarantined_rows).where(quarantined_rows.c.source == source))
    return dict(zip(rows["row_key"], rows["reason"]))


def stored_names(database: Database) -> dict[str, str]:
    rows = database.read(sa.select(skills))
    return dict(zip(rows["skill_id"], rows["name"]))


def match_row(**changes: Any) -> pd.DataFrame:
    row = {
        "project_id": "p1",
        "developer_id": "d1",
        "rank": 1,
        "score": 0.5,
        "reasons": {"skills": 0.5},
        "as_of": pd.Timestamp("2026-11-01"),
    }
    return pd.DataFrame([row | changes])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rank": None}, "rank is null"),
        ({"rank": "first"}, "rank is of type str, not a whole number"),
        ({"rank": 1.5}, "rank is not a whole number"),
        ({"rank": 2**31}, "rank is out of range for 32 bits"),
        ({"rank": True}, "rank is of type bool, not a whole number"),
        ({"score": np.nan}, "score is null"),
        ({"score": -np.inf}, "score is not finite, or out of range"),
        ({"score": "0.5"}, "score is of type str, not a number"),
        ({"reasons": {"skills": np.nan}}, "reasons is not JSON"),
        ({"reasons": {"text": "a\x00b"}}, "reasons contains a NUL character"),
        ({"reasons": {"since": pd.Timestamp("2026-01-01")}}, "reasons is not JSON: it holds a Timestamp"),
        ({"as_of": "2026-11-01"}, "as_of is of type str, not a date"),
        ({"as_of": pd.Timestamp("2026-11-01T12:00")}, "as_of is a point in time, not a day"),
        ({"project_id": None}, "project_id is null"),
        ({"project_id": 7}, "project_id is of type int, not text"),
        ({"project_id": "p\x001"}, "project_id contains a NUL character"),
        ({"project_id": "p\ud800"}, "project_id contains half of a surrogate pair"),
        ({"project_id": "p" * 3_000}, "the key is longer than 2600 bytes"),
    ],
)
def test_a_row_is_bad_if_its_table_can_not_hold_it(changes: dict[str, Any], reason: str) -> None:
    assert find_bad_rows(matches, match_row()) == {}
    assert find_bad_rows(matches, match_row(**changes))[0].startswith(reason)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        (UNIT[:100], "has 100 dimensions, not 384"),
        (UNIT * np.float32(np.nan), "is not finite"),
        (UNIT.astype(float) * 1e300, "is not finite"),
        (["a"] * EMBEDDING_DIMENSIONS, "is not one row of numbers"),
        ([[1.0], [1.0, 2.0]], "is not one row of numbers"),
        ("[1, 2]", "is of type str, not a vector"),
    ],
)
def test_a_vector_has_to_fit(vector: Any, reason: str) -> None:
    frame = pd.DataFrame({"skill_id": ["a", "b"], "model": "m", "text_sha256": "0", "vector": [UNIT, vector]})

    assert find_bad_rows(skill_embeddings, frame) == {1: f"vector {reason}"}


def test_all_reasons_of_a_row_are_told() -> None:
    frame = match_row(rank=None, score=np.inf)

    assert find_bad_rows(matches, frame) == {0: "rank is null; score is not finite, or out of range"}


def test_of_rows_with_one_key_none_is_taken() -> None:
    assert find_bad_rows(skills, skill_rows("a", "b", "a")) == {
        0: "2 rows have this key",
        2: "2 rows have this key",
    }


def test_bad_rows_are_set_aside_and_the_rest_goes_on(database: Database) -> None:
    frame = skill_rows("a", "b", None, name=["A", "B\x00", "C"])

    counts = database.upsert(skills, frame, quarantine_as="skills")

    assert (counts.inserted, counts.quarantined) == (1, 2)
    assert stored_names(database) == {"a": "A"}
    assert sorted(quarantine(database).values()) == ["name contains a NUL character", "skill_id is null"]
    payload = database.read(sa.select(quarantined_rows.c.payload).where(quarantined_rows.c.row_key == "b"))
    assert payload["payload"][0] == {
        "skill_id": "b",
        "name": "B\\x00",
        "kind": "language",
        "source": "packaged",
    }


def test_the_same_bad_rows_again_change_nothing(database: Database) -> None:
    frame = skill_rows("b", None, name=[7, "C"])
    database.upsert(skills, frame, quarantine_as="skills")
    before = database.read(sa.select(quarantined_rows))

    database.upsert(skills, frame, quarantine_as="skills")

    assert database.read(sa.select(quarantined_rows)).equals(before)


def test_a_bad_row_is_not_missing(database: Database) -> None:
    database.upsert(skills, skill_rows("a", "b", "c", "d"))

    counts = database.upsert(
        skills,
        skill_rows("a", "b", "c", "c", name=["New", None, "One", "Other"]),
        delete_missing=True,
        quarantine_as="skills",
    )

    assert (counts.updated, counts.deleted, counts.quarantined) == (1, 1, 3)
    assert stored_names(database) == {"a": "New", "b": "Python", "c": "Python"}


def test_a_row_that_has_come_good_leaves_the_quarantine(database: Database) -> None:
    database.upsert(skills, skill_rows("a", "b", name=None), quarantine_as="skills")

    database.upsert(skills, skill_rows("a", "c"), quarantine_as="skills")

    assert quarantine(database) == {"b": "name is null"}


@pytest.mark.parametrize("frame", [skill_rows("c"), skill_rows()])
def test_a_row_that_is_gone_leaves_the_quarantine_when_all_were_read(
    database: Database, frame: pd.DataFrame
) -> None:
    database.upsert(skills, skill_rows("a", None, name=None), quarantine_as="skills")

    database.upsert(skills, frame, quarantine_as="skills", delete_missing=True)

    assert quarantine(database) == {}


def test_sources_keep_apart(database: Database) -> None:
    database.upsert(skills, skill_rows("a", name=None), quarantine_as="one")
    database.upsert(skills, skill_rows("a"), quarantine_as="two", delete_missing=True)

    assert list(quarantine(database, "one")) == ["a"]


def test_rows_with_one_key_keep_all_their_contents(database: Database) -> None:
    database.upsert(skills, skill_rows("a", "a", name=["One", "Other"]), quarantine_as="skills")

    payload = database.read(sa.select(quarantined_rows.c.payload))["payload"][0]
    assert [row["name"] for row in payload] == ["One", "Other"]


RULES = [
    Rule("rate is negative", lambda rows: rows["rate"] < 0),
    Rule("currency is missing", lambda rows: rows["rate"].notna() & rows["currency"].isna()),
]


def rates(ids: Sequence[Any], values: Sequence[Any], currencies: Sequence[Any]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "rate": pd.array(values, dtype="Int64"), "currency": currencies})


def test_rules_part_good_rows_from_bad_ones() -> None:
    frame = rates(["a", "b", "c", "d"], [1, -1, None, -2], ["EUR", "EUR", None, None])

    good, bad = validate_rows(frame, RULES, key=["id"])

    assert good["id"].tolist() == ["a", "c"]
    assert [(row.row_key, row.reason) for row in bad] == [
        ("b", "rate is negative"),
        ("d", "rate is negative; currency is missing"),
    ]
    assert bad[1].payload == {"id": "d", "rate": -2, "currency": None}


def test_rows_without_a_key_of_their_own_are_bad() -> None:
    good, bad = validate_rows(rates(["a", "a", None], [1, 2, 3], ["EUR"] * 3), RULES, key=["id"])

    assert good.empty
    assert [row.reason for row in bad] == ["several rows have this key", "id is null"]


def test_a_whole_reading_replaces_what_its_source_had_set_aside(database: Database) -> None:
    with database.transaction() as connection:
        write_quarantine(connection, "feed", [BadRow("a", "old", {}), BadRow("b", "same", {})])
        counts = write_quarantine(connection, "feed", [BadRow("b", "same", {}), BadRow("c", "new", {})])

    assert (counts.inserted, counts.unchanged, counts.deleted) == (1, 1, 1)
    assert quarantine(database, "feed") == {"b": "same", "c": "new"}
