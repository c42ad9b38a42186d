import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from platform_assets.clients.database import Database, is_transient
from platform_assets.clients.embedded_postgres import (
    EmbeddedPostgresError,
    ensure_postgres,
    postgres_status,
    stop_postgres,
)

NUMBERS = sa.Table("numbers", sa.MetaData(), sa.Column("number", sa.BigInteger, primary_key=True))
OTHER_UID = 65534

ENSURE = (
    "import sys, pathlib; from platform_assets.clients.embedded_postgres import ensure_postgres;"
    "print(ensure_postgres(pathlib.Path(sys.argv[1])).url())"
)


@pytest.fixture
def fresh_home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'it\'s a "home" $HOME'
    yield folder
    with contextlib.suppress(EmbeddedPostgresError):
        stop_postgres(folder)


@pytest.fixture(scope="module")
def created_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("created")
    ensure_postgres(home)
    stop_postgres(home)
    return home


@pytest.fixture
def home(fresh_home: Path, created_home: Path) -> Path:
    """A home whose server was created before and does not run; a copy is quicker than creating."""
    shutil.copytree(created_home, fresh_home)
    return fresh_home


def pid_of(home: Path) -> int:
    pid = postgres_status(home).pid
    assert pid is not None
    return pid


def kill_server(home: Path) -> None:
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def write_numbers(home: Path, *numbers: int) -> None:
    database = Database(ensure_postgres(home).url())
    with database.transaction() as connection:
        NUMBERS.create(connection, checkfirst=True)
    database.upsert(NUMBERS, pd.DataFrame({"number": numbers}))
    database.close()


def read_numbers(home: Path) -> list[int]:
    database = Database(ensure_postgres(home).url())
    numbers: list[int] = database.read(sa.select(NUMBERS).order_by(NUMBERS.c.number))["number"].tolist()
    database.close()
    return numbers


def test_a_server_is_started_once_found_by_all_and_stopped(fresh_home: Path) -> None:
    assert postgres_status(fresh_home).state == "absent"
    assert not stop_postgres(fresh_home)

    server = ensure_postgres(fresh_home)
    pid = pid_of(fresh_home)

    assert ensure_postgres(fresh_home) == server
    assert (postgres_status(fresh_home).state, pid_of(fresh_home)) == ("running", pid)
    for url in (server.url("platform"), server.psycopg2_url("dagster")):
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW listen_addresses")) == ""
        engine.dispose()
    assert server.socket_folder.stat().st_mode & 0o077 == 0
    assert stop_postgres(fresh_home)
    assert not stop_postgres(fresh_home)
    assert postgres_status(fresh_home).state == "stopped"
    assert not server.socket_folder.exists()


def test_a_running_server_is_found_fast_and_without_heavy_imports(postgres_home: Path) -> None:
    ensure_postgres(postgres_home)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        ensure_postgres(postgres_home)
        times.append(time.perf_counter() - start)
    check = (
        "; print([m for m in ('pandas', 'numpy', 'sqlalchemy', 'alembic', 'dagster') if m in sys.modules])"
    )
    loaded = run_python(ENSURE + check, postgres_home)

    assert min(times) < 0.02
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_processes_that_come_at_once_share_one_server(fresh_home: Path) -> None:
    command = [sys.executable, "-c", ENSURE, str(fresh_home)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    urls = {racer.communicate(timeout=60)[0] for racer in racers}

    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(urls) == 1
    assert (fresh_home / "logs" / "postgres.log").read_text().count("starting PostgreSQL") == 1


def test_a_killed_server_comes_back_with_all_that_was_committed(home: Path) -> None:
    write_numbers(home, 1, 2)
    kill_server(home)

    assert read_numbers(home) == [1, 2]


def test_a_server_killed_within_a_transaction_leaves_nothing_of_it(home: Path) -> None:
    write_numbers(home, 1)
    database = Database(ensure_postgres(home).url())

    with pytest.raises(sa.exc.DBAPIError) as caught, database.transaction() as connection:
        database.upsert(NUMBERS, pd.DataFrame({"number": range(5_000)}), connection=connection)
        backend = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        kill_server(home)
        os.kill(backend, signal.SIGKILL)
        database.upsert(NUMBERS, pd.DataFrame({"number": [7]}), connection=connection)

    database.close()
    assert is_transient(caught.value)
    assert read_numbers(home) == [1]


def test_a_stale_pid_file_that_names_a_living_process_does_no_harm(home: Path) -> None:
    write_numbers(home, 1)
    kill_server(home)
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    assert postgres_status(home).state == "stopped"
    assert not stop_postgres(home)
    assert read_numbers(home) == [1]


def test_a_server_that_is_just_stopping_is_waited_for(home: Path) -> None:
    write_numbers(home, 1)
    os.kill(pid_of(home), signal.SIGINT)

    assert read_numbers(home) == [1]


def test_a_copy_of_a_home_has_a_server_of_its_own(home: Path, tmp_path: Path) -> None:
    write_numbers(home, 1)
    stop_postgres(home)
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    ensure_postgres(home)
    # What a copy made while the server ran would hold.
    shutil.copy(home / "postgres" / "data" / "postmaster.pid", copy / "postgres" / "data")

    write_numbers(copy, 2)

    assert (read_numbers(home), read_numbers(copy)) == ([1], [1, 2])
    assert stop_postgres(copy)
    assert postgres_status(home).state == "running"


def test_a_moved_home_keeps_its_server(home: Path, tmp_path: Path) -> None:
    write_numbers(home, 1)
    pid = pid_of(home)
    moved = tmp_path / "moved"
    home.rename(moved)

    assert read_numbers(moved) == [1]
    assert pid_of(moved) == pid
    assert stop_postgres(moved)


def test_a_home_that_was_deleted_under_its_server_starts_afresh(home: Path) -> None:
    ensure_postgres(home)
    old = pid_of(home)
    shutil.rmtree(home)

    assert ensure_postgres(home)
    assert pid_of(home) != old
    with contextlib.suppress(ProcessLookupError):
        os.kill(old, signal.SIGQUIT)


def test_a_first_start_that_was_killed_is_begun_again(fresh_home: Path) -> None:
    unfinished = fresh_home / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    assert ensure_postgres(fresh_home)
    assert not unfinished.exists()


def test_data_of_another_version_is_left_alone(fresh_home: Path) -> None:
    data = fresh_home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedPostgresError, match="written by Postgres 16"):
        ensure_postgres(fresh_home)


def test_a_folder_of_other_things_is_left_alone(fresh_home: Path) -> None:
    data = fresh_home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "diary.txt").write_text("dear diary")

    with pytest.raises(EmbeddedPostgresError, match="no data directory"):
        ensure_postgres(fresh_home)


def test_a_server_that_can_not_start_says_why(home: Path) -> None:
    (home / "postgres" / "data" / "postgresql.conf").write_text("nonsense = 1\n")

    with pytest.raises(EmbeddedPostgresError, match=r"(?s)ended with status 1.*parameter \"nonsense\""):
        ensure_postgres(home)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedPostgresError, match=r"Not a directory: .*file.*PLATFORM_HOME"):
        ensure_postgres(tmp_path / "file" / "home")


def test_stray_variables_of_postgres_change_nothing(home: Path) -> None:
    stray = {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "nowhere", "PGUSER": "x", "PGDATABASE": "y"}

    assert run_python(ENSURE, home, environment=stray).returncode == 0


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@needs_root
def test_another_user_has_a_server_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("other")
    os.chown(home, OTHER_UID, OTHER_UID)
    result = run_python(ENSURE, home, uid=OTHER_UID)

    assert result.returncode == 0, result.stderr
    assert (home / "postgres" / "data").stat().st_uid == OTHER_UID
    with pytest.raises(EmbeddedPostgresError, match="uid 65534"):
        ensure_postgres(home)
    assert stop_postgres(home)
    assert ensure_postgres(home), "root goes on with it as that user"
    assert stop_postgres(home)


@needs_root
def test_another_user_is_told_whose_files_are_in_the_way(home: Path) -> None:
    ensure_postgres(home)
    running = run_python(ENSURE, home, uid=OTHER_UID)
    stop_postgres(home)
    stopped = run_python(ENSURE, home, uid=OTHER_UID)

    for result in (running, stopped):
        assert "EmbeddedPostgresError" in result.stderr
        assert "root" in result.stderr


@needs_root
def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    result = run_python(ENSURE, tmp_path / "home", uid=OTHER_UID)

    assert "Permission denied" in result.stderr
    assert "PLATFORM_HOME" in result.stderr


@needs_root
def test_a_copy_made_by_root_is_taken_over(home: Path, tmp_path: Path) -> None:
    write_numbers(home, 1)
    stop_postgres(home)
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)

    assert (home / "postgres" / "data").stat().st_uid != 0
    assert (copy / "postgres" / "data").stat().st_uid == 0
    assert read_numbers(copy) == [1]
    stop_postgres(copy)


def run_python(
    code: str, home: Path, *, uid: int | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    become: list[str] = []
    if uid is not None:
        # The interpreter may lie where only root can read; writing is not opened by this.
        read = "dac_read_search"
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        become += [f"--inh-caps=-all,+{read}", f"--ambient-caps=+{read}"]
    return subprocess.run(
        [*become, sys.executable, "-c", code, str(home)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(environment or {})},
    )
