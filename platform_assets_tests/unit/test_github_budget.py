"""The books over GitHub's limits: nobody overspends, whatever the processes do at once and in whichever order answers come."""

import datetime as dt
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from platform_assets.clients.database import Database
from platform_assets.clients.github_budget import (
    CONCURRENT_CALLS_COUNT,
    DEFAULT_LIMIT_POINTS,
    SECONDARY_POINTS_PER_MINUTE,
    Call,
    Observed,
    Reason,
    Refusal,
    fingerprint,
    observed,
    unstated_wait,
)
from platform_assets.clients.github_ledger import Ledger, MemoryLedger, PostgresLedger

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
RESET_AT = NOW + dt.timedelta(minutes=30)

_tokens = (fingerprint(f"token-{number}") for number in itertools.count())


@pytest.fixture(params=["memory", "postgres"])
def ledger(request: pytest.FixtureRequest, module_database: Database) -> Ledger:
    return MemoryLedger() if request.param == "memory" else PostgresLedger(module_database)


@pytest.fixture
def token() -> str:
    """A token that no other test uses."""
    return next(_tokens)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def reserve(
    ledger: Ledger, token: str, points: int = 1, now: dt.datetime = NOW, **more: Any
) -> Call | Refusal:
    return ledger.reserve([token], more.pop("resource", "graphql"), points, now=now, lasts_s=60, **more)


def granted(answer: Call | Refusal) -> Call:
    assert isinstance(answer, Call)
    return answer


def refused(answer: Call | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


def note(ledger: Ledger, token: str, remaining: int, limit: int = 5_000) -> None:
    ledger.note(token, {"graphql": Observed(limit, remaining, RESET_AT)}, now=NOW)


def test_points_are_set_aside_until_the_answer_says_what_is_left(ledger: Ledger, token: str) -> None:
    note(ledger, token, remaining=10)
    call = granted(reserve(ledger, token, 8))
    assert refused(reserve(ledger, token, 3)) == Refusal(Reason.SPENT, RESET_AT + dt.timedelta(seconds=1))
    ledger.settle(call, Observed(5_000, 9, RESET_AT), now=NOW)
    granted(reserve(ledger, token, 9))


def test_a_share_of_the_hour_is_left_to_others(ledger: Ledger, token: str) -> None:
    note(ledger, token, remaining=1_001)
    granted(reserve(ledger, token, 1, keep_ratio=0.2))
    assert refused(reserve(ledger, token, 1, keep_ratio=0.2)).reason is Reason.SPENT
    granted(reserve(ledger, token, 1))


def test_the_hour_that_follows_has_all_points_again(ledger: Ledger, token: str) -> None:
    note(ledger, token, remaining=0)
    assert refused(reserve(ledger, token)).reason is Reason.SPENT
    granted(reserve(ledger, token, DEFAULT_LIMIT_POINTS, now=RESET_AT))


def test_both_apis_have_budgets_of_their_own(ledger: Ledger, token: str) -> None:
    note(ledger, token, remaining=0)
    granted(reserve(ledger, token, resource="core"))


def test_calls_go_to_the_token_with_most_left(ledger: Ledger) -> None:
    poor, rich = next(_tokens), next(_tokens)
    note(ledger, poor, remaining=10)
    note(ledger, rich, remaining=20)
    answers = [ledger.reserve([poor, rich], "graphql", 10, now=NOW, lasts_s=60) for _ in range(4)]
    assert [granted(answer).token_fingerprint for answer in answers[:3]].count(rich) == 2
    assert refused(answers[3]).reason is Reason.SPENT


def test_answers_that_overtake_each_other_leave_the_least(ledger: Ledger, token: str) -> None:
    first, second = granted(reserve(ledger, token, 5)), granted(reserve(ledger, token, 5))
    ledger.settle(second, Observed(100, 90, RESET_AT), now=NOW)
    ledger.settle(first, Observed(100, 95, RESET_AT), now=NOW)
    assert ledger.spendable_points([token], "graphql", now=NOW, keep_ratio=0.0) == 90


def test_a_call_without_an_answer_counts_as_charged(ledger: Ledger, token: str) -> None:
    note(ledger, token, remaining=100)
    ledger.settle(granted(reserve(ledger, token, 30)), None, now=NOW)
    assert ledger.spendable_points([token], "graphql", now=NOW, keep_ratio=0.0) == 70


def test_what_a_killed_process_set_aside_counts_as_charged_until_github_says_otherwise(
    ledger: Ledger, token: str
) -> None:
    note(ledger, token, remaining=10)
    granted(reserve(ledger, token, 10))
    assert refused(reserve(ledger, token, 10, now=after(61))).reason is Reason.SPENT
    # Nothing is in flight any more, so that what GitHub says is left is left.
    note(ledger, token, remaining=10)
    granted(reserve(ledger, token, 10, now=after(62)))


def test_calls_of_a_killed_process_are_in_flight_no_longer_than_they_last(ledger: Ledger, token: str) -> None:
    for _ in range(CONCURRENT_CALLS_COUNT):
        granted(reserve(ledger, token, 0))
    assert refused(reserve(ledger, token, 0, now=after(59))).reason is Reason.IN_FLIGHT
    granted(reserve(ledger, token, 0, now=after(61)))


def test_no_more_calls_are_in_flight_than_github_allows_over_both_apis(ledger: Ledger, token: str) -> None:
    for number in range(CONCURRENT_CALLS_COUNT):
        granted(reserve(ledger, token, 0, resource=("core", "graphql")[number % 2]))
    assert refused(reserve(ledger, token, 0)).reason is Reason.IN_FLIGHT


def test_a_secondary_limit_blocks_both_apis_until_the_stated_moment(ledger: Ledger, token: str) -> None:
    call = granted(reserve(ledger, token))
    until = ledger.block(call, is_secondary=True, stated=after(90), now=NOW)
    ledger.settle(call, Observed(5_000, 4_000, RESET_AT), now=NOW, is_refused=True)
    assert until == after(90)
    for resource in ("core", "graphql"):
        assert refused(reserve(ledger, token, now=after(89), resource=resource)) == Refusal(
            Reason.BLOCKED, after(90)
        )
        granted(reserve(ledger, token, now=after(90), resource=resource))


def test_a_shorter_block_lifts_no_longer_one(ledger: Ledger, token: str) -> None:
    call = granted(reserve(ledger, token))
    ledger.block(call, is_secondary=False, stated=after(600), now=NOW)
    ledger.block(call, is_secondary=False, stated=after(60), now=NOW)
    assert refused(reserve(ledger, token, now=after(599))).reason is Reason.BLOCKED


def test_waits_that_github_leaves_open_start_at_a_minute_and_double(ledger: Ledger, token: str) -> None:
    waits_s = []
    for _ in range(3):
        call = granted(reserve(ledger, token, now=after(sum(waits_s) + 1)))
        now = after(sum(waits_s) + 1)
        until = ledger.block(call, is_secondary=True, stated=None, now=now)
        # The headers of a refusal are no success that would start the doubling anew.
        ledger.settle(call, Observed(5_000, 4_000, now + dt.timedelta(hours=1)), now=now, is_refused=True)
        waits_s.append((until - now).total_seconds())
    assert [60 <= waits_s[0] <= 75, 120 <= waits_s[1] <= 150, 240 <= waits_s[2] <= 300] == [True] * 3


@given(count=st.integers(0, 10_000), jitter=st.floats(0, 1))
def test_an_unstated_wait_is_at_least_a_minute_and_at_most_an_hour_and_a_quarter(
    count: int, jitter: float
) -> None:
    wait = unstated_wait(count, jitter_ratio=jitter)
    assert dt.timedelta(minutes=1) <= wait <= dt.timedelta(minutes=75)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "5000"},
        {"x-ratelimit-limit": "a", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"},
    ],
)
def test_headers_that_say_nothing_are_none(headers: dict[str, str]) -> None:
    assert observed(headers) is None


def test_no_token_is_written_down(module_database: Database) -> None:
    secret = "ghp_" + "s" * 36
    PostgresLedger(module_database).reserve([fingerprint(secret)], "graphql", 1, now=NOW, lasts_s=1)
    for table in ("github_budgets", "github_calls"):
        rows = module_database.read(sa.text(f"SELECT t::text AS row FROM monitoring.{table} t"))
        assert not rows["row"].str.contains(secret).any()


def test_processes_together_never_spend_more_than_there_is(module_database: Database, token: str) -> None:
    note(PostgresLedger(module_database), token, remaining=100)

    def spend(_: int) -> int:
        # A ledger each, as processes have.
        own = PostgresLedger(module_database)
        return sum(isinstance(reserve(own, token, 3), Call) for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        calls_count = sum(pool.map(spend, range(8)))
    assert calls_count == 33


@given(
    gaps_s=st.lists(st.floats(0, 2), min_size=1, max_size=400), resource=st.sampled_from(["graphql", "core"])
)
@settings(max_examples=50)
def test_in_no_minute_go_out_more_calls_than_github_allows(gaps_s: list[float], resource: str) -> None:
    ledger, now_s, times_s = MemoryLedger(), 0.0, []
    for gap_s in itertools.islice(itertools.cycle(gaps_s), 1_500):
        now_s += gap_s / 50
        answer = reserve(ledger, "t", 0, now=after(now_s), resource=resource)
        if isinstance(answer, Call):
            times_s.append(now_s)
            ledger.settle(answer, None, now=after(now_s))
    limit = SECONDARY_POINTS_PER_MINUTE[resource]
    assert all(later - earlier > 60 - 1e-6 for earlier, later in zip(times_s, times_s[limit:], strict=False))


class Spending(RuleBasedStateMachine):
    """GitHub on one side, the ledger on the other, and calls that end in any order, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.now, self.left, self.calls = MemoryLedger(), NOW, 50, list[Call]()
        self.charged: dict[str, int] = {}
        self.ledger.note("t", {"graphql": Observed(50, 50, NOW + dt.timedelta(hours=1))}, now=NOW)

    @rule(points=st.integers(1, 20))
    def ask(self, points: int) -> None:
        answer = self.ledger.reserve(["t"], "graphql", points, now=self.now, lasts_s=10_000)
        if isinstance(answer, Call):
            self.calls.append(answer)
            self.left -= points
            self.charged[answer.call_id] = self.left

    @rule(place=st.integers(0, 50), is_answered=st.booleans())
    def end(self, place: int, is_answered: bool) -> None:
        if self.calls:
            call = self.calls.pop(place % len(self.calls))
            # What GitHub had left when it charged this call, however late the answer comes.
            seen = Observed(50, self.charged[call.call_id], NOW + dt.timedelta(hours=1))
            self.ledger.settle(call, seen if is_answered else None, now=self.now)

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now = min(self.now + dt.timedelta(seconds=seconds), NOW + dt.timedelta(minutes=59))

    @invariant()
    def never_more_than_there_is(self) -> None:
        assert self.left >= 0


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40)


@pytest.fixture(autouse=True)
def _no_calls_left(module_database: Database) -> Iterator[None]:
    yield
    with module_database.transaction() as connection:
        connection.execute(sa.text("TRUNCATE monitoring.github_calls"))
