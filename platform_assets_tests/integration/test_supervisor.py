"""Processes are kept alive, end together and leave nothing behind; what happened to them is told."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.supervision.incidents import Incident, IncidentBook
from platform_assets.supervision.process import LOG_MAX_BYTES, Command, log_tail, rotate
from platform_assets.supervision.services import Service
from platform_assets.supervision.supervisor import Supervisor
from platform_assets.tables.monitoring import system_alerts
from platform_assets.tables.supervision import process_incidents

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)

STAYS = "import time; time.sleep(120)"
ENDS = "import sys; print('a reason'); sys.exit(3)"
IGNORES_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"
LEAVES_A_WORKER = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)']); time.sleep(120)"
)


class Stage:
    """A supervisor over small real processes, run in the main thread while a helper acts beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = IncidentBook()
        self.lines: list[str] = []
        self.answers: dict[str, bool | None] = {}
        self.services: list[Service] = []

    def add(self, name: str, code: str, *, needs: tuple[str, ...] = ()) -> None:
        self.answers.setdefault(name, True)
        command = Command(
            name, f"The {name}", (sys.executable, "-c", code), self.folder, self.folder / f"{name}.log", {}
        )
        self.services.append(Service(command, lambda _: self.answers[name], needs=needs))

    def play(self, act: Callable[[Supervisor], None], **limits: float) -> Supervisor:
        supervisor = Supervisor(self.services, self.book, tell=self.lines.append, **limits)
        failure: list[BaseException] = []

        def helper() -> None:
            try:
                act(supervisor)
            except BaseException as error:
                failure.append(error)
            finally:
                supervisor.stop()

        thread = threading.Thread(target=helper)
        thread.start()
        supervisor.run()
        thread.join()
        if failure:
            raise failure[0]
        return supervisor

    def pid(self, supervisor: Supervisor, name: str) -> int:
        """Of the process that answers, once it does."""
        [each] = [each for each in supervisor.supervised if each.name == name]
        wait_until(lambda: supervisor.probe_all() or each.is_up)
        assert each.child is not None
        return each.child.pid


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    yield Stage(tmp_path)
    # Whatever a test does, nothing that it started outlives it.
    for child in psutil.Process().children(recursive=True):
        if is_running(child.pid) and child.cwd() == str(tmp_path):
            child.kill()


def test_a_killed_process_is_started_again_and_nothing_is_left_at_the_end(stage: Stage) -> None:
    stage.add("server", STAYS)
    pids: list[int] = []

    def act(supervisor: Supervisor) -> None:
        pids.append(stage.pid(supervisor, "server"))
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: not supervisor.is_up("server"))
        pids.append(stage.pid(supervisor, "server"))

    stage.play(act)

    assert pids[0] != pids[1]
    assert not any(map(is_running, pids))
    told = "\n".join(stage.lines)
    assert "The server was ended by SIGKILL; it is started again now." in told
    assert stage.lines[-1] == "Everything is stopped."


def test_what_needs_another_waits_for_its_first_answer(stage: Stage) -> None:
    stage.answers["first"] = False
    stage.add("first", STAYS)
    stage.add("second", STAYS, needs=("first",))

    def act(supervisor: Supervisor) -> None:
        first, second = supervisor.supervised
        wait_until(lambda: first.child is not None)
        time.sleep(1)
        assert second.child is None
        stage.answers["first"] = True
        stage.pid(supervisor, "second")
        # Once it has worked it does not wait again.
        stage.answers["first"] = False
        assert first.child is not None and second.child is not None
        os.kill(first.child.pid, signal.SIGKILL)
        os.kill(second.child.pid, signal.SIGKILL)
        stage.pid(supervisor, "second")

    stage.play(act)


def test_workers_of_a_dead_process_are_ended_with_the_rest(stage: Stage) -> None:
    stage.add("server", LEAVES_A_WORKER)
    workers: list[int] = []

    def act(supervisor: Supervisor) -> None:
        pid = stage.pid(supervisor, "server")
        wait_until(lambda: psutil.Process(pid).children())
        workers.append(psutil.Process(pid).children()[0].pid)
        os.kill(pid, signal.SIGKILL)
        stage.pid(supervisor, "server")
        assert is_running(workers[0]), "work goes on when the process that launched it dies"

    stage.play(act)

    assert not is_running(workers[0])


def test_a_process_that_will_not_end_is_killed(stage: Stage) -> None:
    stage.add("stubborn", IGNORES_SIGTERM)
    pids: list[int] = []

    def act(supervisor: Supervisor) -> None:
        pids.append(stage.pid(supervisor, "stubborn"))
        # Until it ignores the signal.
        time.sleep(0.5)

    stage.play(act, stop_timeout_s=0.5)

    assert not is_running(pids[0])
    assert stage.lines[-1] == "Everything is stopped (1 had to be killed)."


def test_a_process_that_hangs_is_replaced(stage: Stage) -> None:
    stage.add("server", STAYS)
    pids: list[int] = []

    def act(supervisor: Supervisor) -> None:
        pids.append(stage.pid(supervisor, "server"))
        os.kill(pids[0], signal.SIGSTOP)
        stage.answers["server"] = False
        wait_until(lambda: not supervisor.is_up("server"))
        stage.answers["server"] = True
        pids.append(stage.pid(supervisor, "server"))

    stage.play(act, hung_s=1.0)

    assert pids[0] != pids[1]
    assert any("has not answered for" in line for line in stage.lines)


def test_a_process_that_nobody_can_ask_is_not_taken_for_one_that_hangs(stage: Stage) -> None:
    stage.add("server", STAYS)

    def act(supervisor: Supervisor) -> None:
        pid = stage.pid(supervisor, "server")
        stage.answers["server"] = None
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            supervisor.probe_all()
            time.sleep(0.05)
        assert stage.pid(supervisor, "server") == pid

    stage.play(act, hung_s=0.5)


def test_a_process_that_keeps_ending_is_told_with_what_it_said(stage: Stage, database: Database) -> None:
    stage.answers["broken"] = False
    stage.add("broken", ENDS)

    def act(supervisor: Supervisor) -> None:
        [broken] = supervisor.supervised
        wait_until(lambda: broken.history.is_crash_loop, timeout_s=30)

    stage.play(act)
    stage.book.write(database, now=dt.datetime.now(dt.UTC))

    assert any("ended with status 3" in line for line in stage.lines)
    assert any("a reason" in line for line in stage.lines)
    [alert] = database.read(sa.select(system_alerts)).to_dict("records")
    assert (alert["fingerprint"], alert["severity"]) == ("process:broken", "critical")
    assert "keeps ending" in alert["title"]


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path: Path) -> None:
    script = f"""
import pathlib, sys
from platform_assets.supervision.incidents import IncidentBook
from platform_assets.supervision.process import Command
from platform_assets.supervision.services import Service
from platform_assets.supervision.supervisor import Supervisor
folder = pathlib.Path({str(tmp_path)!r})
command = Command("server", "The server", (sys.executable, "-c", {STAYS!r}), folder, folder / "log", {{}})
Supervisor([Service(command, lambda _: True)], IncidentBook(), tell=print).run()
"""
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    try:
        watched = psutil.Process(supervisor.pid)
        wait_until(lambda: any(STAYS in child.cmdline() for child in watched.children()), timeout_s=30)
        [child] = watched.children()
    finally:
        supervisor.kill()
        supervisor.wait()

    wait_until(lambda: not is_running(child.pid), timeout_s=5)


def incident(process: str = "daemon", *, at: dt.datetime = NOW, is_crash_loop: bool = False) -> Incident:
    return Incident(
        process, f"The {process}", at - dt.timedelta(seconds=2), at, "was ended by SIGKILL", is_crash_loop
    )


def read_alerts(database: Database) -> list[tuple[str, str, int]]:
    rows = database.read(sa.select(system_alerts).order_by(system_alerts.c.alert_id)).to_dict("records")
    return [(row["fingerprint"], row["state"], row["occurrences_count"]) for row in rows]


def test_what_happened_while_the_database_was_away_is_written_when_it_is_back(database: Database) -> None:
    book = IncidentBook()
    book.note(incident("postgres"))
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    for _ in range(2):
        with pytest.raises(sa.exc.OperationalError):
            book.write(away, now=NOW)
    book.note_recovery("postgres", now=NOW + dt.timedelta(seconds=30))

    book.write(database, now=NOW + dt.timedelta(seconds=31))
    book.write(database, now=NOW + dt.timedelta(seconds=32))

    assert read_alerts(database) == [("process:postgres", "open", 1)]
    [row] = database.read(sa.select(process_incidents)).to_dict("records")
    assert row["noticed_at"] == NOW
    assert row["recovered_at"] == NOW + dt.timedelta(seconds=30)


def test_each_end_counts_once_and_being_well_resolves_the_alert(database: Database) -> None:
    book = IncidentBook()
    for minute in range(3):
        at = NOW + dt.timedelta(minutes=minute)
        book.note(incident(at=at))
        book.write(database, now=at)
        book.note_recovery("daemon", now=at + dt.timedelta(seconds=4))
        book.write(database, now=at + dt.timedelta(seconds=5))
    assert read_alerts(database) == [("process:daemon", "open", 3)]

    book.note_well("daemon", now=NOW + dt.timedelta(minutes=5))
    book.write(database, now=NOW + dt.timedelta(minutes=5))

    assert read_alerts(database) == [("process:daemon", "resolved", 3)]
    recovered = database.read(sa.select(process_incidents.c.recovered_at))["recovered_at"]
    assert recovered.notna().all()


def test_an_end_after_it_was_well_keeps_the_alert_open(database: Database) -> None:
    book = IncidentBook()
    book.note(incident())
    book.note_well("daemon", now=NOW + dt.timedelta(minutes=2))
    book.note(incident(at=NOW + dt.timedelta(minutes=3)))

    book.write(database, now=NOW + dt.timedelta(minutes=4))

    assert read_alerts(database) == [("process:daemon", "open", 2)]


def test_a_grown_log_is_set_aside_and_written_on(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_MAX_BYTES + 1))
        writer.flush()
        rotate(log)
        writer.write(b"more\n")
        writer.flush()

        assert log.read_bytes() == b"more\n"
    assert (tmp_path / "server.log.1").stat().st_size == LOG_MAX_BYTES + 1
    assert log_tail(log) == "more"
