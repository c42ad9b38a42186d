"""The sandbox's HTTP server process: the local GitHub, Stripe and Gemini APIs, and a webhook, on one port of 127.0.0.1.

Adding an API is a module with `routes(sandbox)` and one line in `_APIS`. Starting and stopping the process from
elsewhere is in `process`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from platform_assets.sandbox import gemini_api, notification_sink
from platform_assets.sandbox.context import SERVICES, Sandbox, ServerConfig
from platform_assets.sandbox.faults import FaultSource
from platform_assets.sandbox.github import graphql as github_graphql
from platform_assets.sandbox.github import rest as github_rest
from platform_assets.sandbox.process import record_path, state_path, write_record
from platform_assets.sandbox.state import SandboxState, SandboxStateError
from platform_assets.sandbox.stripe import api as stripe_api
from platform_assets.sandbox.stripe.ledger import Ledger
from platform_assets.sandbox.stripe.payouts import run_payouts
from platform_assets.sandbox.stripe.store import StripeStore

_HOST = "127.0.0.1"
_WATCH_INTERVAL_S = 2.0
_PAYOUT_INTERVAL_S = 24 * 3600.0
"""A server that lives for days pays out once a day, as Stripe does; `POST /_sandbox/payouts` does so at once."""

_APIS = (
    ("/github", (github_rest.routes, github_graphql.routes)),
    ("/stripe", (stripe_api.routes,)),
    ("/gemini", (gemini_api.routes,)),
    ("/notifications", (notification_sink.routes,)),
)
"""Each API's root and what serves it."""


def build_app(sandbox: Sandbox, *, token: str) -> Starlette:
    """The application over an open state.

    Args:
        sandbox: The parts that the APIs share; its state is closed when the application ends.
        token: What tells this server from any other, in `/_sandbox/health`.
    """

    async def health(_request: Request) -> Response:
        world = sandbox.state.loaded_world()
        return JSONResponse(
            {
                "status": "ok",
                "pid": os.getpid(),
                "token": token,
                "world": world.name if world else None,
                "requests": _request_counts(sandbox),
            }
        )

    async def read_faults(_request: Request) -> Response:
        return JSONResponse(_behaviour(sandbox))

    async def change_faults(request: Request) -> Response:
        try:
            _change_behaviour(sandbox, await request.json())
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"message": f"These faults can't be set: {error}"}, status_code=400)
        return JSONResponse(_behaviour(sandbox))

    async def pay_out(request: Request) -> Response:
        try:
            at = int((await request.json()).get("at", time.time()))
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"message": f"No payouts at that time: {error}"}, status_code=400)
        return JSONResponse({"payouts": _pay_out(sandbox, at)})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.state.close()

    apis = [
        Mount(root, routes=[route for routes in parts for route in routes(sandbox)]) for root, parts in _APIS
    ]
    return Starlette(
        routes=[
            Route("/_sandbox/health", health, methods=["GET"]),
            Route("/_sandbox/payouts", pay_out, methods=["POST"]),
            Route("/_sandbox/faults", read_faults, methods=["GET"]),
            Route("/_sandbox/faults", change_faults, methods=["PUT"]),
            *apis,
        ],
        lifespan=lifespan,
    )


def _pay_out(sandbox: Sandbox, at: int) -> list[str]:
    """Run the bank's day at a time (seconds since 1970); gives the ids of the new payouts."""
    with sandbox.state.transaction():
        return [payout["id"] for payout in run_payouts(Ledger(StripeStore(sandbox.state), at))]


def _request_counts(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {
        service: {
            "total": sum(count for (name, _), count in sandbox.requests.items() if name == service),
            "by_route": {
                route: count for (name, route), count in sandbox.requests.items() if name == service
            },
        }
        for service in SERVICES
    }


def _behaviour(sandbox: Sandbox) -> dict[str, Any]:
    config = ServerConfig(
        faults={service: source.settings for service, source in sandbox.faults.items()},
        github_limit=sandbox.limiter.limit,
        gemini_limit=sandbox.gemini_limit.calls_per_minute,
        seed=sandbox.seed,
    ).as_json()
    return {**config.pop("faults"), **config}


def _change_behaviour(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    """Change what is named; the faults of a service that is named, or of all with a new seed, begin anew."""
    if unknown := sorted(set(changes) - {*SERVICES, "github_limit", "gemini_limit", "seed"}):
        raise ValueError(f"unknown: {', '.join(unknown)}")
    limit = changes.get("github_limit", sandbox.limiter.limit)
    gemini_limit = changes.get("gemini_limit", sandbox.gemini_limit.calls_per_minute)
    seed = changes.get("seed", sandbox.seed)
    if not all(isinstance(each, int) for each in (limit, gemini_limit, seed)) or min(limit, gemini_limit) < 0:
        raise ValueError("github_limit and gemini_limit must be integers of at least 0, seed an integer")
    settings = {
        service: source.changed(changes.get(service, {})) for service, source in sandbox.faults.items()
    }
    sandbox.limiter.limit = limit
    sandbox.gemini_limit.calls_per_minute = gemini_limit
    sandbox.seed = seed
    for service in SERVICES:
        if service in changes or "seed" in changes:
            sandbox.faults[service] = FaultSource.seeded(settings[service], service=service, seed=seed)


def _listen(wanted_port: int) -> socket.socket:
    """A listening socket on the wanted port, or on any when that is taken."""
    for port in dict.fromkeys((wanted_port, 0)):
        # Named TCP, or asyncio leaves Nagle's algorithm on and every answer may wait for 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen(128)
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            return listener
    raise AssertionError("unreachable: port 0 either binds or raises")


def main() -> None:
    """Serve until told to stop: `python -m platform_assets.sandbox.server --home DIR --token T --config JSON`."""
    parser = argparse.ArgumentParser(description="The sandbox's HTTP server.")
    parser.add_argument("--home", type=Path, required=True, help="the platform's home folder")
    parser.add_argument("--token", required=True, help="what tells this server from any other")
    parser.add_argument("--config", required=True, help="a ServerConfig as JSON")
    parser.add_argument("--port", type=int, default=0, help="the port to take when it is free")
    arguments = parser.parse_args()
    config = ServerConfig.from_json(json.loads(arguments.config))
    # A process that lives on must not keep its starter's folder busy.
    os.chdir(arguments.home)
    try:
        state = SandboxState(state_path(arguments.home))
    except SandboxStateError as error:
        sys.exit(str(error))  # whoever started this process shows its last words
    sandbox = Sandbox.create(state, config)
    app = build_app(sandbox, token=arguments.token)
    listener = _listen(arguments.port)
    record = record_path(arguments.home)
    write_record(
        record,
        pid=os.getpid(),
        port=listener.getsockname()[1],
        token=arguments.token,
        config=config.as_json(),
    )
    # A call that is being held must not keep the server from stopping.
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    asyncio.run(_serve(server, sandbox, listener, record=record, token=arguments.token))


async def _serve(
    server: uvicorn.Server, sandbox: Sandbox, listener: socket.socket, *, record: Path, token: str
) -> None:
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(_end_when_forgotten(server, record=record, token=token))
        bank = tasks.create_task(_pay_out_daily(sandbox))
        await server.serve(sockets=[listener])
        watcher.cancel()
        bank.cancel()


async def _pay_out_daily(sandbox: Sandbox) -> None:
    while True:
        await asyncio.sleep(_PAYOUT_INTERVAL_S)
        _pay_out(sandbox, int(time.time()))


async def _end_when_forgotten(server: uvicorn.Server, *, record: Path, token: str) -> None:
    """Stop once the record is gone or names another server: nobody can find this one any more."""
    while True:
        await asyncio.sleep(_WATCH_INTERVAL_S)
        try:
            recorded = json.loads(record.read_text())["token"]
        except (OSError, ValueError, KeyError):
            recorded = None
        if recorded != token:
            server.should_exit = True
            return


if __name__ == "__main__":
    main()
