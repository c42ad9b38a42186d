"""The local GitHub's secondary limits are those that GitHub publishes: calls at once, points and computing time a minute."""

import pytest

from platform_assets.sandbox.github.limits import (
    CONCURRENT_CALLS,
    CPU_S_PER_MINUTE,
    POINTS_PER_MINUTE,
    Limiter,
)


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(5_000, clock)


def call(limiter: Limiter, resource: str, token: str = "t") -> str | None:
    refusal = limiter.enter(token, resource)
    limiter.leave(token)
    return refusal


@pytest.mark.parametrize("resource", ["core", "graphql"])
def test_a_minute_has_so_many_points_and_the_next_one_has_them_again(
    limiter: Limiter, clock: Clock, resource: str
) -> None:
    answers = [call(limiter, resource) for _ in range(POINTS_PER_MINUTE[resource] + 1)]

    assert answers == [None] * POINTS_PER_MINUTE[resource] + ["too many requests in a minute"]
    assert call(limiter, resource, token="another") is None
    clock.now_s += 60
    assert call(limiter, resource) is None


def test_calls_in_flight_count_over_both_apis(limiter: Limiter) -> None:
    for number in range(CONCURRENT_CALLS):
        assert limiter.enter("t", ("core", "graphql")[number % 2]) is None

    assert call(limiter, "core") == "too many concurrent requests"
    limiter.leave("t")
    assert call(limiter, "core") is None


def test_computing_time_of_large_queries_counts_by_the_minute(limiter: Limiter, clock: Clock) -> None:
    limiter.charge_cpu("t", "graphql", CPU_S_PER_MINUTE["graphql"])

    assert call(limiter, "graphql") == "too much compute time in a minute"
    assert call(limiter, "core") is None
    clock.now_s += 60
    assert call(limiter, "graphql") is None
