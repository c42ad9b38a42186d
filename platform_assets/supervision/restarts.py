"""When a process that ended is started again, and when its ends are a crash loop. Pure; times are a monotonic clock's seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from platform_assets.recovery_thresholds import (
    CRASH_LOOP_ENDS,
    CRASH_LOOP_WINDOW_S,
    RESTART_LONGEST_WAIT_S,
    RESTART_WAIT_S,
    WELL_AFTER_S,
)


@dataclass
class RestartHistory:
    """The ends of one process that nobody asked for, latest last.

    Attributes:
        ended_at: When it ended; only what a crash loop is judged by is kept.
        streak_count: Ends in a row without it having been well for `WELL_AFTER_S` in between.
    """

    ended_at: list[float] = field(default_factory=list)
    streak_count: int = 0

    def note_end(self, now: float, *, was_well_for_s: float | None) -> None:
        """Count an end.

        Args:
            now: When it was noticed.
            was_well_for_s: For how long it had answered; None when it never did.
        """
        is_fresh = was_well_for_s is not None and was_well_for_s >= WELL_AFTER_S
        self.streak_count = 1 if is_fresh else self.streak_count + 1
        self.ended_at = [moment for moment in self.ended_at if now - moment < CRASH_LOOP_WINDOW_S] + [now]

    @property
    def start_again_at(self) -> float:
        """When it may be started again: at once for the first time, then with waits that double."""
        if not self.ended_at:
            return float("-inf")
        if self.streak_count <= 1:
            return self.ended_at[-1]
        wait_s: float = min(RESTART_WAIT_S * 2 ** min(self.streak_count - 2, 16), RESTART_LONGEST_WAIT_S)
        return self.ended_at[-1] + wait_s

    @property
    def is_crash_loop(self) -> bool:
        """Whether it ends again and again: starting it once more is unlikely to help."""
        return self.streak_count > 1 and len(self.ended_at) >= CRASH_LOOP_ENDS
