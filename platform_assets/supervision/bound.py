"""`python -m platform_assets.supervision.bound PID COMMAND …`: becomes the command, which ends when process PID does.

The kernel sees to that (Linux), however PID ends; elsewhere the command is simply run. Imports next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def bind_to(parent_pid: int) -> None:
    """End this process when its parent ends.

    Raises:
        SystemExit: The parent has ended already.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(f"Process {parent_pid}, which asked for this one, has ended.")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux), so that none is lost sight of."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) is refused")


if __name__ == "__main__":
    bind_to(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  (the supervisor's own command, no shell)
