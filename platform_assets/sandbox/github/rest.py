"""GitHub's REST endpoints: users, repositories, languages, contributors, commits, rate limits.

ETags, 304 and the primary limit are as GitHub's: a 304 costs nothing, an exhausted limit is a 403.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platform_assets.sandbox.context import Sandbox
from platform_assets.sandbox.github.history import History
from platform_assets.sandbox.github.http import DOCS, Caller, answer, endpoint, not_modified
from platform_assets.sandbox.github.payloads import Payloads
from platform_assets.sandbox.github.store import GithubStore, Repository, User
from platform_assets.sandbox.github.time import parse_instant

_PAGE_SIZE = 30
_PAGE_LIMIT = 100

Reader = Callable[[GithubStore, Request], Response]


def routes(sandbox: Sandbox) -> list[Route]:
    """The endpoints' routes, below GitHub's root."""
    store = GithubStore(sandbox.state)

    def route(path: str, handler: Callable[[Request, Caller], Awaitable[Response]]) -> Route:
        return Route(path, endpoint(sandbox, route=path, resource="core", handler=handler), methods=["GET"])

    async def rate_limit(_request: Request, caller: Caller) -> Response:
        graphql = sandbox.limiter.window(caller.token, "graphql")
        core = caller.window.as_json()
        return answer({"resources": {"core": core, "graphql": graphql.as_json()}, "rate": core})

    readers: dict[str, Reader] = {
        "/users/{login}": _read_user,
        "/users/{login}/repos": _read_repositories,
        "/user/{number:int}": _read_user_by_number,
        "/repos/{owner}/{name}": _read_repository,
        "/repos/{owner}/{name}/languages": _read_languages,
        "/repos/{owner}/{name}/topics": _read_topics,
        "/repos/{owner}/{name}/contributors": _read_contributors,
        "/repos/{owner}/{name}/commits": _read_commits,
        "/{path:path}": _read_nothing,
    }
    return [
        route("/rate_limit", rate_limit),
        *(route(path, partial(_serve, store, reader)) for path, reader in readers.items()),
    ]


async def _serve(store: GithubStore, reader: Reader, request: Request, caller: Caller) -> Response:
    window = caller.window
    if window.remaining == 0:
        message = (
            f"API rate limit exceeded for user ID {caller.user_id}. If you reach out to GitHub Support for help, "
            "please include the request ID and timestamp."
        )
        link = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
        return answer({"message": message, "documentation_url": link}, status=403)
    with store.snapshot():
        response = reader(store, request)
    if response.status_code == 200 and _has_already(request, response.headers["etag"]):
        return not_modified(response)
    window.used += 1
    return response


def _has_already(request: Request, etag: str) -> bool:
    # A weak comparison, as RFC 9110 asks of If-None-Match.
    known = (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(","))
    return etag.removeprefix("W/") in known


def _payloads(request: Request) -> Payloads:
    root = f"{request.url.scheme}://{request.url.netloc}"
    return Payloads(api_url=f"{root}{request.scope['root_path']}", html_url=root)


def _not_found() -> Response:
    return answer({"message": "Not Found", "documentation_url": DOCS, "status": "404"}, status=404)


def _read_nothing(_store: GithubStore, _request: Request) -> Response:
    return _not_found()


def _read_user(store: GithubStore, request: Request) -> Response:
    return _user_answer(store, request, store.user(request.path_params["login"]))


def _read_user_by_number(store: GithubStore, request: Request) -> Response:
    return _user_answer(store, request, store.any_user(request.path_params["number"]))


def _user_answer(store: GithubStore, request: Request, user: User | None) -> Response:
    if user is None:
        return _not_found()
    repositories_count = len(store.repositories_of(user.login))
    return answer(_payloads(request).user(user, repositories_count=repositories_count))


_ORDERS: dict[str, tuple[Callable[[Repository], str], str]] = {
    "full_name": (lambda repository: repository.name_with_owner.lower(), "asc"),
    "created": (lambda repository: repository.created_at, "desc"),
    "updated": (lambda repository: repository.pushed_at, "desc"),
    "pushed": (lambda repository: repository.pushed_at, "desc"),
}
"""Sort keys of a user's repositories, each with its direction when none is asked for."""


def _read_repositories(store: GithubStore, request: Request) -> Response:
    user = store.user(request.path_params["login"])
    if user is None:
        return _not_found()
    query = request.query_params
    key, direction = _ORDERS.get(query.get("sort", "full_name"), _ORDERS["full_name"])
    # GitHub's `member` are repositories of others, which the store does not tell of.
    repositories = [] if query.get("type") == "member" else store.repositories_of(user.login)
    repositories.sort(key=key, reverse=query.get("direction", direction) == "desc")
    payloads = _payloads(request)
    return _page(
        request,
        len(repositories),
        lambda start, stop: [payloads.repository(each, user) for each in repositories[start:stop]],
    )


def _found_repository(store: GithubStore, request: Request) -> Repository | None:
    return store.repository(f"{request.path_params['owner']}/{request.path_params['name']}")


def _read_repository(store: GithubStore, request: Request) -> Response:
    repository = _found_repository(store, request)
    if repository is None:
        return _not_found()
    return answer(_payloads(request).repository(repository, store.user(repository.owner)))


def _read_languages(store: GithubStore, request: Request) -> Response:
    repository = _found_repository(store, request)
    return answer(repository.languages) if repository else _not_found()


def _read_topics(store: GithubStore, request: Request) -> Response:
    repository = _found_repository(store, request)
    return answer({"names": list(repository.topics)}) if repository else _not_found()


def _read_contributors(store: GithubStore, request: Request) -> Response:
    repository = _found_repository(store, request)
    if repository is None:
        return _not_found()
    contributions = store.contributions_to(repository.name_with_owner)
    payloads = _payloads(request)
    return _page(
        request,
        len(contributions),
        lambda start, stop: [
            payloads.contributor(each.login, store.user(each.login), commits_count=each.commits.commits_count)
            for each in contributions[start:stop]
        ],
    )


def _read_commits(store: GithubStore, request: Request) -> Response:
    repository = _found_repository(store, request)
    if repository is None:
        return _not_found()
    query = request.query_params
    if "path" in query:
        message = "The sandbox does not know the files of a commit."
        return answer({"message": message, "documentation_url": DOCS}, status=422)
    author = query.get("author")
    try:
        since, until = (_moment(query.get(name)) for name in ("since", "until"))
    except ValueError as error:
        return answer({"message": f"Invalid date: {error}", "documentation_url": DOCS}, status=422)
    contributions = [
        each
        for each in store.contributions_to(repository.name_with_owner)
        if author is None or each.login.lower() == author.lower()
    ]
    history = History(contributions, since=since, until=until)
    payloads = _payloads(request)
    return _page(
        request,
        history.total_count,
        lambda start, stop: [
            payloads.commit(each, store.user(each.login)) for each in history.page(start, stop)
        ],
    )


def _moment(value: str | None) -> dt.datetime | None:
    return parse_instant(value) if value else None


def _page(request: Request, count: int, read: Callable[[int, int], list[dict[str, Any]]]) -> Response:
    """One page of a list, with the `Link` header by which clients find the others."""
    page = max(1, _integer(request, "page", 1))
    size = min(max(1, _integer(request, "per_page", _PAGE_SIZE)), _PAGE_LIMIT)
    last = max(1, -(-count // size))
    targets: dict[str, int] = {}
    if page > 1:
        targets |= {"prev": min(page - 1, last), "first": 1}
    if page < last:
        targets |= {"next": page + 1, "last": last}
    root = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
    links = [
        f'<{root}?{urlencode({**request.query_params, "page": number})}>; rel="{name}"'
        for name, number in targets.items()
    ]
    body = read((page - 1) * size, page * size)
    return answer(body, headers={"link": ", ".join(links)} if links else None)


def _integer(request: Request, name: str, default: int) -> int:
    # GitHub takes a malformed number for none.
    value = request.query_params.get(name, "")
    return int(value) if value.isdecimal() else default
