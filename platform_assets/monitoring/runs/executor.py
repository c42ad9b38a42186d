"""The executor of every job: Dagster's in-process one, in a process that says that it lives while it works."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG, _core_in_process_executor_creation
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor

from platform_assets.monitoring.runs.heartbeats import beating
from platform_assets.resources import database_url
from platform_assets.settings import Settings


class _BeatingExecutor(InProcessExecutor):
    def __init__(self, plain: InProcessExecutor, settings: Settings) -> None:
        super().__init__(
            retries=plain.retries,
            step_dependency_config=plain.step_dependency_config,
            marker_to_close=plain.marker_to_close,
        )
        self._settings = settings

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        with beating(database_url(self._settings), plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


def beating_executor(settings: Settings) -> dg.ExecutorDefinition:
    """The in-process executor with heartbeats.

    The multiprocess default costs some 40 core-seconds more per run of this size; heavy work uses threads.
    """

    @dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
    def in_process(context: dg.InitExecutorContext) -> InProcessExecutor:
        return _BeatingExecutor(_core_in_process_executor_creation(context.executor_config), settings)

    return in_process
