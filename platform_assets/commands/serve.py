"""The commands that keep the platform running and say whether it does: `ui`, `serve`, `health`."""

from __future__ import annotations

import datetime as dt
import sys

import click

from platform_assets.settings import load_settings

_PORT = click.IntRange(1, 65535)
_LOOPBACK = "127.0.0.1"


@click.command()
@click.option("--port", type=_PORT, default=3000, show_default=True, help=f"Port on {_LOOPBACK}.")
def ui(port: int) -> None:
    """Dagster's UI and daemon, schedules on, until Ctrl-C.

    What ends by itself is started again, and an alert says so.
    """
    from platform_assets.supervision.serve import serve as serve_platform

    serve_platform(load_settings(), port=port)


@click.command()
@click.option("--host", default=_LOOPBACK, show_default=True, help="Address of the webserver.")
@click.option("--port", type=_PORT, default=3000, show_default=True, help="Port of the webserver.")
@click.option("--no-webserver", is_flag=True, help="Only schedules, sensors and runs.")
@click.option("--health-port", type=_PORT, help="Answer GET /health on this port of the same address.")
def serve(host: str, port: int, no_webserver: bool, health_port: int | None) -> None:
    """Run the platform in production on one machine, without an orchestrator.

    Code server, webserver and daemon are started in order, started again when they end or hang, and stopped together by
    Ctrl-C or SIGTERM. Runs whose process is gone are failed, so that they run again by their cause.

    The UI has no login: give it another address than 127.0.0.1 only behind something that asks for one.
    """
    from platform_assets.supervision.serve import serve as serve_platform

    serve_platform(load_settings(), host=host, port=None if no_webserver else port, health_port=health_port)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def health(as_json: bool) -> None:
    """Say within 2 seconds whether the platform is alive, for a watcher outside of it.

    Looks at the supervisor and its processes, the database, the daemon's heartbeats, the last tick of the schedules and
    notifications that wait. Starts and changes nothing. Exits with 1 when something is wrong.
    """
    from platform_assets.supervision.health import examine_health, is_healthy, render_json

    findings = examine_health(load_settings())
    if as_json:
        click.echo(render_json(findings, now=dt.datetime.now(dt.UTC)))
    else:
        signs = {"ok": ("✓", "green"), "problem": ("✗", "red"), "off": ("–", None)}
        for finding in findings:
            sign, color = signs[finding.state]
            click.echo(f"{click.style(sign, fg=color)} {finding.subject}: {finding.message}")
    sys.exit(0 if is_healthy(findings) else 1)
