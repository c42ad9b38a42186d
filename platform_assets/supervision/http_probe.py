"""Asks Dagster's webserver whether it answers. Imports nothing heavy, since outside watchers ask, too."""

from __future__ import annotations

import http.client

_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (nothing is bound here)


def answers_http(host: str, port: int, *, timeout_s: float) -> bool:
    """Whether the webserver answers.

    Args:
        host: Address that it listens on; one that stands for all is reached by loopback.
        port: Its port.
        timeout_s: Longest wait.
    """
    connection = http.client.HTTPConnection(_ALL_ADDRESSES.get(host, host), port, timeout=timeout_s)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
