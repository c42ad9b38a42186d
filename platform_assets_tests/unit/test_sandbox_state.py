import datetime as dt
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest

from platform_assets.sandbox.github.store import GithubStore
from platform_assets.sandbox.state import SandboxState, SandboxStateError
from platform_assets.sandbox.stripe.objects import new_object
from platform_assets.sandbox.stripe.store import StripeStore
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def world(size=2, *, name="test", stripe_objects=6):
    users = tuple(
        GithubUser(f"login-{number}", number, None, None, None, None, 0, DAY, DAY) for number in range(size)
    )
    repositories = tuple(
        GithubRepository(f"login-{number}/r", number, None, False, False, 0, ("a",), {"C": 1}, DAY, DAY)
        for number in range(size)
    )
    contributions = tuple(
        GithubContribution(each.login, f"{each.login}/r", 3, DAY.date(), DAY.date(), ("subject",))
        for each in users
    )
    charges = tuple(
        new_object("charge", id=f"ch_{number}", created=1_700_000_000, amount=100)
        for number in range(stripe_objects)
    )
    return World(name, DAY.date(), {}, users, repositories, contributions, charges)


@pytest.fixture
def state(tmp_path):
    with SandboxState(tmp_path / "a folder" / "state.sqlite3") as opened:
        yield opened


def test_the_same_world_again_keeps_what_happened_since(state):
    assert state.loaded_world() is None
    assert state.replace_world(world())
    with state.transaction():
        StripeStore(state).add(new_object("charge", id="ch_new", created=1_800_000_000))

    assert not state.replace_world(world())
    assert StripeStore(state).find("charge", "ch_new")
    assert state.loaded_world().name == "test"
    assert state.loaded_world().anchor == DAY.date()


@pytest.mark.parametrize(
    "other", [world(3), world(name="other"), replace(world(), anchor=dt.date(2026, 2, 1))]
)
def test_another_world_takes_the_place_of_all_that_was_there(state, other):
    state.replace_world(world())
    with state.transaction():
        StripeStore(state).add(new_object("charge", id="ch_new", created=1_800_000_000))

    assert state.replace_world(other)
    assert StripeStore(state).find("charge", "ch_new") is None
    assert GithubStore(state).today() == other.anchor


def test_a_world_that_contradicts_itself_leaves_the_present_one(state):
    state.replace_world(world())
    twice = replace(world(), name="bad", github_users=world().github_users * 2)

    with pytest.raises(SandboxStateError, match="'bad' can't be loaded"):
        state.replace_world(twice)
    assert state.loaded_world().name == "test"
    assert GithubStore(state).user("login-1")


def test_a_reader_sees_one_moment_while_a_world_is_loaded(state):
    state.replace_world(world())
    with SandboxState(state.path) as reader, reader.snapshot():
        store = GithubStore(reader)
        assert store.user("login-0")
        state.replace_world(world(0, name="empty"))
        assert store.repositories_of("login-0")
        assert store.contributions_of("login-0")
    assert GithubStore(state).user("login-0") is None


def test_fields_that_a_world_leaves_out_have_stripes_defaults(state):
    bare = {"object": "charge", "id": "ch_bare", "created": 1, "amount": 5}
    state.replace_world(replace(world(), stripe_objects=(bare,)))

    charge = StripeStore(state).get("charge", "ch_bare")
    assert (charge["amount"], charge["refunded"], charge["metadata"]) == (5, False, {})


def test_a_large_world_loads_fast(state):
    large = world(1_500, stripe_objects=8_000)
    started_s = time.process_time()
    state.replace_world(large)

    assert time.process_time() - started_s < 2


def test_what_is_no_state_file_is_an_error(tmp_path):
    text = tmp_path / "text"
    text.write_text("no database " * 100)
    for path in (text, text / "below.sqlite3"):
        with pytest.raises(SandboxStateError, match="can't be"):
            SandboxState(path)


def test_a_file_of_another_version_is_not_touched(tmp_path):
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(SandboxStateError, match="version 99"):
        SandboxState(path)
