"""What a refresh of many developers costs at GitHub: `python -m benchmarks.github_refresh --json`.

The real refresh runs against the local GitHub API with GitHub's real limits (5,000 points an hour, 2,000 a minute, 100
calls at once), both on a clock that is moved by waiting and by an assumed latency alone. Before it, the platform's tables
hold every account as of the day before; since then a share of them has worked on three new repositories.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.github import GithubClient
from platform_assets.clients.github_accounts import WATCHED_DAYS
from platform_assets.clients.github_ledger import Timing
from platform_assets.clients.github_values import (
    GithubProfile,
    ProfileResult,
    RepositoryWork,
    Watch,
    last_year,
)
from platform_assets.migrations import migrate
from platform_assets.profiles.github_plan import KEEP_RATIO
from platform_assets.profiles.github_profiles import PROFILE_COLUMNS, REPOSITORY_COLUMNS, profile_rows
from platform_assets.profiles.refresh import Refresh, refresh_profiles
from platform_assets.sandbox.context import SERVICES, Sandbox, ServerConfig
from platform_assets.sandbox.faults import FaultSettings
from platform_assets.sandbox.github.commits import CommitSpan
from platform_assets.sandbox.github.store import node_id
from platform_assets.sandbox.process import state_path
from platform_assets.sandbox.server import build_app
from platform_assets.sandbox.state import SandboxState
from platform_assets.sandbox.world import GithubContribution, GithubRepository, GithubUser, World
from platform_assets.table_assets import read_table
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY = dt.date(2026, 11, 23)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
OPENED_AT = dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
TOKEN, OTHER_TOKEN = "one", "another"  # each has a budget of its own
LIMIT_POINTS = 5_000
LATENCY_S = 1.0
"""What a call is assumed to take at GitHub; four are in flight."""
THREADS_COUNT = 4
NEW_REPOSITORIES = 3
SPANS = ((40, "2019-03-01", "2022-06-01"), (60, "2021-01-10", "2026-10-20"), (25, "2026-02-01", "2026-09-15"))
"""Commits, first and last day of each account's three repositories."""


@dataclass(frozen=True)
class RefreshMeasurement:
    """What was measured.

    Attributes:
        developers: Developers with an account, all of them due.
        changed: Those that worked since they were last read.
        new: Developers that were never read, beside those.
        points: GraphQL points that the refresh took.
        points_allowed: Four fifths of an hour's.
        points_per_developer: Points of the refresh by developer.
        calls: HTTP calls of the refresh.
        virtual_s: Seconds that it takes under the secondary limits, at a second a call and four calls in flight.
        read: Accounts that were read or looked at.
        unchanged: Accounts that a look was enough for.
        rows_right: Whether the tables hold afterwards what GitHub has.
        rest_calls_per_profile: REST calls, which are points, to read one such account.
        rest_profiles_per_hour: Accounts that four fifths of an hour's calls read.
        real_s: Seconds of the refresh here, the local GitHub included.
    """

    developers: int
    changed: int
    new: int
    points: int
    points_allowed: int
    points_per_developer: float
    calls: int
    virtual_s: float
    read: int
    unchanged: int
    rows_right: bool
    rest_calls_per_profile: float
    rest_profiles_per_hour: int
    real_s: float


class SimulatedClock:
    """A clock that only waiting and calls move."""

    def __init__(self) -> None:
        self._now = NOON
        self._lock = threading.Lock()

    def read(self) -> dt.datetime:
        """The moment."""
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += dt.timedelta(seconds=max(0.0, seconds))


def login(number: int) -> str:
    """Login of an account."""
    return f"dev-{number:06d}"


def contributions(number: int, *, is_changed: bool) -> list[GithubContribution]:
    """What an account has worked on."""
    work = [
        GithubContribution(
            login(number),
            f"{login(number)}/repo-{place}",
            count,
            dt.date.fromisoformat(first),
            dt.date.fromisoformat(last),
            ("Fix", "Add"),
        )
        for place, (count, first, last) in enumerate(SPANS)
    ]
    if is_changed:
        work += [
            GithubContribution(login(number), f"{login(number)}/new-{place}", 4, TODAY, TODAY, ("Start",))
            for place in range(NEW_REPOSITORIES)
        ]
    return work


def make_world(developers_count: int, changed_count: int) -> World:
    """A GitHub on which the first accounts have changed."""
    work = [
        one
        for number in range(developers_count)
        for one in contributions(number, is_changed=number < changed_count)
    ]
    return World(
        name="github_refresh",
        anchor=TODAY,
        marketplace={},
        github_users=tuple(
            GithubUser(login(number), number + 1, None, "Bio", None, None, 3, OPENED_AT, OPENED_AT)
            for number in range(developers_count)
        ),
        github_repositories=tuple(
            GithubRepository(
                one.name_with_owner,
                number + 1,
                None,
                False,
                False,
                0,
                ("web",),
                {"Python": 900, "C": 50},
                OPENED_AT,
                NOON,
            )
            for number, one in enumerate(work)
        ),
        github_contributions=tuple(work),
    )


def profile_before(number: int, read_on: dt.date) -> GithubProfile:
    """An account as it was read before anything changed."""
    year, since_on = last_year(read_on), read_on - dt.timedelta(days=WATCHED_DAYS)
    end = dt.datetime.combine(read_on, dt.time(23, 59, 59), tzinfo=dt.UTC)

    def count(one: GithubContribution, first_on: dt.date) -> int:
        span = CommitSpan(one.commits_count, one.first_on, one.last_on)
        return span.count(dt.datetime.combine(first_on, dt.time(), tzinfo=dt.UTC), end)

    work = contributions(number, is_changed=False)
    return GithubProfile(
        login=login(number),
        github_id=number + 1,
        name=None,
        bio="Bio",
        company=None,
        location=None,
        followers_count=3,
        created_at=OPENED_AT,
        repositories=tuple(
            RepositoryWork(
                repository=one.name_with_owner,
                description=None,
                is_fork=False,
                topics=("web",),
                languages={"Python": 900, "C": 50},
                commits_count=one.commits_count,
                commits_last_year_count=count(one, year.start_on),
                first_contributed_on=one.first_on,
                last_contributed_on=one.last_on,
                subjects=one.subjects,
            )
            for one in work
        ),
        watch=Watch(
            node_id=node_id("U", number + 1),
            github_id=number + 1,
            login=login(number),
            read_on=read_on,
            complete_on=read_on,
            since_on=since_on,
            commits_count=sum(count(one, since_on) for one in work),
        ),
    )


def seed(database: Database, developers: pd.DataFrame, numbers: Sequence[int]) -> None:
    """Make the tables hold the accounts as a refresh of the day before left them."""
    before = NOON - dt.timedelta(days=1, hours=1)
    profiles = [profile_before(number, before.date()) for number in numbers]
    rows = profile_rows(
        [ProfileResult(profile.login, "fetched", profile, None) for profile in profiles],
        developers[developers["github_login"].isin([profile.login for profile in profiles])],
        pd.DataFrame(columns=PROFILE_COLUMNS),
        pd.DataFrame(columns=REPOSITORY_COLUMNS),
        attempted_at=before,
    )
    database.upsert(tables.developer_profiles, rows.profiles)
    database.upsert(tables.developer_repositories, rows.repositories)
    database.upsert(github_accounts, rows.accounts)


@contextmanager
def local_github(home: Path, world: World, clock: SimulatedClock) -> Iterator[str]:
    """Root URL of a local GitHub that lives by the clock."""
    with SandboxState(state_path(home)) as state:
        state.replace_world(world)
    config = ServerConfig(
        faults={service: FaultSettings() for service in SERVICES},
        github_limit=LIMIT_POINTS,
        gemini_limit=0,
        seed=1,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    holder: list[uvicorn.Server] = []

    def serve() -> None:
        # SQLite wants its connection in the thread that uses it.
        sandbox = Sandbox.create(
            SandboxState(state_path(home)), config, clock=lambda: clock.read().timestamp()
        )
        app = _with_latency(build_app(sandbox, token=TOKEN), clock)
        holder.append(uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)))
        asyncio.run(holder[0].serve(sockets=[listener]))

    thread = threading.Thread(target=serve, name="local github")
    thread.start()
    try:
        while not (holder and holder[0].started):
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/github"
    finally:
        holder[0].should_exit = True
        thread.join()


def _with_latency(app: ASGIApp, clock: SimulatedClock) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            clock.sleep(LATENCY_S / THREADS_COUNT)
        await app(scope, receive, send)

    return serve


def is_right(database: Database, developers_count: int, changed_count: int) -> bool:
    """Whether the tables hold every account's commits as GitHub has them."""
    rows = read_table(database, tables.developer_repositories)
    stored = dict(zip(zip(rows["developer_id"], rows["repository"]), rows["commits_count"]))
    return stored == {
        (login(number), one.name_with_owner): one.commits_count
        for number in range(developers_count)
        for one in contributions(number, is_changed=number < changed_count)
    }


def measure(home: Path, developers_count: int, changed_ratio: float, new_count: int) -> RefreshMeasurement:
    """Refresh everybody once."""
    changed_count = round(developers_count * changed_ratio)
    total = developers_count + new_count
    logins = [login(number) for number in range(total)]
    developers = pd.DataFrame({"developer_id": logins, "github_login": logins})
    server = ensure_postgres(home)
    migrate.upgrade(server.url())
    database, clock = Database(server.url()), SimulatedClock()
    timing = Timing(clock.read, clock.sleep)
    try:
        seed(database, developers, range(developers_count))
        with local_github(home, make_world(total, changed_count), clock) as url:
            with GithubClient(url=url, token=TOKEN, timeout_s=60, timing=timing) as github:
                began, virtually_began = time.perf_counter(), clock.read()
                done: Refresh = refresh_profiles(
                    database,
                    github,
                    developers,
                    known=read_table(database, tables.developer_profiles),
                    known_accounts=read_table(database, github_accounts),
                    wanted_ids=[],
                    read_clock=clock.read,
                    tell=lambda *_: None,
                )
                real_s = time.perf_counter() - began
                virtual_s = (clock.read() - virtually_began).total_seconds()
            with GithubClient(url=url, token=OTHER_TOKEN, timeout_s=60, timing=timing) as github:
                sample = range(min(20, developers_count))
                for number in sample:
                    github.read_profile_rest(login(number), etag=None, now=NOON)
                rest_calls = github.budget.calls_count / len(sample)
        allowed = round(LIMIT_POINTS * (1 - KEEP_RATIO))
        return RefreshMeasurement(
            developers=developers_count,
            changed=changed_count,
            new=new_count,
            points=done.budget.cost_points,
            points_allowed=allowed,
            points_per_developer=round(done.budget.cost_points / total, 4),
            calls=done.budget.calls_count,
            virtual_s=round(virtual_s, 1),
            read=done.accounts_read,
            unchanged=done.states["unchanged"],
            rows_right=is_right(database, total, changed_count),
            rest_calls_per_profile=round(rest_calls, 1),
            rest_profiles_per_hour=int(allowed / rest_calls),
            real_s=round(real_s, 1),
        )
    finally:
        database.close()


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=50_000, help="accounts that were read before")
    parser.add_argument("--changed", type=float, default=0.05, help="share of them that changed since")
    parser.add_argument("--new", type=int, default=0, help="accounts that were never read, beside those")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.developers < 1 or arguments.new < 0 or not 0 <= arguments.changed <= 1:
        parser.error("--developers is at least 1, --new at least 0, --changed from 0 to 1")
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as home:
        try:
            measurement = asdict(measure(Path(home), arguments.developers, arguments.changed, arguments.new))
        finally:
            stop_postgres(Path(home))
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>24}  {value}")


if __name__ == "__main__":
    main()
