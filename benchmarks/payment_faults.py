"""Retries that crash: `python -m benchmarks.payment_faults --retries 1000 --json`.

Each failed payment is charged again once, and something goes wrong at a random point of it: the process is killed (a
real one, with SIGKILL) before the row, before, during or after the call, or before the commit; the call is never
answered or fails, with and without having had its effect; Postgres is killed. Afterwards two undisturbed runs follow.
What was charged is counted by the local gateway, not by the platform.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
import stripe

from benchmarks.failed_payments import failed_payments_world
from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.clients.payment_retrier import ConfirmOutcome, PaymentRetrier
from platform_assets.migrations import migrate
from platform_assets.payments.gateway_sync import GatewaySync
from platform_assets.payments.retries import RetryRun
from platform_assets.payments.retry_policy import RetryPolicy
from platform_assets.sandbox.load import load_marketplace
from platform_assets.sandbox.process import SANDBOX_STRIPE_KEY, ensure_sandbox, state_path, stop_sandbox
from platform_assets.sandbox.state import SandboxState
from platform_assets.settings import Settings
from platform_assets.tables.payment_operations import payment_retry_attempts

_SEED = 20261123
_TIMEOUT_S = 20.0
_IMPATIENT_TIMEOUT_S = 0.4
"""For calls that are never answered; a busy machine makes no others of them."""

_LONGEST_CALL_S = 0.02
_WELL = {"error_rate": 0.0, "timeout_rate": 0.0, "after_effect_ratio": 0.5, "latency_ms": 0.0}

_KILLS = ("before_row", "before_call", "during_call", "after_call", "before_commit")
_CALL_FAULTS: Mapping[str, Mapping[str, float]] = {
    "timeout_with_effect": {"timeout_rate": 1.0, "after_effect_ratio": 1.0},
    "timeout_without_effect": {"timeout_rate": 1.0, "after_effect_ratio": 0.0},
    "error_with_effect": {"error_rate": 1.0, "after_effect_ratio": 1.0},
    "error_without_effect": {"error_rate": 1.0, "after_effect_ratio": 0.0},
}
_SHARES = {**dict.fromkeys(_KILLS, 12.0), **dict.fromkeys(_CALL_FAULTS, 9.0), "postgres_killed": 4.0}


@dataclass(frozen=True)
class FaultMeasurement:
    """What the gateway and the ledger say in the end.

    Attributes:
        retries: Failed payments that were charged again.
        faults: Number of faults by kind.
        processes: Processes that ran retries, killed ones included.
        charges_made: Charges that the gateway made, by status.
        duplicate_captures: Charges that succeeded for a payment that had one already, as the gateway counts.
        lost_outcomes: Charges of the gateway that the ledger does not have with that outcome, and the reverse.
        unresolved_after_two_runs: Attempts whose outcome is still not known.
        attempts_twice: Payments with more than one attempt in the ledger.
        duration_s: How long all of it took.
    """

    retries: int
    faults: dict[str, int]
    processes: int
    charges_made: dict[str, int]
    duplicate_captures: int
    lost_outcomes: int
    unresolved_after_two_runs: int
    attempts_twice: int
    duration_s: float


class _Fault:
    """What goes wrong with which payment, each once; who was struck is on disk, so that it survives a kill."""

    def __init__(self, folder: Path, payments_count: int) -> None:
        dice = random.Random(_SEED)
        kinds = dice.choices(list(_SHARES), list(_SHARES.values()), k=payments_count)
        self.kind_of = {f"pi_{number}": kind for number, kind in enumerate(kinds)}
        self._struck_path = folder / "struck"
        self._struck_path.touch()
        self._struck = set(self.read_struck())

    def read_struck(self) -> list[str]:
        return self._struck_path.read_text().split()

    def strike(self, intent_id: str) -> None:
        """Note it, before it happens."""
        self._struck.add(intent_id)
        with self._struck_path.open("a") as file:
            file.write(f"{intent_id}\n")

    def pending(self, intent_id: str, *kinds: str) -> str | None:
        """The kind of fault that a payment still has before it, if it is one of some kinds."""
        kind = self.kind_of[intent_id]
        return kind if kind in kinds and intent_id not in self._struck else None


class _FaultyRetrier(PaymentRetrier):
    """The real client; it knows whose turn it is, and makes the real server fail, or the process die, in one call."""

    def __init__(self, gateway: PaymentGateway, impatient: PaymentGateway, fault: _Fault, url: str) -> None:
        super().__init__(gateway)
        self._impatient = PaymentRetrier(impatient)
        self._fault = fault
        self._stripe_url = url
        self._dice = random.Random(f"{_SEED}/{len(fault.read_struck())}")
        self.intent_id = ""

    def read_intent(self, intent_id: str) -> Mapping[str, Any] | None:
        self.intent_id = intent_id
        return super().read_intent(intent_id)

    def confirm(self, intent_id: str, *, parameters: Mapping[str, Any], key: str) -> ConfirmOutcome:
        kind = self._fault.pending(intent_id, "during_call", *_CALL_FAULTS)
        if kind is None:
            return super().confirm(intent_id, parameters=parameters, key=key)
        self._fault.strike(intent_id)
        if kind == "during_call":
            threading.Timer(self._dice.uniform(0.0, _LONGEST_CALL_S), _kill_self).start()
            super().confirm(intent_id, parameters=parameters, key=key)
            _kill_self()  # a call that was faster must not carry the kill into another one
        with _faults(self._stripe_url, _CALL_FAULTS[kind]):
            return self._impatient.confirm(intent_id, parameters=parameters, key=key)


@contextmanager
def _faults(stripe_url: str, changes: Mapping[str, float]) -> Iterator[None]:
    _request(stripe_url, "PUT", "/_sandbox/faults", {"stripe": {**_WELL, **changes}})
    try:
        yield
    finally:
        _request(stripe_url, "PUT", "/_sandbox/faults", {"stripe": _WELL})


def _request(stripe_url: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {SANDBOX_STRIPE_KEY}"}
    netloc = urllib.parse.urlsplit(stripe_url).netloc
    with closing(http.client.HTTPConnection(netloc, timeout=10)) as connection:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        content = json.loads(response.read())
        if response.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {content}")
        return content


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is delivered before this ends


def _run_once(home: Path, url: str, stripe_url: str, fault: _Fault) -> None:
    """One run of the retries, with its own connections; may not come back."""
    logging.disable(logging.WARNING)  # each of hundreds of unknown outcomes would be told
    database = Database(url)
    gateway, impatient = (
        PaymentGateway(url=stripe_url, api_key=SANDBOX_STRIPE_KEY, timeout_s=timeout_s)
        for timeout_s in (_TIMEOUT_S, _IMPATIENT_TIMEOUT_S)
    )
    retrier = _FaultyRetrier(gateway, impatient, fault, stripe_url)

    def probe(point: str) -> None:
        intent_id = retrier.intent_id
        if fault.pending(intent_id, point):
            fault.strike(intent_id)
            _kill_self()
        if point == "after_call" and fault.pending(intent_id, "postgres_killed"):
            fault.strike(intent_id)
            _kill_postgres(home)

    policy = replace(RetryPolicy(), attempts_per_run=10**6, breaker=None)
    try:
        RetryRun(database, retrier, policy, _now, read_through=_now(), probe=probe).run()
    finally:
        gateway.close()
        impatient.close()
        database.close()


def _kill_postgres(home: Path) -> None:
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    children = server.children()
    # Not waited for: a killed process does nothing more, even while whoever adopted it has not looked.
    for process in [server, *children]:
        with _gone_is_fine():
            process.kill()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return


def _run_in_process(home: Path, url: str, stripe_url: str, fault: _Fault) -> bool:
    """A run in a process of its own; whether it came to its end."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        # Whatever happens, the child must not go on with the parent's work.
        try:
            _run_once(home, url, stripe_url, fault)
        except sa.exc.DBAPIError:
            os._exit(1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(2)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == 2:
        raise RuntimeError("A run failed in another way than it was made to; its error stands above.")
    return os.waitstatus_to_exitcode(status) == 0


def measure(home: Path, retries_count: int, *, show_progress: bool = False) -> FaultMeasurement:
    """Run retries until each payment was struck once, then twice undisturbed, and count at the gateway."""
    started = time.monotonic()
    world = failed_payments_world(retries_count, failed_at=_now() - dt.timedelta(days=2))
    with SandboxState(state_path(home)) as state:
        state.replace_world(world)
    settings = Settings(home=home)
    stripe_url = ensure_sandbox(settings).stripe_url
    url = ensure_postgres(home).url("platform")
    migrate.upgrade(url)
    database = Database(url)
    load_marketplace(database, world)
    with PaymentGateway(url=stripe_url, api_key=SANDBOX_STRIPE_KEY, timeout_s=_TIMEOUT_S) as gateway:
        GatewaySync(database, gateway, _now).run()
    with database.transaction() as connection:
        # Autovacuum, which does this everywhere else, forgets what changed whenever the server is killed.
        connection.execute(sa.text("ANALYZE"))
    database.close()
    # The library loads its classes when they are first met: once here, or else again in every process.
    _ = stripe.PaymentIntent, stripe.Charge, stripe.PaymentMethod

    fault = _Fault(home, retries_count)
    processes_count = 0
    quiet_runs_count = 0
    while quiet_runs_count < 2:
        is_over = len(fault.read_struck()) == retries_count
        fault = _Fault(home, retries_count)
        came_to_its_end = _run_in_process(home, url, stripe_url, fault)
        processes_count += 1
        ensure_postgres(home)  # it may have been killed
        quiet_runs_count += is_over and came_to_its_end
        if show_progress and processes_count % 50 == 0:
            struck = len(fault.read_struck())
            print(f"{struck} of {retries_count} struck, {processes_count} processes", file=sys.stderr)
    return _count(home, url, stripe_url, fault, processes_count, started)


def _count(
    home: Path, url: str, stripe_url: str, fault: _Fault, processes_count: int, started: float
) -> FaultMeasurement:
    database = Database(url)
    ledger = database.read(sa.select(payment_retry_attempts))
    database.close()
    made = [
        charge
        for charge in _all_charges(stripe_url)
        if charge["id"].removeprefix("ch_") not in _numbers(fault)
    ]
    states = {"succeeded": "succeeded", "failed": "declined"}
    at_gateway = {(charge["id"], states[charge["status"]]) for charge in made}
    settled = ledger[ledger["state"].isin(states.values())]
    in_ledger = set(zip(settled["charge_id"], settled["state"]))
    captured = Counter(charge["metadata"]["payment_id"] for charge in made if charge["status"] == "succeeded")
    return FaultMeasurement(
        retries=len(fault.kind_of),
        faults=dict(Counter(fault.kind_of[intent_id] for intent_id in fault.read_struck())),
        processes=processes_count,
        charges_made=dict(Counter(charge["status"] for charge in made)),
        duplicate_captures=sum(count - 1 for count in captured.values()),
        lost_outcomes=len(at_gateway ^ in_ledger),
        unresolved_after_two_runs=int(ledger["state"].isin(("sent", "needs_person", "processing")).sum()),
        attempts_twice=int(ledger["payment_id"].duplicated().sum()),
        duration_s=round(time.monotonic() - started, 1),
    )


def _numbers(fault: _Fault) -> set[str]:
    """What the ids of the charges end in that were there from the beginning."""
    return {intent_id.removeprefix("pi_") for intent_id in fault.kind_of}


def _all_charges(stripe_url: str) -> Iterator[dict[str, Any]]:
    root = urllib.parse.urlsplit(stripe_url).path
    path = f"{root}/v1/charges?limit=100"
    while True:
        page = _request(stripe_url, "GET", path)
        yield from page["data"]
        if not page["has_more"]:
            return
        path = f"{root}/v1/charges?limit=100&starting_after={page['data'][-1]['id']}"


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--retries", type=int, default=1_000, help="failed payments to charge again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="platform-benchmark-") as folder:
        home = Path(folder)
        try:
            measurement = asdict(measure(home, arguments.retries, show_progress=not arguments.json))
        finally:
            stop_sandbox(home)
            stop_postgres(home)
    if arguments.json:
        print(json.dumps(measurement))
    else:
        for name, value in measurement.items():
            print(f"{name:>26}  {value}")


if __name__ == "__main__":
    main()
