"""The supervisor: starts the platform's processes in order, starts again what ends or hangs, and stops all together.

The main thread here starts and ends processes and never waits for anything else; what may wait is `upkeep.py`'s.
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from platform_assets.recovery_thresholds import HUNG_S, START_LIMIT_S, WELL_AFTER_S
from platform_assets.supervision.bound import adopt_orphans
from platform_assets.supervision.incidents import Incident, IncidentBook, utc_now
from platform_assets.supervision.process import (
    ChildProcess,
    describe_end,
    end_together,
    log_tail,
    reap_orphans,
    rotate,
)
from platform_assets.supervision.restarts import RestartHistory
from platform_assets.supervision.services import Service

TICK_S = 0.25
_REAP_S = 10.0
STOP_TIMEOUT_S = 15.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervised:
    """One service and the process that it has at the moment."""

    def __init__(self, service: Service) -> None:
        """Begin without a process."""
        self.service = service
        self.history = RestartHistory()
        self.child: ChildProcess | None = None
        self.started_at = 0.0
        self.started_wall = 0.0
        self.first_answer_at: float | None = None
        self.last_answer_at: float | None = None
        self.has_answered_once = False
        self.is_told_well = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.service.command.name

    @property
    def is_up(self) -> bool:
        """Whether it has answered since it was last started."""
        return self.child is not None and self.first_answer_at is not None

    def start(self) -> int:
        """Start a process; gives its id, which is its session's, too."""
        self.first_answer_at = self.last_answer_at = None
        self.is_told_well = False
        self.started_at = time.monotonic()
        self.started_wall = time.time()
        self.child = ChildProcess(self.service.command)
        return self.child.pid

    def probe(self) -> bool:
        """Ask whether it works; from any thread.

        Returns:
            Whether this was its first answer.
        """
        child = self.child
        if child is None:
            return False
        answer = self.service.probe(self.started_wall)
        if answer is False or child is not self.child:
            return False
        now = time.monotonic()
        if answer is None:
            # Nobody can tell: no silence either.
            if self.last_answer_at is not None:
                self.last_answer_at = now
            return False
        is_first = self.first_answer_at is None
        self.first_answer_at = self.first_answer_at if self.first_answer_at is not None else now
        self.last_answer_at = now
        self.has_answered_once = True
        return is_first

    def note_stopped(self) -> None:
        """Its process, if it had one, has been ended with all others."""
        if self.child is not None:
            self.child.read_end()
            self.child = None

    def find_fault(self, now: float, *, hung_s: float) -> str | None:
        """Why its process must be replaced; None while it need not. A process that hangs is ended."""
        if self.child is None:
            return None
        status = self.child.read_end()
        if status is not None:
            return describe_end(status)
        if self.first_answer_at is None:
            fault = (
                f"did not answer within {START_LIMIT_S:.0f} s"
                if now - self.started_at > START_LIMIT_S
                else None
            )
        else:
            silent_s = now - (self.last_answer_at or now)
            fault = f"has not answered for {silent_s:.0f} s" if silent_s > hung_s else None
        if fault is not None:
            self.child.kill()
        return fault


class Supervisor:
    """Keeps services alive until a signal or `stop`."""

    def __init__(
        self,
        services: Sequence[Service],
        book: IncidentBook,
        *,
        tell: Callable[[str], None],
        hung_s: float = HUNG_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            services: What to keep alive, in the order in which it is started.
            book: Where ends and recoveries are noted.
            tell: Takes a line for a person.
            hung_s: Silence after which a living process is replaced.
            stop_timeout_s: How long processes may take to end in order.
        """
        self._hung_s = hung_s
        self._stop_timeout_s = stop_timeout_s
        self.supervised = [Supervised(service) for service in services]
        self.book = book
        self._tell = tell
        self._stopped = threading.Event()
        self._session_ids: set[int] = set()
        self._reaped_at = time.monotonic()

    def stop(self) -> None:
        """Have `run` end."""
        self._stopped.set()

    def is_up(self, name: str) -> bool:
        """Whether the service of this name works."""
        return any(each.is_up for each in self.supervised if each.name == name)

    def probe_all(self) -> None:
        """Ask every process whether it works."""
        for each in self.supervised:
            if each.probe():
                took_s = time.monotonic() - each.started_at
                self._tell(f"{each.service.command.title} is up after {took_s:.1f} s.")
                self.book.note_recovery(each.name, now=utc_now())

    def run(self) -> None:
        """Keep everything alive until a signal or `stop`, then stop everything. Call it in the main thread."""
        adopt_orphans()
        previous = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        try:
            while not self._stopped.is_set():
                self._tick(time.monotonic())
                self._stopped.wait(TICK_S)
        finally:
            killed_count = end_together(self._session_ids, timeout_s=self._stop_timeout_s)
            for each in self.supervised:
                each.note_stopped()
            reap_orphans(())
            for number, handler in previous.items():
                signal.signal(number, handler)
            left = f" ({killed_count} had to be killed)" if killed_count else ""
            self._tell(f"Everything is stopped{left}.")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopped.set()

    def _tick(self, now: float) -> None:
        for each in self.supervised:
            fault = each.find_fault(now, hung_s=self._hung_s)
            if fault is not None:
                self._note_end(each, fault, now)
            if each.child is None and now >= each.history.start_again_at and self._has_what_it_needs(each):
                self._session_ids.add(each.start())
            if each.is_up and not each.is_told_well and now - (each.first_answer_at or now) > WELL_AFTER_S:
                each.is_told_well = True
                self.book.note_well(each.name, now=utc_now())
        if now - self._reaped_at > _REAP_S:
            self._reaped_at = now
            reap_orphans([each.child.pid for each in self.supervised if each.child is not None])
            for each in self.supervised:
                rotate(each.service.command.log)

    def _has_what_it_needs(self, each: Supervised) -> bool:
        # Once it has worked it can wait by itself for what it needs.
        by_name = {other.name: other for other in self.supervised}
        return each.has_answered_once or all(by_name[name].is_up for name in each.service.needs)

    def _note_end(self, each: Supervised, fault: str, now: float) -> None:
        well_for_s = None if each.first_answer_at is None else now - each.first_answer_at
        silent_s = now - (each.last_answer_at or each.started_at)
        each.history.note_end(now, was_well_for_s=well_for_s)
        each.child, each.first_answer_at = None, None
        command, is_crash_loop = each.service.command, each.history.is_crash_loop
        noticed_at = utc_now()
        wait_s = max(0.0, each.history.start_again_at - now)
        when = f"in {wait_s:.0f} s" if wait_s else "now"
        self._tell(f"{command.title} {fault}; it is started again {when}. Its log: {command.log}")
        if well_for_s is None:
            self._tell(log_tail(command.log))
        self.book.note(
            Incident(
                each.name,
                command.title,
                last_seen_at=noticed_at - dt.timedelta(seconds=silent_s),
                noticed_at=noticed_at,
                reason=fault,
                is_crash_loop=is_crash_loop,
            )
        )
