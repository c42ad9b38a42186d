"""What is asked of GitHub about a chunk of accounts, and how the answers become one result for each.

Repositories are shared by many accounts, so each is asked for once and not with every account: that is most of the cost
of the obvious nested query. Chunks, threads and the order are `github.py`'s; commits by window are `github_work.py`'s.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from platform_assets.clients import github_queries as queries
from platform_assets.clients.github_batches import Questions, parsed
from platform_assets.clients.github_queries import RepositoryFacts, Tally
from platform_assets.clients.github_rest import is_account_suspended
from platform_assets.clients.github_transport import GithubTransport
from platform_assets.clients.github_values import (
    Account,
    GithubProfile,
    ProfileResult,
    RepositoryWork,
    Watch,
    Window,
    plan_windows,
)
from platform_assets.clients.github_work import (
    Reading,
    Work,
    changed_windows,
    count_commits,
    is_as_known,
    joined_work,
    read_work,
)
from platform_assets.clients.http_errors import RateLimited, ServiceError, TransientError

SUBJECT_REPOSITORIES_COUNT = 10
"""Repositories of an account, by own commits, whose commit subjects are read."""

KEPT_REPOSITORIES_COUNT = 1_000
"""Repositories of an account, by own commits, that are kept. Thousands are the work of a program, and asking about all of
them would meet GitHub's limit on computing time in every refresh anew, at everybody's expense."""

SUBJECTS_RESERVE_RATIO = 0.1
"""Below this share of points left, commit subjects are not read: accounts and commits matter more."""

COMPLETE_AFTER = dt.timedelta(days=30)
"""Age at which all years of an account are read again, as old ones change without a trace in recent ones."""

WATCHED_DAYS = 300
"""Days before a read whose commits are counted afterwards. Commits are dated when they were written, so a branch that is
merged late adds old ones; with `COMPLETE_AFTER` it must stay below the year that GitHub counts at once."""


@dataclass(frozen=True)
class Known:
    """What earlier reads left of some accounts, by login in lower case.

    Attributes:
        watches: What a cheap look is compared with. An account that is missing here is read in full.
        recall: Gives the work of some logins as it was read before; asked for changed accounts only.
    """

    watches: Mapping[str, Watch] = field(default_factory=dict)
    recall: Callable[[Sequence[str]], Mapping[str, Sequence[RepositoryWork]]] = lambda _: {}


class AccountReader:
    """Reads chunks of accounts; threads may share it.

    Args:
        transport: Sends the calls.
        known: What earlier reads left.
        today: UTC day of reading.
    """

    def __init__(self, transport: GithubTransport, known: Known, today: dt.date) -> None:
        self._transport = transport
        self._questions = Questions(transport)
        self._repositories = _Repositories(self._questions)
        self._known = known
        self._today = today

    def look(self, logins: Sequence[str]) -> list[tuple[str, ProfileResult | Account]]:
        """What is to be said of known accounts at a glance; the account itself where its work must be read."""
        watches = [self._known.watches[login.casefold()] for login in logins]
        replies = self._questions.ask(
            queries.KNOWN, [queries.known_variables(watch.node_id, watch.since_on) for watch in watches]
        )
        seen: list[tuple[str, ProfileResult | Account]] = []
        for login, watch, reply in zip(logins, watches, replies, strict=True):
            account = parsed(queries.parse_account, reply)
            if account is None:
                seen.append((login, self._gone(login, watch)))
            elif isinstance(account, ServiceError):
                seen.append((login, ProfileResult(login, "failed", None, str(account))))
            elif account.watched_commits_count == watch.commits_count and not _is_stale(
                watch, account, self._today
            ):
                seen.append((login, ProfileResult(login, "unchanged", None, None, account)))
            else:
                seen.append((login, account))
        return seen

    def _gone(self, login: str, watch: Watch) -> ProfileResult:
        try:
            is_suspended = is_account_suspended(self._transport, watch.github_id, login)
        except RateLimited:
            raise
        except ServiceError as error:
            return ProfileResult(login, "failed", None, str(error))
        if is_suspended:
            return ProfileResult(login, "suspended", None, f"GitHub has suspended the account {login!r}.")
        return ProfileResult(login, "deleted", None, f"GitHub no longer has the account {login!r}.")

    def read(self, logins: Sequence[str], changed: Mapping[str, Account]) -> list[ProfileResult]:
        """Read new accounts in full, and the changed among known ones as far as they can have changed.

        Args:
            logins: The accounts.
            changed: Those of which `look` gave the account.

        Raises:
            ServiceError: The failure is not that of single accounts.
        """
        new = [login for login in logins if login not in changed]
        replies = self._questions.ask(queries.ACCOUNT, [{"login": login} for login in new])
        accounts: dict[str, Account | ServiceError | None] = {
            **{login: changed[login] for login in logins if login in changed},
            **{
                login: parsed(queries.parse_account, reply) for login, reply in zip(new, replies, strict=True)
            },
        }
        there = {login: account for login, account in accounts.items() if isinstance(account, Account)}
        # Counted before the work is read: a commit between the two is seen again next time, and never missed.
        since_on = self._today - dt.timedelta(days=WATCHED_DAYS)
        counts = count_commits(
            self._questions,
            {login: account.login for login, account in there.items()},
            Window(since_on, self._today, is_last_year=False),
        )
        before = self._known.recall([login for login in there if login in changed]) if changed else {}
        before = {login: before.get(login.casefold(), ()) for login in there}
        watches = {login: self._known.watches.get(login.casefold()) for login in there}
        work, complete = self._read_work(there, watches, before)
        work = {login: _bounded(tallies) for login, tallies in work.items()}
        wanted = {
            login: {
                name for name, tally in tallies.items() if not is_as_known(tally, _named(before[login], name))
            }
            for login, tallies in work.items()
            if isinstance(tallies, dict)
        }
        facts = self._repositories.read({name for names in wanted.values() for name in names})
        subjects = self._read_subjects(
            [
                (login, name, there[login].node_id)
                for login, names in wanted.items()
                for name in _most_worked_on(work[login], SUBJECT_REPOSITORIES_COUNT)
                if name in names and isinstance(facts[name], RepositoryFacts)
            ]
        )
        results = []
        for login in logins:
            account, count = accounts[login], counts.get(login)
            if isinstance(account, Account) and isinstance(count, ServiceError):
                account = count
            watch = None
            if isinstance(account, Account) and isinstance(count, int):
                old = watches[login]
                watch = Watch(
                    node_id=account.node_id,
                    github_id=account.github_id,
                    login=account.login,
                    read_on=self._today,
                    complete_on=self._today if login in complete or old is None else old.complete_on,
                    since_on=since_on,
                    commits_count=count,
                )
            results.append(
                _result(login, account, watch, work.get(login), before.get(login, ()), facts, subjects)
            )
        return results

    def _read_work(
        self,
        accounts: Mapping[str, Account],
        watches: Mapping[str, Watch | None],
        before: Mapping[str, Sequence[RepositoryWork]],
    ) -> tuple[dict[str, Work | ServiceError | None], set[str]]:
        """Own commits by login, and the logins of which all years were read."""
        partly, wholly = {}, {}
        for login, account in accounts.items():
            watch = watches[login]
            if watch and not _is_stale(watch, account, self._today):
                partly[login] = Reading(account.login, changed_windows(watch.read_on, self._today))
            else:
                wholly[login] = Reading(account.login, tuple(plan_windows(account.years, today=self._today)))
        work: dict[str, Work | ServiceError | None] = {}
        for login, read in read_work(self._questions, partly).items():
            joined = joined_work(before[login], read) if isinstance(read, dict) else read
            if joined is None and read is not None:
                windows = tuple(plan_windows(accounts[login].years, today=self._today))
                wholly[login] = Reading(accounts[login].login, windows)
            else:
                work[login] = joined
        return work | read_work(self._questions, wholly), set(wholly)

    def _read_subjects(self, parts: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Commit subjects by login and repository; what could not be read is left out."""
        budget = self._transport.budget
        if budget.limit and (budget.remaining or 0) < budget.limit * SUBJECTS_RESERVE_RATIO:
            return {}
        try:
            replies = self._questions.ask(
                queries.SUBJECTS, [queries.subject_variables(name, author) for _, name, author in parts]
            )
        except (RateLimited, TransientError):
            # The profiles are complete but for these; whoever asks next meets the same limit or outage.
            return {}
        read = [parsed(queries.parse_subjects, reply) for reply in replies]
        return {
            (login, name): subjects
            for (login, name, _), subjects in zip(parts, read, strict=True)
            if isinstance(subjects, tuple)
        }


class _Repositories:
    """What repositories say of themselves, each asked for once and shared by the threads of one reading."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._known: dict[str, RepositoryFacts | None] = {}
        self._lock = threading.Lock()

    def read(self, names: set[str]) -> dict[str, RepositoryFacts | ServiceError | None]:
        """Facts by `owner/name`; None where there is no such repository any more."""
        with self._lock:
            known = {name: self._known[name] for name in names & self._known.keys()}
        new = sorted(names - known.keys())
        # Asked outside the lock: two threads may rarely ask for the same one, but none waits for another.
        replies = self._questions.ask(
            queries.REPOSITORY, [queries.repository_variables(name) for name in new]
        )
        read = {name: parsed(queries.parse_facts, reply) for name, reply in zip(new, replies, strict=True)}
        with self._lock:
            self._known |= {
                name: facts for name, facts in read.items() if not isinstance(facts, ServiceError)
            }
        return {**known, **read}


def _is_stale(watch: Watch, account: Account, today: dt.date) -> bool:
    """Whether all years are due: a rename moves repositories, and age tells what recent days don't.

    Ages are spread over a week, so that accounts first read together don't come back together.
    """
    if account.login != watch.login:
        return True
    return today - watch.complete_on >= COMPLETE_AFTER + dt.timedelta(days=watch.github_id % 7)


def _named(known: Sequence[RepositoryWork], name: str) -> RepositoryWork | None:
    return next((one for one in known if one.repository == name), None)


def _bounded(tallies: Work | ServiceError | None) -> Work | ServiceError | None:
    if not isinstance(tallies, dict):
        return tallies
    return {name: tallies[name] for name in _most_worked_on(tallies, KEPT_REPOSITORIES_COUNT)}


def _most_worked_on(tallies: Work | ServiceError | None, count: int) -> list[str]:
    assert isinstance(tallies, dict)  # only accounts whose work was read are asked about
    return sorted(tallies, key=lambda name: (-tallies[name].commits_count, name))[:count]


def _result(
    login: str,
    account: Account | ServiceError | None,
    watch: Watch | None,
    work: Work | ServiceError | None,
    before: Sequence[RepositoryWork],
    facts: Mapping[str, RepositoryFacts | ServiceError | None],
    subjects: Mapping[tuple[str, str], tuple[str, ...]],
) -> ProfileResult:
    if isinstance(account, ServiceError):
        return ProfileResult(login, "failed", None, str(account))
    if isinstance(work, ServiceError):
        return ProfileResult(login, "failed", None, str(work))
    if account is None or work is None or watch is None:
        return ProfileResult(login, "not_found", None, f"GitHub has no user {login!r}.")
    repositories = []
    for name in sorted(work):
        known = _named(before, name)
        if known is not None and is_as_known(work[name], known):
            # None: as they are known, so that they are not written anew.
            repositories.append(replace(known, subjects=None))
            continue
        about = facts[name]
        if isinstance(about, ServiceError):
            return ProfileResult(login, "failed", None, str(about))
        if about is not None:  # None: deleted or made private since the commits were listed
            repositories.append(_repository_work(name, work[name], about, subjects.get((login, name))))
    return ProfileResult(login, "fetched", _profile(account, watch, tuple(repositories)), None)


def _profile(account: Account, watch: Watch, repositories: tuple[RepositoryWork, ...]) -> GithubProfile:
    return GithubProfile(
        login=account.login,
        github_id=account.github_id,
        name=account.name,
        bio=account.bio,
        company=account.company,
        location=account.location,
        followers_count=account.followers_count,
        created_at=account.created_at,
        repositories=repositories,
        has_private_work=account.has_private_work,
        watch=watch,
    )


def _repository_work(
    name: str, tally: Tally, facts: RepositoryFacts, subjects: tuple[str, ...] | None
) -> RepositoryWork:
    return RepositoryWork(
        repository=name,
        description=facts.description,
        is_fork=facts.is_fork,
        topics=facts.topics,
        languages=facts.languages,
        commits_count=tally.commits_count,
        commits_last_year_count=tally.commits_last_year_count,
        first_contributed_on=tally.first_on,
        last_contributed_on=tally.last_on,
        subjects=subjects,
    )
