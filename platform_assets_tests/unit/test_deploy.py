"""The files for production name commands and options that exist."""

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from platform_assets.cli import main
from platform_assets.local_ui import STOP_TIMEOUT_S

UNIT = Path(__file__).parents[2] / "deploy" / "platform-assets.service"


def read_unit() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  (names of settings have capitals)
    unit.read(UNIT)
    return unit


def test_the_unit_starts_a_command_that_exists_with_options_that_it_has():
    program, name, *options = shlex.split(read_unit()["Service"]["ExecStart"])

    assert Path(program).name == "platform-assets"
    context = main.commands[name].make_context(name, options)
    assert context.params["health_port"] == 3001


def test_systemd_gives_the_supervisor_the_time_that_it_takes_to_stop():
    assert float(read_unit()["Service"]["TimeoutStopSec"]) > STOP_TIMEOUT_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    # systemd looks for the program, too.
    unit.write_text(UNIT.read_text().replace("/opt/platform-assets/bin/platform-assets", sys.executable))

    answer = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (answer.returncode, answer.stderr) == (0, "")
