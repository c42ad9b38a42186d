"""Carries out single actions of recovery on Dagster and on processes, and looks at how their subject stands.

What is to be done is `recovery.py`'s to say. Each action looks again before it acts: much happens in between.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import psutil
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.storage.tags import PRIORITY_TAG

from platform_assets import recovery_thresholds as bounds
from platform_assets.clients.database import Database
from platform_assets.errors import PlatformError
from platform_assets.monitoring.alerting.alerts import raise_alert, resolve_alert
from platform_assets.monitoring.queues.model import Run
from platform_assets.monitoring.queues.reading import read_runs
from platform_assets.monitoring.queues.recovery import Action, ActionKind
from platform_assets.monitoring.queues.snapshot import own_processes
from platform_assets.monitoring.runs.dead_runs import CODE_LOCATION_NAME, DeadRun, fail_run
from platform_assets.monitoring.runs.heartbeats import read_heartbeats
from platform_assets.monitoring.runs.history import QUEUE_TAG
from platform_assets.table_assets import PLATFORM_OWNER

RECOVERY_TAG = "platform/recovery"
"""On a run that makes up for a missed tick: the id of the action that asked for it."""

CODE_LOCATION_ALERT = f"code_location:{CODE_LOCATION_NAME}"

_END_PROCESS_S = 5.0


class RecoveryError(PlatformError):
    """An action can't be carried out as things are."""


@dataclass(frozen=True)
class Observation:
    """How the subject of an action stands.

    Attributes:
        is_repaired: Whether the problem is gone.
        state: What was seen, as JSON values.
    """

    is_repaired: bool
    state: Mapping[str, Any]


class Recoverer:
    """Acts on one Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance, database: Database, *, now: dt.datetime) -> None:
        self._instance = instance
        self._database = database
        self._now = now
        self._acts: Mapping[ActionKind, Callable[[Action], None]] = {
            ActionKind.FAIL_ORPHANED_RUN: self._fail_orphaned,
            ActionKind.END_ZOMBIE_PROCESS: self._end_zombie,
            ActionKind.TERMINATE_STUCK_RUN: self._terminate_stuck,
            ActionKind.FREE_LEAKED_SLOT: self._free_slot,
            ActionKind.PURGE_SUPERSEDED_RUN: self._purge,
            ActionKind.REROUTE_RUN: self._reroute,
            ActionKind.HURRY_RUN: self._hurry,
            ActionKind.RESTART_CODE_LOCATION: self._tell_of_code_location,
        }

    def act(self, action: Action) -> None:
        """Carry an action out.

        A missed tick's work is launched by the sensor that looks for such actions: only sensors and schedules can
        launch runs.

        Raises:
            RecoveryError: It can't be done as things are.
        """
        if action.kind is not ActionKind.LAUNCH_MISSED:
            self._acts[action.kind](action)

    def observe(self, action: Action, *, recovery_id: int | None = None) -> Observation:
        """Look at how the subject of an action stands.

        Args:
            action: The action.
            recovery_id: Its id, once it has one.
        """
        match action.kind:
            case ActionKind.FREE_LEAKED_SLOT:
                return self._observe_slot(action)
            case ActionKind.END_ZOMBIE_PROCESS:
                is_alive = self._is_at_work(action.details["run_id"], action.details["pid"])
                return Observation(not is_alive, {"process": "alive" if is_alive else "gone"})
            case ActionKind.LAUNCH_MISSED:
                return self._observe_launch(recovery_id)
            case ActionKind.RESTART_CODE_LOCATION:
                return self._observe_code_location(action)
            case _:
                return self._observe_run(action)

    def _observe_run(self, action: Action) -> Observation:
        run = self._run(action)
        if run is None:
            return Observation(True, {"status": "deleted"})
        is_repaired = {
            ActionKind.REROUTE_RUN: run.queue == action.details.get("queue"),
            ActionKind.HURRY_RUN: not run.is_queued,
        }.get(action.kind, False)
        priority = run.tags.get(PRIORITY_TAG)
        state = {"status": run.status, "queue": run.queue, **({"priority": priority} if priority else {})}
        return Observation(is_repaired or run.has_ended, state)

    def _observe_slot(self, action: Action) -> Observation:
        info = self._instance.event_log_storage.get_concurrency_info(action.details["pool"])
        held = [
            slot
            for slot in info.claimed_slots
            if (slot.run_id, slot.step_key) == (action.details["run_id"], action.details["step"])
        ]
        return Observation(not held, {"slots_taken": len(info.claimed_slots), "is_held": bool(held)})

    def _observe_launch(self, recovery_id: int | None) -> Observation:
        if recovery_id is None:
            return Observation(False, {})
        runs = self._instance.get_runs(dg.RunsFilter(tags={RECOVERY_TAG: str(recovery_id)}), limit=1)
        state = {"run_id": runs[0].run_id, "status": runs[0].status.value.lower()} if runs else {}
        # What becomes of the run is told and mended like that of any other.
        return Observation(bool(runs), state)

    def _observe_code_location(self, action: Action) -> Observation:
        sensors = self._instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        data = [state.sensor_instigator_data for state in sensors]
        last_s = max((each.last_tick_success_timestamp or 0.0 for each in data if each), default=0.0)
        last_at = dt.datetime.fromtimestamp(last_s, tz=dt.UTC)
        is_repaired = last_at > action.problem_since
        if is_repaired:
            with self._database.transaction() as connection:
                resolve_alert(connection, fingerprint=CODE_LOCATION_ALERT, now=last_at)
        return Observation(is_repaired, {"sensor_evaluated_at": last_at.isoformat(timespec="seconds")})

    def _run(self, action: Action) -> Run | None:
        run_id = action.details["run_id"]
        return read_runs(self._instance, [run_id]).get(run_id)

    def _fail_orphaned(self, action: Action) -> None:
        fail_run(self._instance, DeadRun(action.details["run_id"], action.details["job_name"], action.reason))

    def _terminate_stuck(self, action: Action) -> None:
        run_id = action.details["run_id"]
        heartbeat = read_heartbeats(self._database, [run_id]).get(run_id)
        if heartbeat is None or not heartbeat.process.is_local:
            # Its code server may know better; then it counts as cancelled, and the next tick does its work.
            if not self._instance.run_launcher.terminate(run_id):
                raise RecoveryError(f"Nobody knows the process of run {run_id}, so that it can't be ended.")
            return
        # Not a signal that it could take for a failure of its own: a killed worker is run again, from where it was.
        if heartbeat.process.is_alive:
            _kill(heartbeat.process.pid)
        fail_run(self._instance, DeadRun(run_id, action.details["job_name"], action.reason))

    def _end_zombie(self, action: Action) -> None:
        # The process id may have been given to another process since.
        if self._is_at_work(action.details["run_id"], action.details["pid"]):
            _kill(action.details["pid"])

    def _is_at_work(self, run_id: str, pid: int) -> bool:
        heartbeat = read_heartbeats(self._database, [run_id]).get(run_id)
        return (
            heartbeat is not None
            and heartbeat.process.pid == pid
            and heartbeat.process.is_local
            and heartbeat.process.is_alive
        )

    def _free_slot(self, action: Action) -> None:
        details = action.details
        run = self._run(action)
        if run is not None and run.is_running:
            raise RecoveryError(f"Run {run.run_id} goes on again, and so has a right to its slot.")
        self._instance.event_log_storage.free_concurrency_slot_for_step(details["run_id"], details["step"])

    def _purge(self, action: Action) -> None:
        run = self._run(action)
        if run is not None and run.is_queued:
            self._instance.run_coordinator.cancel_run(run.run_id)

    def _reroute(self, action: Action) -> None:
        self._instance.add_run_tags(action.details["run_id"], {QUEUE_TAG: action.details["queue"]})

    def _hurry(self, action: Action) -> None:
        tags = {PRIORITY_TAG: str(bounds.HURRIED_PRIORITY), bounds.HURRIED_TAG: "true"}
        self._instance.add_run_tags(action.details["run_id"], tags)

    def _tell_of_code_location(self, action: Action) -> None:
        # Whoever started the code server starts it again: the supervisor, or the machine's own service manager.
        with self._database.transaction() as connection:
            raise_alert(
                connection,
                fingerprint=CODE_LOCATION_ALERT,
                severity="critical",
                source="queue_recovery",
                subject=CODE_LOCATION_NAME,
                owner=PLATFORM_OWNER,
                title="The code server gives no answer: no schedule and no sensor is evaluated",
                details={"reason": action.reason, "to_do": "restart the code server"},
                now=max(action.problem_since, self._now),
            )


def _kill(pid: int) -> None:
    if pid in own_processes():
        raise RecoveryError(f"Process {pid} is this one, or one that it was started by.")
    try:
        process = psutil.Process(pid)
        process.kill()
        process.wait(timeout=_END_PROCESS_S)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        raise RecoveryError(f"Process {pid} was killed and is still there.") from None
