"""A refresh of what changed gives what a whole computation gives, in every place and bit."""

from __future__ import annotations

import matching_inputs as given_that
import numpy as np
import pytest
from changing_marketplace import Changes, Developer, World, changed_at_random
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.matching import refresh
from platform_assets.matching.lists import (
    Places,
    bounds_of_lists,
    cut,
    lists_of_rows,
    places_of_lists,
    rows_of_lists,
)


def rows(lists, *, places=None, only=None):
    lists = cut(lists, places.listed) if places else lists
    return rows_of_lists(lists, as_of=given_that.AS_OF, only=only).to_dict("records")


def stored(lists):
    """The lists after they were written and read again."""
    return lists_of_rows(rows_of_lists(lists, as_of=given_that.AS_OF), bounds_of_lists(lists))


def world_of(seed, developers_count, projects_count, *, ties=False):
    world = World(np.random.default_rng(seed), ties)
    for number in range(developers_count):
        world.set_developer(f"d{number:02}")
    for number in range(projects_count):
        world.set_project(f"p{number}")
    return world


def refreshed(world, base, statistics, changes, places):
    return refresh.incremental(
        base,
        world.project_features(statistics),
        changed=world.side(statistics, changes.changed),
        gone=changes.gone,
        changed_projects=changes.changed_projects,
        everyone=lambda: world.side(statistics),
        places=places,
    )


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1_000_000),
    developers_count=st.integers(0, 30),
    projects_count=st.integers(0, 6),
    first=st.integers(1, 4),
    reserve=st.integers(0, 3),
    spare=st.integers(0, 3),
    developers_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    projects_share=st.sampled_from([0.0, 0.3, 1.0]),
    ties=st.booleans(),
)
def test_any_changes_give_the_rows_of_a_whole_computation(
    seed,
    developers_count,
    projects_count,
    first,
    reserve,
    spare,
    developers_share,
    projects_share,
    ties,
):
    world = world_of(seed, developers_count, projects_count, ties=ties)
    places, statistics = Places(first, reserve, spare), world.statistics()
    lists = world.full(statistics, places).lists
    for _ in range(3):
        before = lists
        changes = changed_at_random(world, developers_share, projects_share)
        found = refreshed(world, stored(lists), statistics, changes, places)
        whole = world.full(statistics, places)

        assert rows(found.lists, places=places) == rows(whole.lists, places=places)
        assert found.without_anybody == whole.without_anybody
        untouched = set(found.lists.project_ids) - found.touched
        assert rows(found.lists, only=untouched) == rows(before, only=untouched)
        lists = found.lists


def test_a_world_without_changes_touches_nothing_and_asks_for_nobody():
    world = world_of(1, 30, 6)
    places, statistics = Places(3, 2, 2), world.statistics()
    lists = world.full(statistics, places).lists

    found = refresh.incremental(
        lists,
        world.project_features(statistics),
        changed=world.side(statistics, ()),
        gone=(),
        changed_projects=(),
        everyone=lambda: pytest.fail("nobody had to be scored again"),
        places=places,
    )

    assert (found.touched, found.scanned_count, found.rescanned_count, found.rescored_count) == (
        set(),
        0,
        0,
        0,
    )
    assert rows(found.lists) == rows(lists)


def test_a_list_is_scanned_again_only_when_its_spare_places_are_used_up():
    world = world_of(2, 30, 1)
    for one in world.developers.values():
        one.row |= {
            "is_active": True,
            "available_from": given_that.AS_OF,
            "hourly_rate_minor": None,
            "time_zone": None,
        }
    places, statistics = Places(3, 2, 2), world.statistics()
    lists = world.full(statistics, places).lists
    rescans = []
    for _ in range(4):
        best = rows(lists)[0]["developer_id"]
        del world.developers[best]
        found = refresh.incremental(
            lists,
            world.project_features(statistics),
            changed=world.side(statistics, ()),
            gone={best},
            changed_projects=(),
            everyone=lambda: world.side(statistics),
            places=places,
        )
        assert rows(found.lists, places=places) == rows(world.full(statistics, places).lists, places=places)
        rescans.append(found.rescanned_count)
        lists = found.lists

    assert rescans == [0, 0, 1, 0]


@pytest.mark.parametrize(("joins", "expected"), [("a", ["a", "b"]), ("d", ["b", "c"])])
def test_a_tie_on_the_last_place_goes_by_id(joins, expected):
    world = World(np.random.default_rng(6))
    for name in ("b", "c"):
        world.set_developer(name)
    world.set_project("p0")
    places, statistics = Places(2, 0, 0), world.statistics()
    for name in ("b", "c", joins):
        # Nothing is known of anybody: all score alike.
        world.developers[name] = Developer({"developer_id": name}, [], [], [])
    everybody = dict(world.developers)
    del world.developers[joins]
    lists = world.full(statistics, places).lists
    world.developers = everybody
    found = refreshed(world, lists, statistics, Changes({joins}, set(), set()), places)

    assert [row["developer_id"] for row in rows(found.lists)] == expected
    assert rows(found.lists) == rows(world.full(statistics, places).lists)


def test_developers_who_are_only_seen_in_other_lists_do_not_widen_a_short_one():
    world = world_of(3, 12, 4)
    places, statistics = Places(2, 0, 0), world.statistics()
    lists = world.full(statistics, places).lists
    widened = lists.with_developers(["a", "z" * 40, *world.developers])

    assert rows(widened) == rows(lists)
    assert bounds_of_lists(widened).to_dict("records") == bounds_of_lists(lists).to_dict("records")


def test_ids_of_any_length_and_script_keep_their_order():
    world = world_of(4, 0, 2)
    names = ["ä", "Z", "developer-with-a-very-long-name", "d", "𝔡", "d ", "1"]
    for name in names:
        world.set_developer(name)
    places, statistics = Places(3, 1, 0), world.statistics()
    lists = stored(world.full(statistics, places).lists)
    world.set_developer("d")
    world.set_developer("é" * 50)
    found = refresh.incremental(
        lists,
        world.project_features(statistics),
        changed=world.side(statistics, {"d", "é" * 50}),
        gone=(),
        changed_projects=(),
        everyone=lambda: world.side(statistics),
        places=places,
    )

    assert rows(found.lists, places=places) == rows(world.full(statistics, places).lists, places=places)


def test_a_marketplace_without_developers_or_projects_has_empty_lists():
    for developers_count, projects_count in ((0, 3), (3, 0), (0, 0)):
        world = world_of(5, developers_count, projects_count)
        found = world.full(world.statistics(), Places(3, 2, 2))

        assert rows(found.lists) == [] or projects_count * developers_count
        assert set(found.without_anybody) == (set(world.projects) if not developers_count else set())
        assert places_of_lists(found.lists).empty
        assert rows(stored(found.lists)) == []


def test_places_without_sense_are_refused():
    for wrong in ((0, 1, 1), (1, -1, 1), (1, 1, -1)):
        with pytest.raises(ValueError, match="first place"):
            Places(*wrong)
