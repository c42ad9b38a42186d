"""Analytics of the matching: what each number counts, and that what can't be measured has no row."""

import datetime as dt

import pandas as pd
import pytest

from platform_assets.matching import plots
from platform_assets.matching.analytics import AnalyticsInputs, headline, measure
from platform_assets.matching.outcomes import outcome_grades

DAY = dt.date(2026, 11, 1)


def at(text):
    return pd.Timestamp(text, tz="UTC")


def frame(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns)


def event(project, developer, step, moment="2026-10-20", rank=None):
    return (project, developer, step, rank, at(moment))


def inputs(*, projects=(), developers=(), contracts=(), events=(), matches=(), requirements=(), skills=()):
    return AnalyticsInputs(
        projects=frame(["project_id", "status", "posted_at"], *projects),
        developers=frame(["developer_id", "is_active", "available_from"], *developers),
        contracts=frame(["project_id", "developer_id", "status"], *contracts),
        events=frame(["project_id", "developer_id", "event_type", "rank", "occurred_at"], *events),
        matches=frame(["project_id", "developer_id", "rank", "score"], *matches),
        requirements=frame(["project_id", "skill_id", "weight"], *requirements),
        skill_profiles=frame(["developer_id", "skill_id", "confidence"], *skills),
    )


def values(measured):
    return {(row.metric, row.segment): row.value for row in measured.itertuples()}


def free(*names):
    return [(name, True, pd.Timestamp("2026-10-01")) for name in names]


def test_coverage_counts_open_projects_alone():
    found = values(
        measure(
            inputs(
                projects=[("p1", "open", None), ("p2", "open", None), ("p3", "closed", None)],
                matches=[("p1", "a", 1, 2.0), ("p1", "b", 2, 1.0), ("p3", "a", 1, 5.0)],
            ),
            day=DAY,
            list_places=2,
        )
    )

    assert found["coverage_ratio", "all"] == 0.5
    assert found["full_lists_ratio", "all"] == 0.5


def test_the_funnel_counts_pairs_once_each_step_within_the_window():
    found = values(
        measure(
            inputs(
                events=[
                    event("p", "a", "shown"),
                    event("p", "a", "shown", "2026-10-21"),
                    event("p", "b", "shown"),
                    event("p", "a", "viewed"),
                    event("p", "c", "shown", "2026-11-02"),
                    event("p", "d", "shown", "2026-06-01"),
                ]
            ),
            day=DAY,
            list_places=50,
        )
    )

    assert found["funnel_pairs", "shown"] == 2
    assert found["funnel_ratio", "viewed"] == 0.5
    assert ("funnel_ratio", "interviewed") not in found, "nobody was contacted: that is no rate of 0"


def test_quality_is_measured_on_lists_as_shown_and_as_published():
    found = values(
        measure(
            inputs(
                projects=[("p", "open", None)],
                developers=[*free("a", "b", "c"), ("gone", False, pd.Timestamp("2026-10-01"))],
                contracts=[("p", "c", "active")],
                events=[
                    *(event("p", one, "shown", rank=place) for place, one in enumerate("abc", 1)),
                    *(event("p", one, "viewed") for one in "abc"),
                    event("p", "b", "contacted"),
                    event("p", "c", "hired"),
                    event("p", "gone", "contacted"),
                ],
                matches=[("p", "b", 1, 2.0), ("p", "a", 2, 1.0)],
            ),
            day=DAY,
            list_places=50,
        )
    )

    assert found["mrr", "as_shown"] == 0.5
    assert found["recall_at_50", "as_shown"] == pytest.approx(2 / 3)
    # Whoever is hired already or has left is not missing from the list.
    assert (found["mrr", "published"], found["recall_at_50", "published"]) == (1.0, 1.0)


def test_exposure_and_skills_count_who_is_there_for_work():
    found = values(
        measure(
            inputs(
                projects=[("p1", "open", None), ("p2", "open", None)],
                developers=[*free("a", "b"), ("later", True, pd.Timestamp("2027-01-01"))],
                matches=[("p1", "a", 1, 2.0), ("p2", "a", 1, 1.0), ("p2", "later", 2, 1.0)],
                requirements=[("p1", "rust", 1.0), ("p2", "rust", 0.5), ("closed", "go", 1.0)],
                skills=[("a", "rust", 0.5), ("b", "rust", 0.25), ("later", "rust", 1.0)],
            ),
            day=DAY,
            list_places=50,
        )
    )

    assert found["shown_ratio", "first_places"] == 0.5
    assert found["exposure_gini", "first_places"] == 0.5
    assert found["skill_demand", "rust"] == 2
    assert found["skill_supply", "rust"] == 0.75
    assert ("skill_demand", "go") not in found


def test_time_to_the_first_match_is_from_posting_to_the_first_shown():
    found = values(
        measure(
            inputs(
                projects=[("p", "open", at("2026-10-20T10:00")), ("new", "open", at("2026-10-31"))],
                events=[
                    event("p", "a", "shown", "2026-10-20T16:00"),
                    event("p", "b", "shown", "2026-10-20T13:00"),
                ],
            ),
            day=DAY,
            list_places=50,
        )
    )

    assert found["hours_to_first_match", "p50"] == 3.0


def test_the_order_of_rows_changes_nothing_and_nothing_yields_nothing():
    events = [event("p", one, step) for one in "abcdef" for step in ("shown", "viewed", "contacted")]
    matches = [("p", one, place, 1 / place) for place, one in enumerate("abcdef", 1)]
    one = inputs(
        projects=[("p", "open", at("2026-10-01"))], developers=free(*"abcdef"), events=events, matches=matches
    )
    other = inputs(
        projects=[("p", "open", at("2026-10-01"))],
        developers=free(*"fedcba"),
        events=events[::-1],
        matches=matches[::-1],
    )

    pd.testing.assert_frame_equal(
        measure(one, day=DAY, list_places=6), measure(other, day=DAY, list_places=6)
    )
    empty = measure(inputs(), day=DAY, list_places=50)
    assert set(empty["metric"]) == {"funnel_pairs"}
    assert headline(empty) == {}


def test_only_pairs_that_were_looked_at_are_graded_and_by_their_furthest_step():
    grades = outcome_grades(
        inputs(
            events=[
                event("p", "a", "shown"),
                event("p", "b", "viewed"),
                event("p", "c", "hired"),
                event("p", "c", "viewed"),
                event("p", "b", "rejected"),
            ]
        ).events
    )

    assert grades == {"p": {"b": 0, "c": 3}}


def test_the_picture_needs_nothing_but_itself_and_tells_when_there_is_nothing():
    empty = measure(inputs(), day=DAY, list_places=50)
    some = measure(
        inputs(
            projects=[("p", "open", None)],
            events=[event("p", "a", "shown")],
            requirements=[("p", "cpp", 1.0)],
        ),
        day=DAY,
        list_places=50,
    )

    for rows, scores in ((empty, []), (some, [1.0, 2.0])):
        drawn = plots.overview(
            rows,
            scores=pd.Series(scores, dtype=float).to_numpy(),
            exposure=pd.Series([0.0, 1.0][: len(scores)], dtype=float).to_numpy(),
            skill_names={"cpp": "C++ & <Qt> $x$"},
        )
        assert drawn.startswith("![")
        assert "](data:image/svg+xml;base64," in drawn
        assert len(drawn) < 60_000, "the event log keeps each of them"
