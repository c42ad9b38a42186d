"""A process is told from every other one, the next owner of its id included."""

import dataclasses
import subprocess
import sys
import time

import psutil
import pytest

from platform_assets.monitoring.runs.processes import process_start, this_process


def test_this_process_is_local_and_alive():
    process = this_process()

    assert process.is_local
    assert process.is_alive


def test_another_machine_or_boot_is_not_local():
    process = this_process()

    assert not dataclasses.replace(process, host="elsewhere").is_local
    assert not dataclasses.replace(process, boot_id="another boot").is_local


def test_the_next_process_with_the_same_id_is_another_one():
    assert not dataclasses.replace(this_process(), start="1").is_alive


def test_a_process_that_nobody_has_waited_for_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    psutil.Process(child.pid)  # known while it lives
    try:
        deadline = 200
        while process_start(child.pid) is not None and deadline:
            deadline -= 1
            time.sleep(0.05)
        assert process_start(child.pid) is None
        assert psutil.pid_exists(child.pid), "it is still in the process table"
    finally:
        child.wait()


@pytest.mark.parametrize("pid", [2**22 + 5])
def test_an_id_that_no_process_has_has_no_start(pid):
    assert process_start(pid) is None
