import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sandbox_server import call, request_counts, running_sandbox, stripe_client

from platform_assets.sandbox.process import (
    SandboxError,
    ensure_sandbox,
    record_path,
    state_path,
    stop_sandbox,
)
from platform_assets.settings import Settings


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "a home with spaces"
    yield folder
    if folder.is_dir():
        stop_sandbox(folder)


def is_running(pid):
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return status == (0, 0)


def wait_until(condition, *, within_s=10):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_running_server_is_found_again_quickly(home):
    chosen = Settings(home=home)
    first = ensure_sandbox(chosen)

    durations = []
    for _ in range(5):
        started = time.perf_counter()
        assert ensure_sandbox(chosen) == first
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.02


def test_everybody_who_asks_at_once_gets_the_same_server(home):
    script = (
        "import sys; from pathlib import Path; from platform_assets.settings import Settings; "
        "from platform_assets.sandbox.process import ensure_sandbox; "
        "print(ensure_sandbox(Settings(home=Path(sys.argv[1]))).pid)"
    )
    command = [sys.executable, "-c", script, str(home)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [starter.communicate(timeout=60)[0].strip() for starter in starters]

    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert len(set(answers)) == 1
    assert ensure_sandbox(Settings(home=home)).pid == int(answers[0])


def test_threads_that_ask_at_once_get_the_same_server(home):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ensure_sandbox(Settings(home=home)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 4
    assert len(set(answers)) == 1


def test_a_killed_server_comes_back_at_its_address_with_its_state(home):
    with running_sandbox(home) as first:
        with stripe_client(first) as gateway:
            intent = gateway.payment_intents.create(
                {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
            )
        os.kill(first.pid, signal.SIGKILL)
        second = ensure_sandbox(Settings(home=home))

        assert second.pid != first.pid
        assert (second.github_url, second.stripe_url) == (first.github_url, first.stripe_url)
        with stripe_client(second) as gateway:
            assert gateway.payment_intents.retrieve(intent.id).status == "succeeded"
            assert gateway.charges.retrieve("ch_3").paid


def test_a_server_that_hangs_is_replaced(home, monkeypatch):
    monkeypatch.setattr("platform_assets.sandbox.process._PROBE_TIMEOUT_S", 0.3)
    monkeypatch.setattr("platform_assets.sandbox.process.STOP_TIMEOUT_S", 0.3)
    monkeypatch.setattr("platform_assets.sandbox.process.HANG_TIMEOUT_S", 0.5)
    first = ensure_sandbox(Settings(home=home))
    os.kill(first.pid, signal.SIGSTOP)

    second = ensure_sandbox(Settings(home=home))

    assert second.pid != first.pid
    wait_until(lambda: not is_running(first.pid))


def test_stopping_ends_the_server_and_says_whether_there_was_one(home):
    assert not stop_sandbox(home)
    started = ensure_sandbox(Settings(home=home))

    assert stop_sandbox(home)
    assert not is_running(started.pid)
    assert not stop_sandbox(home)


def test_stopping_does_not_wait_for_calls_that_are_never_answered(home):
    endpoints = ensure_sandbox(Settings(home=home, sandbox_timeout_rate=1.0))
    held = threading.Thread(target=_call_in_vain, args=(endpoints,))
    held.start()
    wait_until(lambda: request_counts(endpoints, "github")["total"] == 1)

    started = time.monotonic()
    assert stop_sandbox(home)
    assert time.monotonic() - started < 5
    held.join()


def _call_in_vain(endpoints):
    try:
        call(endpoints, "GET", "/github/users/first-dev")
    except OSError:
        return


def test_a_process_that_only_has_the_recorded_number_is_left_alone(home):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        record = {"pid": bystander.pid, "port": 1, "token": "f" * 32, "config": {}}
        record_path(home).parent.mkdir(parents=True)
        record_path(home).write_text(json.dumps(record))

        assert not stop_sandbox(home)
        started = ensure_sandbox(Settings(home=home))
        assert started.pid != bystander.pid
        assert bystander.poll() is None
        bystander.communicate(b"\n")


def test_another_server_at_the_recorded_address_is_not_taken_for_ours(home, tmp_path):
    other = ensure_sandbox(Settings(home=home))
    neighbour = tmp_path / "neighbour"
    record_path(neighbour).parent.mkdir(parents=True)
    record = json.loads(record_path(home).read_text())
    record_path(neighbour).write_text(json.dumps({**record, "token": "f" * 32}))
    try:
        own = ensure_sandbox(Settings(home=neighbour))

        assert own.pid != other.pid
        assert own.github_url != other.github_url
    finally:
        stop_sandbox(neighbour)
    assert ensure_sandbox(Settings(home=home)) == other


def test_half_a_record_is_no_record(home):
    record_path(home).parent.mkdir(parents=True)
    record_path(home).write_text('{"pid": 1')

    assert ensure_sandbox(Settings(home=home)).pid > 1


def test_changed_settings_take_effect_on_a_running_server(home):
    first = ensure_sandbox(Settings(home=home))
    second = ensure_sandbox(Settings(home=home, sandbox_error_rate=0.25, sandbox_github_limit=77))
    behaviour = call(second, "GET", "/_sandbox/faults")[2]

    assert second == first
    assert behaviour["github"]["error_rate"] == behaviour["stripe"]["error_rate"] == 0.25
    assert behaviour["github_limit"] == 77


def test_the_server_does_not_carry_the_platforms_variables(home, monkeypatch):
    monkeypatch.setenv("PLATFORM_GITHUB_TOKEN", "a-secret")
    started = ensure_sandbox(Settings(home=home))
    environment = Path(f"/proc/{started.pid}/environ")
    if not environment.exists():
        pytest.skip("this system does not tell a process's environment")

    assert b"PLATFORM_" not in environment.read_bytes()


def test_a_home_that_cant_be_written_is_an_error(tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("a file")

    with pytest.raises(SandboxError, match="can't be written"):
        ensure_sandbox(Settings(home=occupied))


def test_a_server_that_cant_start_says_why(home):
    state_path(home).parent.mkdir(parents=True)
    state_path(home).write_text("no database " * 100)

    with pytest.raises(SandboxError, match=r"ended with status 1(.|\n)*file is not a database"):
        ensure_sandbox(Settings(home=home))


def test_a_state_of_another_release_is_told_in_a_sentence_that_says_what_to_do(home):
    state_path(home).parent.mkdir(parents=True)
    with closing(sqlite3.connect(state_path(home))) as connection:
        connection.execute("PRAGMA user_version = 1")

    with pytest.raises(SandboxError, match=r"another release.*platform-assets stop.*delete") as caught:
        ensure_sandbox(Settings(home=home))

    assert "Traceback" not in str(caught.value)


def test_a_server_whose_home_is_gone_ends_by_itself(home):
    started = ensure_sandbox(Settings(home=home))
    home.rename(home.with_name("moved"))

    wait_until(lambda: not is_running(started.pid))
