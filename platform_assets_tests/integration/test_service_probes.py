"""Looks at services through the real clients: one that hangs, drips, refuses or breaks delays and hides no other."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from sandbox_server import change_behaviour
from scripted_http import Reply, serve
from small_world import gateway_client, gemini_client

from platform_assets.clients.database import Database
from platform_assets.clients.gemini import load_library
from platform_assets.clients.github import GithubClient
from platform_assets.clients.graph import GraphClient
from platform_assets.monitoring.services.probes import ServiceOpeners, probe_services
from platform_assets.monitoring.services.probing import Answer, Look, ask_all

LIMIT_S = 2.0
TIMEOUT_S = 1.0


def github_client(url: str) -> GithubClient:
    return GithubClient(url=url, token="ghp_hiddentoken0123456789", timeout_s=TIMEOUT_S, attempts_count=1)


@contextmanager
def dripping_server() -> Iterator[str]:
    """The URL of a server that answers one byte every tenth of a second, for ever: no read of it ever times out."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{"
            )
            while not stopped.wait(0.1):
                connection.sendall(b" ")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.close()


@contextmanager
def hanging_server() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def load_libraries() -> None:
    """What loading them costs a process once is no part of a look."""
    import github  # noqa: F401
    import neo4j  # noqa: F401
    import stripe  # noqa: F401

    load_library()


def openers(database_url: str, **changed: Callable[[], object]) -> ServiceOpeners:
    nothing = dict.fromkeys(("github", "gateway", "graph", "gemini"), lambda: None)
    return ServiceOpeners(**{"database": lambda: Database(database_url), **nothing, **changed})


def test_a_service_that_hangs_or_drips_costs_its_own_limit_and_nobody_elses(database_url, endpoints) -> None:
    with hanging_server() as hanging, dripping_server() as dripping, serve(lambda _: Reply(503)) as broken:
        looked = openers(
            database_url,
            github=lambda: github_client(hanging),
            gateway=lambda: gateway_client(dripping, timeout_s=TIMEOUT_S),
            gemini=lambda: gemini_client(broken, timeout_s=TIMEOUT_S),
            graph=lambda: GraphClient(
                uri="bolt://127.0.0.1:1", user="neo4j", password="hidden-password", timeout_s=TIMEOUT_S
            ),
        )
        load_libraries()

        started = time.monotonic()
        probes = {probe.service: probe for probe in probe_services(looked, limit_s=LIMIT_S)}
        took_s = time.monotonic() - started

    assert took_s < LIMIT_S + 1
    assert {name: probe.look for name, probe in probes.items()} == {
        "postgres": Look.OK,
        "github": Look.FAILED,
        "stripe": Look.FAILED,
        "neo4j": Look.FAILED,
        "gemini": Look.FAILED,
        "embedder": Look.OK,
    }
    assert "did not answer within 2 seconds" in probes["stripe"].message
    assert probes["stripe"].latency_ms is None
    assert probes["postgres"].latency_ms is not None
    assert "hidden" not in str(probes)


def test_healthy_services_tell_their_numbers(database_url, endpoints) -> None:
    probes = {
        probe.service: probe
        for probe in probe_services(
            openers(
                database_url,
                github=lambda: github_client(endpoints.github_url),
                gateway=lambda: gateway_client(endpoints.stripe_url),
                gemini=lambda: gemini_client(endpoints.gemini_url),
            )
        )
    }

    assert {name for name, probe in probes.items() if probe.look is not Look.OK} == {"neo4j"}
    assert probes["neo4j"].look is Look.OFF
    assert 0 < probes["postgres"].details["connections_used_ratio"] < 1
    assert probes["github"].details["points_left_count"] > 0


def test_a_service_that_refuses_for_a_while_is_poor_and_not_failed(database_url, endpoints) -> None:
    change_behaviour(endpoints, stripe={"limited_rate": 1.0})

    [probe] = probe_services(
        openers(database_url, gateway=lambda: gateway_client(endpoints.stripe_url)), services={"stripe"}
    )

    assert probe.look is Look.POOR


def test_a_database_that_is_not_there_is_a_failed_look() -> None:
    url = "postgresql://user:hidden-password@127.0.0.1:1/none"

    [probe] = probe_services(openers(url), services={"postgres"})

    assert probe.look is Look.FAILED
    assert "hidden" not in probe.message


def test_a_client_that_can_not_even_be_opened_is_a_failed_look(database_url) -> None:
    def refuse() -> None:
        raise ValueError("a secret that nobody may read")

    [probe] = probe_services(openers(database_url, github=refuse), services={"github"})

    assert (probe.look, probe.message) == (Look.FAILED, "failed with ValueError")


@pytest.mark.parametrize("count", [1, 50])
def test_looks_come_in_the_order_asked_for_and_all_at_once(count: int) -> None:
    together = threading.Barrier(count)

    def ask() -> Answer:
        together.wait(timeout=10)  # passes only when all of them are being asked
        return Answer("answers")

    probes = ask_all({str(number): ask for number in range(count)}, limit_s=10)

    assert [probe.service for probe in probes] == [str(number) for number in range(count)]
    assert {probe.look for probe in probes} == {Look.OK}
