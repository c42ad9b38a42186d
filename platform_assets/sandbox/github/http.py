"""What GitHub's REST and GraphQL endpoints share: tokens, counters, faults, limits and headers.

A call counts, may meet a fault, must carry a token, and its answer tells the caller's window. Any token is accepted
except an empty one and one that begins with `revoked`, so that a bad one can be tried out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from platform_assets.sandbox.context import Sandbox
from platform_assets.sandbox.faults import Fault, FaultKind, hold
from platform_assets.sandbox.github.limits import Window, user_id

REVOKED_PREFIX = "revoked"
DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True)
class Caller:
    """Who calls: the token, its owner's number, and its open window of the resource that is called."""

    token: str
    user_id: int
    window: Window


Handler = Callable[[Request, Caller], Awaitable[Response]]


def endpoint(
    sandbox: Sandbox, *, route: str, resource: str, handler: Handler
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler in what every call to GitHub goes through."""

    async def serve(request: Request) -> Response:
        sandbox.requests["github", f"{request.method} {route}"] += 1
        faults = sandbox.faults["github"]
        fault = faults.draw()
        await faults.delay()
        if fault is not None and fault.kind is FaultKind.TIMEOUT:
            await hold(request)
        if fault is not None:
            return _fault_answer(fault, resource)
        token = _token(request)
        if token is None:
            return answer({"message": "Requires authentication", "documentation_url": DOCS}, status=401)
        if token.startswith(REVOKED_PREFIX):
            return answer({"message": "Bad credentials", "documentation_url": DOCS}, status=401)
        limiter = sandbox.limiter
        window = limiter.window(token, resource)
        refusal = limiter.enter(token, resource)
        try:
            caller = Caller(token=token, user_id=user_id(token), window=window)
            response = _secondary_limit() if refusal else await handler(request, caller)
        finally:
            limiter.leave(token)
        response.headers.update(window.headers())
        return response

    return serve


def _secondary_limit() -> Response:
    message = (
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
        "GitHub Support for help, please include the request ID."
    )
    link = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
    return answer({"documentation_url": link, "message": message}, status=403, headers={"retry-after": "60"})


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with GitHub's headers and an ETag made of its content."""
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(
        content,
        status_code=status,
        media_type="application/json; charset=utf-8",
        headers={
            "etag": f'W/"{hashlib.sha256(content).hexdigest()}"',
            "x-github-media-type": "github.v3; format=json",
            **(headers or {}),
        },
    )


def not_modified(response: Response) -> Response:
    """The 304 in place of an answer that the caller has already."""
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in ("content-length", "content-type")
    }
    return Response(status_code=304, headers=kept)


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() in ("token", "bearer") else None


def _fault_answer(fault: Fault, resource: str) -> Response:
    if resource == "graphql" and fault.status == 502:
        message = (
            "Something went wrong while executing your query. This may be the result of a timeout, or it could be a "
            "GitHub bug."
        )
        return answer({"data": None, "errors": [{"message": message}]}, status=502)
    if fault.status == 500:
        return answer({"message": "Server Error"}, status=500)
    # The proxies before GitHub's application answer with a page, whatever was asked for.
    return HTMLResponse("<html><body><h1>No server is available</h1></body></html>", status_code=fault.status)
