"""The GitHub client: reads many developers' accounts and own work by GraphQL, or one by REST.

Reading a chunk of accounts takes four kinds of question: the accounts, their commits by repository in windows of at
most a year, what the repositories say of themselves, and the newest commit subjects. Repositories are shared by many
accounts, so each is asked for once and not with every account: that is most of the cost of the obvious nested query.
Turning profiles into rows is `profiles/github_profiles.py`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Self

from platform_assets.clients import github_queries as queries
from platform_assets.clients.github_batches import Questions, Reply, batched, parsed
from platform_assets.clients.github_queries import Account, RepositoryFacts, Tally
from platform_assets.clients.github_readmes import Readme, read_readmes
from platform_assets.clients.github_rest import read_rest_profile
from platform_assets.clients.github_transport import BACKOFF_S, GithubTransport
from platform_assets.clients.github_values import (
    GithubProfile,
    NotModified,
    ProfileResult,
    RateBudget,
    RepositoryWork,
    RestProfile,
    Window,
    is_possible_login,
    plan_windows,
)
from platform_assets.clients.http_errors import QueryTooLargeError, RateLimited, ServiceError, TransientError

CHUNK_ACCOUNTS_COUNT = 25
"""Accounts read together; what a rate limit can cost is at most the unfinished chunks."""

THREADS_COUNT = 4
"""Calls in flight; far below GitHub's secondary limit of 100."""

FEW_REPOSITORIES_COUNT = 25
"""Repositories first asked for in a window. Few people work on more in a year, and the cost grows with this number."""

SUBJECT_REPOSITORIES_COUNT = 10
"""Repositories of an account, by own commits, whose commit subjects are read."""

SUBJECTS_RESERVE_RATIO = 0.1
"""Below this share of points left, commit subjects are not read: accounts and commits matter more."""


class GithubClient:
    """Reads accounts from one GitHub server.

    Args:
        url: REST root, such as `https://api.github.com`; GraphQL is found beside it.
        token: The token; it appears in no message.
        timeout_s: Limit of each call, in seconds.
        backoff_s: First wait before a repeated call; it doubles each time, with jitter.
    """

    def __init__(self, *, url: str, token: str, timeout_s: float, backoff_s: float = BACKOFF_S) -> None:
        self._transport = GithubTransport(url=url, token=token, timeout_s=timeout_s, backoff_s=backoff_s)
        self._questions = Questions(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def budget(self) -> RateBudget:
        """What this client has spent, and what its token has left."""
        return self._transport.budget

    def read_budget(self) -> RateBudget:
        """Ask what the token has left of its GraphQL points; the question itself is free.

        Raises:
            ServiceError: GitHub can't be reached or refuses the token.
        """
        answer = self._transport.get("/rate_limit", action="read the rate limit")
        points = answer.body["resources"]["graphql"]
        return replace(
            self.budget,
            limit=points["limit"],
            remaining=points["remaining"],
            reset_at=dt.datetime.fromtimestamp(points["reset"], tz=dt.UTC),
        )

    def read_profiles(self, logins: Sequence[str], *, now: dt.datetime) -> Iterator[ProfileResult]:
        """Read accounts; each distinct login yields one result, in the order in which they are done.

        One bad account never stops the rest: it yields `not_found` or `failed`. What stops everything (a rate limit, a
        refused token, GitHub being down) is raised only after everything already read has been yielded.

        Args:
            logins: Logins to read; spellings that differ only in case are one account.
            now: Moment of reading (UTC), from which the last year is counted.

        Yields:
            One result per account.

        Raises:
            RateLimited: The budget is spent; the rest can be read from `retry_at` on.
            PermanentError: The token is refused or the query is not understood.
            TransientError: GitHub is down.
        """
        distinct = list({login.casefold(): login for login in reversed(logins)}.values())[::-1]
        for login in distinct:
            if not is_possible_login(login):
                yield ProfileResult(login, "not_found", None, "This is no possible GitHub login.")
        possible = [login for login in distinct if is_possible_login(login)]
        repositories = _Repositories(self._questions)
        yield from _in_threads(
            lambda chunk: self._read_chunk(chunk, repositories, now), batched(possible, CHUNK_ACCOUNTS_COUNT)
        )

    def read_profile_rest(
        self, login: str, *, etag: str | None, now: dt.datetime
    ) -> RestProfile | NotModified:
        """Read one account and its work in its own repositories by REST.

        REST cannot list work in other people's repositories, and takes some 3 calls a repository: this is for a cheap
        look at one account, where an unchanged one costs nothing.

        Args:
            login: The account.
            etag: `etag` of the last read, or None.
            now: Moment of reading (UTC), from which the last year is counted.

        Returns:
            The profile with its new `etag`, or that neither the account nor its list of repositories has changed.

        Raises:
            ServiceError: The account could not be read; `status` 404 says that there is none.
        """
        return read_rest_profile(self._transport, login, etag=etag, now=now)

    def read_readmes(self, known_oids: Mapping[str, str | None]) -> Iterator[list[Readme]]:
        """Read repositories' READMEs; see `github_readmes.read_readmes`."""
        return read_readmes(self._questions, known_oids)

    def _read_chunk(
        self, logins: Sequence[str], repositories: _Repositories, now: dt.datetime
    ) -> list[ProfileResult]:
        replies = self._questions.ask(queries.ACCOUNT, [{"login": login} for login in logins])
        accounts = {
            login: parsed(queries.parse_account, reply) for login, reply in zip(logins, replies, strict=True)
        }
        work = self._read_work(
            {login: account for login, account in accounts.items() if isinstance(account, Account)},
            today=now.astimezone(dt.UTC).date(),
        )
        tallies = {login: tally for login, tally in work.items() if isinstance(tally, dict)}
        facts = repositories.read({name for tally in tallies.values() for name in tally})
        subjects = self._read_subjects(
            [
                (login, name, account.node_id)
                for login, account in accounts.items()
                if isinstance(account, Account) and login in tallies
                for name in _most_worked_on(tallies[login])
                if isinstance(facts[name], RepositoryFacts)
            ]
        )
        return [_result(login, accounts[login], work.get(login), facts, subjects) for login in logins]

    def _read_work(
        self, accounts: Mapping[str, Account], *, today: dt.date
    ) -> dict[str, dict[str, Tally] | ServiceError | None]:
        """Own commits by account and repository; an error, or None for an account that has gone."""
        work: dict[str, dict[str, Tally] | ServiceError | None] = {login: {} for login in accounts}
        waiting = [
            (login, window, FEW_REPOSITORIES_COUNT)
            for login, account in accounts.items()
            for window in plan_windows(account.years, today=today)
        ]
        while waiting:
            asked = [part for part in waiting if isinstance(work[part[0]], dict)]
            waiting = []
            replies = self._questions.ask(queries.WORK, [queries.work_variables(*part) for part in asked])
            for (login, window, limit), reply in zip(asked, replies, strict=True):
                smaller = _smaller_parts(login, window, limit, reply)
                if smaller:
                    waiting += smaller
                    continue
                tally = parsed(partial(queries.parse_work, window=window), reply)
                known = work[login]
                if isinstance(tally, dict) and isinstance(known, dict):
                    for name, commits in tally.items():
                        known[name] = known[name] + commits if name in known else commits
                elif isinstance(known, dict):
                    work[login] = tally
        return work

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


def _smaller_parts(login: str, window: Window, limit: int, reply: Reply) -> list[tuple[str, Window, int]]:
    """What to ask instead when a window was too much for GitHub, or lists as many repositories as it may."""
    is_cut = isinstance(reply, Mapping) and parsed(queries.count_listed, reply) == limit
    if is_cut and limit < queries.MAX_REPOSITORIES:
        return [(login, window, queries.MAX_REPOSITORIES)]
    halves = window.halves()
    # A single day with more repositories than GitHub lists keeps the hundred that it does list.
    if (is_cut or isinstance(reply, QueryTooLargeError)) and len(halves) > 1:
        return [(login, half, limit) for half in halves]
    return []


def _most_worked_on(tallies: Mapping[str, Tally]) -> list[str]:
    return sorted(tallies, key=lambda name: (-tallies[name].commits_count, name))[:SUBJECT_REPOSITORIES_COUNT]


def _result(
    login: str,
    account: Account | ServiceError | None,
    work: dict[str, Tally] | ServiceError | None,
    facts: Mapping[str, RepositoryFacts | ServiceError | None],
    subjects: Mapping[tuple[str, str], tuple[str, ...]],
) -> ProfileResult:
    if account is None or (isinstance(account, Account) and work is None):
        return ProfileResult(login, "not_found", None, f"GitHub has no user {login!r}.")
    if isinstance(account, ServiceError):
        return ProfileResult(login, "failed", None, str(account))
    if isinstance(work, ServiceError):
        return ProfileResult(login, "failed", None, str(work))
    assert work is not None
    repositories = []
    for name in sorted(work):
        about = facts[name]
        if isinstance(about, ServiceError):
            return ProfileResult(login, "failed", None, str(about))
        if about is not None:  # None: deleted or made private since the commits were listed
            repositories.append(_repository_work(name, work[name], about, subjects.get((login, name))))
    return ProfileResult(login, "fetched", _profile(account, tuple(repositories)), None)


def _profile(account: Account, repositories: tuple[RepositoryWork, ...]) -> GithubProfile:
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


def _in_threads(
    read: Callable[[Sequence[str]], list[ProfileResult]], chunks: Sequence[Sequence[str]]
) -> Iterator[ProfileResult]:
    """Results of all chunks as they are done; the first error is raised once the chunks in flight are done."""
    left = iter(chunks)
    failure: ServiceError | None = None
    with ThreadPoolExecutor(THREADS_COUNT, thread_name_prefix="github") as pool:
        running: set[Future[list[ProfileResult]]] = {
            pool.submit(read, chunk) for _, chunk in zip(range(THREADS_COUNT), left)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    results = future.result()
                except ServiceError as error:
                    failure = failure or error
                    continue
                if failure is None and (chunk := next(left, None)) is not None:
                    running.add(pool.submit(read, chunk))
                yield from results
    if failure:
        raise failure
