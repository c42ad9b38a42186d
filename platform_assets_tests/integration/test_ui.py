"""A newcomer's first look, in a real browser: the Dagster UI of this code location, and the asset-check report."""

import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from platform_assets.definitions import build_definitions
from platform_assets.monitoring.checking.model import CheckState, State
from platform_assets.monitoring.checking.report import render_html
from platform_assets.schedules import TIMETABLE
from platform_assets.settings import Settings
from platform_assets.thresholds import Severity

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed; .ci/run installs it")
        pytest.skip("Chromium is not installed")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=quiet)
        yield browser
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def ui_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI as `make ui` starts it, over a marketplace of a handful of developers."""
    home = tmp_path_factory.mktemp("ui home")
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PLATFORM_")},
        "PLATFORM_HOME": str(home),
        "PLATFORM_SANDBOX_DEVELOPERS": "10",
        "PLATFORM_SANDBOX_PROJECTS": "2",
    }
    command = [sys.executable, "-m", "platform_assets.cli"]
    log = home / "ui.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "ui", "--port", str(port)], env=environment, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(f"{url}/server_info", process, log)
        yield url
    finally:
        subprocess.run([*command, "stop"], env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
        process.wait(timeout=30)
    assert not is_listening(port), "stop leaves the webserver running"


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    pytest.fail(f"The UI does not answer:\n{log.read_text()}")


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_assets_page_says_what_a_row_is_who_owns_it_and_what_is_checked(
    browser: Browser, ui_url: str
) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(f"{ui_url}/assets/match_candidates")

    patiently = 60_000
    expect(page.get_by_text("One row is one developer among a project's best").first).to_be_visible(
        timeout=patiently
    )
    expect(page.get_by_text("exact best developers of each open project").first).to_be_visible()
    expect(page.get_by_text("platform.match_candidates").first).to_be_visible()
    expect(page.get_by_text("Each term's part of the score").first).to_be_visible(timeout=patiently)

    page.goto(f"{ui_url}/assets/match_candidates?view=checks")
    for check in ("coverage", "freshness", "reasons_add_up"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible(timeout=patiently)
    page.close()


def test_every_schedule_and_sensor_is_switched_on(browser: Browser, ui_url: str) -> None:
    sensors = build_definitions(Settings()).sensors or ()
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(f"{ui_url}/automation")

    names = [automation.name for automation in (*TIMETABLE, *sensors)]
    for name in names:
        expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=60_000)
    # The boxes that select rows are empty, so what is checked is a switch.
    expect(page.locator("input[type=checkbox]:checked")).to_have_count(len(names), timeout=60_000)
    page.close()


def state(check: str, value: float | None, *, passed: bool) -> CheckState:
    return CheckState(
        asset="developer_profiles",
        check=check,
        group="profiles",
        owner="team:talent-data",
        description="Share of linked accounts that GitHub does not know.",
        state=State.PASSED if passed else State.FAILED,
        severity=Severity.WARN,
        value=value,
        threshold=0.01,
        direction="at_most",
        unit="ratio",
        reason="some accounts are renamed",
        evaluated_at=NOW,
        details={"accounts": ["a-rather-long-login-without-any-break-in-it: not_found"] * 3},
        run_id="0123",
        last_passed=passed,
        error=None,
    )


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_fits_a_desk_and_a_phone(browser: Browser, tmp_path: Path, width: int) -> None:
    path = tmp_path / "checks.html"
    states = [state("failed_accounts", 0.02, passed=False), state("other_accounts", 0.0, passed=True)]
    path.write_text(render_html(states, generated_at=NOW), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())

    expect(page.get_by_text("failed_accounts").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert requests == [path.as_uri()]
    page.close()
