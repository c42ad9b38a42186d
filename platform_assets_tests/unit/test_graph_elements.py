import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.profiles.graph_elements import (
    DEVELOPER,
    HAS_SKILL,
    KEY,
    KINDS,
    NODES,
    PROPERTIES,
    SKILL,
    plan_batches,
)

changes_strategy = st.lists(
    st.tuples(
        st.sampled_from([kind.name for kind in KINDS]),
        st.sampled_from("abc"),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["merge", "delete"]),
    ),
    unique_by=lambda change: change[:3],
).map(
    lambda rows: pd.DataFrame(rows, columns=[*KEY, "action"]).reindex(columns=[*KEY, *PROPERTIES, "action"])
)


@given(changes=changes_strategy, batch_rows=st.integers(1, 4))
def test_every_change_is_in_one_batch_and_no_batch_is_too_large(
    changes: pd.DataFrame, batch_rows: int
) -> None:
    batches = list(plan_batches(changes, batch_rows=batch_rows))
    planned = [
        (*key, batch.action)
        for batch in batches
        for key in batch.elements[KEY].itertuples(index=False, name=None)
    ]

    assert sorted(planned) == sorted(changes[[*KEY, "action"]].itertuples(index=False, name=None))
    assert all(0 < len(batch.elements) <= batch_rows for batch in batches)


@given(changes=changes_strategy)
def test_nodes_come_before_their_edges_and_leave_after_them(changes: pd.DataFrame) -> None:
    order = [(batch.action, batch.kind in NODES) for batch in plan_batches(changes, batch_rows=100)]
    rank = {("merge", True): 0, ("merge", False): 1, ("delete", False): 2, ("delete", True): 3}

    assert [rank[step] for step in order] == sorted(rank[step] for step in order)


@given(changes=changes_strategy, seed=st.integers(0, 100))
def test_the_plan_does_not_depend_on_the_order_of_the_changes(changes: pd.DataFrame, seed: int) -> None:
    def plan(frame: pd.DataFrame) -> list[tuple[str, str, list[dict[str, object]]]]:
        return [
            (
                batch.kind.name,
                batch.action,
                [{name: row[name] for name in ("from_id",)} for row in batch.rows],
            )
            for batch in plan_batches(frame, batch_rows=2)
        ]

    assert plan(changes) == plan(changes.sample(frac=1, random_state=seed))


def test_statements_name_only_what_a_kind_has() -> None:
    assert SKILL.merge == "UNWIND $rows AS row MERGE (n:Skill {skill_id: row.from_id}) SET n.name = row.name"
    assert DEVELOPER.merge == "UNWIND $rows AS row MERGE (n:Developer {developer_id: row.from_id})"
    assert HAS_SKILL.merge.endswith("MERGE (a)-[e:HAS_SKILL]->(b) SET e.confidence = row.confidence")
