"""Dagster's own storage in the embedded Postgres, for several processes at once."""

import subprocess
import sys

import dagster as dg
import pytest

from platform_assets.instance import PlatformStorage, storage_url
from platform_assets.local_ui import prepare_dagster_home
from platform_assets.settings import ConfigurationError, Settings, load_settings


@pytest.fixture
def home(postgres_home, monkeypatch):
    monkeypatch.setenv("PLATFORM_HOME", str(postgres_home))
    monkeypatch.setenv("DAGSTER_HOME", "set by the test's own preparation")
    prepare_dagster_home(load_settings())
    return postgres_home


def test_runs_and_events_are_kept_in_postgres(home):
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(_job())
        assert isinstance(instance.get_ref().storage, PlatformStorage)
    with dg.DagsterInstance.get() as instance:
        assert instance.get_run_by_id(run.run_id) is not None
        assert instance.get_runs_count() >= 1


def _job():
    @dg.job
    def nothing():
        @dg.op
        def idle():
            pass

        idle()

    return nothing


PROCESS = """
import dagster as dg
@dg.asset
def numbers(): return dg.MaterializeResult(metadata={"n": 1})
with dg.DagsterInstance.get() as instance:
    for _ in range(3):
        assert dg.materialize([numbers], instance=instance).success
    print(instance.get_latest_materialization_event(dg.AssetKey("numbers")).run_id)
"""


def test_processes_that_use_a_new_storage_at_once_do_not_disturb_each_other(home):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    with dg.DagsterInstance.get() as instance:
        assert instance.get_records_for_run(outputs[0][0].strip()).records
        runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
        assert len(runs) >= 6


def test_production_uses_the_database_that_is_named_with_the_driver_that_dagster_needs():
    settings = Settings(
        database_url="postgresql://u@h/marketplace",
        dagster_database_url="postgresql://user:secret%40word@db.example:5433/dagster",
    )

    assert storage_url(settings) == "postgresql+psycopg2://user:secret%40word@db.example:5433/dagster"


def test_an_environment_that_is_not_usable_is_told_by_the_instance(home, monkeypatch):
    monkeypatch.setenv("PLATFORM_STRIPE_API_KEY", "sk_live_do_not_show")

    with pytest.raises(ConfigurationError, match="live key") as caught:
        dg.DagsterInstance.get()
    assert "do_not_show" not in str(caught.value)
