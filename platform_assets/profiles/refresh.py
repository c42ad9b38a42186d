"""Brings developer profiles up to date within GitHub's budget: who is due is read and written in parts, and a break loses little.

Who is due is `github_plan`, how answers become rows is `github_profiles`; talking to GitHub is `clients.github`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts, is_among
from platform_assets.clients.github_accounts import Known
from platform_assets.clients.github_ledger import PostgresLedger
from platform_assets.clients.github_values import ProfileResult, RateBudget, RepositoryWork, Watch
from platform_assets.clients.http_errors import BudgetSpentError, ServiceError
from platform_assets.profiles.github_plan import KEEP_RATIO, REFRESH_AFTER, Plan, fit_budget, plan_refresh
from platform_assets.profiles.github_profiles import known_watches, profile_rows, repository_work
from platform_assets.tables import marketplace, matching
from platform_assets.tables import platform as tables
from platform_assets.tables.github_accounts import github_accounts

if TYPE_CHECKING:
    from platform_assets.clients.github import GithubClient

ACCOUNTS_PER_COMMIT = 200
"""An interrupted refresh keeps all but the last so many accounts."""


@dataclass(frozen=True)
class Refresh:
    """What a refresh did.

    Attributes:
        counts: Rows of all tables that were written.
        accounts_due: Distinct GitHub accounts whose turn it was.
        states: How many came to which state; `unchanged` needed no more than a look.
        plan: What was planned; None when GitHub was not asked.
        budget: What was spent.
    """

    counts: WriteCounts
    accounts_due: int
    states: Counter[str] = field(default_factory=Counter)
    plan: Plan | None = None
    budget: RateBudget = field(default_factory=RateBudget)

    @property
    def accounts_read(self) -> int:
        """Accounts that were asked for, with whatever outcome."""
        return self.states.total()

    @property
    def accounts_deferred(self) -> int:
        """Accounts whose turn it was, and that wait for the next hour; none while GitHub is switched off."""
        return self.accounts_due - self.accounts_read if self.plan else 0

    def numbers(self) -> dict[str, Any]:
        """What the run's metadata tells."""
        plan = self.plan
        return {
            "accounts_due": self.accounts_due,
            "accounts_read": self.accounts_read,
            "accounts_unchanged": self.states["unchanged"],
            "accounts_failed": self.states["failed"],
            "accounts_deferred": self.accounts_deferred,
            "github_calls": self.budget.calls_count,
            "github_points": self.budget.cost_points,
            "points_expected": plan.points_expected if plan else 0.0,
            "planned_freshness_hours": plan.freshness_hours
            if plan
            else REFRESH_AFTER / dt.timedelta(hours=1),
            **({"points_spendable": plan.points_spendable} if plan else {}),
        }


def refresh_profiles(
    database: Database,
    github: GithubClient | None,
    developers: pd.DataFrame,
    *,
    known: pd.DataFrame,
    known_accounts: pd.DataFrame,
    wanted_ids: Sequence[str],
    read_clock: Callable[[], dt.datetime],
    tell: Callable[[int, int], None],
) -> Refresh:
    """Read the profiles that are due, and write them.

    Args:
        database: Where profiles and the books over GitHub's limits are kept.
        github: GitHub; None when it is switched off, and then only developers without a login get their row.
        developers: `marketplace.developers`.
        known: `platform.developer_profiles`.
        known_accounts: `platform.github_accounts`.
        wanted_ids: Developers whose profile is in demand.
        read_clock: Gives the present moment (UTC).
        tell: Called after each part with the accounts read and those due.

    Raises:
        ServiceError: GitHub stopped answering; what was read until then is written. That the hour's points are spent
            is no error: whoever is left is read in the next hour.
    """
    due = plan_refresh(developers, known, now=read_clock(), wanted_ids=wanted_ids)
    watches = known_watches(developers, known, known_accounts)

    def write(results: list[ProfileResult], part: pd.DataFrame) -> WriteCounts:
        return _write(database, results, part, known, watches, read_clock())

    linked = due[due["github_login"].notna()]
    done = Refresh(
        counts=write([], due[due["github_login"].isna()]),
        accounts_due=int(linked["github_login"].str.casefold().nunique()),
    )
    if github is None or linked.empty:
        return done
    with github.with_ledger(PostgresLedger(database), keep_ratio=KEEP_RATIO) as shared:
        # What others spent since the last answer is in no book of ours.
        shared.read_budget()
        spendable, per_hour = shared.spendable_points(keep_ratio=KEEP_RATIO)
        plan = fit_budget(
            due,
            followed_logins=watches.keys(),
            linked_count=int(developers["github_login"].notna().sum()),
            points_spendable=spendable,
            points_per_hour=per_hour * (1 - KEEP_RATIO),
        )
        now = plan.due.head(plan.now_count)
        logins = now["github_login"].str.casefold()
        remembered = Known(watches, lambda asked: _recall(database, now, asked))
        counts, states = done.counts, done.states
        results = shared.read_profiles(list(now["github_login"]), now=read_clock(), known=remembered)
        try:
            for part in _in_parts(results):
                counts += write(part, now[logins.isin([result.login.casefold() for result in part])])
                states.update(result.state for result in part)
                tell(states.total(), done.accounts_due)
        except BudgetSpentError:
            # The plan errs; the books do not. The rest stays due.
            pass
        return replace(done, counts=counts, states=states, plan=plan, budget=shared.budget)


def developers_in_demand(database: Database) -> list[str]:
    """Developers whom somebody looks at: in matches or candidates, or with an open contract."""
    contracts = marketplace.contracts
    ids = sa.union(
        sa.select(matching.matches.c.developer_id),
        sa.select(matching.match_candidates.c.developer_id),
        sa.select(contracts.c.developer_id).where(contracts.c.status.in_(["offered", "active"])),
    )
    return list(database.read(ids)["developer_id"])


def _write(
    database: Database,
    results: list[ProfileResult],
    part: pd.DataFrame,
    known: pd.DataFrame,
    watches: dict[str, Watch],
    attempted_at: dt.datetime,
) -> WriteCounts:
    fetched = [result.login.casefold() for result in results if result.profile is not None]
    is_fetched = part["github_login"].str.casefold().isin(fetched)
    rows = profile_rows(
        results,
        part,
        known[known["developer_id"].isin(part["developer_id"])],
        _read_repositories(database, part["developer_id"][is_fetched]),
        attempted_at=attempted_at,
        watches=watches,
    )
    replaced = list(rows.replaced_developer_ids)
    with database.transaction() as connection:
        return (
            database.upsert(
                tables.developer_profiles,
                rows.profiles,
                connection=connection,
                quarantine_as="github.accounts",
            )
            + database.upsert(
                tables.developer_repositories,
                rows.repositories,
                delete_missing=is_among(tables.developer_repositories.c.developer_id, replaced),
                connection=connection,
                quarantine_as="github.repositories",
            )
            + database.upsert(
                github_accounts,
                rows.accounts,
                delete_missing=is_among(github_accounts.c.developer_id, replaced),
                connection=connection,
            )
        )


def _read_repositories(database: Database, developer_ids: Iterable[str]) -> pd.DataFrame:
    table = tables.developer_repositories
    columns = [column for column in table.columns if not column.info.get("bookkeeping")]
    return database.read(
        sa.select(*columns)
        .where(is_among(table.c.developer_id, list(developer_ids)))
        .order_by(*table.primary_key)
    )


def _recall(database: Database, due: pd.DataFrame, logins: Sequence[str]) -> dict[str, list[RepositoryWork]]:
    """The work of some logins as it was read before, by login in lower case."""
    asked = {login.casefold() for login in logins}
    owners = due.assign(login=due["github_login"].str.casefold()).drop_duplicates("login")
    login_of = dict(zip(owners["developer_id"], owners["login"]))
    chosen = owners["developer_id"][owners["login"].isin(asked)]
    work: dict[str, list[RepositoryWork]] = {login: [] for login in asked}
    for row in _read_repositories(database, chosen).to_dict("records"):
        work[login_of[row["developer_id"]]].append(repository_work({str(k): v for k, v in row.items()}))
    return work


def _in_parts(results: Iterable[ProfileResult]) -> Iterator[list[ProfileResult]]:
    """Results in parts; when reading breaks off, what was read comes before the error goes on."""
    part: list[ProfileResult] = []
    try:
        for result in results:
            part.append(result)
            if len(part) == ACCOUNTS_PER_COMMIT:
                yield part
                part = []
    except ServiceError:
        if part:
            yield part
        raise
    if part:
        yield part
