"""The platform's definitions with a timetable on which every schedule ticks every six minutes; used by `timetable.py`."""

from dataclasses import replace

import dagster as dg
from dagster_shared.record import copy

from platform_assets.definitions import build_definitions
from platform_assets.schedules import TIMETABLE, build_schedules

CYCLE_MINUTES = 6

COMPRESSED = tuple(
    replace(entry, cron=f"{position % CYCLE_MINUTES}-59/{CYCLE_MINUTES} * * * *")
    for position, entry in enumerate(TIMETABLE)
)

defs: dg.Definitions = copy(build_definitions(), schedules=build_schedules(COMPRESSED))
