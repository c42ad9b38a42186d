"""The rules of the layout: who may import whom, what every asset must have, what the definitions must not load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.definitions import build_definitions
from platform_assets.monitoring.alerting.causes import KIND_OF_SERVICE, SERVICES_OF_PROCESS
from platform_assets.monitoring.alerting.check_alerts import HEALTH_ASSET, HEALTH_SUFFIX
from platform_assets.monitoring.alerting.exposure import STAKES
from platform_assets.monitoring.alerting.topology import read_topology
from platform_assets.schedules import LAUNCHED_BY_SENSORS, TIMETABLE
from platform_assets.settings import Settings
from platform_assets.supervision.services import TITLES
from platform_assets.thresholds import FRESHNESS_HOURS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "platform_assets"
DOMAINS = ("profiles", "matching", "payments", "monitoring", "communications")
HEAVY = ("torch", "sentence_transformers", "transformers", "sklearn", "scipy", "neo4j", "google.generativeai")

# The Dagster shell: everything else is plain Python that can be used and tested without an orchestrator.
MAY_IMPORT_DAGSTER = {
    "asset_checks.py",
    "dagster_resources.py",
    "definitions.py",
    "instance.py",
    "main_run.py",
    "run_progress.py",
    "schedules.py",
    "sensors.py",
    "table_assets.py",
    "matching/service_assets.py",
    "matching/service_checks.py",
    *(f"monitoring/checking/{name}.py" for name in ("history", "metadata", "states")),
    "monitoring/levels/sampling.py",
    "monitoring/services/dagster_parts.py",
    "monitoring/checking/states.py",
    *(f"monitoring/queues/{name}.py" for name in ("acting", "measuring", "reading", "recover", "snapshot")),
    "profiles/skill_assets.py",
    "profiles/skill_checks.py",
    *(f"profiles/{name}.py" for name in ("cache_assets", "text_assets", "text_checks", "vector_assets")),
    "monitoring/retention/dagster_history.py",
    *(f"monitoring/runs/{name}.py" for name in ("dead_runs", "executor", "history")),
    "monitoring/alerting/topology.py",
    "payments/money_assets.py",
    "payments/money_checks.py",
    *(f"supervision/{name}.py" for name in ("lost_runs", "serve", "services")),
}


def may_import_dagster(path: Path) -> bool:
    """Each domain's folders have their decorated functions in `assets.py` and `checks.py`."""
    name = relative(path)
    return name in MAY_IMPORT_DAGSTER or (
        name.split("/")[0] in DOMAINS and path.name in ("assets.py", "checks.py")
    )


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(Settings(home=tmp_path_factory.mktemp("never used")))


@pytest.fixture(scope="module")
def assets(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_only_the_dagster_shell_imports_dagster(path: Path) -> None:
    uses_dagster = any(name.split(".")[0].startswith("dagster") for name in imported_names(path))

    assert not uses_dagster or may_import_dagster(path)


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_a_domain_never_imports_another_domain(path: Path) -> None:
    own = relative(path).split("/")[0]
    if own not in DOMAINS:
        return
    foreign = {
        name
        for name in imported_names(path)
        for other in DOMAINS
        if other != own and f"{name}.".startswith(f"platform_assets.{other}.")
    }

    assert not foreign


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_clients_import_neither_domains_nor_the_sandbox(path: Path) -> None:
    if not relative(path).startswith("clients/"):
        return
    forbidden = tuple(f"platform_assets.{name}" for name in (*DOMAINS, "sandbox", "evaluation"))

    assert not [name for name in imported_names(path) if name.startswith(forbidden)]


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_every_module_says_what_belongs_in_it_and_stays_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(source))
    assert source.count("\n") <= 400


@pytest.mark.parametrize("path", [p for p in modules() if p.name == "__init__.py"], ids=relative)
def test_an_init_file_holds_a_docstring_and_nothing_else(path: Path) -> None:
    assert len(ast.parse(path.read_text(encoding="utf-8")).body) == 1


def test_definitions_load_without_any_heavy_module() -> None:
    script = f"import sys, platform_assets.definitions; print([m for m in {HEAVY!r} if m in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert loaded.stdout.strip() == "[]"


def test_every_asset_tells_a_newcomer_what_it_is(assets: list[dg.AssetSpec]) -> None:
    for asset in assets:
        name = asset.key.to_user_string()
        assert asset.description is not None, name
        assert "One row is" in asset.description or "One row says" in asset.description, name
        assert asset.owners, name
        assert asset.kinds, name
        assert asset.group_name in DOMAINS, name
        assert asset.metadata["dagster/column_schema"].columns, name
        assert all(column.description for column in asset.metadata["dagster/column_schema"].columns), name


def test_every_asset_has_a_freshness_policy_a_freshness_check_and_a_threshold_check(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        name = key.to_user_string()
        checks = {check.name for check in graph.asset_check_keys if check.asset_key == key}
        assert graph.get(key).freshness_policy is not None, name
        assert name in FRESHNESS_HOURS, name
        assert "freshness" in checks, name
        assert len(checks) >= 2, name


def test_every_asset_is_on_the_timetable_or_launched_by_a_sensor_in_the_pool_of_its_queue(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    sensors = definitions.get_repository_def().sensor_defs
    assert set(LAUNCHED_BY_SENSORS) <= {target.job_name for sensor in sensors for target in sensor.targets}
    queue_of = {asset: entry.queue for entry in TIMETABLE for asset in entry.selection or ()}
    queue_of |= {asset: queue for queue, asset in LAUNCHED_BY_SENSORS.values()}
    for key in graph.materializable_asset_keys:
        name = key.to_user_string()
        assert name in queue_of, name
        assert graph.get(key).pools == {queue_of[name]}, name


def test_every_schedule_is_on_and_targets_an_existing_job(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {schedule.name for schedule in repository.schedule_defs} == {entry.name for entry in TIMETABLE}
    for schedule in repository.schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert repository.has_job(schedule.job_name)


def test_alerts_know_the_services_by_their_checks_and_what_uses_each(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    topology = read_topology(graph)
    for service in KIND_OF_SERVICE:
        assert (HEALTH_ASSET, f"{service}{HEALTH_SUFFIX}") in checks, service
        assert topology.assets_of_service(service), service


def test_alerts_know_the_supervised_processes_and_what_each_provides(definitions: dg.Definitions) -> None:
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}

    for process, services in SERVICES_OF_PROCESS.items():
        assert process in TITLES
        assert {f"{service}{HEALTH_SUFFIX}" for service in services} <= checks


def test_what_somebody_waits_for_is_an_asset(definitions: dg.Definitions) -> None:
    keys = definitions.resolve_asset_graph().get_all_asset_keys()

    assert set(STAKES) <= {key.to_user_string() for key in keys}
