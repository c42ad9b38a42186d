"""How severe a problem is, from its kind and what depends on it."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.alerting.impact import Exposure, MoneyAtRisk, assess_impact
from platform_assets.monitoring.alerting.rules import SEVERITY_RANGES, Problem
from platform_assets.monitoring.alerting.severity import SEVERITIES, rank

EUROS = MoneyAtRisk("EUR", amount_minor=60_000, payments_count=6, requested_minor=100_000)
YEN = MoneyAtRisk("JPY", amount_minor=1_000, payments_count=1, requested_minor=1_000_000)


def assess(problem=Problem.CHECK_ERROR, *, assets=("payments",), downstream=("report",), exposure=None):
    return assess_impact(problem, assets=assets, downstream=downstream, exposure=exposure or Exposure())


def test_a_problem_has_the_severity_of_its_kind():
    assert assess().severity == "high"
    assert assess(Problem.CHECK_WARNING).severity == "medium"
    assert assess(Problem.RUN_GIVEN_UP).severity == "critical"


def test_much_money_at_risk_in_any_one_currency_raises_it():
    assert assess(exposure=Exposure((YEN,))).severity == "high"
    assert assess(exposure=Exposure((YEN, EUROS))).severity == "critical"


def test_many_clients_raise_it():
    assert assess(exposure=Exposure(clients_count=1_000)).severity == "critical"


def test_what_nobody_waits_for_is_less_severe():
    assert assess(downstream=()).severity == "medium"
    assert assess(downstream=(), exposure=Exposure((YEN,))).severity == "high"


def test_a_problem_of_no_asset_is_not_lowered():
    assert assess(Problem.RUN_FAILED, assets=(), downstream=()).severity == "high"


def test_what_could_not_be_read_is_not_taken_for_nothing():
    impact = assess(downstream=(), exposure=Exposure(unknown_because="no marketplace"))

    assert impact.severity == "high"
    told = impact.as_json()
    assert told["clients_count"] is None
    assert told["money_at_risk"] is None
    assert told["unknown_because"] == "no marketplace"


def test_a_run_that_is_run_again_is_never_more_than_medium():
    assert assess(Problem.RUN_RETRIED, exposure=Exposure((EUROS,), clients_count=9_999)).severity == "medium"


def test_the_calculation_can_be_followed():
    told = json.loads(json.dumps(assess(exposure=Exposure((EUROS,), clients_count=3)).as_json()))

    assert (told["base_severity"], told["severity"]) == ("high", "critical")
    [rule] = told["rules"]
    assert (rule["measure"], rule["measured"], rule["at_least"], rule["steps"]) == (
        "money_ratio",
        0.6,
        0.5,
        1,
    )
    assert told["money_at_risk"]["EUR"]["amount_minor"] == 60_000
    assert (told["clients_count"], told["assets"], told["downstream"]) == (3, ["payments"], ["report"])


def test_without_requests_there_is_no_ratio():
    unasked = MoneyAtRisk("EUR", amount_minor=5, payments_count=1, requested_minor=0)

    assert unasked.ratio is None
    assert assess(exposure=Exposure((unasked,))).severity == "high"


@pytest.mark.parametrize("problem", Problem)
def test_every_kind_of_problem_has_a_range_that_holds_its_base(problem):
    bounds = SEVERITY_RANGES[problem]

    assert rank(bounds.lowest) <= rank(bounds.base) <= rank(bounds.highest)
    assert bounds.reason


exposures = st.builds(
    Exposure,
    st.lists(
        st.builds(
            MoneyAtRisk,
            st.sampled_from(["EUR", "JPY", "KWD"]),
            st.integers(0, 10**15),
            st.integers(0, 10**6),
            st.integers(0, 10**15),
        ),
        max_size=3,
    ).map(tuple),
    st.integers(0, 10**6),
)


@given(st.sampled_from(Problem), exposures, st.sets(st.sampled_from("abc")), st.integers(1, 10**6))
def test_more_clients_never_make_a_problem_less_severe(problem, exposure, downstream, more):
    fewer = assess(problem, downstream=downstream, exposure=exposure)
    many = assess(
        problem, downstream=downstream, exposure=Exposure(exposure.money, exposure.clients_count + more)
    )

    bounds = SEVERITY_RANGES[problem]
    assert rank(bounds.lowest) <= rank(fewer.severity) <= rank(many.severity) <= rank(bounds.highest)


def test_severities_are_ordered():
    assert all(rank(low) < rank(high) for low, high in itertools.pairwise(SEVERITIES))
    with pytest.raises(ValueError, match="no severity"):
        rank("dire")
