"""The one door: joins assets, checks, jobs, schedules and resources into Dagster definitions.

Nothing connects here. Production's missing settings are reported here, all at once.
"""

from typing import Any

import dagster as dg

import platform_assets.communications.assets
import platform_assets.communications.checks
import platform_assets.matching.assets
import platform_assets.matching.checks
import platform_assets.matching.service_assets
import platform_assets.matching.service_checks
import platform_assets.monitoring.levels.assets
import platform_assets.monitoring.levels.checks
import platform_assets.monitoring.performance.assets
import platform_assets.monitoring.performance.checks
import platform_assets.monitoring.queues.assets
import platform_assets.monitoring.queues.checks
import platform_assets.monitoring.retention.assets
import platform_assets.monitoring.retention.checks
import platform_assets.monitoring.services.assets
import platform_assets.monitoring.services.checks
import platform_assets.payments.assets
import platform_assets.payments.checks
import platform_assets.payments.money_assets
import platform_assets.payments.money_checks
import platform_assets.profiles.assets
import platform_assets.profiles.checks
from platform_assets.dagster_resources import resource_definitions
from platform_assets.monitoring.runs.executor import beating_executor
from platform_assets.schedules import build_jobs, build_schedules
from platform_assets.sensors import build_sensors
from platform_assets.settings import Settings, load_settings

DOMAINS = (
    (platform_assets.profiles.assets, platform_assets.profiles.checks),
    (platform_assets.matching.assets, platform_assets.matching.checks),
    (platform_assets.matching.service_assets, platform_assets.matching.service_checks),
    (platform_assets.payments.assets, platform_assets.payments.checks),
    (platform_assets.payments.money_assets, platform_assets.payments.money_checks),
    (platform_assets.monitoring.retention.assets, platform_assets.monitoring.retention.checks),
    (platform_assets.monitoring.performance.assets, platform_assets.monitoring.performance.checks),
    (platform_assets.monitoring.levels.assets, platform_assets.monitoring.levels.checks),
    (platform_assets.communications.assets, platform_assets.communications.checks),
    (platform_assets.monitoring.services.assets, platform_assets.monitoring.services.checks),
    (platform_assets.monitoring.queues.assets, platform_assets.monitoring.queues.checks),
)


def build_definitions(settings: Settings | None = None, **overrides: Any) -> dg.Definitions:
    """Join the parts.

    Args:
        settings: The settings; by default those of the environment.
        **overrides: Resources by name that replace the default ones, such as `clock` or `embedder`; and `loggers`,
            which replaces the run loggers.

    Returns:
        The definitions of the whole platform.

    Raises:
        ConfigurationError: The environment is not usable; lists every problem.
    """
    settings = settings or load_settings()
    loggers = overrides.pop("loggers", None)
    jobs = build_jobs()
    return dg.Definitions(
        assets=[asset for assets, _ in DOMAINS for asset in assets.ASSETS],
        asset_checks=[check for _, checks in DOMAINS for check in checks.CHECKS],
        jobs=jobs,
        schedules=build_schedules(),
        sensors=build_sensors(jobs),
        resources={**resource_definitions(settings), **overrides},
        executor=beating_executor(settings),
        loggers=loggers,
    )


defs = build_definitions()
