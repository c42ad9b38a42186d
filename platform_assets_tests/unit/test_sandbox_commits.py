import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.sandbox.github.commits import CommitSpan, commit_sha, headline
from platform_assets.sandbox.github.history import History
from platform_assets.sandbox.github.store import Contribution


@st.composite
def spans(draw, *, max_commits=2_000):
    commits_count = draw(st.integers(min_value=1, max_value=max_commits))
    last_on = draw(st.dates(min_value=dt.date(2005, 1, 1), max_value=dt.date(2026, 12, 31)))
    span_days = 0 if commits_count == 1 else draw(st.integers(min_value=0, max_value=4_000))
    return CommitSpan(commits_count, last_on - dt.timedelta(days=span_days), last_on)


def year_window(year):
    return (
        dt.datetime(year, 1, 1, tzinfo=dt.UTC),
        dt.datetime(year, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
    )


@given(spans())
def test_the_years_of_a_contribution_add_up_to_its_commits(span):
    counts = {year: span.count(*year_window(year)) for year in range(1990, 2030)}

    assert sum(counts.values()) == span.commits_count
    assert span.years() == [year for year in sorted(counts, reverse=True) if counts[year]]


@given(spans(), st.lists(st.integers(min_value=1_072_915_200, max_value=1_800_000_000), max_size=8))
def test_any_windows_that_tile_the_time_add_up_to_the_commits(span, cuts):
    instants = [dt.datetime.fromtimestamp(cut, dt.UTC) for cut in sorted(set(cuts))]
    starts = [dt.datetime(1980, 1, 1, tzinfo=dt.UTC), *instants]
    ends = [each - dt.timedelta(seconds=1) for each in instants] + [dt.datetime(2040, 1, 1, tzinfo=dt.UTC)]

    assert sum(span.count(start, end) for start, end in zip(starts, ends, strict=True)) == span.commits_count


@given(spans(max_commits=300), st.integers(min_value=2000, max_value=2027))
def test_the_days_of_a_window_add_up_to_its_count_and_are_distinct(span, year):
    days = list(span.days(*year_window(year)))

    assert sum(count for _, count in days) == span.count(*year_window(year))
    assert [day for day, _ in days] == sorted({day for day, _ in days})


@given(spans(max_commits=300))
def test_commits_are_in_order_and_fill_the_span_from_its_first_day_to_its_last(span):
    moments = [span.committed_at(number) for number in range(span.commits_count)]

    assert moments == sorted(moments)
    assert moments[0].date() == span.first_on
    assert moments[-1].date() == span.last_on


@given(st.lists(spans(max_commits=60), min_size=1, max_size=4), st.integers(min_value=1, max_value=50))
def test_pages_of_a_history_are_the_history(parts, page_size):
    contributions = [
        Contribution(f"login-{number}", "owner/name", span, ()) for number, span in enumerate(parts)
    ]
    history = History(contributions)
    whole = history.page(0, history.total_count)
    pages = [
        commit
        for start in range(0, history.total_count, page_size)
        for commit in history.page(start, start + page_size)
    ]

    assert pages == whole
    assert len({commit.sha for commit in whole}) == history.total_count == sum(s.commits_count for s in parts)
    assert [c.committed_at for c in whole] == sorted((c.committed_at for c in whole), reverse=True)


@given(spans(max_commits=200), st.integers(min_value=2000, max_value=2027))
def test_a_history_within_a_window_holds_the_commits_made_in_it(span, year):
    since, until = year_window(year)
    whole = History([Contribution("login", "owner/name", span, ())])
    windowed = History([Contribution("login", "owner/name", span, ())], since=since, until=until)

    expected = [each for each in whole.page(0, span.commits_count) if since <= each.committed_at <= until]
    assert windowed.page(0, span.commits_count) == expected
    assert windowed.total_count == len(expected)


def test_the_newest_commits_carry_the_given_subjects():
    subjects = ["third", "second", "first"]

    assert [headline(subjects, 3, number) for number in (2, 1, 0)] == subjects
    assert headline((), 3, 0) == "Update"


def test_a_commit_has_the_same_id_every_time_and_no_other_commit_has_it():
    assert commit_sha("login", "owner/name", 0) == commit_sha("login", "owner/name", 0)
    assert len({commit_sha("login", "owner/name", number) for number in range(100)}) == 100
