"""What messages say, whatever is in the alerts; when channels may be tried; where events go."""

import datetime as dt
import html
import re

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.communications.messages import Event, compose, link
from platform_assets.communications.pacing import failed_until, may_try, paced_until
from platform_assets.communications.routing import Pending, channels_for
from platform_assets.monitoring_thresholds import EVENTS_SHOWN, RETRY_LONGEST_WAIT
from platform_assets.notification_settings import SEVERITIES, Channel, ChannelBook, Route

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

severities = st.sampled_from(SEVERITIES)
kinds = st.sampled_from(["opened", "escalated", "resolved", "reminder"])


def event(number=1, **changes):
    values = {
        "notification_id": number,
        "alert_id": number,
        "kind": "opened",
        "severity": "high",
        "source": "run",
        "subject": "a_job",
        "title": f"Problem {number}",
        "details": {},
        "happened_at": NOON,
    }
    return Event(**(values | changes))


def told(*events, **options):
    return compose(events, **({"owner": "team:matching", "message_id": "id", "ui_url": None} | options))


@given(st.lists(st.tuples(severities, kinds, st.text(max_size=300)), min_size=1, max_size=60))
def test_every_event_is_listed_or_counted_the_worst_open_one_first(parts):
    events = [
        event(number, severity=severity, kind=kind, title=title)
        for number, (severity, kind, title) in enumerate(parts)
    ]

    message = told(*events)

    lines = re.findall(
        r"^\S+ (?:now |still )?(low|medium|high|critical|resolved): ", message.text, re.MULTILINE
    )
    hidden = re.search(r"… and ([\d,]+) more", message.text)
    assert len(lines) + (int(hidden[1]) if hidden else 0) == len(events)
    assert len(lines) <= EVENTS_SHOWN
    ranks = [-1 if word == "resolved" else SEVERITIES.index(word) for word in lines]
    assert ranks == sorted(ranks, reverse=True)
    assert "\n" not in message.title


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_becomes_markup(title, advice):
    message = told(event(title=title, details={"what_to_do": advice}), ui_url="http://ui")

    without = told(event(title="T", details={"what_to_do": "A"}), ui_url="http://ui")
    tags = re.findall(r"<[^>]*>", message.html)
    assert set(tags) <= set(re.findall(r"<[^>]*>", without.html))
    words = " ".join(title.split())
    if words.isprintable() and "@" not in words and len(words) < 120:
        assert words in html.unescape(message.html)


def test_nobody_is_called_by_an_alert():
    message = told(event(title="@channel @here @Everyone a@all.example"))

    for name in ("@channel", "@here", "@Everyone", "@all"):
        assert name not in message.text + message.html + message.title


def test_a_title_is_one_line_without_anything_invisible():
    message = told(event(title="Bcc:\r\n all\x1b[31m \u202eevil"))

    assert message.title == "🟠 high: Bcc: all[31m evil"


def test_of_several_events_of_an_alert_the_last_is_told():
    message = told(
        event(1, alert_id=7),
        event(2, alert_id=7, kind="escalated", severity="critical"),
        event(3, alert_id=8),
        event(4, alert_id=8, kind="resolved", first_seen_at=NOON, happened_at=NOON + dt.timedelta(hours=3)),
    )

    assert "1 alert (1 critical), 1 resolved" in message.text
    assert "now critical: Problem 2" in message.text
    assert "✅ resolved: Problem 4" in message.text
    assert "was open for 3 hours" in message.text


def test_what_depends_on_it_is_told():
    impact = {
        "downstream": ["matches", "matching_analytics"],
        "clients_count": 1_200,
        "money_at_risk": {"EUR": {"amount_minor": 1_234_500}, "JPY": {"amount_minor": 900}},
    }

    message = told(event(first_seen_at=NOON, occurrences_count=3, impact=impact))

    assert (
        "since 2026-11-01 12:00 UTC, 3 times, 2 assets downstream, 1,200 clients, 12345.00 EUR at risk, 900 JPY at risk"
        in message.text
    )
    assert "at risk" not in told(event(impact={"money_at_risk": None, "clients_count": None})).text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = ("downstream", "clients_count", "money_at_risk", "what_to_do", "decision", "run_id", "amount_minor")
json_objects = st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=8), json_values, max_size=6)


@given(
    json_objects,
    st.dictionaries(st.sampled_from(KNOWN), json_values | st.dictionaries(st.text(), json_objects)),
)
def test_what_another_version_wrote_can_be_told_as_well(details, impact):
    assert told(event(details=details, impact=impact), ui_url="http://ui").text


def test_links_lead_to_the_check_or_the_run_and_can_not_be_bent():
    check = event(source="asset_check", subject="matches:a/b&c")
    run = event(details={"run_id": "../../evil"})

    assert link(check, "http://ui/") == "http://ui/assets/matches?view=checks&checkDetail=a%2Fb%26c"
    assert link(run, "http://ui") == "http://ui/runs/..%2F..%2Fevil"
    assert link(run, None) is None
    assert link(event(), "http://ui") is None


@given(st.integers(1, 10_000))
def test_rests_grow_to_a_bound(failures):
    rest = failed_until(failures, now=NOON) - NOON

    assert dt.timedelta(0) < rest <= RETRY_LONGEST_WAIT
    assert rest <= failed_until(failures + 1, now=NOON) - NOON


@given(st.integers(1, 60), st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_no_minute_has_more_messages_than_the_limit_twice_over_and_no_wait_is_for_ever(limit, waits):
    now, paced, sent = NOON, None, []
    for wait in waits:
        now += dt.timedelta(seconds=wait)
        if may_try(None, paced, limit, now=now):
            paced = paced_until(paced, limit, now=now)
            sent.append(now)
    for at in sent:
        # A burst of a minute's messages, and those that the minute itself allows.
        assert sum(at <= other < at + dt.timedelta(minutes=1) for other in sent) <= 2 * limit
    assert may_try(None, paced, limit, now=now + dt.timedelta(minutes=1))


def test_a_clock_that_is_put_back_neither_rests_nor_paces_for_ever():
    future = NOON + dt.timedelta(hours=5)

    assert may_try(future, None, 10, now=NOON)
    assert may_try(None, future, 10, now=NOON)
    assert paced_until(future, 10, now=NOON) < NOON + dt.timedelta(minutes=1)


def book(*routes, **channels):
    return ChannelBook({name: Channel(name, str, **options) for name, options in channels.items()}, routes)


def pending(**changes):
    values = {
        "notification_id": 1,
        "owner": "team:matching",
        "severity": "high",
        "kind": "opened",
        "source": "run",
        "subject": "a_job",
        "created_at": NOON,
        "due_at": NOON,
    }
    return Pending(**(values | changes))


NONE_DOWN = frozenset()


def test_routes_add_up_by_owner_and_severity_and_name_each_channel_once():
    routes = (
        Route(("chat", "mail")),
        Route(("mail",), owner="team:matching"),
        Route(("pager",), min_severity="critical"),
        Route(("pager",), owner="team:finance-data"),
    )
    known = book(*routes, chat={}, mail={"min_severity": "high"}, pager={})

    assert channels_for(pending(), known, NONE_DOWN) == ["chat", "mail"]
    assert channels_for(pending(severity="low"), known, NONE_DOWN) == ["chat"]
    assert channels_for(pending(severity="critical"), known, NONE_DOWN) == ["chat", "mail", "pager"]
    assert channels_for(pending(owner="team:finance-data"), known, NONE_DOWN) == ["chat", "mail", "pager"]


def test_the_first_fallback_that_works_stands_in_and_the_last_resort_is_waited_for():
    known = book(Route(("a",)), a={"fallback": "b"}, b={"fallback": "c"}, c={})

    assert channels_for(pending(), known, frozenset({"a"})) == ["b"]
    assert channels_for(pending(), known, frozenset({"a", "b"})) == ["c"]
    assert channels_for(pending(), known, frozenset({"a", "b", "c"})) == ["c"]


def test_a_channel_never_tells_of_itself():
    broken = pending(source="notification_channel", subject="a")

    assert channels_for(broken, book(Route(("a",)), a={}, b={}), NONE_DOWN) == ["b"]
    assert channels_for(broken, book(Route(("a",)), a={"fallback": "b"}, b={}), NONE_DOWN) == ["b"]
    assert channels_for(broken, book(Route(("a",)), a={}), NONE_DOWN) == []
