"""Measures the reading of a gateway's history: `python -m benchmarks.transactions --rows 1000000 --json`.

A local HTTP server in a process of its own shows a year of payments in Stripe's form: an intent, a charge and a balance
transaction each. Measured are the first load, runs with more and more that is new, and one day's partition of the
analytics, by the product's own code against an embedded Postgres in a folder of its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing as mp
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.clients.embedded_postgres import ensure_postgres, stop_postgres
from platform_assets.clients.payment_gateway import PaymentGateway
from platform_assets.migrations import migrate
from platform_assets.payments.analytics_reading import read_totals
from platform_assets.payments.gateway_sync import GatewaySync, SyncCounts
from platform_assets.tables import marketplace
from platform_assets.tables.payments import payment_analytics

KINDS = ("payment_intent", "charge", "balance_transaction")
END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
YEAR_S = 365 * 86_400
NEW_SHARES = (0.0, 0.001, 0.002, 0.01)


@dataclass(frozen=True)
class NewMeasurement:
    """One run after the first: what was new, in rows, and what it cost."""

    new_rows: int
    seconds: float
    objects_read: int
    rows_written: int


@dataclass(frozen=True)
class TransactionsMeasurement:
    """What was measured.

    Attributes:
        rows: Objects at the gateway at first, each a row.
        first_load_s: Reading and storing all of them.
        first_load_rows_per_s: Rows per second of it.
        incremental: Further runs in turn, by what was new.
        day_rows: Rows of the day that is summed up.
        day_s: Computing and storing one day's partition.
        day_rows_per_s: Rows per second of it.
        all_days_s: Totals of every day at once, as the schedule asks which days late data reopened.
        peak_memory_mb: Largest resident size of the process that read.
    """

    rows: int
    first_load_s: float
    first_load_rows_per_s: int
    incremental: tuple[NewMeasurement, ...]
    day_rows: int
    day_s: float
    day_rows_per_s: int
    all_days_s: float
    peak_memory_mb: int


def payment_object(kind: str, number: int, step_s: float) -> dict[str, Any]:
    """One object of the history, the same at every call."""
    created = int(END.timestamp() - YEAR_S + number * step_s)
    amount = 1_000 + number % 90_000
    basis = {"object": kind, "amount": amount, "currency": "usd", "created": created}
    match kind:
        case "payment_intent":
            metadata = {"payment_id": f"pay_{number}"}
            return {**basis, "id": f"pi_{number}", "status": "succeeded", "metadata": metadata}
        case "charge":
            card = {"brand": "visa", "fingerprint": f"card{number % 5_000}"}
            more = {"payment_intent": f"pi_{number}", "customer": f"cus_{number % 3_000}"}
            details = {"payment_method_details": {"type": "card", "card": card}}
            return {**basis, **more, **details, "id": f"ch_{number}", "status": "succeeded", "captured": True}
        case _:
            fee = amount * 29 // 1000 + 30
            money: dict[str, Any] = {
                "fee": fee,
                "net": amount - fee,
                "type": "charge",
                "source": f"ch_{number}",
            }
            return {
                **basis,
                **money,
                "id": f"txn_{number}",
                "status": "available",
                "available_on": created + 172_800,
            }


def serve(payments_count: int, control: Connection) -> None:
    """Serve the lists until told to stop; what comes through the pipe is the new number of payments."""
    step_s = YEAR_S / payments_count
    state = {"count": payments_count}
    paths = {f"/v1/{kind}s": kind for kind in KINDS}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Or each answer waits 40 ms for the one before to be acknowledged.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            kind = paths.get(url.path)
            objects: list[dict[str, Any]] = []
            has_more = False
            if kind is not None:
                since = int(query.get("created[gte]", ["0"])[0])
                after = query.get("starting_after")
                number = int(after[0].rpartition("_")[2]) if after else state["count"]
                while number > 0 and len(objects) < int(query["limit"][0]):
                    number -= 1
                    item = payment_object(kind, number, step_s)
                    if item["created"] < since:
                        number = 0
                        break
                    objects.append(item)
                has_more = number > 0
            body = json.dumps({"object": "list", "data": objects, "has_more": has_more}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    control.send(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while (count := control.recv()) is not None:
        state["count"] = count
        control.send(count)
    server.shutdown()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it took, and what it gave."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(rows: int, database: Database) -> TransactionsMeasurement:
    """Measure on an empty, migrated database."""
    payments_count = max(1, rows // len(KINDS))
    with database.transaction() as connection:
        connection.execute(sa.schema.CreateSchema("marketplace"))
        marketplace.metadata.create_all(connection)
    context = mp.get_context("spawn")
    own, other = context.Pipe()
    server = context.Process(target=serve, args=(payments_count, other), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{own.recv()}"
    try:
        with PaymentGateway(url=url, api_key="sk_test_benchmark", timeout_s=60) as gateway:

            def sync(now: dt.datetime) -> SyncCounts:
                return GatewaySync(database, gateway, lambda: now).run()

            first_s, _ = timed(partial(sync, END))
            incremental = []
            count, now = payments_count, END
            for share in NEW_SHARES:
                new = round(payments_count * share)
                count += new
                own.send(count)
                own.recv()
                seconds, counts = timed(partial(sync, now))
                incremental.append(
                    NewMeasurement(
                        new_rows=new * len(KINDS),
                        seconds=round(seconds, 2),
                        objects_read=counts.objects_read,
                        rows_written=counts.writes.written,
                    )
                )
                # The next run is due when that much more has happened.
                now += dt.timedelta(seconds=new * YEAR_S / payments_count)
    finally:
        own.send(None)
        server.join()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum does soon after a load.
        connection.execute(sa.text("VACUUM ANALYZE platform.gateway_transactions"))
    day = (END - dt.timedelta(days=30)).date()
    day_rows = 2 * round(payments_count / 365)

    def compute_day() -> None:
        table = payment_analytics
        database.upsert(table, read_totals(database, day, day), delete_missing=table.c.day == day)

    day_s, _ = timed(compute_day)
    all_s, _ = timed(lambda: read_totals(database, END.date() - dt.timedelta(days=366), END.date()))
    return TransactionsMeasurement(
        rows=payments_count * len(KINDS),
        first_load_s=round(first_s, 1),
        first_load_rows_per_s=round(payments_count * len(KINDS) / first_s),
        incremental=tuple(incremental),
        day_rows=day_rows,
        day_s=round(day_s, 3),
        day_rows_per_s=round(day_rows / day_s),
        all_days_s=round(all_s, 2),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="objects at the gateway at first")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ensure_postgres(Path(folder))
        migrate.upgrade(server.url("platform"))
        database = Database(server.url("platform"))
        try:
            result = measure(arguments.rows, database)
        finally:
            database.close()
            stop_postgres(Path(folder))
    if arguments.json:
        print(json.dumps(asdict(result)))
        return
    for name, value in asdict(result).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
