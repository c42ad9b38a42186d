"""One account by GitHub's REST API, with conditional requests. How calls are sent is in `github_transport.py`."""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from platform_assets.clients.github_queries import SUBJECTS_COUNT, parse_instant
from platform_assets.clients.github_transport import Answer, GithubTransport
from platform_assets.clients.github_values import (
    LAST_YEAR_DAYS,
    GithubProfile,
    NotModified,
    RepositoryWork,
    RestProfile,
)
from platform_assets.clients.http_errors import PermanentError, ServiceError

PAGE_SIZE = 100

_LINK = re.compile(r'<([^>]*)>;\s*rel="(\w+)"')


def read_rest_profile(
    transport: GithubTransport, login: str, *, etag: str | None, now: dt.datetime
) -> RestProfile | NotModified:
    """Read one account and its work in its own public repositories.

    Args:
        transport: Sends the calls.
        login: The account.
        etag: `etag` of the last read, or None.
        now: Moment of reading (UTC), from which the last year is counted.

    Returns:
        The profile, or that neither the account nor its list of repositories has changed. A push changes the list.

    Raises:
        ServiceError: The account could not be read; `status` 404 says that there is none.
    """
    # One tag for the account and one for the list; a tag holds no space (RFC 9110, 8.8.3).
    user_etag, _, list_etag = (etag or "").partition(" ")
    path = f"/users/{urllib.parse.quote(login, safe='')}"
    listing: dict[str, Any] = {"type": "owner", "sort": "pushed", "per_page": PAGE_SIZE}
    user = transport.get(path, etag=user_etag or None, action=f"read the account {login}")
    repositories = transport.get(
        f"{path}/repos",
        parameters=listing,
        etag=list_etag or None,
        action=f"list the repositories of {login}",
    )
    if etag and user.status == repositories.status == 304:
        return NotModified(etag)
    if user.status == 304:
        user = transport.get(path, action=f"read the account {login}")
    if repositories.status == 304:
        repositories = transport.get(
            f"{path}/repos", parameters=listing, action=f"list the repositories of {login}"
        )
    try:
        profile = _profile(transport, user.body, repositories, now=now)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise PermanentError(
            service="GitHub",
            action=f"understand the account {login}",
            status=200,
            detail=f"not in the documented shape: {type(error).__name__} {error}",
        ) from error
    return RestProfile(profile, f"{user.headers.get('etag', '')} {repositories.headers.get('etag', '')}")


def is_account_suspended(transport: GithubTransport, github_id: int, login: str) -> bool:
    """Whether an account that GraphQL no longer shows is suspended; where REST shows none either, it is gone.

    Raises:
        ServiceError: GitHub did not say.
    """
    action = f"ask why the account {login} is not shown"
    try:
        account = transport.get(f"/user/{github_id}", action=action).body
    except ServiceError as error:
        if error.status == 404:
            return False
        raise
    return isinstance(account, Mapping) and bool(account.get("suspended_at"))


def _profile(
    transport: GithubTransport, user: Mapping[str, Any], repositories: Answer, *, now: dt.datetime
) -> GithubProfile:
    work = (
        _repository_work(transport, repository, user["login"], now=now)
        for page in _pages(transport, repositories, action=f"list the repositories of {user['login']}")
        for repository in page
        if not repository["private"]
    )
    return GithubProfile(
        login=user["login"],
        github_id=user["id"],
        name=user.get("name"),
        bio=user.get("bio"),
        company=user.get("company"),
        location=user.get("location"),
        followers_count=user["followers"],
        created_at=parse_instant(user["created_at"]),
        repositories=tuple(sorted((one for one in work if one), key=lambda one: one.repository)),
    )


def _repository_work(
    transport: GithubTransport, repository: Mapping[str, Any], login: str, *, now: dt.datetime
) -> RepositoryWork | None:
    """The account's commits to one repository; None when it has none there."""
    name = repository["full_name"]
    own = {"author": login, "per_page": SUBJECTS_COUNT}
    try:
        newest = transport.get(
            f"/repos/{name}/commits", parameters=own, action=f"list the commits of {login} to {name}"
        )
    except ServiceError as error:
        if error.status in (404, 409):  # gone since it was listed; without any commit
            return None
        raise
    if not newest.body:
        return None
    pages_count = _last_page(newest)
    oldest = newest
    if pages_count > 1:
        oldest = transport.get(
            f"/repos/{name}/commits",
            parameters={**own, "page": pages_count},
            action=f"read the first commits of {login} to {name}",
        )
    languages = transport.get(f"/repos/{name}/languages", action=f"read the languages of {name}").body
    return RepositoryWork(
        repository=name,
        description=repository["description"],
        is_fork=repository["fork"],
        topics=tuple(repository.get("topics", ())),
        languages={key: size for key, size in languages.items() if isinstance(size, int)},
        commits_count=(pages_count - 1) * SUBJECTS_COUNT + len(oldest.body),
        commits_last_year_count=_count_last_year(transport, name, login, newest, pages_count, now=now),
        first_contributed_on=_authored_on(oldest.body[-1]),
        last_contributed_on=_authored_on(newest.body[0]),
        subjects=tuple(commit["commit"]["message"].partition("\n")[0] for commit in newest.body),
    )


def _count_last_year(
    transport: GithubTransport, name: str, login: str, newest: Answer, pages_count: int, *, now: dt.datetime
) -> int:
    since_on = now.astimezone(dt.UTC).date() - dt.timedelta(days=LAST_YEAR_DAYS - 1)
    recent_count = sum(_authored_on(commit) >= since_on for commit in newest.body)
    if pages_count == 1 or recent_count < len(newest.body):
        return recent_count
    # With one commit a page, the number of the last page is the number of commits.
    counted = transport.get(
        f"/repos/{name}/commits",
        parameters={"author": login, "since": f"{since_on}T00:00:00Z", "per_page": 1},
        action=f"count the commits of {login} to {name}",
    )
    return _last_page(counted) if counted.body else 0


def _pages(transport: GithubTransport, first: Answer, *, action: str) -> Iterator[Any]:
    answer = first
    while True:
        yield answer.body
        following = _links(answer).get("next")
        if following is None:
            return
        answer = transport.get(following, action=action)


def _last_page(answer: Answer) -> int:
    last = _links(answer).get("last")
    if last is None:
        return 1
    return int(urllib.parse.parse_qs(urllib.parse.urlsplit(last).query)["page"][0])


def _links(answer: Answer) -> dict[str, str]:
    return {relation: url for url, relation in _LINK.findall(answer.headers.get("link", ""))}


def _authored_on(commit: Mapping[str, Any]) -> dt.date:
    return parse_instant(commit["commit"]["author"]["date"]).date()
