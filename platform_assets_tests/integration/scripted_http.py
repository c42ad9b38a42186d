"""A local HTTP server that answers by a function, for what no real server can be made to do on demand.

It may pass requests on to another server and change the answer on its way back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Call:
    """A request as it came in; `path` includes the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent back; a body that is no bytes is sent as JSON. `cut` announces more than it sends."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@contextmanager
def serve(answer: Callable[[Call], Reply]) -> Iterator[str]:
    """The root URL of a server that answers by `answer` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            reply = answer(Call(self.command, self.path, dict(self.headers), body))
            content = reply.content()
            self.close_connection = reply.cut
            with suppress(ConnectionError):  # a caller may have given up waiting
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content) + (100 if reply.cut else 0)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815  (the names that the library looks for)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pass_on(call: Call, root: str) -> Reply:
    """What the server at `root` answers to the same request."""
    headers = {
        name: value for name, value in call.headers.items() if name.lower() not in ("host", "accept-encoding")
    }
    with requests.request(
        call.method, root + call.path, headers=headers, data=call.body, timeout=TIMEOUT_S
    ) as answer:
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower().startswith(("x-", "etag", "link", "content-type", "retry"))
        }
        return Reply(answer.status_code, answer.content, kept)
