"""Which open alert is the cause of another."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.monitoring.alerting.causes import (
    SERVICES_OF_PROCESS,
    OpenProblem,
    Topology,
    find_causes,
    worst_effects,
)
from platform_assets.monitoring.alerting.rules import CAUSE_GRACE

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

# profiles → skills → vectors → matches, and payments beside it.
TOPOLOGY = Topology(
    parents={
        "profiles": frozenset(),
        "skills": frozenset({"profiles"}),
        "vectors": frozenset({"profiles", "skills"}),
        "matches": frozenset({"vectors"}),
        "payments": frozenset(),
    },
    kinds={
        "profiles": frozenset({"github", "postgres"}),
        "skills": frozenset({"gemini", "postgres"}),
        "vectors": frozenset({"huggingface", "postgres"}),
        "matches": frozenset({"postgres"}),
        "payments": frozenset({"stripe", "postgres"}),
    },
)


def check(alert_id: int, asset: str, *, after_s: float = 0, severity: str = "high") -> OpenProblem:
    return OpenProblem(alert_id, "asset_check", severity, (asset,), NOON + dt.timedelta(seconds=after_s))


def run(alert_id: int, *assets: str, after_s: float = 0, severity: str = "high") -> OpenProblem:
    return OpenProblem(alert_id, "run", severity, assets, NOON + dt.timedelta(seconds=after_s))


def service(alert_id: int, name: str, *, after_s: float = 0, severity: str = "critical") -> OpenProblem:
    assets = TOPOLOGY.assets_of_service(name)
    at = NOON + dt.timedelta(seconds=after_s)
    return OpenProblem(alert_id, "service", severity, assets, at, services=(name,))


def process(alert_id: int, name: str, *, after_s: float = 0, severity: str = "medium") -> OpenProblem:
    services = SERVICES_OF_PROCESS.get(name, ())
    assets = sorted({asset for each in services for asset in TOPOLOGY.assets_of_service(each)})
    at = NOON + dt.timedelta(seconds=after_s)
    return OpenProblem(alert_id, "process", severity, tuple(assets), at, services=services)


def test_downstream_is_everything_made_from_an_asset_and_not_the_asset():
    assert TOPOLOGY.downstream(["skills"]) == {"vectors", "matches"}
    assert TOPOLOGY.downstream(["matches"]) == set()
    assert TOPOLOGY.downstream(["unknown"]) == set()


def test_a_service_is_what_its_kind_of_asset_uses():
    assert TOPOLOGY.assets_of_service("embedder") == ("vectors",)
    assert TOPOLOGY.assets_of_service("pigeons") == ()


def test_a_broken_check_is_the_cause_of_broken_checks_downstream_alone():
    problems = [check(1, "profiles"), check(2, "matches", after_s=60), check(3, "payments", after_s=60)]

    assert find_causes(problems, TOPOLOGY) == {2: 1}


def test_two_checks_of_one_asset_are_two_problems():
    assert find_causes([check(1, "skills"), check(2, "skills", after_s=60)], TOPOLOGY) == {}


def test_a_failed_run_is_the_cause_of_broken_checks_on_what_it_did_not_write():
    assert find_causes([run(1, "skills"), check(2, "skills"), check(3, "profiles")], TOPOLOGY) == {2: 1}


def test_a_broken_check_does_not_make_a_run_fail():
    assert find_causes([check(1, "profiles"), run(2, "skills", after_s=60)], TOPOLOGY) == {}


def test_the_deepest_cause_counts_and_of_these_the_earliest():
    problems = [
        check(1, "profiles", after_s=-60),
        run(2, "profiles"),
        run(3, "skills", after_s=30),
        service(4, "github", after_s=60),
        check(5, "matches", after_s=90),
    ]

    assert find_causes(problems, TOPOLOGY) == {1: 4, 2: 4, 3: 4, 5: 4}
    assert find_causes(problems[1:3] + problems[4:], TOPOLOGY) == {3: 2, 5: 2}


@pytest.mark.parametrize(("delay_s", "is_cause"), [(0, True), (CAUSE_GRACE.total_seconds() + 1, False)])
def test_a_cause_began_before_its_effect_or_about_then(delay_s, is_cause):
    problems = [service(1, "stripe", after_s=delay_s), check(2, "payments")]

    assert find_causes(problems, TOPOLOGY) == ({2: 1} if is_cause else {})


def test_a_lesser_problem_does_not_explain_a_greater_one():
    assert find_causes([check(1, "profiles", severity="medium"), check(2, "skills")], TOPOLOGY) == {}


def test_a_deeper_cause_counts_however_little_was_thought_of_it_and_is_as_severe_as_what_it_brings_about():
    found = [
        service(1, "github", severity="low"),
        run(2, "profiles", severity="medium", after_s=1),
        check(3, "matches", severity="critical", after_s=2),
        check(4, "payments", severity="critical", after_s=2),
    ]
    causes = find_causes(found, TOPOLOGY)

    assert causes == {2: 1, 3: 1}
    assert worst_effects(found, causes) == {1: "critical"}
    assert worst_effects(found[1:], find_causes(found[1:], TOPOLOGY)) == {2: "critical"}


def test_a_flapping_problem_that_is_away_explains_nothing():
    away = dataclasses.replace(check(1, "profiles"), is_there=False)

    assert find_causes([away, check(2, "skills", after_s=1)], TOPOLOGY) == {}


def test_a_process_is_the_cause_of_its_own_services_and_of_what_fails_without_them():
    found = [
        process(1, "postgres"),
        service(2, "postgres", after_s=300),
        run(3, "payments", after_s=20),
        check(4, "matches", after_s=400, severity="critical"),
        service(5, "stripe", after_s=300),
    ]
    causes = find_causes(found, TOPOLOGY)

    assert causes == {2: 1, 3: 1, 4: 1}, "a Stripe that is down is another problem"
    assert worst_effects(found, causes) == {1: "critical"}


def test_a_process_without_a_service_that_is_looked_at_and_another_process_explain_nothing():
    found = [process(1, "webserver"), process(2, "postgres"), process(3, "local_apis", after_s=1)]

    assert find_causes([*found, service(4, "stripe", after_s=2)], TOPOLOGY) == {4: 3}


def test_a_daemon_is_the_cause_of_its_missing_heartbeats_though_no_asset_uses_it():
    assert find_causes([process(1, "daemon"), service(2, "dagster_daemons")], TOPOLOGY) == {2: 1}


def test_of_two_runs_that_feed_each_other_the_later_one_has_a_cause():
    problems = [run(1, "profiles", "matches"), run(2, "skills", after_s=5)]

    assert find_causes(problems, TOPOLOGY) == {2: 1}
    assert find_causes([problems[1], dataclasses.replace(problems[0], alert_id=3)], TOPOLOGY) == {2: 3}


problems = st.lists(
    st.builds(
        OpenProblem,
        alert_id=st.integers(1, 1_000),
        source=st.sampled_from(["asset_check", "run", "service", "process", "sensor"]),
        severity=st.sampled_from(["low", "medium", "high", "critical"]),
        assets=st.lists(st.sampled_from([*TOPOLOGY.parents, "unknown"]), max_size=3, unique=True).map(tuple),
        first_seen_at=st.integers(-900, 900).map(lambda s: NOON + dt.timedelta(seconds=s)),
        is_there=st.booleans(),
        services=st.lists(st.sampled_from(["postgres", "stripe"]), max_size=2, unique=True).map(tuple),
    ),
    max_size=25,
    unique_by=lambda problem: problem.alert_id,
).map(
    # A check is about one asset.
    lambda found: [
        dataclasses.replace(each, assets=each.assets[:1]) if each.source == "asset_check" else each
        for each in found
    ]
)


@given(problems)
def test_no_chain_of_causes_comes_back_and_something_is_always_told(found):
    causes = find_causes(found, TOPOLOGY)
    by_id = {problem.alert_id: problem for problem in found}

    for alert_id in causes:
        seen = {alert_id}
        while (alert_id := causes.get(alert_id)) is not None:
            assert alert_id not in seen
            seen.add(alert_id)
    for effect, cause in causes.items():
        assert by_id[cause].is_there
        assert by_id[cause].first_seen_at <= by_id[effect].first_seen_at + CAUSE_GRACE
    assert not found or len(causes) < len(found)


@given(problems)
def test_the_causes_do_not_depend_on_the_order_of_looking(found):
    assert find_causes(found, TOPOLOGY) == find_causes(found[::-1], TOPOLOGY)
