"""The answer of `platform-assets health` over HTTP: 200 when all is well, 503 when not, with the findings as JSON."""

from __future__ import annotations

import datetime as dt
import http
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from platform_assets.settings import Settings
from platform_assets.supervision.health import examine_health, is_healthy, render_json

PATH = "/health"


@contextmanager
def serving_health(settings: Settings, *, host: str, port: int) -> Iterator[int]:
    """Answer at `/health` while the context lasts; gives the port (one that is free, for port 0)."""

    class Handler(BaseHTTPRequestHandler):
        # A watcher that connects and says nothing must not hold a thread for ever.
        timeout = 5

        def do_GET(self) -> None:
            if self.path.split("?")[0] != PATH:
                self.send_error(http.HTTPStatus.NOT_FOUND, explain=f"Only {PATH} is here.")
                return
            findings = examine_health(settings)
            body = render_json(findings, now=dt.datetime.now(dt.UTC)).encode()
            status = http.HTTPStatus.OK if is_healthy(findings) else http.HTTPStatus.SERVICE_UNAVAILABLE
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            """Every few seconds somebody asks: nothing worth a line."""

    with ThreadingHTTPServer((host, port), Handler) as server:
        threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
