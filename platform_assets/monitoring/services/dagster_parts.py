"""Asks Dagster's own parts how they are: its daemons by their heartbeats, the code location by its server."""

import datetime as dt

import dagster as dg
from dagster._api.list_repositories import sync_list_repositories_grpc
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin

from platform_assets.monitoring.redaction import redact_text
from platform_assets.monitoring.services.probing import Answer, Look, timed
from platform_assets.monitoring_thresholds import DAEMON_HEARTBEAT_S

SCHEDULE_TAG = "dagster/schedule_name"


def ask_daemons(instance: dg.DagsterInstance, *, now: dt.datetime, is_expected: bool) -> Answer:
    """How old the daemons' heartbeats are, and what errors came with them.

    Args:
        instance: Where they are recorded.
        now: The present moment.
        is_expected: Whether daemons should be running; otherwise it is no fault that none is.
    """
    heartbeats, latency_ms = timed(instance.get_daemon_heartbeats)
    age_s = {
        daemon: max(0.0, now.timestamp() - heartbeats[daemon].timestamp) if daemon in heartbeats else None
        for daemon in sorted(instance.get_required_daemon_types())
    }
    known = [age for age in age_s.values() if age is not None]
    details = {"oldest_heartbeat_age_s": round(max(known), 1)} if known else {}
    late = [daemon for daemon, age in age_s.items() if age is None or age > DAEMON_HEARTBEAT_S]
    if len(late) == len(age_s) and not is_expected:
        return Answer("no daemon is running here, and none was asked for", details=details, look=Look.UNKNOWN)
    if late or not age_s:
        told = ", ".join(late) or "all"
        return Answer(
            f"no heartbeat within {DAEMON_HEARTBEAT_S} seconds of: {told}", details=details, look=Look.FAILED
        )
    errors = [
        f"{daemon}: {redact_text(error.message.strip().splitlines()[0])[:200]}"
        for daemon in age_s
        for error in heartbeats[daemon].errors or ()
        if error.message.strip()
    ]
    if errors:
        return Answer(f"beat, but report errors: {'; '.join(errors)}", latency_ms, details, Look.POOR)
    return Answer(
        f"{len(age_s)} daemons, the latest heartbeats within {max(known):.0f} seconds", latency_ms, details
    )


def ask_code_location(run: dg.DagsterRun) -> Answer:
    """Whether the server that a run was launched by answers and has the definitions loaded.

    Args:
        run: A run of this code location.
    """
    origin = run.remote_job_origin
    location = origin.repository_origin.code_location_origin if origin else None
    if not isinstance(location, GrpcServerCodeLocationOrigin):
        return Answer("this run was launched by no code server", look=Look.UNKNOWN)
    client = location.create_client()
    try:
        found, latency_ms = timed(lambda: sync_list_repositories_grpc(client))
    except DagsterUserCodeUnreachableError:
        return Answer("the code server does not answer", look=Look.FAILED)
    except DagsterUserCodeProcessError as error:
        first_line = redact_text(str(error).strip().splitlines()[0])[:300]
        return Answer(f"the definitions do not load: {first_line}", look=Look.FAILED)
    return Answer(
        f"answers; {len(found.repository_symbols)} repository loaded",
        latency_ms,
        {"location": location.location_name},
    )
