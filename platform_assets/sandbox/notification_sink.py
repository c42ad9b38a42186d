"""A webhook that keeps what it is told: where the sandbox's notifications end, so that their real path is used.

A message that comes twice under the same idempotency key is kept once, as a good receiver would.
"""

from __future__ import annotations

import json
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from platform_assets.sandbox.context import Sandbox

MESSAGES_KEPT = 1_000

_TABLE = """CREATE TABLE IF NOT EXISTS notifications (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL,
    received_count INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL)"""


def routes(sandbox: Sandbox) -> list[Route]:
    """What is served under the root."""
    # Beside the world's tables and no part of it: a world that is loaded anew leaves it alone.
    sandbox.state.connection.execute(_TABLE)

    async def receive(request: Request) -> Response:
        try:
            message = await request.json()
            title, body = str(message["title"]), str(message["message"])
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
            return JSONResponse({"message": "A message is JSON with `title` and `message`."}, status_code=400)
        now = time.time()
        key = request.headers.get("idempotency-key") or f"none-{time.time_ns()}"
        with sandbox.state.transaction() as connection:
            connection.execute(
                "INSERT INTO notifications (message_id, received_at, received_count, title, body) VALUES (?, ?, 1, ?, ?) "
                "ON CONFLICT (message_id) DO UPDATE SET received_count = received_count + 1",
                (key, now, title, body),
            )
            connection.execute(
                "DELETE FROM notifications WHERE sequence <= (SELECT max(sequence) FROM notifications) - ?",
                (MESSAGES_KEPT,),
            )
        return JSONResponse({"received": key}, status_code=202)

    async def list_received(_request: Request) -> Response:
        rows = sandbox.state.connection.execute(
            "SELECT message_id, received_at, received_count, title, body FROM notifications ORDER BY sequence DESC"
        )
        return JSONResponse({"messages": [dict(row) for row in rows]})

    return [Route("/", receive, methods=["POST"]), Route("/", list_received, methods=["GET"])]
