"""The code's schedules and sensors, as the measuring of ticks and the recovery want to know them."""

from platform_assets.monitoring.queues.model import Timetable
from platform_assets.schedules import MAIN_JOB, MAIN_QUEUE, TIMETABLE, Overlap
from platform_assets.sensors import build_sensors
from platform_assets.table_assets import PLATFORM_OWNER, owner_of_queue


def code_timetable() -> Timetable:
    """What the code says of its schedules and sensors."""
    return Timetable(
        crons={entry.name: entry.cron for entry in TIMETABLE},
        jobs={entry.name: entry.job_name for entry in TIMETABLE},
        queues={**{entry.job_name: entry.queue for entry in TIMETABLE}, MAIN_JOB: MAIN_QUEUE},
        serialized_jobs=frozenset(
            entry.job_name for entry in TIMETABLE if entry.overlap is Overlap.SERIALIZE
        ),
        intervals_s={
            sensor.name: float(sensor.minimum_interval_seconds or 0) for sensor in build_sensors([])
        },
    )


def owners_of_tickers() -> dict[str, str]:
    """The team that answers for each schedule and sensor, by name."""
    schedules = {entry.name: owner_of_queue(entry.queue) for entry in TIMETABLE}
    return {**schedules, **{sensor.name: PLATFORM_OWNER for sensor in build_sensors([])}}
