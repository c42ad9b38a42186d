"""The performance report says what the tables say, asks for action with the figures behind it, and shows no markup."""

import datetime as dt
from decimal import Decimal
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from markdown_it import MarkdownIt
from small_world import NOW

from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.performance.page import build_page, render_html, render_markdown
from platform_assets.monitoring.performance.reading import read_figures
from platform_assets.monitoring.performance.sections import TokenPrice
from platform_assets.resources import ReportOptions
from platform_assets.tables.monitoring import ai_calls, notification_outbox
from platform_assets.tables.payment_operations import gateway_calls
from platform_assets.tables.queues import queue_recovery
from platform_assets.tables.recovery import run_outcomes, run_retries
from platform_assets.tables.service_health import service_health_metrics
from platform_assets.tables.service_levels import service_level_measurements

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
NASTY = "<script>alert(1)</script> | **x** `y` [z](http://z)\n# heading"


def insert(database, table, *rows):
    with database.transaction() as connection:
        connection.execute(sa.insert(table), list(rows))


def outcome(
    number, *, job="a_job", queue="matching", status="success", seconds=10.0, ended_at=NOW - HOUR, **more
):
    return {
        "run_id": f"run {number}",
        "root_run_id": f"run {number}",
        "attempt": 0,
        "job_name": job,
        "queue": queue,
        "status": status,
        "cause": None,
        "message": None,
        "failed_steps": [],
        "unfinished_assets": [],
        "created_at": ended_at - dt.timedelta(seconds=seconds + 1),
        "started_at": ended_at - dt.timedelta(seconds=seconds),
        "ended_at": ended_at,
        "recorded_at": ended_at,
        **more,
    }


def level(name, *, good, total, left, burning_at=None, measured_at=NOW - HOUR):
    return {
        "measured_at": measured_at,
        "level": name,
        "objective_ratio": 0.99,
        "good_count": good,
        "total_count": total,
        "budget_left_ratio": left,
        "burn_rate_1h": 20.0 if burning_at else 0.0,
        "burning_at": burning_at,
    }


def service(name, state, *, measured_at=NOW - HOUR, message="fine"):
    return {
        "measured_at": measured_at,
        "service": name,
        "look": "ok" if state == "healthy" else "failed",
        "state": state,
        "state_since": measured_at - HOUR,
        "message": message,
        "details": {},
    }


def alert(database, name, *, severity="high", at=NOW - 6 * HOUR, times=1):
    for _ in range(times):
        with database.transaction() as connection:
            raise_alert(
                connection,
                fingerprint=name,
                severity=severity,
                source="test",
                subject=name,
                owner="team:platform",
                title=f"{name} is broken",
                details={},
                now=at,
            )


def page_of(database, *, price=None, now=NOW):
    return build_page(read_figures(database, since=now - DAY, until=now), price=price)


def section(page, title):
    return next(each for each in page.sections if each.title == title)


def texts(page):
    return " ".join(f"{each.urgency} {each.text} {each.because}" for each in page.advice)


def test_a_platform_on_which_nothing_happened_has_a_report_that_says_so(database):
    page = page_of(database)

    assert page.advice == ()
    assert page.headline == "No open alert; no run on record; every error budget is kept."
    assert section(page, "Work").sentence == "No run is on record in this time; the daemon records them."
    assert section(page, "Recovery").rows == ()
    assert "ask for no action" in render_markdown(page)
    assert page.bars == ()


def test_work_is_counted_within_the_window_failing_jobs_first_then_the_slowest(database):
    insert(
        database,
        run_outcomes,
        *(outcome(n, job="slow_job", seconds=60 + n) for n in range(5)),
        *(outcome(10 + n, job="quick_job", seconds=1) for n in range(5)),
        *(
            outcome(
                20 + n,
                job="bad_job",
                status="failure",
                cause="transient",
                message=f"try {n}",
                ended_at=NOW - n * HOUR,
            )
            for n in range(3)
        ),
        outcome(30, job="old_job", ended_at=NOW - DAY - HOUR),
    )

    page = page_of(database)

    work = section(page, "Work")
    assert [row[0] for row in work.rows] == ["bad_job", "slow_job", "quick_job"]
    assert work.rows[0][2] == "3"
    assert work.rows[0][-1] == "transient: try 0"
    assert work.rows[1][3:6] == ("62.0", "63.8", "64.0")
    assert work.bad_rows == {0}
    assert len(page.bars) == 25
    assert sum(bar.runs_count for bar in page.bars) == 13
    assert sum(bar.failed_count for bar in page.bars) == 3
    assert "3 of 13 runs failed" in page.headline
    assert "Mend bad_job; it last failed with: try 0 3 of 3 runs failed" in texts(page)


def test_service_levels_that_burn_come_first_and_ask_for_action_at_once(database):
    insert(
        database,
        service_level_measurements,
        level("calm", good=1000, total=1000, left=1.0),
        level("spent", good=900, total=1000, left=-9.0),
        level("burns", good=990, total=1000, left=0.5, burning_at=14.4),
        level("burns", good=1000, total=1000, left=1.0, measured_at=NOW - 2 * HOUR),
    )

    page = page_of(database)

    levels = section(page, "Service levels")
    assert [row[0] for row in levels.rows] == ["burns", "spent", "calm"]
    assert levels.bad_rows == {0, 1}
    assert page.advice[0].urgency == "now"
    assert "20.0 times too fast in the last hour; 10 of 1,000 events" in page.advice[0].because
    assert "Risk nothing with spent" in texts(page)
    assert "calm" not in texts(page)
    assert "1 error budget overspent" in page.headline


def test_alerts_that_nobody_took_on_are_asked_about_and_resolved_ones_are_counted(database):
    alert(database, "left alone", severity="critical", at=NOW - 6 * HOUR)
    alert(database, "just came", at=NOW - HOUR)
    alert(database, "comes often", severity="low", at=NOW - HOUR, times=12)
    alert(database, "is gone", at=NOW - 2 * HOUR)
    with database.transaction() as connection:
        resolve_alert(connection, fingerprint="is gone", now=NOW - HOUR)

    page = page_of(database)

    alerts = section(page, "Alerts")
    assert [row[0] for row in alerts.rows] == ["critical", "high", "low"]
    assert alerts.sentence.startswith("4 opened and 1 resolved; 3 are open.")
    assert "left alone" in texts(page)
    assert "raised 12 times" in texts(page)
    assert "just came" not in texts(page)
    assert page.headline.startswith("3 open alerts, 2 of them serious")


def test_how_notifications_arrived_is_told_and_failed_ones_want_action(database):
    alert(database, "told", at=NOW - HOUR)
    alert(database, "lost", at=NOW - HOUR)
    with database.transaction() as connection:
        ids = connection.scalars(
            sa.select(notification_outbox.c.notification_id).order_by(sa.column("notification_id"))
        ).all()
        change = sa.update(notification_outbox)
        connection.execute(
            change.where(notification_outbox.c.notification_id == ids[0]).values(
                state="sent", sent_at=notification_outbox.c.created_at + dt.timedelta(seconds=90)
            )
        )
        connection.execute(
            change.where(notification_outbox.c.notification_id == ids[1]).values(state="failed")
        )

    page = page_of(database)

    assert "1 of 2 notifications delivered, half of them within 90 s" in section(page, "Alerts").sentence
    assert "1 of 2 notifications could not be delivered" in texts(page)
    assert "One in twenty took over 90 s; 60 s are promised" in texts(page)


def test_services_as_last_looked_at(database):
    insert(
        database,
        service_health_metrics,
        service("github", "healthy", measured_at=NOW - 2 * HOUR),
        service("github", "down", message="refused"),
        service("stripe", "healthy"),
        service("neo4j", "off"),
    )

    page = page_of(database)

    services = section(page, "Services")
    assert services.sentence == "Not well: github."
    assert {row[0]: row[1] for row in services.rows} == {
        "github": "down",
        "neo4j": "off",
        "stripe": "healthy",
    }
    assert page.advice[0].urgency == "now"
    assert "github, which is down: refused" in texts(page)


def test_what_was_mended_and_what_was_not(database):
    insert(
        database,
        run_retries,
        *(
            {
                "root_run_id": f"root {n}",
                "attempt": 1,
                "failed_run_id": f"failed {n}",
                "job_name": "a_job",
                "assets": [],
                "tags": {},
                "cause": "transient",
                "due_at": NOW - HOUR,
                "state": "requested",
            }
            for n in range(2)
        ),
    )
    insert(database, run_outcomes, outcome(1, run_id="again", root_run_id="root 0", attempt=1))
    insert(
        database,
        queue_recovery,
        *(
            {
                "action": "fail_orphaned_run",
                "subject": f"run {n}",
                "attempt": 1,
                "reason": "its process is gone",
                "state": state,
                "state_before": {},
                "problem_since": NOW - 2 * HOUR,
                "claimed_at": NOW - HOUR,
                "repair_s": repair_s,
            }
            for n, (state, repair_s) in enumerate([("worked", 20.0), ("worked", 40.0), ("failed", None)])
        ),
    )

    page = page_of(database)

    assert section(page, "Recovery").rows == (
        ("run again after a cause that is transient", "2", "1", "–"),
        ("fail orphaned run", "3", "2", "30.0"),
    )
    assert "1 of 3 such actions did not help" in texts(page)


def test_cost_is_tokens_and_with_a_price_dollars(database):
    call = {"service": "gemini", "model": "m", "purpose": "p", "started_at": NOW - HOUR, "latency_ms": 5.0}
    insert(
        database,
        ai_calls,
        {**call, "prompt_tokens": 1_500_000, "output_tokens": 250_000, "reserved_tokens": 0, "outcome": "ok"},
        {**call, "prompt_tokens": None, "output_tokens": None, "reserved_tokens": 9, "outcome": "timeout"},
    )
    insert(
        database,
        gateway_calls,
        {"gateway": "stripe", "operation": "o", "started_at": NOW - HOUR, "latency_ms": 5.0, "outcome": "ok"},
    )

    free, priced = page_of(database), page_of(database, price=TokenPrice(Decimal("0.10"), Decimal("0.40")))

    assert section(free, "Cost").rows[0] == ("gemini, m", "2", "1", "5.0", "1,500,000 + 250,000 tokens")
    assert section(priced, "Cost").rows[0][-1].endswith("USD 0.2500")
    assert section(free, "Cost").rows[1][0] == "stripe"


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_texts_from_outside_are_shown_and_never_become_markup(database):
    insert(
        database,
        run_outcomes,
        *(outcome(n, status="failure", cause="permanent", message=NASTY, job="x") for n in range(4)),
    )
    insert(database, service_health_metrics, service("github", "down", message=NASTY))
    alert(database, NASTY, at=NOW - 6 * HOUR)

    page = page_of(database)

    tags = Tags()
    tags.feed(render_html(page))
    assert "script" not in tags.found
    assert "a" not in tags.found
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(render_markdown(page))
    shown = Tags()
    shown.feed(rendered)
    assert not {"script", "a", "code"} & set(shown.found)
    # One row each: a bar or a line break would have made more.
    assert shown.found.count("h1") == 1
    assert shown.found.count("tr") == sum(1 + len(each.rows) for each in page.sections if each.rows)


def test_the_asset_keeps_what_it_said_and_replaces_its_files(settled, tmp_path):
    options = ReportOptions(tmp_path / "report", None)

    outcome = settled.run("performance_report", now=NOW, report_options=options)

    told = outcome.metadata("performance_report")
    assert told["report"].startswith("# Performance")
    html, markdown = (tmp_path / "report" / name for name in ("performance.html", "performance.md"))
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert markdown.read_text(encoding="utf-8") == told["report"]
    assert sorted(path.name for path in html.parent.iterdir()) == ["performance.html", "performance.md"]
    kept = settled.values("SELECT headline FROM monitoring.performance_reports")
    assert kept[0] in told["report"].replace("\\", "")
    assert settled.run("performance_report", now=NOW + HOUR, report_options=options).is_success


@pytest.mark.parametrize(("failed", "passed"), [(2, True), (10, False)])
def test_the_share_of_failed_runs_is_a_check(settled, failed, passed, tmp_path):
    insert(
        settled.database,
        run_outcomes,
        *(
            outcome(
                n, status="failure" if n < failed else "success", cause="transient" if n < failed else None
            )
            for n in range(100)
        ),
    )

    outcome_ = settled.run("performance_report", now=NOW, report_options=ReportOptions(tmp_path, None))

    assert outcome_.checks()["performance_report", "failed_runs"].passed is passed
