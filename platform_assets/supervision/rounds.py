"""Duties that are done again and again in a thread of their own; one that fails is told once, and keeps no other waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from platform_assets.failures import explain

logger = logging.getLogger(__name__)


class Rounds:
    """One round of duties after the other, until it is stopped."""

    def __init__(
        self,
        name: str,
        duties: Mapping[str, Callable[[], None]],
        *,
        every_s: float,
        tell: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            name: Of the thread.
            duties: What is done, in order, by what a person calls it.
            every_s: Between the end of a round and the next one.
            tell: Takes a line for a person.
        """
        self._duties = duties
        self._every_s = every_s
        self._tell = tell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._troubles: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, timeout_s: float) -> None:
        """End after the duty that is being done; one that hangs ends with the process."""
        self._stopped.set()
        self._thread.join(timeout=timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.go_round()

    def go_round(self) -> None:
        """Every duty once."""
        for name, do in self._duties.items():
            if self._stopped.is_set():
                return
            try:
                do()
            except Exception as error:
                self._tell_trouble(name, error)
            else:
                if self._troubles.pop(name, None) is not None:
                    self._tell(f"{name}: all is well again.")

    def _tell_trouble(self, name: str, error: Exception) -> None:
        trouble = explain(error)
        if trouble is None:
            # Nobody foresaw it: the log gets all of it.
            logger.exception("%s", name)
            trouble = f"failed with {type(error).__name__}"
        # The first line says which; the same trouble in other words is told once.
        if self._troubles.get(name) != type(error).__name__:
            self._tell(f"{name}: {trouble}")
        self._troubles[name] = type(error).__name__
