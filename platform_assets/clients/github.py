"""The GitHub client: reads many developers' accounts and own work by GraphQL, or one by REST.

Accounts that were read before are only looked at, a hundred for a point; those that changed, and new ones, are read in
chunks (`github_accounts.py`). Turning profiles into rows is `profiles/github_profiles.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Self, TypeVar

from platform_assets.clients import github_queries, github_readmes
from platform_assets.clients.github_accounts import AccountReader, Known
from platform_assets.clients.github_batches import Questions, batched
from platform_assets.clients.github_budget import Observed
from platform_assets.clients.github_ledger import Ledger, Timing
from platform_assets.clients.github_readmes import Readme, read_readmes
from platform_assets.clients.github_rest import read_rest_profile
from platform_assets.clients.github_transport import ATTEMPTS_COUNT, BACKOFF_S, GithubTransport
from platform_assets.clients.github_values import (
    Account,
    NotModified,
    ProfileResult,
    RateBudget,
    RestProfile,
    is_possible_login,
)
from platform_assets.clients.http_errors import RateLimited, ServiceError

CHUNK_ACCOUNTS_COUNT = 25
"""New or changed accounts read together; what a rate limit can cost is at most the unfinished chunks."""

LOOK_ACCOUNTS_COUNT = 100
"""Known accounts looked at together: one document, one point."""

THREADS_COUNT = 4
"""Calls in flight; far below GitHub's secondary limit of 100."""

QUESTIONS = (*github_queries.QUESTIONS, *github_readmes.QUESTIONS)
"""Every question that the client can ask GitHub."""

Item = TypeVar("Item")


class GithubClient:
    """Reads accounts from one GitHub server.

    Args:
        url: REST root, such as `https://api.github.com`; GraphQL is found beside it.
        token: The tokens, separated by commas; they appear in no message.
        timeout_s: Limit of each call, in seconds.
        backoff_s: First wait before a repeated call; it doubles each time, with jitter.
        attempts_count: How often a call is tried.
        ledger: The books over the tokens' limits; by default of this client alone.
        keep_ratio: Share of each token's hourly points to leave to others.
        timing: Clock and waiting.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        timeout_s: float,
        backoff_s: float = BACKOFF_S,
        attempts_count: int = ATTEMPTS_COUNT,
        ledger: Ledger | None = None,
        keep_ratio: float = 0.0,
        timing: Timing | None = None,
    ) -> None:
        tokens = [part.strip() for part in token.split(",") if part.strip()]

        def connect(ledger: Ledger | None, keep_ratio: float) -> GithubTransport:
            return GithubTransport(
                url=url,
                tokens=tokens,
                timeout_s=timeout_s,
                backoff_s=backoff_s,
                attempts_count=attempts_count,
                ledger=ledger,
                keep_ratio=keep_ratio,
                timing=timing,
            )

        self._connect = connect
        self._transport = connect(ledger, keep_ratio)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def with_ledger(self, ledger: Ledger, *, keep_ratio: float = 0.0) -> Self:
        """The same client with other books, for work that shares its tokens with other processes; close it, too."""
        other = type(self).__new__(type(self))
        other._connect = self._connect
        other._transport = self._connect(ledger, keep_ratio)
        return other

    @property
    def budget(self) -> RateBudget:
        """What this client has spent, and what the token that was used last has left."""
        return self._transport.budget

    def read_budget(self) -> RateBudget:
        """Ask what the tokens have left of their GraphQL points, together; the questions themselves are free.

        A blocked token is not asked and has nothing left, as long as another one may call.

        Raises:
            ServiceError: GitHub can't be reached or refuses a token, or all of them are blocked.
        """
        seen, blocked = [], None
        for token in self._transport.fingerprints:
            try:
                seen.append(self._read_limits(token))
            except RateLimited as error:
                blocked = error
        if blocked is not None and not seen:
            raise blocked
        return replace(
            self.budget,
            limit=sum(one.limit_points for one in seen),
            remaining=sum(one.remaining_points for one in seen),
            reset_at=max(one.reset_at for one in seen),
        )

    def spendable_points(self, *, keep_ratio: float) -> tuple[int, int]:
        """GraphQL points that may be spent now, and points an hour, over all tokens, as the books have it."""
        ledger, tokens = self._transport.ledger, self._transport.fingerprints
        now = self._transport.timing.read_clock()
        return (
            ledger.spendable_points(tokens, "graphql", now=now, keep_ratio=keep_ratio),
            ledger.limit_points(tokens, "graphql", now=now),
        )

    def _read_limits(self, token_fingerprint: str) -> Observed:
        answer = self._transport.get(
            "/rate_limit", action="read the rate limit", points=0, with_token=token_fingerprint
        )
        seen = {
            resource: Observed(
                limits["limit"], limits["remaining"], dt.datetime.fromtimestamp(limits["reset"], tz=dt.UTC)
            )
            for resource, limits in answer.body["resources"].items()
            if resource in ("core", "graphql")
        }
        now = self._transport.timing.read_clock()
        self._transport.ledger.note(token_fingerprint, seen, now=now)
        return seen["graphql"]

    def read_profiles(
        self, logins: Sequence[str], *, now: dt.datetime, known: Known | None = None
    ) -> Iterator[ProfileResult]:
        """Read accounts; each distinct login yields one result, in the order in which they are done.

        One bad account never stops the rest: its result says what is wrong with it. What stops everything (a rate
        limit, a refused token, GitHub being down) is raised only after everything already read has been yielded.

        Args:
            logins: Logins to read, the most urgent first; spellings that differ only in case are one account.
            now: Moment of reading (UTC), from which the last year is counted.
            known: What earlier reads left; accounts that have not changed since are only looked at, and those that
                have are read as far as they can have changed.

        Yields:
            One result per account.

        Raises:
            RateLimited: The budget is spent; the rest can be read from `retry_at` on.
            PermanentError: The token is refused or the query is not understood.
            TransientError: GitHub is down.
        """
        known = known or Known()
        today = now.astimezone(dt.UTC).date()
        distinct = {login.casefold(): login for login in reversed(logins)}
        ordered = list(distinct.values())[::-1]
        for login in ordered:
            if not is_possible_login(login) and login.casefold() not in known.watches:
                yield ProfileResult(login, "not_found", None, "This is no possible GitHub login.")
        watched = [login for login in ordered if login.casefold() in known.watches]
        new = [
            login for login in ordered if login.casefold() not in known.watches and is_possible_login(login)
        ]
        changed: dict[str, Account] = {}
        reader = AccountReader(self._transport, known, today)
        for login, found in _in_threads(reader.look, batched(watched, LOOK_ACCOUNTS_COUNT)):
            if isinstance(found, Account):
                changed[login] = found
            else:
                yield found
        urgency = {login: place for place, login in enumerate(ordered)}
        to_read = sorted([*changed, *new], key=urgency.__getitem__)
        yield from _in_threads(
            lambda chunk: reader.read(chunk, changed),
            batched(to_read, CHUNK_ACCOUNTS_COUNT),
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
        return read_readmes(Questions(self._transport), known_oids)


def _in_threads(
    read: Callable[[Sequence[str]], list[Item]], chunks: Sequence[Sequence[str]]
) -> Iterator[Item]:
    """Results of all chunks as they are done; the first error is raised once the chunks in flight are done."""
    left = iter(chunks)
    failure: ServiceError | None = None
    with ThreadPoolExecutor(THREADS_COUNT, thread_name_prefix="github") as pool:
        running: set[Future[list[Item]]] = {
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
